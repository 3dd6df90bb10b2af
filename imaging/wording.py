"""Counts in words."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A number and its noun: "1 slice", "3 slices". `many` for what an s does not make plural, verbs included."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
