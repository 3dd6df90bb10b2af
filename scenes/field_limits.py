"""The limits that a report counts against, for the bars of the fields that they are limits of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OPTIONS = {"strain": "strain_limit"}
"""Field → option of the procedure that holds its limit, as stored."""


def limit_of(data: Mapping[str, Any], field: str) -> float | None:
    """The limit of a field in a result.json, as the field is stored; None without one."""
    option = _OPTIONS.get(field)
    if option is None:
        return None
    for one in data.get("assumptions", []):
        if one.get("key") == f"options.{option}":
            value = float(one["value"])
            return value / 100 if one.get("unit") == "%" else value
    return None
