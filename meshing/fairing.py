"""Vessel surfaces made fit to carry a wall: crotches rounded, what the voxels left as bumps and creases evened out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from .extrusion import GrowthError, Layers, Plane, grow
from .regions import RegionLattice
from .smoothing import LAMBDA, MU, umbrella
from .voxelnet import well_composed
from .voxels import distance_inside, nearest_in

LEAST_SHARE = 0.05
"""Share of its volume that an element under the wall keeps when the surface is evened."""


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


def grow_faired(
    points: NDArray[np.float64],
    side: NDArray[np.int32],
    solid: NDArray[np.int32],
    held: Sequence[tuple[Plane, NDArray[np.integer]]],
    *,
    thickness_mm: float,
    layers: int,
    tries: int = 16,
) -> Layers:
    """Grow a wall from a surface that is evened first, and evened further wherever the wall turns over.

    What fTetWild's envelope and the voxels leave as pits and bumps, a thin wall would carry as
    bending that no vessel has. The evening is Taubin's filter, which keeps the volume; only tetrahedra
    that stay (the thrombus) limit it, as those of the lumen are taken out anyway.

    Args:
        points: (V, 3) mm.
        side: (F, 3) the surface, normals outward.
        solid: (E, 4) tetrahedra under it that are kept.
        held: planes of the open ends and their nodes, which stay.
        thickness_mm, layers: of the wall.
        tries: most rounds of local evening; in the second half the wall may thin further.

    Raises:
        GrowthError: even so the wall turns over.
    """
    ends = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(nodes for _, nodes in held)]))
    mean, within = umbrella(side, len(points)), _inner_mean(solid, len(points))
    everywhere = np.setdiff1d(np.unique(side), ends)
    points = _evened(points, solid, mean, within, everywhere, (LAMBDA, MU) * 10, ends)
    for attempt in range(tries + 1):
        late = attempt > tries // 2
        try:
            return grow(points, side, thickness_mm=thickness_mm, layers=layers, ends=held,
                        rounds=30 if late else 12, thinnest=0.02 if late else 0.3)  # fmt: skip
        except GrowthError as error:
            if attempt == tries:
                raise
            near = np.zeros(len(points), dtype=bool)
            near[error.nodes] = True
            for _ in range(2 + attempt // 4):
                near[side[near[side].any(axis=1)]] = True
            points = _evened(points, solid, mean, within, np.setdiff1d(np.flatnonzero(near), ends), (0.5,) * 4, ends)
    raise AssertionError("unreachable")


def _inner_mean(solid: NDArray[np.int32], count: int) -> sparse.csr_matrix:
    return umbrella(solid, count) if len(solid) else sparse.csr_matrix((count, count))


def _evened(
    points: NDArray[np.float64],
    solid: NDArray[np.int32],
    mean: sparse.csr_matrix,
    within: sparse.csr_matrix,
    nodes: NDArray[np.integer],
    factors: Sequence[float],
    held: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Nodes moved toward (or from) their neighbours' mean by each factor; what lies beneath follows, unflattened."""
    least = LEAST_SHARE * _volumes(points, solid)
    outside = np.zeros(len(points), dtype=bool)
    outside[np.unique(mean.nonzero()[0])] = True
    outside[held] = True
    for factor in factors:
        step = np.zeros_like(points)
        step[nodes] = factor * ((mean @ points)[nodes] - points[nodes])
        for _ in range(3):
            step = np.where(outside[:, None], step, within @ step)
        moved = points + step
        for _ in range(30):
            bad = np.unique(solid[_volumes(moved, solid) < least])
            if not bad.size:
                points = moved
                break
            moved[bad] = points[bad]
    return points


def _volumes(points: NDArray[np.float64], tetrahedra: NDArray[np.int32]) -> NDArray[np.float64]:
    a, b, c, d = (points[tetrahedra[:, i]] for i in range(4))
    return np.einsum("ij,ij->i", b - a, np.cross(c - a, d - a)) / 6.0
