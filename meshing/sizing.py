"""Background sizing for fTetWild: fine where a region is, coarse where elements are thrown away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .regions import RegionLattice
from .voxels import distance_inside


@dataclass(frozen=True, eq=False)
class SizingField:
    """Edge lengths at the nodes of a coarse tetrahedral grid.

    Attributes:
        points: (n, 3) mm.
        tetrahedra: (m, 4) int32.
        edge_mm: (n,) wanted edge length.
    """

    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int32]
    edge_mm: NDArray[np.float64]


def coarse_away(lattice: RegionLattice, wanted: NDArray[np.bool_], edge_mm: float) -> SizingField:
    """`edge_mm` in and beside the wanted cells of a lattice, growing by half a millimetre per millimetre away.

    fTetWild fills the box around its input, and more than half of that is thrown away
    afterwards; there large elements do.

    Args:
        lattice: where the cells are.
        wanted: (I, J, K) cells whose elements are kept.
        edge_mm: their edge length.
    """
    spacing = np.linalg.norm(lattice.affine[:3, :3], axis=0)
    margin = np.maximum(np.ceil(0.1 * np.array(wanted.shape).max() * spacing.max() / spacing), 2).astype(int)
    padded = np.pad(wanted, [(int(m), int(m)) for m in margin])
    away = distance_inside(~padded, spacing)
    step = np.maximum(np.round(edge_mm / spacing), 1).astype(int)
    # the smallest distance within each block, so that no thin part is lost between samples
    near = ndimage.minimum_filter(away, size=tuple(2 * step + 1))
    index = np.stack(np.meshgrid(*[np.arange(0, n + s, s) for n, s in zip(padded.shape, step, strict=True)],
                                 indexing="ij"), axis=-1)  # fmt: skip
    inside = np.minimum(index, np.array(padded.shape) - 1)
    distance = near[tuple(np.moveaxis(inside, -1, 0))]
    edge = np.minimum(edge_mm + 0.5 * distance, 8.0 * edge_mm)
    points = lattice.points(index.reshape(-1, 3).astype(np.float64) - margin)
    return SizingField(points, _kuhn(index.shape[:3]), edge.ravel())


def _kuhn(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Six tetrahedra about the main diagonal of each cube of a node grid: conforming."""
    number = np.arange(np.prod(shape)).reshape(shape)
    base = number[:-1, :-1, :-1].ravel()
    stride = np.array([shape[1] * shape[2], shape[2], 1])
    cells = []
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        path = np.concatenate([[0], np.cumsum(stride[list(order)])])
        cells.append(base[:, None] + path)
    return np.concatenate(cells).astype(np.int32)
