"""What a report names of a field and its colour bar has to hold: the limit counted against, a marked percentile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .render_style import field_style

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


def named_value(data: Mapping[str, Any], field: str) -> float | None:
    """The largest percentile of a field that is marked in its pictures, as the field is stored; None without one."""
    values = [
        float(one["value"]) / field_style(field).factor
        for one in data.get("numbers", [])
        if one.get("field") == field and one.get("place_mm") and "percentile" in one["name"]
    ]
    return max(values, default=None)
