"""The points of one surface that look for facets of another: who meets whom, and the forces of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from ..elements.base import FacetElement, Quadrature
from ..terms import MovingTerm
from . import triangle
from .closest import feature_basis
from .pairs import PairTerm
from .search import Met, search
from .surface import Surface, unit


class SlipHistory(eqx.Module):
    """What the points of one surface remember: multiplier [Pa], facet (−1: none), place on it, gap [m] then."""

    multiplier: Float[Array, " points"]
    facet: Int[np.ndarray, " points"]
    place: Float[Array, "points 2"]
    opening: Float[Array, " points"]

    @classmethod
    def blank(cls, count: int) -> SlipHistory:
        """Of points that have met nothing."""
        return cls(jnp.zeros(count), np.full(count, -1, np.int64), jnp.zeros((count, 2)), jnp.zeros(count))


class Pairs(NamedTuple):
    """A pairing: who met whom, which places friction pulls to, and how many of them know one."""

    met: Met
    anchor: NDArray[np.float64]
    known: NDArray[np.float64]


class Look(MovingTerm):
    """The points of one surface looking for facets of another."""

    points: Float[Array, "rows 3"]
    slave: Surface
    master: Surface
    facet: FacetElement = eqx.field(static=True)
    rule: Quadrature
    penalty: Any
    stick: Any
    onset: Any
    friction: Any
    history: SlipHistory
    refused: NDArray | None
    share: float = eqx.field(static=True)
    reach: float = eqx.field(static=True)
    frictional: bool = eqx.field(static=True)

    @property
    def symmetric(self) -> bool:
        """Where nothing drags."""
        return not self.frictional

    def pairs(self, displacement: np.ndarray, fraction: float) -> Pairs:
        """The nearest facet of each point that faces one."""
        place = np.asarray(self.points) + displacement[: len(self.points)]
        point, normal = surface_points(self.slave, place, self.facet, self.rule)
        met = search(point, normal, self.master, place, self.reach, self.refused)
        anchor, known = self._anchors(met, place)
        return Pairs(met, anchor, known)

    def slave_field(self, field: NDArray) -> NDArray:
        """A nodal field (rows, 3) at the points that look."""
        return np.einsum("qa,fai->fqi", self.facet.shape(self.rule.points), field[self.slave.faces]).reshape(-1, 3)

    def master_field(self, field: NDArray, met: Met) -> NDArray:
        """A nodal field (rows, 3) at the places that are met."""
        shape = triangle.shape(np, self.master.facets.shape[1], met.near.place)
        return np.einsum("na,nai->ni", shape, field[self.master.facets[met.facet]])

    def stride(self, displacement: np.ndarray, step: np.ndarray) -> float:
        """The largest share of a step in which no point sinks out of its reach (`passing`)."""
        from .passing import stride

        return stride(self, displacement, step)

    def _anchors(self, met: Met, place: np.ndarray) -> tuple[NDArray, NDArray]:
        """Where friction pulls each point to, as a place on the facet it meets now; 0 where it met none before."""
        before, at = self.history.facet[met.point], np.asarray(self.history.place)[met.point]
        anchor, moved = np.where((before >= 0)[:, None], at, met.near.place), (before >= 0) & (before != met.facet)
        if moved.any():
            width = self.master.facets.shape[1]
            there = place[self.master.facets[before[moved]]]
            kept = np.einsum("na,nai->ni", triangle.shape(np, width, at[moved]), there)
            now = place[self.master.facets[met.facet[moved]]]
            along = np.einsum("nad,nai->ndi", triangle.slope(np, width, met.near.place[moved]), now)
            right = np.einsum("ndi,ni->nd", along, kept - met.near.point[moved])
            step = np.linalg.solve(np.einsum("ndi,nfi->ndf", along, along), right[..., None])[..., 0]
            anchor[moved] = met.near.place[moved] + step
        return anchor, (before >= 0) * 1.0

    def paired(self, pairs: Pairs) -> PairTerm:
        """The forces of a pairing; where points have come over from other facets, as functions of those too."""
        term, met = self.placed(pairs), pairs.met
        before = self.history.facet[met.point]
        crossed = (before >= 0) & (before != met.facet)
        if not (self.frictional and crossed.any()):
            return term
        beyond = self.master.facets[np.where(crossed, before, met.facet)]
        return replace(
            term,
            nodes=np.concatenate([term.nodes, beyond], axis=1),
            left=rows_of(self.history.place, met.point),
            crossed=crossed * 1.0,
        )

    def placed(self, pairs: Pairs) -> PairTerm:
        """The forces of a pairing, with the anchors of points that have come over where the search has put them."""
        met, rule = pairs.met, self.rule
        owner, local = met.point // len(rule.weights), met.point % len(rule.weights)
        count = len(met.point)
        arrays: Any = (
            np.concatenate([self.slave.faces[owner], self.master.facets[met.facet]], axis=1),
            self.facet.shape(rule.points)[local],
            self.facet.gradient(rule.points)[local],
            self.share * rule.weights[local],
            met.near.place,
            feature_basis(met.near.feature),
            met.side,
            spread(self.penalty, count),
            spread(self.stick, count) * pairs.known,
            spread(self.onset, count),
            spread(self.friction, count),
            rows_of(self.history.multiplier, met.point),
            self._anchor(pairs),
            rows_of(self.history.opening, met.point),
        )
        return PairTerm(*arrays, self.frictional)  # pyright: ignore[reportCallIssue]

    def _anchor(self, pairs: Pairs) -> Any:
        """Of each pair (n, 2): what is remembered, differentiable, where the facet is the same as before."""
        kept = rows_of(self.history.place, pairs.met.point)
        same = self.history.facet[pairs.met.point] == pairs.met.facet
        plain = isinstance(kept, np.ndarray) and isinstance(pairs.anchor, np.ndarray)
        return (np if plain else jnp).where(same[:, None], kept, pairs.anchor)


def spread(value: Any, count: int) -> Any:
    """One value for each of a changing number of pairs: in numpy, which compiles nothing, unless it is traced."""
    return (jnp if isinstance(value, jax.core.Tracer) else np).broadcast_to(value, (count,))  # pyright: ignore[reportAttributeAccessIssue]


def rows_of(values: Any, chosen: NDArray) -> Any:
    """Rows of an array, in numpy unless it is traced."""
    return (values if isinstance(values, jax.core.Tracer) else np.asarray(values))[chosen]  # pyright: ignore[reportAttributeAccessIssue]


def surface_points(
    surface: Surface, place: np.ndarray, facet: FacetElement, rule: Quadrature
) -> tuple[NDArray, NDArray]:
    """Points (n, 3) [m] of a rule on every facet of a surface, facet by facet, and unit normals there."""
    corners = place[surface.faces]
    point = np.einsum("qa,fai->fqi", facet.shape(rule.points), corners)
    along = np.einsum("qad,fai->fqdi", facet.gradient(rule.points), corners)
    normal = unit(np.cross(along[:, :, 0], along[:, :, 1]))
    return point.reshape(-1, 3), normal.reshape(-1, 3)
