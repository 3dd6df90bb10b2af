"""Which faces of a surface cross each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

_BATCH = 20_000
"""Faces whose neighbours are looked for at once: bounds the memory."""
_CLASSES = 24
"""Size classes at most, each of twice the size of the one before."""


def crossing_faces(
    points: NDArray[np.float64], triangles: NDArray[np.int32], among: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """(n, 2) pairs of faces that share no vertex and cross each other.

    Pairs whose boxes overlap are found by their centres; a pair crosses when an edge of one passes through the
    other (Möller and Trumbore's test). Coplanar overlap is not reported.

    Args:
        points: (V, 3) mm.
        triangles: (F, 3).
        among: (F,) faces of which one at least is in each pair; None for all.
    """
    corner = points[triangles]
    low, high = corner.min(axis=1), corner.max(axis=1)
    found = [np.empty((0, 2), dtype=np.int64)]
    for first, second in _near(corner, np.ones(len(corner), dtype=bool) if among is None else among):
        meet = np.ones(len(first), dtype=bool)
        for axis in range(3):
            meet &= low[first, axis] <= high[second, axis]
            meet &= low[second, axis] <= high[first, axis]
        first, second = first[meet], second[meet]
        apart = ~(triangles[first][:, :, None] == triangles[second][:, None]).any(axis=(1, 2))
        pair = np.sort(np.stack([first[apart], second[apart]], axis=1), axis=1)
        found.append(pair[_cross(corner[pair[:, 0]], corner[pair[:, 1]])])
    return np.unique(np.concatenate(found), axis=0)


def _near(corner: NDArray[np.float64], among: NDArray[np.bool_]) -> Iterator[tuple[NDArray, NDArray]]:
    """Pairs of faces, each once, whose bounding balls meet; the first one is `among` (F,) those of interest.

    Faces are sorted into classes of like size, so that a few large ones do not make every search a wide one.
    """
    centre = corner.mean(axis=1)
    radius = np.linalg.norm(corner - centre[:, None], axis=2).max(axis=1)
    if not len(radius) or not radius.max() > 0:
        return
    size = np.clip(np.floor(np.log2(np.maximum(radius, 1e-300) / radius.max())), 1 - _CLASSES, 0).astype(int)
    classes = [np.flatnonzero(size == value) for value in np.unique(size)]
    trees = [KDTree(centre[one], compact_nodes=False, balanced_tree=False) for one in classes]
    for asked in (one[among[one]] for one in classes):
        for start in range(0, len(asked), _BATCH):
            chunk = asked[start : start + _BATCH]
            own = KDTree(centre[chunk])
            for members, tree in zip(classes, trees, strict=True):
                reach = float(radius[chunk].max() + radius[members].max())
                near = own.sparse_distance_matrix(tree, reach, output_type="ndarray")
                first, second = chunk[near["i"]], members[near["j"]]
                once = (first < second) | ~among[second]
                balls = near["v"] <= radius[first] + radius[second]
                yield first[once & balls], second[once & balls]


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    hit = np.zeros(len(one), dtype=bool)
    for a, b in ((one, other), (other, one)):
        for side in range(3):
            hit |= _pierces(a[:, side], a[:, (side + 1) % 3], b)
    return hit


def _pierces(start: NDArray, stop: NDArray, face: NDArray) -> NDArray[np.bool_]:
    along, u, v = stop - start, face[:, 1] - face[:, 0], face[:, 2] - face[:, 0]
    across = np.cross(along, v)
    determinant = np.einsum("ij,ij->i", u, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = start - face[:, 0]
        first = np.einsum("ij,ij->i", offset, across) / determinant
        turned = np.cross(offset, u)
        second = np.einsum("ij,ij->i", along, turned) / determinant
        at = np.einsum("ij,ij->i", v, turned) / determinant
        return (first > 0) & (second > 0) & (first + second < 1) & (at > 0) & (at < 1)
