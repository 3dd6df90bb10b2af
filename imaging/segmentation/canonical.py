"""Any grid → one whose axes run Left, Posterior, Superior, and back again.

Every segmenter stage may then say "lower" and "to the left" in voxel indices. Grids
that are orthogonal and at most slightly turned are only permuted and flipped, which is
exact; turned or sheared ones (gantry tilt) are resampled, and labels are mapped back
by the nearest voxel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..volume import Grid, ImageVolume

OUTSIDE_HU = -3024.0
"""Value of voxels that were never scanned, as scanners pad beyond the circular field of view."""

_LARGEST_TILT = np.cos(np.radians(12.0))
"""Up to here a voxel axis stands for an LPS axis; anatomy itself varies by more."""


@dataclass(frozen=True, eq=False)
class Canonical:
    """A scan on LPS-aligned axes, and the way back.

    Attributes:
        volume: I runs to the Left, J to Posterior, K to Superior.
        source: the grid the scan came on.
        order: source axis that became I, J, K; None if the scan was resampled.
        flip: which of I, J, K were reversed.
    """

    volume: ImageVolume
    source: Grid
    order: tuple[int, int, int] | None
    flip: tuple[bool, bool, bool] = (False, False, False)

    def back(self, labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Labels or a mask on the canonical grid → the source grid."""
        if self.order is not None:
            turned = np.flip(labels, tuple(axis for axis in range(3) if self.flip[axis]))
            return np.ascontiguousarray(np.transpose(turned, np.argsort(self.order)))
        return _nearest(labels, self.volume.grid, self.source)

    def forward(self, labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Labels on the source grid → the canonical grid; 0 outside the source."""
        if self.order is not None:
            axes = tuple(axis for axis in range(3) if self.flip[axis])
            return np.ascontiguousarray(np.flip(np.transpose(labels, self.order), axes))
        return _nearest(labels, self.source, self.volume.grid)


def _nearest(labels: NDArray[np.uint16], source: Grid, target: Grid) -> NDArray[np.uint16]:
    matrix = np.linalg.inv(source.affine) @ target.affine
    return ndimage.affine_transform(
        labels, matrix[:3, :3], list(matrix[:3, 3]), output_shape=target.shape, order=0, mode="constant", cval=0
    )


def canonical(volume: ImageVolume) -> Canonical:
    """Reorient a scan to LPS-aligned axes."""
    direction = volume.grid.direction
    order = tuple(int(a) for a in _axis_order(direction))
    aligned = all(abs(direction[lps, axis]) >= _LARGEST_TILT for lps, axis in enumerate(order))
    if not (aligned and volume.grid.is_orthogonal):
        return Canonical(_resampled(volume), volume.grid, None)
    flip = tuple(bool(direction[lps, axis] < 0) for lps, axis in enumerate(order))
    affine = volume.affine[:, [*order, 3]].copy()
    shape = tuple(volume.grid.shape[axis] for axis in order)
    for axis in range(3):
        if flip[axis]:
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:3, axis] *= -1.0
    voxels = np.flip(np.transpose(volume.voxels, order), tuple(axis for axis in range(3) if flip[axis]))
    grid = replace(volume.grid, shape=shape, affine=affine)
    turned = replace(volume, voxels=np.ascontiguousarray(voxels), grid=grid)
    return Canonical(turned, volume.grid, (order[0], order[1], order[2]), (flip[0], flip[1], flip[2]))


def _axis_order(direction: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which voxel axis stands for L, P and S: the pairing with the largest total alignment."""
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(-np.abs(direction))[1]


def _resampled(volume: ImageVolume) -> ImageVolume:
    """The scan interpolated linearly onto an LPS-aligned grid that encloses it."""
    grid = volume.grid
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    points = grid.points_from_index(corners)
    spacing = np.array([grid.spacing[axis] for axis in _axis_order(grid.direction)])
    low, high = points.min(axis=0), points.max(axis=0)
    count = np.maximum(np.ceil((high - low) / spacing - 1e-6).astype(int) + 1, 1)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = low
    matrix = np.linalg.inv(grid.affine) @ affine
    voxels = ndimage.affine_transform(
        volume.voxels,
        matrix[:3, :3],
        list(matrix[:3, 3]),
        output_shape=tuple(count),
        order=1,
        mode="constant",
        cval=OUTSIDE_HU,
    )
    shape = (int(count[0]), int(count[1]), int(count[2]))
    return replace(volume, voxels=voxels, grid=replace(grid, shape=shape, affine=affine))
