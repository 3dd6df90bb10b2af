"""A ball: a probe's tip, a femoral head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from .. import given
from .shape import Shape, safe_norm


class Sphere(Shape):
    """g = |x − c| − r; turned inside out (a socket) g = r − |x − c|.

    | symbol | meaning | unit |
    |---|---|---|
    | c `centre` | | m |
    | r `radius` | negative makes a socket: solid outside | m |
    """

    centre: Float[Array, "3"]
    radius: Float[Array, ""]
    name: ClassVar[str] = "sphere"

    def __init__(self, centre: Sequence[float], radius: float) -> None:
        self.centre = given.array(centre, "a centre", self.name, (3,), advice="Give x, y, z in m")
        self.radius = given.array(radius, "a radius", self.name, (), advice="Give m")
        if float(self.radius) == 0.0:
            raise SolverError("a radius of zero has no surface", where=self.name)

    @property
    def thinnest(self) -> Array:
        """Its radius [m]; a socket has no other side."""
        return jnp.where(self.radius > 0, self.radius, jnp.inf)

    def distance(self, position: Float[Array, "3"]) -> Float[Array, ""]:
        """Sign of r × |x − c| − r [m]."""
        return jnp.sign(self.radius) * safe_norm(position - self.centre) - self.radius
