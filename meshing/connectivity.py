"""Edges of triangle meshes and the conditions under which they may be changed. numpy and scipy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def edges_of(triangles: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Edges of a closed oriented manifold.

    Returns:
        edges: (n, 2) vertices a, b as directed in the first face.
        faces: (n, 2) the face that runs a → b, and the one that runs b → a.
        opposite: (n, 2) the third vertex of either face.
    """
    start, stop = triangles.astype(np.int64).ravel(), np.roll(triangles, -1, axis=1).astype(np.int64).ravel()
    third = np.roll(triangles, -2, axis=1).astype(np.int64).ravel()
    count = int(triangles.max()) + 1
    forward = np.flatnonzero(start < stop)
    backward = np.flatnonzero(start > stop)
    forward = forward[np.argsort(start[forward] * count + stop[forward])]
    backward = backward[np.argsort(stop[backward] * count + start[backward])]
    edges = np.stack([start[forward], stop[forward]], axis=1)
    faces = np.stack([forward // 3, backward // 3], axis=1)
    return edges, faces, np.stack([third[forward], third[backward]], axis=1)


def independent_edges(edges: NDArray[np.int64], graph: sparse.csr_matrix, rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those edges (m, 2) that have the lowest rank within one step of either end: no two of them share a triangle,
    and no end of one neighbours an end of another, so they can be collapsed at once."""
    count, high = graph.shape[0], len(edges)
    lowest = np.full(count, high, dtype=np.int64)
    np.minimum.at(lowest, edges.ravel(), np.repeat(rank, 2))
    around = lowest.copy()
    rows = np.repeat(np.arange(count), np.diff(graph.indptr))
    np.minimum.at(around, rows, lowest[graph.indices])
    return edges[(around[edges] == rank[:, None]).all(axis=1)]


def collapse_allowed(edges: NDArray[np.int64], graph: sparse.csr_matrix) -> NDArray[np.bool_]:
    """(m,) the link condition (Dey et al. 1999): the ends share exactly two neighbours, and have more."""
    a, b = edges.T
    common = np.asarray(graph[a].multiply(graph[b]).sum(axis=1)).ravel()
    valence = np.diff(graph.indptr)
    return (common == 2) & (valence[a] + valence[b] > 8)


def split_long(
    points: NDArray[np.float64], triangles: NDArray[np.int32], long: float
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int64]]:
    """Halve every edge longer than `long`; faces are cut by how many of their edges were halved.

    Returns:
        points: the given ones, then the midpoints.
        triangles: (F, 3).
        halved: (m, 2) the vertices each midpoint lies between.
    """
    edges, faces, _ = edges_of(triangles)
    cut = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1) > long
    if not cut.any():
        return points, triangles, edges[:0]
    middle = np.full((len(triangles), 3), -1, dtype=np.int64)
    fresh = len(points) + np.arange(cut.sum())
    for side, start in ((0, edges[cut, 0]), (1, edges[cut, 1])):
        face = faces[cut, side]
        corner = np.argmax(triangles[face] == start[:, None], axis=1)
        middle[face, corner] = fresh
    points = np.concatenate([points, (points[edges[cut, 0]] + points[edges[cut, 1]]) / 2.0])
    return points, _cut_faces(points, triangles.astype(np.int64), middle), edges[cut]


def _cut_faces(points: NDArray, triangles: NDArray[np.int64], middle: NDArray[np.int64]) -> NDArray[np.int32]:
    """`middle[f, i]` is the new vertex on the edge from corner i to corner i+1, or −1."""
    number = (middle >= 0).sum(axis=1)
    pieces = [triangles[number == 0]]
    one = _turned_to(triangles, middle, number == 1, lambda m: np.argmax(m >= 0, axis=1))
    (a, b, c), (p, _, _) = one[0].T, one[1].T
    pieces += [np.stack([a, p, c], 1), np.stack([p, b, c], 1)]
    two = _turned_to(triangles, middle, number == 2, lambda m: (np.argmax(m < 0, axis=1) + 1) % 3)
    (a, b, c), (p, q, _) = two[0].T, two[1].T
    pieces.append(np.stack([p, b, q], 1))
    across = np.linalg.norm(points[a] - points[q], axis=1) < np.linalg.norm(points[p] - points[c], axis=1)
    pieces.append(np.where(across[:, None], np.stack([a, p, q], 1), np.stack([a, p, c], 1)))
    pieces.append(np.where(across[:, None], np.stack([a, q, c], 1), np.stack([p, q, c], 1)))
    (a, b, c), (p, q, r) = triangles[number == 3].T, middle[number == 3].T
    pieces += [np.stack(t, 1) for t in ((a, p, r), (p, b, q), (r, q, c), (p, q, r))]
    return np.concatenate(pieces).astype(np.int32)


def _turned_to(triangles, middle, chosen, first_corner) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Faces and their mid-edge vertices with the corners rotated so that `first_corner` comes first."""
    face, mids = triangles[chosen], middle[chosen]
    order = (first_corner(mids)[:, None] + np.arange(3)) % 3
    rows = np.arange(len(face))[:, None]
    return face[rows, order], mids[rows, order]


def without_unused(
    points: NDArray[np.float64], cells: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Points that a cell names, and the cells renumbered."""
    used = np.zeros(len(points), dtype=bool)
    used[cells.ravel()] = True
    number = np.cumsum(used) - 1
    return points[used], number[cells].astype(np.int32)
