"""Facets of a tied surface that have nothing opposite, told from outlines that two meshes draw a little differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from .clipping import near_pairs, planes
from .closest import closest

MOST = 0.5
"""Share of a facet's area that must have something opposite; of that around a node, for multipliers of its own."""
SLIVER = 0.2
"""Over the coarser side's facets: how far one mesh of an outline may reach beyond another. A chord c of a circle of
radius R cuts off c²/8R, less than this however coarse."""
HOLE = 0.1
"""Over the facet's own size, where it lies within the surface: what is missing there is no outline."""


def uncovered(
    corners: Sequence[NDArray], nodes: Sequence[NDArray], share: NDArray, master: Sequence[NDArray], reach: float
) -> NDArray[np.int64]:
    """Facets less than half of which is found opposite, that reach further beyond the other surface than a sliver.

    Args:
        corners, nodes: of the facets of each kind, (n, 3 or 4, 3) m and (n, 3 or 4).
        share: (facets,) of their area that has something opposite, counted through all kinds.
        master: (n, 3 or 4, 3) m, the other surface.

    Returns:
        Numbers through all kinds, the one with the least opposite first.
    """
    size = np.concatenate([_sizes(part) for part in corners])
    allowed = SLIVER * max(float(size.mean()), float(np.concatenate([_sizes(part) for part in master]).mean()))
    triangles = np.concatenate([_triangles(part) for part in master])
    edge, start, found = _at_rim(nodes, share < MOST), 0, []
    for part in corners:
        rows = start + np.flatnonzero(share[start : start + len(part)] < MOST)
        limit = np.where(edge[rows], allowed, HOLE * size[rows])
        found.append(rows[_beyond(part[rows - start], triangles, reach + allowed) > limit])
        start += len(part)
    told = np.concatenate(found)
    return told[np.argsort(share[told], kind="stable")]


def _sizes(corners: NDArray) -> NDArray[np.float64]:
    """As `penalty.facet_sizes`."""
    across = np.cross(corners[:, 2] - corners[:, 0], corners[:, -1] - corners[:, 1])
    return np.sqrt((1.0 if corners.shape[1] == 4 else 2.0) * np.linalg.norm(across, axis=1) / np.sqrt(3.0))


def _triangles(corners: NDArray) -> NDArray[np.float64]:
    picks = ([0, 1, 2], [0, 2, 3])[: corners.shape[1] - 2]
    return np.concatenate([corners[:, pick] for pick in picks])


def _at_rim(nodes: Sequence[NDArray], open_: NDArray) -> NDArray[np.bool_]:
    """(facets,) which have an edge of one facet only, or hang together with such through `open_` ones."""
    ends = [np.sort(np.stack([part, np.roll(part, -1, axis=1)], axis=2).reshape(-1, 2), axis=1) for part in nodes]
    first = np.cumsum([0, *(len(part) for part in nodes)])
    owner = np.concatenate([k + np.repeat(np.arange(len(p)), p.shape[1]) for k, p in zip(first, nodes, strict=False)])
    _, edge, count = np.unique(np.concatenate(ends), axis=0, return_inverse=True, return_counts=True)
    edge, total = edge.ravel(), int(first[-1])
    rim = np.zeros(total, bool)
    rim[owner[count[edge] == 1]] = True
    joins = np.flatnonzero(open_[owner])
    shape = (total, len(count))
    by_edge = sparse.csr_matrix((np.ones(len(joins)), (owner[joins], edge[joins])), shape)
    _, piece = connected_components(by_edge @ by_edge.T, directed=False)
    return np.isin(piece, piece[rim & open_]) | rim


def _beyond(corners: NDArray, triangles: NDArray, reach: float) -> NDArray[np.float64]:
    """How far each facet (n, 3 or 4, 3) reaches beyond a surface along its own plane [m]; infinite out of reach.

    The largest over its corners, the middles of its edges and its own middle.
    """
    middles = 0.5 * (corners + np.roll(corners, -1, axis=1))
    places = np.concatenate([corners, middles, corners.mean(axis=1, keepdims=True)], axis=1)
    normal, far = planes(corners).normal, np.full(places.shape[:2], np.inf)
    for pairs in near_pairs(corners, triangles, reach):
        for k in range(places.shape[1]):
            off = closest(places[pairs[:, 0], k], triangles[pairs[:, 1]]).point - places[pairs[:, 0], k]
            along = normal[pairs[:, 0]]
            height = np.einsum("ni,ni->n", off, along)
            np.minimum.at(far[:, k], pairs[:, 0], np.linalg.norm(off - height[:, None] * along, axis=1))
    return far.max(axis=1)
