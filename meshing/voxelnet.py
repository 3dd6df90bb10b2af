"""The faces between voxels of different labels as one net of quadrilaterals.

The net is the surface net of Gibson (1998): one vertex per lattice corner where labels
meet, one quadrilateral per pair of neighbouring voxels that differ. Several labels
share their interfaces vertex for vertex, so nets of many regions conform by
construction, and a net closes wherever the labels do, also at the border of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True, eq=False)
class VoxelNet:
    """Quadrilaterals between voxels.

    Attributes:
        index: (V, 3) float64 fractional voxel index of each vertex (lattice corners, at halves).
        quads: (Q, 4) int32, right-handed about the direction from `regions[:, 0]` to `regions[:, 1]`.
        regions: (Q, 2) int32 label on either side; the larger label comes first, so 0 is always outside.
    """

    index: NDArray[np.float64]
    quads: NDArray[np.int32]
    regions: NDArray[np.int32]


def voxel_net(labels: NDArray) -> VoxelNet:
    """The net of an (I, J, K) integer or boolean array; beyond its border lies label 0."""
    padded = np.pad(labels.astype(np.int32, copy=False), 1)
    corner_shape = np.array(padded.shape) + 1
    strides = np.array([corner_shape[1] * corner_shape[2], corner_shape[2], 1], dtype=np.int64)
    quads, regions = [], []
    for axis in range(3):
        low = padded.take(np.arange(padded.shape[axis] - 1), axis=axis)
        high = padded.take(np.arange(1, padded.shape[axis]), axis=axis)
        where = np.argwhere(low != high)
        first, second = strides[(axis + 1) % 3], strides[(axis + 2) % 3]
        base = where @ strides + strides[axis]
        ring = np.stack([base, base + first, base + first + second, base + second], axis=1)
        pair = np.stack([low[tuple(where.T)], high[tuple(where.T)]], axis=1)
        flip = pair[:, 0] < pair[:, 1]
        ring[flip] = ring[flip, ::-1]
        pair[flip] = pair[flip, ::-1]
        quads.append(ring)
        regions.append(pair)
    used, inverse = np.unique(np.concatenate(quads), return_inverse=True)
    corner = np.stack(np.unravel_index(used, tuple(corner_shape)), axis=1)
    # corner c of the padded lattice lies between padded voxels c-1 and c
    return VoxelNet(
        corner.astype(np.float64) - 1.5,
        inverse.reshape(-1, 4).astype(np.int32),
        np.concatenate(regions).astype(np.int32),
    )


def triangulate(points: NDArray[np.float64], quads: NDArray[np.int32]) -> NDArray[np.int32]:
    """(2 Q, 3) triangles, each quadrilateral cut along its shorter diagonal; triangles 2q and 2q+1 are quad q."""
    corner = points[quads]
    across = np.linalg.norm(corner[:, 0] - corner[:, 2], axis=1) > np.linalg.norm(corner[:, 1] - corner[:, 3], axis=1)
    turned = np.where(across[:, None], np.roll(quads, -1, axis=1), quads)
    return np.stack([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]], axis=1).reshape(-1, 3)


def well_composed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with few voxels added, such that its boundary is a manifold.

    The boundary of a voxel set is a 2-manifold exactly where no two voxels of the set,
    or of its complement, meet in an edge or a corner only (Latecki, 1997). One voxel of
    each such meeting is filled: the one with most of the mask around it. Filling rather
    than cutting keeps thin vessels in one piece. Voxels outside the mask's bounding box
    are never filled.
    """
    filled = np.pad(mask, 1)
    support = ndimage.uniform_filter(filled.astype(np.float32), 3)
    candidates = _candidates_by_code()
    corners = np.array(list(np.ndindex(2, 2, 2)))
    while True:
        code = np.zeros(tuple(n - 1 for n in filled.shape), dtype=np.uint8)
        for bit, corner in enumerate(corners):
            window = filled[tuple(slice(c, c + n) for c, n in zip(corner, code.shape, strict=True))]
            code |= window.view(np.uint8) << np.uint8(bit)
        critical = np.argwhere(np.asarray(candidates.any(axis=1))[code])
        if not critical.size:
            return filled[1:-1, 1:-1, 1:-1]
        voxels = critical[:, None] + corners
        weight = support[tuple(np.moveaxis(voxels, 2, 0))] + 1.0
        weight[~candidates[code[tuple(critical.T)]]] = 0.0
        chosen = voxels[np.arange(len(voxels)), np.argmax(weight, axis=1)]
        filled[tuple(chosen.T)] = True


def _candidates_by_code() -> NDArray[np.bool_]:
    """(256, 8) which voxels of a 2×2×2 block may be filled to undo its critical meetings."""
    corners = np.array(list(np.ndindex(2, 2, 2)))
    inside = (np.arange(256)[:, None] >> np.arange(8)) & 1 == 1
    candidates = np.zeros((256, 8), dtype=bool)
    apart = np.abs(corners[:, None] - corners).sum(axis=2)
    for a, b in np.argwhere(np.triu(apart == 2)):
        face = [c for c in range(8) if c not in (a, b) and apart[a, c] == apart[b, c] == 1]
        for pair, others in (((a, b), face), (face, (a, b))):
            hit = inside[:, pair].all(axis=1) & ~inside[:, others].any(axis=1)
            candidates[np.ix_(hit, others)] = True
    for a, b in np.argwhere(np.triu(apart == 3)):
        rest = [c for c in range(8) if c not in (a, b)]
        alone = inside[:, (a, b)].all(axis=1) & ~inside[:, rest].any(axis=1)
        candidates[np.ix_(alone, rest)] = True
        hollow = inside[:, rest].all(axis=1) & ~inside[:, (a, b)].any(axis=1)
        candidates[np.ix_(hollow, (a, b))] = True
    return candidates
