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
from .observation import Bound, Observation, finite, positive_noise, refuse_far
from .outline import Outline
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
        nodes, weights, offset: of the place paired, Σ w (X + u) + offset; 0 on the body's own facets.
        seen: the point, in the observations' frame.
        normal: unit vector from the place to the point, outward; in the model's frame, at the state of the pairing.
        distance: along it, at that state [m].
    """

    nodes: Int[Array, "n m"]
    weights: Float[Array, "n m"]
    offset: Float[Array, "n 3"]
    seen: Float[Array, "n 3"]
    normal: Float[Array, "n 3"]
    distance: Float[Array, " n"]

    def residuals(self, displacement: Array, setting: Setting) -> Array:
        """(n,) m. Its derivative is exactly that of the distance to the surface, where that has one."""
        moved = (setting.problem.model.points + displacement[: setting.problem.model.nodes])[self.nodes]
        place = self.offset + jnp.einsum("nm,nmi->ni", self.weights, moved)
        return jnp.sum(self.normal * (place - setting.model_from_seen(self.seen)), axis=1)


class SurfacePoints(Observation):
    """Points (n, 3) [m] seen on the deformed surface, unordered, in the observations' frame.

    The surface is the facet set named, or an `Outline` where the body's facets are coarser than what was seen. Each is compared with the nearest place of the surface, point to plane, one way: what was not seen says nothing.
    `noise` [m] is of the distance.
    """

    def __init__(
        self,
        surface: str | Outline,
        points: NDArray,
        noise: float | None = None,
        *,
        robust: bool = False,
        correlation: float = 0.0,
        reach: float = 0.5,
    ) -> None:
        self.label = f"surface {surface!r}" if isinstance(surface, str) else "outline"
        self.surface, self.points = surface, finite(points, "points", self.label).reshape(-1, 3)
        self.noise, self.robust, self.correlation = positive_noise(noise, self.label), robust, correlation
        self.reach = reach

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
        if isinstance(self.surface, str) and len(model.facets_of(self.surface)) == 0:
            raise SolverError(f"facet set {self.surface!r} is empty", where=self.label)
        placed = np.asarray(setting.model_from_seen(jnp.asarray(self.points)))
        refuse_far(placed, np.asarray(model.points), self.label, reach=self.reach)

    def bind(self, setting: Setting, displacement: NDArray) -> BoundSurface:
        """Pairs each point with the nearest place."""
        points = np.asarray(setting.model_from_seen(jnp.asarray(self.points)))
        nodes, weights, offset, place, flat_normal = self._places(setting.problem.model, displacement, points)
        gap = points - place
        distance = np.linalg.norm(gap, axis=1)
        close = distance < 1e-9 * float(np.ptp(place, axis=0).max())
        unit = np.where(close[:, None], flat_normal, gap / np.maximum(distance, 1e-300)[:, None])
        sign = np.where(np.einsum("ni,ni->n", unit, flat_normal) < 0, -1.0, 1.0)
        return BoundSurface(
            jnp.asarray(nodes),
            jnp.asarray(weights),
            jnp.asarray(offset),
            jnp.asarray(self.points),
            jnp.asarray(unit * sign[:, None]),
            jnp.asarray(distance * sign),
        )

    def _places(self, model: Model, displacement: NDArray, points: NDArray) -> tuple[NDArray, ...]:
        """Of the place nearest to each point: nodes, weights, offset, position and unit normal."""
        rest, moved = np.asarray(model.points), np.asarray(displacement)[: model.nodes]
        if isinstance(self.surface, str):
            facets, position = model.facets_of(self.surface), rest + moved
            owner, local, normal = nearest(facets, position, points)
            nodes, weights = facets[owner], _facet_element(model).shape(local)
            place = np.einsum("nm,nmi->ni", weights, position[nodes])
            return nodes, weights, np.zeros_like(place), place, normal
        outline = self.surface
        nodes, weights, before, normal = outline.nearest(moved, points)
        carried = np.einsum("nm,nmi->ni", weights, rest[nodes])
        place = before + np.einsum("nm,nmi->ni", weights, moved[nodes])
        return nodes, weights, before - carried, place, normal


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
