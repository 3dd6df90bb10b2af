"""Densities as a caller gives them, in kg/m³."""

from __future__ import annotations

from collections.abc import Mapping

from ...imaging.errors import SolverError
from . import given
from .stacking import refuse_unknown

DENSEST = 25e3
"""kg/m³: more than osmium."""
DEFAULT_DENSITY = 1060.0
"""kg/m³, soft tissue: mean of liver, muscle and blood in ICRU Report 44 (1989)."""


def densities_of(density: float | Mapping[str, float], names: Mapping[int, str]) -> dict[int, float]:
    """kg/m³ by label id, of one density for all or of densities by region name (`"*"`: all others).

    Raises:
        SolverError: a name that is no region; a density that is none.
    """
    values = {}
    if isinstance(density, Mapping):
        refuse_unknown("densities", density, names)
    for label, name in names.items():
        value = density.get(name, density.get("*", DEFAULT_DENSITY)) if isinstance(density, Mapping) else density
        values[label] = checked_density(value, name)
    return values


def checked_density(value: float, region: str) -> float:
    """A density in kg/m³.

    Raises:
        SolverError: it is negative, not finite, or implausible.
    """
    where, advice = f"region {region!r}", "Give kg/m³: soft tissue is near 1060"
    found = given.number(value, "a density", where, low=0.0, advice=advice)
    if 0 < found < 50 or found > DENSEST:
        raise SolverError(f"density {found:g} is implausible", where=where, advice=advice)
    return found
