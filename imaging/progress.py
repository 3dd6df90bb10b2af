"""How long work tells what it is doing, without knowing who listens.

A long function takes `progress: Progress = silent` and calls it with a fraction in
[0, 1] (or None where the end cannot be foreseen) and a few words. The command line
listens with a progress bar, tests with a list, and a batch with nothing.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float | None, str], None]


def silent(fraction: float | None, message: str) -> None:
    """Listen to nothing."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """A progress for a sub-step that covers [start, stop] of the whole."""

    def inner(fraction: float | None, message: str) -> None:
        progress(None if fraction is None else start + (stop - start) * fraction, message)

    return inner
