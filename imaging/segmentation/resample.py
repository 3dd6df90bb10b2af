"""Between the scan's grid and a coarse one, axis by axis.

Down is the mean over the coarse voxel (so noise falls with the number of voxels), up
is linear. Both are products with small banded matrices, one per axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..volume import Grid, ImageVolume

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Pyramid:
    """Two grids that cover the same space: the scan's and a coarse, nearly isotropic one.

    Attributes:
        fine: the scan's grid.
        coarse: about `spacing_mm` along every axis; covers exactly the same box.
    """

    fine: Grid
    coarse: Grid

    @classmethod
    def over(cls, grid: Grid, spacing_mm: float) -> Pyramid:
        """The pyramid whose coarse voxels come as close to this size as the scan's extent allows."""
        shape = np.maximum(np.round(np.array(grid.shape) * grid.spacing / spacing_mm), 1).astype(int)
        ratio = np.array(grid.shape) / shape
        affine = grid.affine.copy()
        affine[:3, :3] = grid.affine[:3, :3] * ratio
        affine[:3, 3] = grid.points_from_index(0.5 * ratio - 0.5)
        size = (int(shape[0]), int(shape[1]), int(shape[2]))
        return cls(grid, replace(grid, shape=size, affine=affine))

    def down(self, field: NDArray) -> NDArray[np.float32]:
        """(I, J, K) on the scan's grid → its mean over every coarse voxel (a mask → the fraction covered)."""
        result = field
        for axis in range(3):
            matrix = _matrix(self.coarse.shape[axis], self.fine.shape[axis])
            result = _along(matrix, result, axis)
        return result

    def up(self, field: NDArray, box: Box | None = None) -> NDArray[np.float32]:
        """A coarse field → the scan's grid, or a box of it, linearly interpolated."""
        result = field.astype(np.float32)
        for axis in (2, 1, 0):
            matrix = _matrix(self.fine.shape[axis], self.coarse.shape[axis])
            if box is not None:
                matrix = matrix[box[axis]]
            result = _along(matrix, result, axis)
        return result

    def up_mask(self, mask: NDArray[np.bool_], box: Box | None = None) -> NDArray[np.bool_]:
        """A coarse mask → the scan's grid, its border interpolated."""
        return self.up(mask, box) >= 0.5

    def fine_box(self, mask: NDArray[np.bool_], margin_mm: float = 0.0) -> Box | None:
        """The box of the scan's grid around a coarse mask, or None for an empty one."""
        box = box_of(mask)
        if box is None:
            return None
        ratio = np.array(self.fine.shape) / np.array(self.coarse.shape)
        margin = np.ceil(margin_mm / self.fine.spacing).astype(int)
        starts = [max(int(s.start * r) - m, 0) for s, r, m in zip(box, ratio, margin, strict=True)]
        stops = [
            min(int(np.ceil(s.stop * r)) + m, n) for s, r, m, n in zip(box, ratio, margin, self.fine.shape, strict=True)
        ]
        return (slice(starts[0], stops[0]), slice(starts[1], stops[1]), slice(starts[2], stops[2]))


def coarsened(volume: ImageVolume, pyramid: Pyramid) -> ImageVolume:
    """The scan averaged onto the coarse grid, with values clipped to what tissue and metal can have."""
    voxels = np.clip(volume.voxels, -1024.0, 3071.0)
    return replace(volume, voxels=pyramid.down(voxels), grid=pyramid.coarse)


def box_of(mask: NDArray[np.bool_], margin: int = 0) -> Box | None:
    """The smallest box around a mask's voxels, widened by `margin` voxels; None for an empty mask."""
    slices = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not hit.size:
            return None
        slices.append(slice(max(int(hit[0]) - margin, 0), min(int(hit[-1]) + 1 + margin, mask.shape[axis])))
    return (slices[0], slices[1], slices[2])


def _matrix(rows: int, columns: int) -> sparse.csr_matrix:
    """(rows, columns) weights from `columns` cells to `rows` cells that divide the same length."""
    return _averaging(rows, columns) if rows < columns else _linear(rows, columns)


def _averaging(rows: int, columns: int) -> sparse.csr_matrix:
    edges = np.arange(rows + 1) * (columns / rows)
    first = np.floor(edges[:-1] + 1e-9).astype(int)
    last = np.minimum(np.ceil(edges[1:] - 1e-9).astype(int), columns)
    row = np.repeat(np.arange(rows), last - first)
    column = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    overlap = np.minimum(column + 1, edges[row + 1]) - np.maximum(column, edges[row])
    weights = overlap * (rows / columns)
    return sparse.csr_matrix((weights.astype(np.float32), (row, column)), shape=(rows, columns))


def _linear(rows: int, columns: int) -> sparse.csr_matrix:
    at = np.clip((np.arange(rows) + 0.5) * (columns / rows) - 0.5, 0, columns - 1)
    low = np.minimum(np.floor(at).astype(int), max(columns - 2, 0))
    high = np.minimum(low + 1, columns - 1)
    weight = (at - low).astype(np.float32)
    row = np.arange(rows)
    data = np.concatenate([1 - weight, weight])
    return sparse.csr_matrix((data, (np.tile(row, 2), np.concatenate([low, high]))), shape=(rows, columns))


def _along(matrix: sparse.csr_matrix, field: NDArray, axis: int) -> NDArray[np.float32]:
    moved = np.moveaxis(field, axis, 0)
    flat = np.ascontiguousarray(moved, dtype=np.float32).reshape(moved.shape[0], -1)
    product = np.asarray(matrix @ flat, dtype=np.float32)
    return np.moveaxis(product.reshape(matrix.shape[0], *moved.shape[1:]), 0, axis)
