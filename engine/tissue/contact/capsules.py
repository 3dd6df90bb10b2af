"""A chain of capsules: a needle, a shaft, a curved instrument, a rib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from .. import given
from .shape import Shape, safe_norm


class Capsules(Shape):
    """All points within r of a broken line: g = min over its segments of |x − closest point| − r.

    | symbol | meaning | unit |
    |---|---|---|
    | `points` | (k, 3) corners of the line; two make one capsule | m |
    | r `radius` | | m |

    The slope jumps only where two segments are equally near: behind a joint, inside of a bend.
    """

    points: Float[Array, "k 3"]
    radius: Float[Array, ""]
    name: ClassVar[str] = "capsules"

    def __init__(self, points: Sequence[Sequence[float]], radius: float) -> None:
        self.points = given.array(points, "a line", self.name, (None, 3), advice="Give its corners in m")
        self.radius = given.array(radius, "a radius", self.name, (), advice="Give m")
        if self.points.ndim != 2 or self.points.shape[1] != 3 or len(self.points) < 2:
            raise SolverError(f"points have shape {self.points.shape}", where=self.name, advice="Give (k, 3), k ≥ 2")
        if not float(self.radius) > 0:
            raise SolverError(f"a radius of {float(self.radius)} m is not positive", where=self.name)
        lengths = np.linalg.norm(np.diff(np.asarray(self.points), axis=0), axis=1)
        if (lengths == 0.0).any():
            raise SolverError(f"segment {int(np.argmin(lengths))} has no length", where=self.name)

    @property
    def thinnest(self) -> Array:
        """Its radius [m]."""
        return self.radius

    def distance(self, position: Float[Array, "3"]) -> Float[Array, ""]:
        """To the nearest segment [m]."""
        start, along = self.points[:-1], jnp.diff(self.points, axis=0)
        share = jnp.sum((position - start) * along, axis=1) / jnp.sum(along * along, axis=1)
        closest = start + jnp.clip(share, 0.0, 1.0)[:, None] * along
        return jnp.min(safe_norm(position - closest)) - self.radius
