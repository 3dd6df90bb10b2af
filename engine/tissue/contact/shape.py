"""What a rigid obstacle is: the signed distance of a point to its surface; the outward normal is its slope."""

from __future__ import annotations

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Shape(eqx.Module):
    """A rigid body at rest. Every float array in it can be differentiated.

    A leaf class names itself in `name` and writes `distance`. Where the slope of the true distance jumps (an edge, an
    axis) any bounded slope will do; away from it the distance should be once continuously differentiable.
    """

    name: ClassVar[str] = ""

    @property
    def thinnest(self) -> Array | float:
        """Half of its least thickness [m], where that is known; infinite otherwise."""
        return jnp.inf

    @abc.abstractmethod
    def distance(self, position: Float[Array, "3"]) -> Float[Array, ""]:
        """Distance [m] from the surface to a point [m], LPS axes; negative inside."""


def safe_norm(vector: Float[Array, "... 3"]) -> Float[Array, "..."]:
    """The length along the last axis, whose derivative at zero is zero instead of not a number."""
    square = jnp.sum(vector * vector, axis=-1)
    positive = square > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
