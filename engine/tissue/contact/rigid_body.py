"""A rigid instrument or bone: a shape that follows a path."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from ..prescribed import along, jaws, rotate
from ..terms import Schedule
from .shape import Shape


class RigidBody(eqx.Module):
    """A shape that moves as x = c + R(t) (Y − c) + d(t), Y where the point was at the start.

    | symbol | meaning | unit |
    |---|---|---|
    | `shape` | where it is at the start, LPS | m |
    | `path` | (3,) end point, or (k, 3) way points of the translation d, after the start | m |
    | `rotation` | (3,) or (k, 3) rotation vectors (axis × angle) at the way points | rad |
    | c `pivot` | centre of the rotation | m |
    | `during` | load fractions at which the path begins and ends; way points evenly between | – |
    | `label` | what messages call it | – |
    """

    shape: Shape
    path: Float[Array, "k 3"]
    rotation: Float[Array, "k 3"]
    pivot: Float[Array, "3"]
    when: Schedule
    label: str = eqx.field(static=True)

    def __init__(
        self,
        shape: Shape,
        path: Sequence[float] | Sequence[Sequence[float]] = (0.0, 0.0, 0.0),
        *,
        rotation: Sequence[float] | Sequence[Sequence[float]] | None = None,
        pivot: Sequence[float] = (0.0, 0.0, 0.0),
        during: Sequence[float] = (0.0, 1.0),
        label: str = "",
    ) -> None:
        if not isinstance(shape, Shape):
            advice = "Give a shape of `contact`: Sphere, HalfSpace, Capsules, RoundedBox or GridDistance"
            raise SolverError(f"a {type(shape).__name__} is no shape", where=label or "rigid body", advice=advice)
        self.shape, self.label = shape, label or shape.name
        self.path, self.rotation, centre, self.when = jaws(f"rigid body {self.label!r}", path, rotation, pivot, during)
        self.pivot = jnp.zeros(3) if centre is None else centre

    def to_body(self, position: Float[Array, "3"], fraction: Array | float) -> Float[Array, "3"]:
        """Y: the point of the body [m] that is at a position [m] at a load fraction."""
        share = self.when(fraction)
        arm = position - self.pivot - along(self.path, share)
        return self.pivot + rotate(-along(self.rotation, share), arm[None])[0]

    def turn(self, vector: Float[Array, "3"], fraction: Array | float) -> Float[Array, "3"]:
        """R(t) times a vector of the body."""
        return rotate(along(self.rotation, self.when(fraction)), vector[None])[0]

    def distance(self, position: Float[Array, "3"], fraction: Array | float) -> Float[Array, ""]:
        """Signed distance [m] to the body where it is at a load fraction."""
        return self.shape.distance(self.to_body(position, fraction))

    def gap_and_normal(self, position: Float[Array, "3"], fraction: Array | float) -> tuple[Array, Array]:
        """Signed distance [m] and its slope, the outward normal."""
        return jax.value_and_grad(self.distance)(position, fraction)
