"""A distance that is kept at the points of a grid: bones, implants, instruments of any form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from ....imaging.errors import SolverError
from ....meshing.mesh import SurfaceMesh
from .shape import Shape, safe_norm
from .surface_distance import signed_distance

MM = 1e-3


class GridDistance(Shape):
    """Distances on a regular grid, interpolated by cubic B-splines: twice continuously differentiable, exact on it.

    Beyond the grid the distance of the nearest place of the grid plus the way there, which keeps its sign where the
    grid has a margin around the body.

    | symbol | meaning | unit |
    |---|---|---|
    | `origin` | first point of the grid, LPS | m |
    | `spacing` | between points, the same along each axis | m |
    | `coefficients` | (I + 2, J + 2, K + 2) of the splines: one more on each side of the grid | m |
    """

    origin: Float[Array, "3"]
    spacing: Float[Array, ""]
    coefficients: Float[Array, "i j k"]
    name: ClassVar[str] = "grid"

    @classmethod
    def from_values(cls, origin: Sequence[float], spacing: float, values: NDArray) -> GridDistance:
        """From distances (I, J, K) [m] at origin + spacing × index.

        Raises:
            SolverError: fewer than four points along an axis, a value that is not finite, or no sign change.
        """
        if np.ndim(values) != 3 or min(np.shape(values)) < 4:
            raise SolverError(
                f"a grid of {np.shape(values)} points is too small", where=cls.name, advice="Use 4 or more"
            )
        if not np.isfinite(values).all():
            raise SolverError("a distance is not finite", where=cls.name)
        if not (values.min() < 0 < values.max()):
            raise SolverError("no surface lies within the grid", where=cls.name, advice="Use a finer or larger grid")
        coefficients = np.asarray(values, float)
        for axis in range(3):
            coefficients = np.moveaxis(_natural_spline(np.moveaxis(coefficients, axis, 0)), 0, axis)
        return cls(jnp.asarray(origin, float), jnp.asarray(spacing, float), jnp.asarray(coefficients))

    @classmethod
    def from_surface(cls, surface: SurfaceMesh, spacing: float, *, margin: float | None = None) -> GridDistance:
        """From a closed surface (LPS mm).

        Args:
            spacing: of the grid [m]; details below about two of it are lost.
            margin: of the grid around the surface [m]; None takes six spacings.

        Raises:
            SolverError: the surface is not closed or turned inside out.
        """
        points = np.asarray(surface.points) * MM
        margin = 6.0 * spacing if margin is None else margin
        low = points.min(axis=0) - margin
        counts = np.ceil((points.max(axis=0) + margin - low) / spacing).astype(int) + 1
        axes = [low[k] + spacing * np.arange(counts[k]) for k in range(3)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        values = signed_distance(points, np.asarray(surface.triangles), grid).reshape(tuple(counts))
        return cls.from_values(tuple(low), spacing, values)

    def distance(self, position: Float[Array, "3"]) -> Float[Array, ""]:
        """Σ c B³ over the 4 × 4 × 4 coefficients around a point [m]."""
        counts = np.array(self.coefficients.shape) - 2
        place = (position - self.origin) / self.spacing
        inside = jnp.clip(place, 0.0, counts - 1.0)
        low = jnp.clip(jnp.floor(inside).astype(int), 0, counts - 2)
        weights = [_cubic(inside[k] - low[k]) for k in range(3)]
        index = [low[k] + jnp.arange(4) for k in range(3)]
        block = self.coefficients[index[0][:, None, None], index[1][None, :, None], index[2][None, None, :]]
        value = jnp.sum(block * weights[0][:, None, None] * weights[1][None, :, None] * weights[2][None, None, :])
        return value + self.spacing * safe_norm(place - inside)


def _cubic(share: Array) -> Float[Array, "4"]:
    """Weights of the four coefficients around a place between the second and the third."""
    rest = 1.0 - share
    return (
        jnp.stack(
            [
                rest**3,
                3 * share**3 - 6 * share**2 + 4,
                3 * rest**3 - 6 * rest**2 + 4,
                share**3,
            ]
        )
        / 6.0
    )


def _natural_spline(values: NDArray) -> NDArray[np.float64]:
    """Coefficients (I + 2, ...) of the cubic B-splines through values (I, ...), straight at both ends.

    A spline mirrored at its ends, as image filters are, has no slope there, and a distance has: a quarter of the slope
    was lost one spacing from the end of the grid.
    """
    count = len(values)
    bands = np.zeros((3, count))
    bands[0, 2:], bands[1], bands[2, :-2] = 1 / 6, 4 / 6, 1 / 6
    bands[1, [0, -1]] = 1.0
    inner = solve_banded((1, 1), bands, values.reshape(count, -1)).reshape(values.shape)
    return np.concatenate([2 * inner[:1] - inner[1:2], inner, 2 * inner[-1:] - inner[-2:-1]])
