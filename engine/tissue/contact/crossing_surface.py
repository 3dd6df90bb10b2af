"""Where a closed surface of triangles crosses itself, and what lies in it (numpy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .clipping import near_pairs
from .surface import unit

LEVEL = 1e-9
"""Sine of the angle to a triangle below which a line does not meet it: in one plane all is round-off."""
WAYS = unit(np.array([[0.4142, 0.3183, 1.0], [1.0, -0.2718, 0.5772], [-0.6180, 1.0, 0.1414]]))
"""Of the rays, along no edge of regular meshes; of three counts the least, where one grazes an edge."""


def neighbours(triangles: NDArray) -> NDArray[np.int64]:
    """Pairs (n, 2) of triangles that share an edge."""
    ends = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    order = np.lexsort(ends.T)
    same = np.flatnonzero((ends[order[1:]] == ends[order[:-1]]).all(axis=1))
    return np.stack([order[same], order[same + 1]], axis=1) // 3


def crossed(place: NDArray, triangles: NDArray) -> NDArray[np.bool_]:
    """Which triangles (n, 3) an edge of another goes through, or have one that does; they share no node."""
    corners, found = place[triangles], np.zeros(len(triangles), bool)
    for pairs in near_pairs(corners, corners, 0.0):
        one, other = pairs.T
        shares = (triangles[one][:, :, None] == triangles[other][:, None]).any(axis=(1, 2))
        one, other = one[~shares], other[~shares]
        for k in range(3):
            start = corners[one, k]
            _, within, ahead = _met(start, corners[one, (k + 1) % 3] - start, corners[other])
            through = within & (ahead >= 0.0) & (ahead <= 1.0)
            found[one[through]] = found[other[through]] = True
    return found


def buried(points: NDArray, corners: NDArray) -> NDArray[np.bool_]:
    """Which points (n, 3) lie within a closed surface of triangles (m, 3, 3): its winding number there is 1 or more."""
    open_ = np.arange(len(points))
    for way in WAYS:
        open_ = open_[_winding(points[open_], corners, way) >= 1]
    found = np.zeros(len(points), bool)
    found[open_] = True
    return found


def _winding(points: NDArray, corners: NDArray, way: NDArray) -> NDArray[np.int64]:
    """How often rays (n) along a unit vector leave a surface more than they enter it."""
    across = np.eye(3) - np.outer(way, way)
    total = np.zeros(len(points), np.int64)
    for pairs in near_pairs((points @ across)[:, None], corners @ across, 0.0):
        slope, within, ahead = _met(points[pairs[:, 0]], np.broadcast_to(way, (len(pairs), 3)), corners[pairs[:, 1]])
        hit = within & (ahead > 0.0)
        np.add.at(total, pairs[hit, 0], np.sign(slope[hit]).astype(np.int64))
    return total


def _met(start: NDArray, way: NDArray, corners: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Lines (n, 3) and triangles (n, 3, 3): slope to the normal, whether they meet, and after how many lengths.

    Source: Möller and Trumbore (1997), *J. Graphics Tools* 2:21.
    """
    first, second, off = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], start - corners[:, 0]
    normal, turned = np.cross(first, second), np.cross(off, way)
    slope = np.einsum("ni,ni->n", way, normal)
    level = np.abs(slope) <= LEVEL * np.linalg.norm(way, axis=1) * np.linalg.norm(normal, axis=1)
    scale = 1.0 / np.where(level, np.inf, slope)
    xi, eta = -np.einsum("ni,ni->n", second, turned) * scale, np.einsum("ni,ni->n", first, turned) * scale
    within = ~level & (xi >= 0.0) & (eta >= 0.0) & (xi + eta <= 1.0)
    return slope, within, -np.einsum("ni,ni->n", off, normal) * scale
