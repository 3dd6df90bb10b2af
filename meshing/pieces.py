"""Connected pieces of regions: those of the labels, those of the tetrahedra, and which belongs to which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..imaging.volume import Grid
from .voxels import bounding_box, pieces

INNER_POINTS = np.vstack([np.full(4, 0.25), 0.5 * np.eye(4) + 0.125])
"""Barycentric coordinates of five samples of a tetrahedron: the centroid, and half-way from it to each corner."""


@dataclass(frozen=True, eq=False)
class LabelPieces:
    """The 26-connected pieces of each region of a label map.

    Attributes:
        index: (I, J, K) int32 number of each voxel's piece, from 1, in the regions' box; 0 where there is no region.
        start: (3,) voxel of the label map at which the box begins.
        grid: of the label map.
        region: (n + 1,) int32 region id of each piece; the first is of no piece.
        volume: (n + 1,) mm³ of its voxels.
    """

    index: NDArray[np.int32]
    start: NDArray[np.int64]
    grid: Grid
    region: NDArray[np.int32]
    volume: NDArray[np.float64]

    def at(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        """(...) number of the piece at places (..., 3) in LPS mm, 0 where there is none."""
        voxel = np.round(self.grid.index_from_points(points)).astype(np.int64) - self.start
        inside = ((voxel >= 0) & (voxel < self.index.shape)).all(axis=-1)
        held = np.clip(voxel, 0, np.array(self.index.shape) - 1)
        return np.where(inside, self.index[tuple(np.moveaxis(held, -1, 0))], 0).astype(np.int32)


def label_pieces(mapped: NDArray[np.int32], grid: Grid) -> LabelPieces:
    """The pieces of each region of (I, J, K) region ids (0 outside; at least one voxel is not)."""
    box = bounding_box(mapped > 0)
    cropped = mapped[box]
    index = np.zeros(cropped.shape, dtype=np.int32)
    region = [0]
    for one in np.unique(cropped[cropped > 0]).tolist():
        found, number = pieces(cropped == one)
        np.add(found, len(region) - 1, out=index, where=found > 0)
        region += [one] * number
    volume = np.bincount(index.ravel(), minlength=len(region)).astype(np.float64) * grid.voxel_volume
    volume[0] = 0.0
    start = np.array([s.start for s in box], dtype=np.int64)
    return LabelPieces(index, start, grid, np.array(region, dtype=np.int32), volume)


def facet_connected(region: NDArray[np.int32], neighbours: NDArray[np.int64]) -> NDArray[np.int32]:
    """(E,) number, from 0, of each tetrahedron's piece: linked by facets (E, 4) within one region."""
    rows, sides = np.nonzero(neighbours >= 0)
    columns = neighbours[rows, sides]
    alike = region[rows] == region[columns]
    ones = np.ones(int(alike.sum()), dtype=bool)
    graph = sparse.coo_matrix((ones, (rows[alike], columns[alike])), shape=(len(region),) * 2)
    return sparse.csgraph.connected_components(graph, directed=False)[1]


@dataclass(frozen=True, eq=False)
class Match:
    """Pieces of a mesh and of the labels that lie in each other share a group.

    Attributes:
        elements: (E,) group of each tetrahedron.
        labels: (n + 1,) group of each piece of the labels; the first is of no piece.
        met: (n + 1,) whether a tetrahedron of the piece's region lies in it.
    """

    elements: NDArray[np.int32]
    labels: NDArray[np.int32]
    met: NDArray[np.bool_]


def match(
    known: LabelPieces, points: NDArray[np.float64], tetrahedra: NDArray[np.int32], region: NDArray[np.int32],
    neighbours: NDArray[np.int64],
) -> Match:  # fmt: skip
    """Which pieces of tetrahedra (E, 4) with region ids (E,) show which pieces of the labels.

    A tree of vessels may lie in the labels in one piece and in the mesh in three, or the other way round; a group
    holds all of them. Five points of each tetrahedron are looked up.
    """
    piece = facet_connected(region, neighbours)
    samples = np.stack([known.at(np.einsum("c,ecx->ex", w, points[tetrahedra])) for w in INNER_POINTS])
    hit = (samples > 0) & (known.region[samples] == region)
    count = int(piece.max()) + 1
    rows, columns = np.broadcast_to(piece, samples.shape)[hit], samples[hit]
    size = count + len(known.region)
    graph = sparse.coo_matrix((np.ones(len(rows), dtype=bool), (rows, count + columns)), shape=(size, size))
    group = sparse.csgraph.connected_components(graph, directed=False)[1]
    met = np.zeros(len(known.region), dtype=bool)
    met[columns] = True
    return Match(group[piece], group[count:], met)
