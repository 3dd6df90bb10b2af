"""Closed manifold surfaces to a target edge length, by local operations that keep them manifold.

The incremental scheme of Botsch and Kobbelt (2004): split long edges, collapse short ones,
flip towards even valence, relax within the tangent plane, return to the surface. Each
operation is done for a whole independent set of edges at once, so numpy does the work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import KDTree

from .connectivity import collapse_allowed, edges_of, independent_edges, split_long, without_unused
from .smoothing import umbrella, vertex_normals

LONG, SHORT = 4.0 / 3.0, 4.0 / 5.0
_TURN = 0.3
"""Least cosine between a triangle's normals before and after an operation."""


def remesh(
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
    edge_length_mm: float,
    *,
    rounds: int = 4,
    held: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Even triangles of about the given edge length on the same surface, topology unchanged.

    Edges stay shorter where the surface is thinner than they are or a collapse would fold it or
    change its topology.

    Args:
        points: (V, 3) mm of a closed manifold.
        triangles: (F, 3).
        edge_length_mm: target.
        rounds: of flipping and relaxing after the edges have about their length.
        held: (V,) vertices that stay with the edges between them, only cut where these are too long.
    """
    held = np.zeros(len(points), dtype=bool) if held is None else held
    short, long = SHORT * edge_length_mm, LONG * edge_length_mm
    target = KDTree(points), points, vertex_normals(points, triangles)
    rng = np.random.default_rng(0)
    while True:
        count = len(points)
        points, triangles, held = _collapse_pass(points, triangles, held, short, long, rng)
        if len(points) > 0.99 * count:
            break
    for _ in range(rounds):
        points, triangles, halved = split_long(points, triangles, long)
        held = np.concatenate([held, held[halved].all(axis=1)])
        for _ in range(6):
            points, triangles, held = _collapse_pass(points, triangles, held, short, long, rng)
        for _ in range(4):
            triangles = _flip_pass(points, triangles, held, rng)
        points = np.where(held[:, None], points, _relax(points, triangles, target))
    return points, triangles


def _collapse_pass(points, triangles, held, short: float, long: float, rng) -> tuple[NDArray, NDArray, NDArray]:
    """Collapse an independent set of short edges to their midpoints."""
    edges, _, _ = edges_of(triangles)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    candidates = edges[(length < short) & ~held[edges].any(axis=1)]
    if not len(candidates):
        return points, triangles, held
    graph = _graph(edges, len(points))
    chosen = independent_edges(candidates, graph, rng.permutation(len(candidates)))
    chosen = chosen[collapse_allowed(chosen, graph)]
    if not len(chosen):
        return points, triangles, held
    keep, gone = chosen.T
    merged = np.arange(len(points))
    merged[gone] = keep
    middle = points.copy()
    middle[keep] = middle[gone] = (points[keep] + points[gone]) / 2.0
    bad = _spoiled(points, middle, triangles, merged, long)
    spoiled = np.isin(keep, bad) | np.isin(gone, bad)
    merged[gone[spoiled]] = gone[spoiled]
    back = np.r_[keep[spoiled], gone[spoiled]]
    middle[back] = points[back]
    renamed = merged[triangles]
    alive = (renamed != np.roll(renamed, 1, axis=1)).all(axis=1)
    used = np.unique(renamed[alive])
    return *without_unused(middle, renamed[alive].astype(np.int32)), held[used]


def _spoiled(points, moved, triangles, merged, long: float) -> NDArray[np.int64]:
    """Vertices whose collapse would turn a triangle over or make an edge too long."""
    renamed = merged[triangles]
    alive = (renamed != np.roll(renamed, 1, axis=1)).all(axis=1)
    touched = alive & (moved[triangles] != points[triangles]).any(axis=(1, 2))
    old, new = points[triangles[touched]], moved[renamed[touched]]
    edge = np.linalg.norm(new - np.roll(new, 1, axis=1), axis=2).max(axis=1)
    bad = _turned(old, new) | (edge > long)
    return np.unique(triangles[touched][bad])


def _turned(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.bool_]:
    before = np.cross(old[:, 1] - old[:, 0], old[:, 2] - old[:, 0])
    after = np.cross(new[:, 1] - new[:, 0], new[:, 2] - new[:, 0])
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.einsum("ij,ij->i", before, after) <= _TURN * size


def _flip_pass(points, triangles, held, rng) -> NDArray[np.int32]:
    """Flip an independent set of edges that brings valences nearer to six."""
    edges, faces, opposite = edges_of(triangles)
    valence = np.bincount(edges.ravel(), minlength=len(points))
    a, b = edges.T
    c, d = opposite.T
    before = sum((valence[v] - 6.0) ** 2 for v in (a, b, c, d))
    after = sum((valence[v] + s - 6.0) ** 2 for v, s in ((a, -1), (b, -1), (c, 1), (d, 1)))
    graph = _graph(edges, len(points))
    linked = np.asarray(graph[c, d]).ravel() > 0
    fixed = held[edges].all(axis=1) | held[opposite].all(axis=1)
    good = np.flatnonzero((after < before) & ~fixed & ~linked & (c != d) & (valence[a] > 3) & (valence[b] > 3))
    quad = np.stack([a, b, c, d], axis=1)[good]
    first, second = np.stack([quad[:, 2], quad[:, 0], quad[:, 3]], 1), np.stack([quad[:, 3], quad[:, 1], quad[:, 2]], 1)
    reference = sum(_unit_cross(points[triangles[faces[good, side]]]) for side in (0, 1))
    upright = np.ones(len(good), dtype=bool)
    for fresh in (first, second):
        upright &= np.einsum("ij,ij->i", _unit_cross(points[fresh]), reference) > 1.2
    rank = np.where(upright, rng.permutation(len(good)), len(good))
    lowest = np.full(len(points), len(good))
    np.minimum.at(lowest, quad[upright].ravel(), np.repeat(rank[upright], 4))
    chosen = upright & (lowest[quad] == rank[:, None]).all(axis=1)
    flipped = triangles.copy()
    flipped[faces[good[chosen], 0]] = first[chosen]
    flipped[faces[good[chosen], 1]] = second[chosen]
    return flipped


def _unit_cross(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)


def _relax(points, triangles, target) -> NDArray[np.float64]:
    """Move each vertex toward its neighbours' mean within the tangent plane, then back to the surface."""
    tree, surface, normals = target
    mean = umbrella(triangles, len(points))
    for _ in range(3):
        normal = vertex_normals(points, triangles)
        step = 0.5 * (mean @ points - points)
        moved = points + step - np.einsum("vi,vi->v", step, normal)[:, None] * normal
        nearest = tree.query(moved)[1]
        height = np.einsum("vi,vi->v", moved - surface[nearest], normals[nearest])
        # the nearest vertex of a thin part may be on its far side: then stay
        same_side = np.einsum("vi,vi->v", normals[nearest], normal) > 0.5
        moved = np.where(same_side[:, None], moved - height[:, None] * normals[nearest], points)
        bad = np.unique(triangles[_turned(points[triangles], moved[triangles])])
        moved[bad] = points[bad]
        points = moved
    return points


def _graph(edges: NDArray[np.int64], count: int) -> sparse.csr_matrix:
    ones = np.ones(2 * len(edges), dtype=np.int32)
    pairs = np.r_[edges[:, 0], edges[:, 1]], np.r_[edges[:, 1], edges[:, 0]]
    return sparse.csr_matrix((ones, pairs), shape=(count, count))
