"""Loads: gravity, body force, follower pressure, dead traction, nodal forces; all become terms of the residual."""

from __future__ import annotations

from .body import BodyForce, Gravity
from .facet import Pressure, Traction
from .nodal import NodalForces

__all__ = ["BodyForce", "Gravity", "NodalForces", "Pressure", "Traction"]
