"""Products of the shape functions of two surfaces over their overlap, and how the second is carried across a gap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..elements.base import Element
from ..model import MM, Model
from .clipping import Segments
from .penalty import owners
from .segment_products import Pairing, products, widest_gap

CLOSED = 1e-9
"""Gap over the size of the largest segment up to which surfaces lie on each other."""
UNSETTLED = 1e-5
"""Largest error of a facet's products, over its area, that is let pass: a patch test is then off by as much. Hexahedra
short of turning inside out and middle nodes a quarter of their edge off the middle come to 1e-5 and 2e-5."""
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


class Sides(NamedTuple):
    """Segments between two groups of facets, and what carries the second of each."""

    points: NDArray[np.float64]
    facets: tuple[NDArray[np.int64], NDArray[np.int64]]
    cut: Segments
    solid: Element | None = None
    carriers: NDArray[np.int64] | None = None
    """(facets of the second side, m) nodes of the solid behind each; None where the facets carry themselves."""

    def batches(self, chosen: NDArray) -> Iterator[tuple[slice, Pairing]]:
        """Segments, so many at a time, with the places of their nodes."""
        for start in range(0, len(chosen), BATCH):
            rows = slice(start, start + BATCH)
            cut = self.cut.rows(chosen[rows])
            first, second = self.facets[0][cut.slave], self.facets[1][cut.master]
            carrier = second if self.carriers is None else self.carriers[cut.master]
            places = self.points[first], self.points[second]
            double = 2.0 * cut.areas
            yield rows, Pairing((first, second), places, cut, double, self.solid, carrier, self.points[carrier])


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
        SolverError: a facet too distorted to find places on, or to integrate products over.
    """
    if not len(cut.slave):
        return []
    whole = Sides(points, sides, cut)
    if not behind or not _apart(whole, where):
        return [_overlap(whole, np.arange(len(cut.slave)), where)]
    kind = np.full(len(sides[1]), -1)
    for k, part in enumerate(behind):
        kind[part.facets] = k
    found = []
    for k in np.unique(kind[cut.master]):
        carried = whole
        if k >= 0:
            carriers = np.zeros((len(sides[1]), behind[k].nodes.shape[1]), np.int64)
            carriers[behind[k].facets] = behind[k].nodes
            carried = whole._replace(solid=behind[k].kind, carriers=carriers)
        found.append(_overlap(carried, np.flatnonzero(kind[cut.master] == k), where))
    return found


def _overlap(sides: Sides, chosen: NDArray, where: str) -> Overlap:
    """Products summed over the segments of each pair of facets."""
    cut = sides.cut
    keys = cut.slave[chosen] * len(sides.facets[1]) + cut.master[chosen]
    _, one, which = np.unique(keys, return_index=True, return_inverse=True)
    one = chosen[one]
    slave = sides.facets[0][cut.slave[one]]
    master = (sides.facets[1] if sides.carriers is None else sides.carriers)[cut.master[one]]
    width = slave.shape[1] + master.shape[1]
    total, off = np.zeros((len(one), width, width)), np.zeros(len(sides.facets[0]))
    for rows, pairing in sides.batches(chosen):
        gram, left = products(pairing, where)
        np.add.at(total, which[rows], gram)
        np.add.at(off, pairing.cut.slave, left)
    _check_settled(sides, off, where)
    return Overlap(slave, master, total)


def _check_settled(sides: Sides, off: NDArray, where: str) -> None:
    """The finest rule integrates over every facet; `off` [m²] is how much it still changed the products of each by.

    Raises:
        SolverError: it does not; names the facet, its place and the error.
    """
    area = np.bincount(sides.cut.slave, sides.cut.areas, minlength=len(off))
    share = off / np.maximum(area, 1e-300)
    bad = int(np.argmax(share))
    if share[bad] > UNSETTLED:
        at = np.round(sides.points[sides.facets[0][bad]].mean(axis=0) / MM, 2)
        raise SolverError(
            f"products of shape functions over facet {bad} of its kind at {at} mm are known to {share[bad]:.1e} only, "
            "so distorted is it or what lies opposite",
            where=where,
            advice="Look at the mesh there: give facets corners below 150° and middle nodes near the middles of edges",
        )


def _apart(sides: Sides, where: str) -> bool:
    """Whether the surfaces lie further apart anywhere than round-off."""
    closed = CLOSED * np.sqrt(2.0 * sides.cut.areas.max())
    return any(widest_gap(pairing, where) > closed for _, pairing in sides.batches(np.arange(len(sides.cut.slave))))
