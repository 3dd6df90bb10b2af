"""Products of the shape functions of two surfaces over their overlap, and how the second is carried across a gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from ..elements import facet_of
from ..elements.base import Element, FacetElement, Quadrature
from ..elements.quad import QUAD4
from ..elements.tri import DEGREE_2, DEGREE_4, TRI3
from ..model import Model
from .clipping import Segments
from .parent import area_vectors, parent_places, shapes, slopes
from .penalty import owners

OUTLINE: dict[int, FacetElement] = {3: TRI3, 4: QUAD4}
"""What the corners of a facet span, by their number: facets are clipped by their corners."""
EXACT = 1e-12
"""Change of a product under a finer rule, over the segment's area, at which no finer one is tried."""
CLOSED = 1e-9
"""Gap over the size of the largest segment up to which surfaces lie on each other."""
BATCH = 1024
"""Segments at a time: bounds the memory."""


class Solids(NamedTuple):
    """Solids of one kind behind some facets of a group: which facets, and the nodes (n, m) of the solid of each."""

    kind: Element
    facets: NDArray[np.int64]
    nodes: NDArray[np.int64]


class Overlap(NamedTuple):
    """Of each pair of facets (n) that overlap.

    Attributes:
        slave, master: nodes of the first facet (n, a), and of what carries the second (n, b): it, or the solid behind.
        gram: (n, a + b, a + b) ∫ φ_i φ_j dA [m²] over the overlap, φ the shape functions in the order of the nodes.
    """

    slave: NDArray[np.int64]
    master: NDArray[np.int64]
    gram: NDArray[np.float64]


class Pairing(NamedTuple):
    """Segments between facets of one kind and facets of one kind, carried by solids of one kind or by themselves."""

    facets: tuple[NDArray[np.int64], NDArray[np.int64]]
    places: tuple[NDArray[np.float64], NDArray[np.float64]]
    cut: Segments
    double: NDArray[np.float64]
    solid: Element | None
    carrier: NDArray[np.int64]
    carrier_places: NDArray[np.float64]

    @property
    def kinds(self) -> tuple[FacetElement, FacetElement]:
        """Of the facets of each side."""
        first, second = (facet_of(facets.shape[1]) for facets in self.facets)
        return first, second

    def rows(self, chosen: NDArray) -> Pairing:
        """Some of the segments."""
        return jax.tree.map(lambda part: part[chosen] if isinstance(part, np.ndarray) else part, self)


class Meeting(NamedTuple):
    """At the points of a rule on each segment: area [m²], parent places on both facets, place and gap [m]."""

    weight: NDArray[np.float64]  # (s, q)
    first: NDArray[np.float64]  # (s, q, 2)
    second: NDArray[np.float64]  # (s, q, 2)
    at: NDArray[np.float64]  # (s, q, 3) on the second facet
    gap: NDArray[np.float64]  # (s, q, 3) from there to the first


def conical(count: int) -> Quadrature:
    """count² points on the triangle, exact to degree 2 count − 2: Gauss's on a square, one side of it drawn together.

    Source: Stroud (1971), *Approximate Calculation of Multiple Integrals*, 2.4 (conical products).
    """
    at, weight = np.polynomial.legendre.leggauss(count)
    at, weight = 0.5 * (at + 1.0), 0.5 * weight
    first, second = (part.ravel() for part in np.meshgrid(at, at, indexing="ij"))
    share = np.outer(weight * (1.0 - at), weight).ravel()
    return Quadrature(np.stack([first, (1.0 - first) * second], axis=1), share)


FINER = tuple(conical(count) for count in (5, 7, 10, 14))
"""For quadrangles that are no parallelograms and curved triangles: their shape functions are no polynomials."""


def solids_behind(model: Model, facets: NDArray) -> list[Solids]:
    """The solids that have all nodes of a facet, kind by kind; a facet of a sheet has none."""
    found, open_ = [], np.ones(len(facets), bool)
    for block in model.blocks:
        if block.element.dimension != 3:
            continue
        owner = owners(model, block, facets)
        mine = np.flatnonzero(open_ & (owner >= 0))
        if mine.size:
            open_[mine] = False
            nodes = np.asarray(block.nodes)[owner[mine], : block.element.nodes].astype(np.int64)
            found.append(Solids(block.element, mine, nodes))
    return found


