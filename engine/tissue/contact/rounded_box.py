"""A box with rounded edges: a retractor's blade, a jaw, a plate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from .. import given
from .shape import Shape, safe_norm


class RoundedBox(Shape):
    """A box whose edges and corners are rounded with radius r; its faces stay where they are.

    q = |Aᵀ(x − c)| − (b − r), g = |max(q, 0)| + min(max(q₁, q₂, q₃), 0) − r.

    | symbol | meaning | unit |
    |---|---|---|
    | c `centre` | | m |
    | b `half` | half its length along each of its axes | m |
    | r `rounding` | 0 < r ≤ smallest of b | m |
    | A `axes` | (3, 3), columns are its axes in LPS; unit by default | – |
    """

    centre: Float[Array, "3"]
    half: Float[Array, "3"]
    rounding: Float[Array, ""]
    axes: Float[Array, "3 3"]
    name: ClassVar[str] = "rounded-box"

    def __init__(
        self, centre: Sequence[float], half: Sequence[float], rounding: float, axes: np.ndarray | None = None
    ) -> None:
        self.centre = given.array(centre, "a centre", self.name, (3,), advice="Give x, y, z in m")
        self.half = given.array(half, "half lengths", self.name, (3,), advice="Give three, in m")
        self.rounding = given.array(rounding, "a rounding", self.name, (), advice="Give m")
        self.axes = jnp.eye(3) if axes is None else given.array(axes, "axes", self.name, (3, 3))
        if not 0 < rounding <= float(self.half.min()):
            raise SolverError(
                f"a rounding of {rounding} m does not fit half lengths {np.asarray(half)}", where=self.name
            )
        if np.abs(np.asarray(self.axes.T @ self.axes) - np.eye(3)).max() > 1e-8:
            raise SolverError("the axes are not perpendicular unit vectors", where=self.name)

    @property
    def thinnest(self) -> Array:
        """Half of its shortest side [m]."""
        return jnp.min(self.half)

    def distance(self, position: Float[Array, "3"]) -> Float[Array, ""]:
        """To the surface [m]."""
        beyond = jnp.abs(self.axes.T @ (position - self.centre)) - (self.half - self.rounding)
        return safe_norm(jnp.maximum(beyond, 0.0)) + jnp.minimum(jnp.max(beyond), 0.0) - self.rounding
