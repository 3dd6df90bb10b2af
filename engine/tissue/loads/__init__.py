"""Loads: gravity, body force, follower pressure, dead traction. One file each; all become terms of the residual."""

from __future__ import annotations

from .body import BodyForce, Gravity
from .facet import Pressure, Traction

__all__ = ["BodyForce", "Gravity", "Pressure", "Traction"]
