"""Vessel shapes made fit to carry a wall: crotches and clefts rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from .regions import RegionLattice
from .voxelnet import well_composed
from .voxels import distance_inside, nearest_in


def rounded(lattice: RegionLattice, radius_mm: float, open_faces: Sequence[tuple[int, int]]) -> RegionLattice:
    """Morphological closing of the union by a ball: no cleft, pit or crotch is left that is narrower than the ball.

    Two walls that would grow into each other in a cleft are one tissue there; new cells belong to the
    nearest region. At an open face the vessel is taken to go on.

    Args:
        lattice: region labels, the outermost layer 0.
        radius_mm: of the ball.
        open_faces: (axis, side) at which the anatomy was cut.
    """
    spacing = np.linalg.norm(lattice.affine[:3, :3], axis=0)
    margin = np.ceil(radius_mm / spacing).astype(int) + 2
    inner = lattice.labels[1:-1, 1:-1, 1:-1]
    width = [(int(m), int(m)) for m in margin]
    union = np.pad(inner > 0, width)
    for axis, side in open_faces:
        ends = [slice(int(m), -int(m)) for m in margin]
        beyond = [slice(None)] * 3
        beyond[axis] = slice(0, margin[axis]) if side == 0 else slice(union.shape[axis] - margin[axis], None)
        ends[axis] = slice(margin[axis], margin[axis] + 1) if side == 0 else slice(-margin[axis] - 1, -margin[axis])
        last = np.zeros(union.shape, dtype=bool)
        last[tuple(ends)] = True
        plane = np.any(union & last, axis=axis, keepdims=True)
        union[tuple(beyond)] |= np.broadcast_to(plane, union[tuple(beyond)].shape)
    grown = distance_inside(~union, spacing) <= radius_mm
    closed = union | (distance_inside(grown, spacing) > radius_mm)
    window = tuple(slice(int(m), -int(m)) for m in margin)
    closed = well_composed(np.asarray(ndimage.binary_fill_holes(closed[window])))
    fresh = closed & (inner == 0)
    labels = np.where(fresh, inner[nearest_in(inner > 0)], inner) if fresh.any() else inner
    return replace(lattice, labels=np.pad(labels.astype(np.int32), 1))
