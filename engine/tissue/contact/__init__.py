"""Contact: with rigid instruments and bones, between tissues, of a tissue with itself, and tied meshes.

A rigid shape is one file here and one line in `SHAPES`; its tests come with the line.
"""

from __future__ import annotations

from .capsules import Capsules
from .forces import contact_state, tool_force
from .grid import GridDistance
from .half_space import HalfSpace
from .rigid import RigidContact
from .rigid_body import RigidBody
from .rounded_box import RoundedBox
from .shape import Shape
from .sphere import Sphere
from .tie import Tie
from .tissue import TissueContact

SHAPES: dict[str, type[Shape]] = {
    shape.name: shape for shape in (HalfSpace, Sphere, Capsules, RoundedBox, GridDistance)
}

__all__ = [
    "SHAPES",
    "Capsules",
    "GridDistance",
    "HalfSpace",
    "RigidBody",
    "RigidContact",
    "RoundedBox",
    "Shape",
    "Sphere",
    "Tie",
    "TissueContact",
    "contact_state",
    "tool_force",
]
