"""Observed displacement: of nodes, or of points inside the body."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .location import locate
from .observation import Bound, Observation, alike, positive_noise, refuse_far, vectors
from .setting import Setting


class BoundDisplacements(Bound):
    """Σ w (X + u) in the seen frame, minus where it was seen."""

    nodes: Int[Array, "n m"]
    weights: Float[Array, "n m"]
    seen: Float[Array, "n 3"]

    def residuals(self, displacement: Array, setting: Setting) -> Array:
        """(3n,) m."""
        moved = (setting.problem.model.points + displacement[: setting.problem.model.nodes])[self.nodes]
        place = setting.seen_from_model(jnp.einsum("nm,nmi->ni", self.weights, moved))
        return (place - self.seen).ravel()

    def directions(self) -> NDArray:
        """x, y and z of each place."""
        return np.tile(np.eye(3), (len(self.seen), 1))


class PointDisplacements(Observation):
    """Displacement [m] of points given by their place [m] in the body at rest; `noise` [m] is per component.

    `displacements` (n, 3); entries of points not seen are left out, not NaN.
    """

    def __init__(
        self,
        points: NDArray,
        displacements: NDArray,
        noise: float | None = None,
        *,
        robust: bool = False,
        correlation: float | None = None,
    ) -> None:
        self.label = "displacements"
        self.points = vectors(points, "points", self.label)
        self.moved = vectors(displacements, "displacements", self.label)
        if len(self.points) != len(self.moved):
            raise SolverError(f"{len(self.points)} points but {len(self.moved)} displacements", where=self.label)
        self.noise, self.robust = positive_noise(noise, self.label), robust
        self.correlation = alike(correlation, self.label)
        self._place: tuple[NDArray, NDArray] | None = None

    @property
    def count(self) -> int:
        """Three per point."""
        return 3 * len(self.points)

    @property
    def positions(self) -> NDArray:
        """At rest."""
        return self.points

    def check(self, setting: Setting) -> None:
        """Points lie in the body, and no displacement exceeds its size."""
        body = np.asarray(setting.problem.model.points)
        refuse_far(self.points, body, self.label)
        size = float(np.linalg.norm(np.ptp(body, axis=0)))
        far = np.flatnonzero(np.linalg.norm(self.moved, axis=1) > 2 * size)
        if far.size:
            raise SolverError(
                f"displacement {far[0]} is {np.linalg.norm(self.moved[far[0]]):.3g} m, the body {size:.3g} m",
                where=self.label,
                advice="Give metres",
            )
        nodes, weights, _ = locate(setting.problem.model, self.points, self.label)
        self._place = nodes, weights

    def bind(self, setting: Setting, displacement: NDArray) -> Bound:
        """Always the same."""
        if self._place is None:
            self.check(setting)
        nodes, weights = self._place  # pyright: ignore[reportGeneralTypeIssues]
        return BoundDisplacements(jnp.asarray(nodes), jnp.asarray(weights), jnp.asarray(self.points + self.moved))


class NodeDisplacements(Observation):
    """Displacement [m] of the nodes of a set, in its order; `noise` [m] is per component.

    Where the shape at rest is unknown too, it is from the shape as given that they were displaced.
    """

    def __init__(
        self,
        nodes: str,
        displacements: NDArray,
        noise: float | None = None,
        *,
        robust: bool = False,
        correlation: float | None = None,
    ) -> None:
        self.label = f"displacements of {nodes!r}"
        self.nodes, self.moved = nodes, vectors(displacements, "displacements", self.label)
        self.noise, self.robust = positive_noise(noise, self.label), robust
        self.correlation = alike(correlation, self.label)
        self._rest: NDArray | None = None

    @property
    def count(self) -> int:
        """Three per node."""
        return 3 * len(self.moved)

    @property
    def positions(self) -> NDArray | None:
        """At rest, once checked."""
        return self._rest

    def check(self, setting: Setting) -> None:
        """As many as the set has nodes."""
        nodes = setting.problem.model.nodes_of(self.nodes)
        if len(nodes) != len(self.moved):
            raise SolverError(f"{len(self.moved)} displacements for {len(nodes)} nodes", where=self.label)
        self._rest = np.asarray(setting.problem.model.points)[nodes]
        size = float(np.linalg.norm(np.ptp(np.asarray(setting.problem.model.points), axis=0)))
        far = np.flatnonzero(np.linalg.norm(self.moved, axis=1) > 2 * size)
        if far.size:
            raise SolverError(
                f"displacement {far[0]} is {np.linalg.norm(self.moved[far[0]]):.3g} m, the body {size:.3g} m",
                where=self.label,
                advice="Give metres",
            )

    def bind(self, setting: Setting, displacement: NDArray) -> Bound:
        """Always the same."""
        nodes = jnp.asarray(setting.problem.model.nodes_of(self.nodes))[:, None]
        if self._rest is None:
            self.check(setting)
        return BoundDisplacements(nodes, jnp.ones(nodes.shape), jnp.asarray(self._rest + self.moved))


__all__ = ["BoundDisplacements", "NodeDisplacements", "PointDisplacements"]
