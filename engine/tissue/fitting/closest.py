"""The nearest place of a triangulated surface to each point."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FIRST = 8


def closest_on_surface(
    points: Float[NDArray, "n 3"], corners: Float[NDArray, "f 3 3"]
) -> tuple[Int[NDArray, " n"], Float[NDArray, "n 3"]]:
    """Which triangle is nearest, and the barycentric coordinates of the nearest place on it.

    Exact: a triangle's centre lies within its radius of each of its points, so all triangles whose centre is nearer
    than the best distance and the largest radius are looked at.
    """
    centre = corners.mean(axis=1)
    radius = float(np.linalg.norm(corners - centre[:, None], axis=2).max())
    tree = cKDTree(centre)
    best = np.full(len(points), np.inf)
    triangle, weights = np.zeros(len(points), np.int64), np.zeros((len(points), 3))
    rows, count = np.arange(len(points)), min(FIRST, len(corners))
    while rows.size:
        distance, near = tree.query(points[rows], k=count)
        distance, near = distance.reshape(len(rows), -1), near.reshape(len(rows), -1)
        bary = closest_barycentric(np.repeat(points[rows], count, axis=0), corners[near.ravel()])
        place = np.einsum("nk,nki->ni", bary, corners[near.ravel()])
        gap = np.linalg.norm(place - np.repeat(points[rows], count, axis=0), axis=1).reshape(len(rows), count)
        column = gap.argmin(axis=1)
        row = np.arange(len(rows))
        best[rows] = gap[row, column]
        triangle[rows] = near[row, column]
        weights[rows] = bary.reshape(len(rows), count, 3)[row, column]
        unsure = distance[:, -1] < best[rows] + radius
        if count == len(corners):
            break
        rows, count = rows[unsure], min(4 * count, len(corners))
    return triangle, weights


def closest_barycentric(points: Float[NDArray, "n 3"], corners: Float[NDArray, "n 3 3"]) -> Float[NDArray, "n 3"]:
    """Of each point on its own triangle: the foot of the perpendicular, else the nearest place of the three edges."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = _dot(u, u), _dot(u, v), _dot(v, v)
    wu, wv = _dot(w, u), _dot(w, v)
    det = np.maximum(uu * vv - uv * uv, 1e-300)
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    bary = np.stack([1 - s - t, s, t], axis=1)
    if inside.all():
        return bary
    rest = np.flatnonzero(~inside)
    best = np.full(len(rest), np.inf)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[rest, first], corners[rest, second] - corners[rest, first]
        share = np.clip(_dot(points[rest] - start, along) / np.maximum(_dot(along, along), 1e-300), 0.0, 1.0)
        gap = np.linalg.norm(points[rest] - start - share[:, None] * along, axis=1)
        better = gap < best
        chosen = rest[better]
        bary[chosen] = 0.0
        bary[chosen, first], bary[chosen, second] = 1.0 - share[better], share[better]
        best[better] = gap[better]
    return bary


def _dot(left: NDArray, right: NDArray) -> NDArray:
    return np.einsum("ni,ni->n", left, right)
