"""Closed surfaces freed of crossing faces: thin parts between thick slices, voxel noise, folds of remeshing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .crossings import crossing_faces
from .smoothing import umbrella

_ROUNDS = 12


def crossing_vertices(
    points: NDArray[np.float64], triangles: NDArray[np.int32], suspects: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """(n,) vertices of faces that cross; only faces with one of `suspects` (V,) are looked at where these are given."""
    among = None if suspects is None else np.any(suspects[triangles], axis=1)
    return np.unique(triangles[crossing_faces(points, triangles, among)])


def drawn_back(
    points: NDArray[np.float64], safe: NDArray[np.float64], triangles: NDArray[np.int32], suspects: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Vertices around crossings drawn back towards places (V, 3) at which nothing crosses.

    Args:
        points: (V, 3) mm.
        safe: (V, 3) mm.
        triangles: (F, 3).
        suspects: (V,) vertices of which one at least takes part in each crossing.
    """
    share = np.ones(len(points))
    mean = None
    moved = points
    for _ in range(_ROUNDS):
        hit = crossing_vertices(moved, triangles, suspects)
        if not hit.size:
            break
        mean = umbrella(triangles, len(points)) if mean is None else mean
        share[hit] *= 0.5
        # blended over the ring around, so that what is drawn back makes no new spike
        share = np.minimum(share, 0.5 * (share + mean @ share))
        moved = safe + share[:, None] * (points - safe)
        suspects = suspects | (share < 1.0)
    return moved


def relaxed_apart(points: NDArray[np.float64], triangles: NDArray[np.int32]) -> NDArray[np.float64]:
    """Vertices around crossings moved towards their neighbours' mean.

    A fold that an edge flip or a collapse left opens this way; a thin part that passes through itself does not.
    """
    hit = crossing_vertices(points, triangles)
    if not hit.size:
        return points
    mean = umbrella(triangles, len(points))
    suspects = np.zeros(len(points), dtype=bool)
    for _ in range(_ROUNDS):
        around = np.zeros(len(points))
        around[hit] = 1.0
        ring = (around + mean @ around) > 0
        suspects |= ring
        points = np.where(ring[:, None], 0.5 * (points + mean @ points), points)
        hit = crossing_vertices(points, triangles, suspects)
        if not hit.size:
            break
    return points
