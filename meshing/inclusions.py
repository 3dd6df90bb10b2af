"""Pieces of a region that are small against the elements: a tumour of 6 mm among elements of 9 mm.

The lattice of all regions is too coarse for them. Each gets the smooth surface of its own voxels instead, and smaller
elements in and around it; the lattice shows what surrounds it in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..imaging.volume import Grid
from .pieces import LabelPieces
from .surface import surface_from_mask
from .voxels import distance_inside

LEAST_MM3 = 100.0
"""Smaller pieces are left to the lattice: a ball of 5.8 mm is about the least lesion that is looked for, and
segmentations are full of smaller specks."""
SMALL = 1.5
"""Diameters, over the edge length, up to which a piece is small."""
EDGES_ACROSS = 2.5
"""Edges across a small piece."""


@dataclass(frozen=True, eq=False)
class Inclusion:
    """A small piece of a region.

    Attributes:
        piece: its number among the pieces of the labels.
        region: its region id.
        host: region id of what surrounds it.
        edge_mm: edge length that shows it.
        points: (V, 3) LPS mm of its closed surface; where it reaches the outside the surface goes on beyond.
        triangles: (F, 3).
    """

    piece: int
    region: int
    host: int
    edge_mm: float
    points: NDArray[np.float64]
    triangles: NDArray[np.int32]


def inclusions(
    mapped: NDArray[np.int32], known: LabelPieces, edge_mm: float, regions: Sequence[int]
) -> tuple[list[Inclusion], NDArray[np.int32]]:
    """The small pieces of some regions, and the region ids with what surrounds them in their place.

    Args:
        mapped: (I, J, K) region ids.
        known: their pieces.
        edge_mm: of the elements elsewhere.
        regions: those that lie inside others.
    """
    diameter = (6.0 * known.volume / np.pi) ** (1 / 3)
    small = (known.volume >= LEAST_MM3) & (diameter < SMALL * edge_mm) & np.isin(known.region, regions)
    without = mapped
    found = []
    boxes = ndimage.find_objects(known.index) if small.any() else []
    for piece in np.flatnonzero(small).tolist():
        edge = float(diameter[piece]) / EDGES_ACROSS
        box = _around(known, boxes[piece - 1], mapped.shape, edge)
        here = _cut_out(known, box, piece)
        host = _host(mapped[box], here, int(known.region[piece]))
        if not host:
            continue
        without = mapped.copy() if without is mapped else without
        without[box][here] = host
        found.append(_inclusion(mapped[box], here, known, box, piece, host, edge))
    return found, without


def _around(known: LabelPieces, box: Sequence[slice], shape: Sequence[int], reach_mm: float) -> tuple[slice, ...]:
    """A box of the pieces' array, wider by `reach_mm`, as slices of the label map."""
    wide = np.ceil(reach_mm / known.grid.spacing).astype(int) + 1
    return tuple(
        slice(max(s.start + o - w, 0), min(s.stop + o + w, n))
        for s, o, w, n in zip(box, known.start.tolist(), wide.tolist(), shape, strict=True)
    )


def _cut_out(known: LabelPieces, box: tuple[slice, ...], piece: int) -> NDArray[np.bool_]:
    """The piece's voxels in a box of the label map, which may reach beyond the pieces' array."""
    low = np.array([s.start for s in box]) - known.start
    high = np.array([s.stop for s in box]) - known.start
    inner = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, known.index.shape, strict=True))
    pad = [(int(s.start - a), int(b - s.stop)) for s, a, b in zip(inner, low, high, strict=True)]
    return np.pad(known.index[inner] == piece, pad)


def _host(mapped: NDArray[np.int32], here: NDArray[np.bool_], own: int) -> int:
    """The region that most voxels beside the piece belong to; 0 where there is none."""
    beside = mapped[np.asarray(ndimage.binary_dilation(here)) & ~here]
    beside = beside[(beside > 0) & (beside != own)]
    return int(np.bincount(beside).argmax()) if beside.size else 0


def _inclusion(
    mapped: NDArray[np.int32], here: NDArray[np.bool_], known: LabelPieces, box: tuple[slice, ...], piece: int,
    host: int, edge: float,
) -> Inclusion:  # fmt: skip
    """The piece with its surface; where it reaches the outside it goes on there.

    Its surface so cuts the outer one at an angle: two surfaces that nearly coincide would leave slivers between them.
    """
    grid = known.grid
    affine = grid.affine.copy()
    affine[:3, 3] = grid.points_from_index(np.array([s.start for s in box], dtype=np.float64))
    solid = here
    if (mapped[np.asarray(ndimage.binary_dilation(here))] == 0).any():
        solid = here | ((mapped == 0) & (distance_inside(~here, grid.spacing) <= 0.5 * edge))
    surface_edge = 0.4 * edge
    surface = surface_from_mask(
        solid, Grid((solid.shape[0], solid.shape[1], solid.shape[2]), affine),
        edge_length_mm=surface_edge if surface_edge > 1.5 * float(grid.spacing.min()) else None,
    )  # fmt: skip
    return Inclusion(piece, int(known.region[piece]), host, edge, surface.points, surface.triangles)
