"""Structured meshes of sheets: quadratic triangles on a square that any map bends, and on a disc. Metres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def sheet(
    cells: tuple[int, int], place: Callable[[NDArray], NDArray] | None = None, *, jitter: float = 0.0
) -> tuple[NDArray, NDArray, NDArray]:
    """Two triangles of six nodes per cell of a square; `jitter` moves inner corners, edges stay straight in the square.

    Args:
        cells: along both sides.
        place: (n, 2) in [0, 1]² → (n, 3) m; None is the plane z = 0.

    Returns:
        Points (n, 3), triangles (E, 6), and where the points are in the square (n, 2) before the jitter.
    """
    (nx, ny), width = cells, 2 * cells[1] + 1
    unit = np.stack(np.meshgrid(np.arange(2 * nx + 1) / (2 * nx), np.arange(width) / (2 * ny), indexing="ij"), axis=-1)
    unit = unit.reshape(-1, 2)
    triangles = []
    for i, j in np.ndindex(nx, ny):
        corners = np.array([[0, 0], [2, 0], [2, 2], [0, 2]]) + np.array([2 * i, 2 * j])
        for chosen in ([0, 1, 2], [0, 2, 3]):
            three = corners[chosen]
            six = np.concatenate([three, (three + np.roll(three, -1, axis=0)) // 2])
            triangles.append(six[:, 0] * width + six[:, 1])
    triangles = np.array(triangles)
    moved = unit.copy()
    inner = np.unique(triangles[:, :3])
    inner = inner[((unit[inner] > 0) & (unit[inner] < 1)).all(axis=1)]
    moved[inner] += np.random.default_rng(3).uniform(-1, 1, (len(inner), 2)) * jitter / np.array(cells)
    for k in range(3):
        moved[triangles[:, 3 + k]] = 0.5 * (moved[triangles[:, k]] + moved[triangles[:, (k + 1) % 3]])
    points = np.insert(moved, 2, 0.0, axis=1) if place is None else place(moved)
    return points, triangles, unit


def rim(unit: NDArray) -> NDArray:
    """Nodes on the sides of the square."""
    return np.flatnonzero(((unit == 0) | (unit == 1)).any(axis=1))


def disc(rings: int) -> tuple[NDArray, NDArray, NDArray]:
    """A disc of radius one: 6 `rings`² triangles whose outer edges follow the circle.

    Returns:
        Points (n, 3), triangles (E, 6), and the nodes of the rim.
    """
    start = np.cumsum([0, 1, *(6 * k for k in range(1, rings + 1))])
    angles = [np.zeros(1), *(2 * np.pi * np.arange(6 * k) / (6 * k) for k in range(1, rings + 1))]
    points = np.concatenate([(k / rings) * np.stack([np.cos(a), np.sin(a)], axis=1) for k, a in enumerate(angles)])

    def node(ring: int, place: int) -> int:
        return int(start[ring] + place % max(6 * ring, 1))

    corners = []
    for ring in range(1, rings + 1):
        for sector in range(6):
            for step in range(ring):
                outer, inner = sector * ring + step, sector * (ring - 1) + step
                corners.append([node(ring - 1, inner), node(ring, outer), node(ring, outer + 1)])
                if step < ring - 1:
                    corners.append([node(ring - 1, inner), node(ring, outer + 1), node(ring - 1, inner + 1)])
    corners = np.array(corners)
    pairs = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)
    edges, place = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)
    middles = points[edges].mean(axis=1)
    outside = (edges >= start[rings]).all(axis=1)
    middles[outside] /= np.linalg.norm(middles[outside], axis=1)[:, None]
    triangles = np.concatenate([corners, len(points) + place.reshape(-1, 3)], axis=1)
    rim_nodes = np.concatenate([np.arange(start[rings], len(points)), len(points) + np.flatnonzero(outside)])
    return np.insert(np.concatenate([points, middles]), 2, 0.0, axis=1), triangles, rim_nodes