def overlaps(
    points: NDArray, sides: tuple[NDArray, NDArray], cut: Segments, behind: list[Solids], where: str
) -> list[Overlap]:
    """Products over the overlap of two groups of facets (n, 3, 4 or 6), by what carries the second.

    Where the surfaces lie apart, the solid behind the second carries it across the gap g:
    u'(x' + g) = u'(x') + ∇u'(x') g. The jump is then zero in every motion that is linear in place, turns included.

    Raises:
        SolverError: a facet too distorted to find places on.
    """
    if not len(cut.slave):
        return []
    whole = _pairing(points, sides, cut)
    if not behind or _widest_gap(whole, where) <= CLOSED:
        return [_overlap(whole, where)]
    kind, row = np.full(len(sides[1]), -1), np.zeros(len(sides[1]), np.int64)
    for k, part in enumerate(behind):
        kind[part.facets], row[part.facets] = k, np.arange(len(part.facets))
    found = []
    for k in np.unique(kind[cut.master]):
        mine = whole.rows(np.flatnonzero(kind[cut.master] == k))
        if k >= 0:
            nodes = behind[k].nodes[row[mine.cut.master]]
            mine = mine._replace(solid=behind[k].kind, carrier=nodes, carrier_places=points[nodes])
        found.append(_overlap(mine, where))
    return found


def _pairing(points: NDArray, sides: tuple[NDArray, NDArray], cut: Segments) -> Pairing:
    first, second = sides[0][cut.slave], sides[1][cut.master]
    places = points[first], points[second]
    return Pairing((first, second), places, cut, 2.0 * cut.areas, None, second, places[1])


def _overlap(pairing: Pairing, where: str) -> Overlap:
    """Products of each segment by rules as fine as it needs, summed over the segments of each pair of facets."""
    rules = (DEGREE_2,) if pairing.kinds == (TRI3, TRI3) else (DEGREE_4, *FINER)
    starts = range(0, len(pairing.double), BATCH)
    gram = np.concatenate(
        [_settled(pairing.rows(np.arange(len(pairing.double))[k : k + BATCH]), rules, where) for k in starts]
    )
    pairs, one, which = np.unique(
        np.stack([pairing.cut.slave, pairing.cut.master], axis=1), axis=0, return_index=True, return_inverse=True
    )
    total = np.zeros((len(pairs), *gram.shape[1:]))
    np.add.at(total, which.ravel(), gram)
    return Overlap(pairing.facets[0][one], pairing.carrier[one], total)


def _settled(pairing: Pairing, rules: Sequence[Quadrature], where: str) -> NDArray[np.float64]:
    found, unsettled = _gram(pairing, rules[0], where), np.arange(len(pairing.double))
    for rule in rules[1:]:
        finer = _gram(pairing.rows(unsettled), rule, where)
        off = np.abs(finer - found[unsettled]).max(axis=(1, 2))
        found[unsettled] = finer
        unsettled = unsettled[off > EXACT * pairing.double[unsettled]]
        if not unsettled.size:
            break
    return found


def _gram(pairing: Pairing, rule: Quadrature, where: str) -> NDArray[np.float64]:
    """(s, a + b, a + b) products over each segment [m²]."""
    met = _meeting(pairing, rule, where)
    second = shapes(pairing.kinds[1], met.second) if pairing.solid is None else _carried(pairing, met, where)
    both = np.concatenate([shapes(pairing.kinds[0], met.first), second], axis=2)
    return np.swapaxes(met.weight[..., None] * both, 1, 2) @ both


def _meeting(pairing: Pairing, rule: Quadrature, where: str) -> Meeting:
    """Points on the plane of the first facet, moved along its normal onto both.

    The outline of the first facet is mapped to its parent's, whole to whole: its segments tile it, curved or warped.
    """
    own, other = pairing.kinds
    axes, (nodes, facing) = pairing.cut.axes, pairing.places
    flat = np.einsum("qa,sai->sqi", TRI3.shape(rule.points), pairing.cut.corners)
    outline, ends = OUTLINE[own.corners], nodes[:, : own.corners]
    first = parent_places(outline, ends, flat, axes, where)
    across = np.einsum("sqi,si->sq", area_vectors(outline, ends, first), np.cross(axes[:, 0], axes[:, 1]))
    stretch = np.linalg.norm(area_vectors(own, nodes, first), axis=2) / across
    place = shapes(own, first) @ nodes
    second = parent_places(other, facing, place, axes, where)
    at = shapes(other, second) @ facing
    return Meeting(pairing.double[:, None] * rule.weights * stretch, first, second, at, place - at)


def _carried(pairing: Pairing, met: Meeting, where: str) -> NDArray[np.float64]:
    """Shape functions (s, q, m) of the solid behind the second facet at its surface, carried on by their slopes."""
    kind, nodes = pairing.solid, pairing.carrier_places
    assert kind is not None
    place = parent_places(kind, nodes, met.at, np.broadcast_to(np.eye(3), (len(nodes), 3, 3)), where)
    slope = slopes(kind, place)
    jacobian = np.einsum("sqad,sai->sqid", slope, nodes)
    ahead = np.linalg.solve(jacobian, met.gap[..., None])
    return shapes(kind, place) + (slope @ ahead)[..., 0]


def _widest_gap(pairing: Pairing, where: str) -> float:
    """Over the size of the largest segment."""
    gap = np.linalg.norm(_meeting(pairing, DEGREE_4, where).gap, axis=2)
    return float(gap.max() / np.sqrt(pairing.double.max()))
