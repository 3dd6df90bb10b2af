"""Physical quantities of a scene: plausible ranges with units, and the slip of unit that a value outside suggests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import WrapValidator

PRESSURE_SLIPS = {"Pa": 1 / 133.322387415, "kPa": 1000 / 133.322387415, "cmHg": 10.0}
"""Of a key in mmHg: other units, each with what one of it is in mmHg (BIPM, SI brochure)."""
LENGTH_SLIPS = {"m": 1000.0, "cm": 10.0, "µm": 0.001}
"""Of a key in mm."""
MODULUS_SLIPS = {"Pa": 0.001, "MPa": 1000.0, "GPa": 1e6}
"""Of a key in kPa."""
BED_SLIPS = {"N/m³": 1e-6, "kPa/m": 1e-3, "kPa/cm": 0.1, "Pa/mm": 1e-3}
"""Of a key in kPa/mm."""


TRAVEL_MM = (0.1, 300.0)
"""How far a grasper goes from where it took hold: below, nothing moves; above, no organ can be carried along."""


def out_of_range(value: float, low: float, high: float, unit: str, slips: Mapping[str, float]) -> str:
    """What is wrong with a value outside a plausible range; empty where it lies inside.

    Args:
        value, low, high: in `unit`.
        unit: of the key; empty for a ratio.
        slips: other units that people take, each with what one of it is in `unit`. The first in which the value would
            be plausible is asked for.
    """
    if low <= value <= high:
        return ""
    return f"must be {low:g} to {high:g}{_named(unit)}{_slip(value, low, high, unit, slips)}"


def within(
    low: float, high: float, unit: str, slips: Mapping[str, float] | None = None, *, zero: bool = False
) -> WrapValidator:
    """A pydantic check of a number between two bounds.

    Args:
        low, high, unit, slips: as `out_of_range` takes them.
        zero: 0 is allowed although it lies below; it stands for "none".
    """

    def check(given: Any, as_number: Callable[[Any], float]) -> float:
        # `true` is equal to 1 in Python.
        if isinstance(given, bool):
            raise ValueError("must be a number")
        value = as_number(given)
        problem = "" if zero and value == 0 else out_of_range(value, low, high, unit, slips or {})
        if problem:
            raise ValueError(f"{problem}{', or 0 for none' if zero else ''}")
        return value

    return WrapValidator(check)


def travel_problem(path_mm: Sequence[Sequence[float]]) -> str:
    """What is wrong with the corners of a path, mm from its start; empty for a path that a hand can go."""
    low, high = TRAVEL_MM
    away = [math.hypot(*corner) for corner in path_mm]
    furthest = max(away)
    if not furthest:
        return "must lead somewhere"
    if furthest > high:
        far = away.index(furthest)
        return f"must stay within {high:g} mm of where the tool took hold; corner {far} lies {furthest:.4g} mm away"
    if furthest < low:
        slip = _slip(furthest, low, high, "mm", LENGTH_SLIPS)
        return f"must lead {low:g} mm and more away, and leads {furthest:.2g} mm{slip}"
    return ""


def _slip(value: float, low: float, high: float, unit: str, slips: Mapping[str, float]) -> str:
    for other, factor in slips.items():
        if low <= value * factor <= high:
            return f" (was {other} meant? {value:g} {other} is {value * factor:.4g}{_named(unit)})"
    return ""


def _named(unit: str) -> str:
    return f" {unit}" if unit else ""
