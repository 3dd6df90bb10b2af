"""A flat wall or table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from .. import given
from .shape import Shape, safe_norm


class HalfSpace(Shape):
    """All points behind a plane: g = n · (x − p).

    | symbol | meaning | unit |
    |---|---|---|
    | p `point` | on the plane | m |
    | n `normal` | out of the solid half, of any length | – |
    """

    point: Float[Array, "3"]
    normal: Float[Array, "3"]
    name: ClassVar[str] = "half-space"

    def __init__(self, point: Sequence[float], normal: Sequence[float]) -> None:
        self.point = given.array(point, "a point", self.name, (3,), advice="Give x, y, z in m")
        self.normal = given.array(normal, "a normal", self.name, (3,))
        if not float(safe_norm(self.normal)) > 0:
            raise SolverError("the normal has no length", where=self.name, advice="Give the direction out of the wall")

    def distance(self, position: Float[Array, "3"]) -> Float[Array, ""]:
        """n · (x − p) / |n| [m]."""
        return jnp.dot(self.normal, position - self.point) / safe_norm(self.normal)
