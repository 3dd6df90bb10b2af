"""An observed surface: points without numbers, each seen somewhere on the deformed surface."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..elements.base import FacetElement
from ..model import Model
from .closest import closest_on_surface
from .observation import Bound, Observation, alike, distance, positive_noise, refuse_far, vectors
from .setting import Setting

SPLIT_6 = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]])
"""A six-node triangle as four flat ones."""
LOCAL_6 = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]])
SPLIT_4 = np.array([[0, 1, 2], [0, 2, 3]])
LOCAL_4 = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
LOCAL_3 = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


class BoundSurface(Bound):
    """n · (x_seen − x) of each point and the place of the surface paired with it.

    Attributes:
        nodes, weights: of the place paired, Σ w (X + u).
        seen: the point, in the observations' frame.
        normal: unit vector from the place to the point, outward; in the model's frame, at the state of the pairing.
        distance: along it, at that state [m].
    """

    nodes: Int[Array, "n m"]
    weights: Float[Array, "n m"]
    seen: Float[Array, "n 3"]
    normal: Float[Array, "n 3"]
    distance: Float[Array, " n"]

    def residuals(self, displacement: Array, setting: Setting) -> Array:
        """(n,) m. Its derivative is exactly that of the distance to the surface, where that has one."""
        moved = (setting.problem.model.points + displacement[: setting.problem.model.nodes])[self.nodes]
        place = jnp.einsum("nm,nmi->ni", self.weights, moved)
        return jnp.sum(self.normal * (place - setting.model_from_seen(self.seen)), axis=1)

    def directions(self) -> NDArray:
        """The normals."""
        return np.asarray(self.normal)


class SurfacePoints(Observation):
    """Points (n, 3) [m] seen on the deformed surface `facets`, unordered, in the observations' frame.

    Each is compared with the nearest place of the surface, point to plane, one way: what was not seen says nothing.
    `noise` [m] is of the distance.
    """

    def __init__(
        self,
        facets: str,
        points: NDArray,
        noise: float | None = None,
        *,
        robust: bool = False,
        correlation: float | None = None,
        reach: float = 0.5,
    ) -> None:
        self.label = f"surface {facets!r}"
        self.facets, self.points = facets, vectors(points, "points", self.label)
        self.noise, self.robust = positive_noise(noise, self.label), robust
        self.correlation = alike(correlation, self.label)
        self.reach = distance(reach, "a reach", self.label)

    @property
    def count(self) -> int:
        """One per point."""
        return len(self.points)

    @property
    def positions(self) -> NDArray:
        """Where they were seen."""
        return self.points

    def check(self, setting: Setting) -> None:
        """The points lie near the body."""
        model = setting.problem.model
        if len(model.facets_of(self.facets)) == 0:
            raise SolverError(f"facet set {self.facets!r} is empty", where=self.label)
        placed = np.asarray(setting.model_from_seen(jnp.asarray(self.points)))
        refuse_far(placed, np.asarray(model.points), self.label, reach=self.reach)

    def bind(self, setting: Setting, displacement: NDArray) -> BoundSurface:
        """Pairs each point with the nearest place."""
        model = setting.problem.model
        facets, element = model.facets_of(self.facets), _facet_element(model)
        position = np.asarray(model.points) + np.asarray(displacement)[: model.nodes]
        points = np.asarray(setting.model_from_seen(jnp.asarray(self.points)))
        owner, local, flat_normal = nearest(facets, position, points)
        nodes, weights = facets[owner], element.shape(local)
        gap = points - np.einsum("nm,nmi->ni", weights, position[nodes])
        away = np.linalg.norm(gap, axis=1)
        close = away < 1e-9 * float(np.ptp(position, axis=0).max())
        unit = np.where(close[:, None], flat_normal, gap / np.maximum(away, 1e-300)[:, None])
        sign = np.where(np.einsum("ni,ni->n", unit, flat_normal) < 0, -1.0, 1.0)
        return BoundSurface(
            jnp.asarray(nodes),
            jnp.asarray(weights),
            jnp.asarray(self.points),
            jnp.asarray(unit * sign[:, None]),
            jnp.asarray(away * sign),
        )


def nearest(
    facets: NDArray, position: Float[NDArray, "rows 3"], points: Float[NDArray, "n 3"]
) -> tuple[Int[NDArray, " n"], Float[NDArray, "n 2"], Float[NDArray, "n 3"]]:
    """Which facet is nearest, the local coordinates of the place on it, and the unit normal there."""
    split, local = _split(facets.shape[1])
    triangles = facets[:, split].reshape(-1, 3)
    corners = position[triangles]
    which, bary = closest_on_surface(points, corners)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[which]
    unit = normal / np.maximum(np.linalg.norm(normal, axis=1), 1e-300)[:, None]
    place = np.einsum("nk,nki->ni", bary, local[split[which % len(split)]])
    return which // len(split), place, unit


def _split(nodes: int) -> tuple[NDArray, NDArray]:
    """Flat triangles of a facet, and local coordinates of its nodes."""
    table = {3: (np.array([[0, 1, 2]]), LOCAL_3), 4: (SPLIT_4, LOCAL_4), 6: (SPLIT_6, LOCAL_6)}
    if nodes not in table:
        raise SolverError(f"facets of {nodes} nodes are not known", where="surface")
    return table[nodes]


def _facet_element(model: Model) -> FacetElement:
    return model.element.facet
