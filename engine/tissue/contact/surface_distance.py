"""Signed distance to a closed triangle surface (numpy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ....imaging.errors import SolverError
from .closest import FACE, Closest, closest
from .surface import Surface

CHUNK = 20000
"""Points at a time, and pairs per pass in proportion: bounds the memory."""


def signed_distance(points: NDArray, triangles: NDArray, queries: NDArray) -> NDArray[np.float64]:
    """Of queries (n, 3) to a closed surface, negative inside, in the unit of the points.

    The nearest place on the surface and the angle-weighted pseudonormal there, which tells inside from outside also
    where that place is an edge or a corner (Bærentzen and Aanæs 2005).

    Raises:
        SolverError: an edge does not belong to two triangles that run along it in opposite ways, a triangle has no
            area, or the normals point inward.
    """
    triangles = triangles[:, :3].astype(np.int64)
    _closed(points, triangles)
    surface = Surface.of(triangles)
    corners = points[triangles]
    finder = _Finder(corners)
    result = np.empty(len(queries))
    pseudo = surface.normals(points)
    for start in range(0, len(queries), CHUNK):
        rows = slice(start, min(start + CHUNK, len(queries)))
        facet, near = finder(queries[rows])
        off = queries[rows] - near.point
        edge = pseudo.edge[surface.edge_of[facet, np.clip(near.feature - 3, 0, 2)]]
        node = pseudo.node[triangles[facet, np.clip(near.feature, 0, 2)]]
        feature = near.feature[:, None]
        normal = np.where(feature == FACE, pseudo.facet[facet], np.where(feature >= 3, edge, node))
        result[rows] = np.where(np.einsum("ni,ni->n", off, normal) < 0, -near.distance, near.distance)
    return result


class _Finder:
    """The nearest triangle: an upper bound from the nearest corner or centre, then all that may be nearer than that."""

    def __init__(self, corners: NDArray) -> None:
        self.corners, self.centre = corners, corners.mean(axis=1)
        self.radius = np.linalg.norm(corners - self.centre[:, None], axis=2).max(axis=1)
        octave = np.floor(np.log2(np.maximum(self.radius, 1e-300))).astype(int)
        self.classes = [np.flatnonzero(octave == level) for level in np.unique(octave)]
        self.trees = [cKDTree(self.centre[mine]) for mine in self.classes]
        self.whole = cKDTree(self.centre)

    def __call__(self, queries: NDArray) -> tuple[NDArray[np.int64], Closest]:
        _, first = self.whole.query(queries)
        bound = closest(queries, self.corners[first]).distance
        facet = first.astype(np.int64)
        for tree, mine in zip(self.trees, self.classes, strict=True):
            limit = bound + self.radius[mine].max()
            counts = tree.query_ball_point(queries, limit, return_length=True)
            for rows in _batches(counts):
                lists = tree.query_ball_point(queries[rows], limit[rows])
                sizes = np.array([len(found) for found in lists])
                if sizes.sum() == 0:
                    continue
                point = np.repeat(np.arange(len(rows)), sizes)
                candidate = mine[np.concatenate([np.asarray(found, np.int64) for found in lists if found])]
                keep = np.linalg.norm(queries[rows][point] - self.centre[candidate], axis=1) <= (
                    bound[rows][point] + self.radius[candidate]
                )
                point, candidate = point[keep], candidate[keep]
                away = closest(queries[rows][point], self.corners[candidate]).distance
                order = np.lexsort((away, point))
                order = order[np.diff(point[order], prepend=-1) > 0]
                nearer = away[order] < bound[rows][point[order]]
                chosen = rows[point[order][nearer]]
                bound[chosen], facet[chosen] = away[order][nearer], candidate[order][nearer]
        return facet, closest(queries, self.corners[facet])


def _batches(counts: NDArray) -> list[NDArray[np.int64]]:
    """Rows in batches of at most about 400,000 candidates."""
    ends = np.cumsum(counts)
    group = (ends - counts) // 400_000
    return [np.flatnonzero(group == k) for k in np.unique(group)]


def _closed(points: NDArray, triangles: NDArray) -> None:
    where = "distance of a surface"
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forward = ends[:, 0] * len(points) + ends[:, 1]
    back = ends[:, 1] * len(points) + ends[:, 0]
    alone = ~np.isin(forward, back)
    if alone.any() or len(np.unique(forward)) != len(forward):
        first = int(np.flatnonzero(alone)[0]) if alone.any() else 0
        at = np.round(points[ends[first]].mean(axis=0) * 1e3, 2)
        raise SolverError(
            f"the surface is not closed: {int(alone.sum())} edges have no partner, the first at {at} mm",
            where=where,
            advice="Close its holes, merge its points, and turn all triangles the same way",
        )
    a, b, c = (points[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    if not (np.linalg.norm(normal, axis=1) > 0).all():
        bad = int(np.argmin(np.linalg.norm(normal, axis=1)))
        raise SolverError(f"triangle {bad} has no area", where=where, advice="Remove slivers of zero area")
    if np.einsum("ni,ni->", a, normal) < 0:
        raise SolverError("its normals point inward", where=where, advice="Swap two corners of every triangle")
