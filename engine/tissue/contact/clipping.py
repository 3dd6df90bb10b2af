"""Where two meshes of one surface overlap: each pair of triangles clipped once, cut into triangles (numpy)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .surface import unit

CORNERS = 9
"""A triangle cut by the three lines of another has at most six corners; three more are never used."""


class Segments(NamedTuple):
    """Triangles of the overlap: facet of each side (n,), and their corners (n, 3, 3) on the first side's plane [m]."""

    slave: NDArray[np.int64]
    master: NDArray[np.int64]
    corners: NDArray[np.float64]


def segments(slave: NDArray, master: NDArray, reach: float) -> Segments:
    """Overlap of flat triangles (S, 3, 3) and (M, 3, 3) [m] that face each other no further than reach apart.

    Each master triangle is projected onto the slave's plane along the slave's normal and cut by the slave's three edges
    (Sutherland and Hodgman 1974), all pairs at once.
    """
    pairs = _near(slave, master, reach)
    origin, first = slave[pairs[:, 0], 0], unit(slave[:, 1] - slave[:, 0])[pairs[:, 0]]
    normal = unit(np.cross(slave[:, 1] - slave[:, 0], slave[:, 2] - slave[:, 0]))[pairs[:, 0]]
    axes = np.stack([first, np.cross(normal, first)], axis=1)  # (n, 2, 3)
    other = unit(np.cross(master[:, 1] - master[:, 0], master[:, 2] - master[:, 0]))[pairs[:, 1]]
    height = np.abs(np.einsum("ni,nai->na", normal, master[pairs[:, 1]] - origin[:, None])).min(axis=1)
    facing = (np.einsum("ni,ni->n", normal, other) < -0.5) & (height <= reach)
    pairs, origin, axes = pairs[facing], origin[facing], axes[facing]
    flat = [
        np.einsum("nki,nai->nak", axes, part - origin[:, None]) for part in (slave[pairs[:, 0]], master[pairs[:, 1]])
    ]
    polygon, count = _clip(flat[1][:, ::-1], flat[0])
    return _fan(pairs, polygon, count, flat[0], origin, axes)


def _near(slave: NDArray, master: NDArray, reach: float) -> NDArray[np.int64]:
    centres = [part.mean(axis=1) for part in (slave, master)]
    radii = [np.linalg.norm(p - c[:, None], axis=2).max() for p, c in zip((slave, master), centres, strict=True)]
    found = cKDTree(centres[0]).sparse_distance_matrix(
        cKDTree(centres[1]), radii[0] + radii[1] + reach, output_type="ndarray"
    )
    return np.stack([found["i"], found["j"]], axis=1).astype(np.int64)


def _clip(polygon: NDArray, window: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Polygons (n, 3, 2), counter-clockwise, cut by windows (n, 3, 2): corners (n, 9, 2) and how many."""
    pairs = len(polygon)
    corners = np.zeros((pairs, CORNERS, 2))
    corners[:, :3] = polygon
    count = np.full(pairs, 3)
    for edge in range(3):
        start, along = window[:, edge], window[:, (edge + 1) % 3] - window[:, edge]
        off = corners - start[:, None]
        side = along[:, None, 0] * off[..., 1] - along[:, None, 1] * off[..., 0]
        corners, count = _cut(corners, count, side)
    return corners, count


def _cut(corners: NDArray, count: NDArray, side: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What of each polygon lies where `side` (n, 9) is not negative."""
    pairs = len(corners)
    result, filled, rows = np.zeros_like(corners), np.zeros(pairs, np.int64), np.arange(pairs)
    for k in range(CORNERS):
        used = k < count
        following = np.where(k + 1 < count, k + 1, 0)
        here, there = side[:, k], side[rows, following]
        inside = used & (here >= 0)
        result[rows[inside], np.minimum(filled, CORNERS - 1)[inside]] = corners[inside, k]
        filled = filled + inside
        crosses = used & ((here >= 0) != (there >= 0))
        share = np.where(crosses, here / np.where(crosses, here - there, 1.0), 0.0)
        point = corners[:, k] + share[:, None] * (corners[rows, following] - corners[:, k])
        result[rows[crosses], np.minimum(filled, CORNERS - 1)[crosses]] = point[crosses]
        filled = filled + crosses
    return result, filled


def _fan(pairs: NDArray, polygon: NDArray, count: NDArray, window: NDArray, origin: NDArray, axes: NDArray) -> Segments:
    """Polygons cut into triangles from their first corner, slivers left out."""
    size = np.abs(_cross(window[:, 1] - window[:, 0], window[:, 2] - window[:, 0]))
    slave, master, found = [], [], []
    for k in range(1, CORNERS - 1):
        parts = np.stack([polygon[:, 0], polygon[:, k], polygon[:, k + 1]], axis=1)
        area = _cross(parts[:, 1] - parts[:, 0], parts[:, 2] - parts[:, 0])
        real = (k + 1 < count) & (area > 1e-14 * size)
        slave.append(pairs[real, 0])
        master.append(pairs[real, 1])
        found.append(origin[real, None] + np.einsum("nak,nki->nai", parts[real], axes[real]))
    return Segments(np.concatenate(slave), np.concatenate(master), np.concatenate(found))


def _cross(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
