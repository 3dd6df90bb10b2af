"""Products of the shape functions of two facets over the triangles that their overlap is cut into, and their error."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from ..elements import facet_of
from ..elements.base import Element, FacetElement, Quadrature
from ..elements.quad import QUAD4
from ..elements.tri import DEGREE_2, DEGREE_4, TRI3
from .clipping import Segments
from .parent import area_vectors, corner_places, facet_places, shapes, slopes

OUTLINE: dict[int, FacetElement] = {3: TRI3, 4: QUAD4}
"""What the corners of a facet span, by their number: facets are clipped by their corners."""
EXACT = 1e-12
"""Change of a product under a finer rule, over the segment's area, at which no finer one is tried."""


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
    """At the points of a rule on each segment: area [m²], parent places on both facets, and the gap [m]."""

    weight: NDArray[np.float64]  # (s, q)
    first: NDArray[np.float64]  # (s, q, 2)
    second: NDArray[np.float64]  # (s, q, 2)
    gap: NDArray[np.float64]  # (s, q, 3) from the second facet to the first


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


def products(pairing: Pairing, where: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(s, a + b, a + b) ∫ φ_i φ_j dA over each segment [m²], by rules as fine as it needs.

    Returns also how much (s) [m²] the finest rule still changed them by; 0 where they have settled before.
    """
    rules = (DEGREE_2,) if pairing.kinds == (TRI3, TRI3) else (DEGREE_4, *FINER)
    count = len(pairing.double)
    found, off, unsettled = _gram(pairing, rules[0], where), np.zeros(count), np.arange(count)
    for rule in rules[1:]:
        finer = _gram(pairing.rows(unsettled), rule, where)
        change = np.abs(finer - found[unsettled]).max(axis=(1, 2))
        open_ = change > EXACT * pairing.double[unsettled]
        found[unsettled], off[unsettled] = finer, np.where(open_, change, 0.0)
        unsettled = unsettled[open_]
        if not unsettled.size:
            break
    return found, off


def widest_gap(pairing: Pairing, where: str) -> float:
    """Between the facets at the points of a rule [m]."""
    return float(np.linalg.norm(_meeting(pairing, DEGREE_4, where).gap, axis=2).max(initial=0.0))


def _gram(pairing: Pairing, rule: Quadrature, where: str) -> NDArray[np.float64]:
    met = _meeting(pairing, rule, where)
    second = shapes(pairing.kinds[1], met.second) if pairing.solid is None else _carried(pairing, met)
    both = np.concatenate([shapes(pairing.kinds[0], met.first), second], axis=2)
    return np.swapaxes(met.weight[..., None] * both, 1, 2) @ both


def _meeting(pairing: Pairing, rule: Quadrature, where: str) -> Meeting:
    """Points on the plane of the first facet, moved along its normal onto both.

    The outline of the first facet is mapped to its parent's, whole to whole: its segments tile it, curved or warped.
    """
    own, other = pairing.kinds
    axes, (nodes, facing) = pairing.cut.axes, pairing.places
    flat = TRI3.shape(rule.points) @ pairing.cut.corners
    outline, ends = OUTLINE[own.corners], nodes[:, : own.corners]
    first = facet_places(outline, ends, flat, axes, where)
    across = np.einsum("sqi,si->sq", area_vectors(outline, ends, first), np.cross(axes[:, 0], axes[:, 1]))
    stretch = np.linalg.norm(area_vectors(own, nodes, first), axis=2) / across
    place = shapes(own, first) @ nodes
    second = facet_places(other, facing, place, axes, where)
    at = shapes(other, second) @ facing
    return Meeting(pairing.double[:, None] * rule.weights * stretch, first, second, place - at)


def _carried(pairing: Pairing, met: Meeting) -> NDArray[np.float64]:
    """Shape functions (s, q, m) of the solid behind the second facet at its surface, carried on by their slopes."""
    kind = pairing.solid
    assert kind is not None
    place = _on_solid(pairing, kind, met.second)
    slope = slopes(kind, place)
    jacobian = np.swapaxes(slope, 2, 3) @ pairing.carrier_places[:, None]  # ∂x_i/∂ξ_d as (d, i)
    ahead = np.linalg.solve(np.swapaxes(jacobian, 2, 3), met.gap[..., None])
    return shapes(kind, place) + (slope @ ahead)[..., 0]


def _on_solid(pairing: Pairing, kind: Element, second: NDArray) -> NDArray[np.float64]:
    """Places (s, q, 3) in the parent of the solid from those on its facet, which is a face of that parent."""
    outline = OUTLINE[pairing.kinds[1].corners]
    corners = pairing.facets[1][:, : outline.nodes, None]
    local = np.argmax(corners == pairing.carrier[:, None, : kind.corners], axis=2)
    return shapes(outline, second) @ corner_places(kind)[local]
