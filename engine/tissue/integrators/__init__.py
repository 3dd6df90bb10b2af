"""Time integrators by name. A new one is a file here and a line in `INTEGRATORS`; its tests come with the line."""

from __future__ import annotations

from .base import Integrator
from .energy_momentum import EnergyMomentum
from .generalized_alpha import GeneralizedAlpha
from .midpoint import Midpoint
from .newmark import Newmark

INTEGRATORS: dict[str, type[Integrator]] = {
    kind.name: kind for kind in (Newmark, GeneralizedAlpha, Midpoint, EnergyMomentum)
}

__all__ = ["INTEGRATORS", "EnergyMomentum", "GeneralizedAlpha", "Integrator", "Midpoint", "Newmark"]
