"""Where two meshes of one surface overlap: each pair of facets clipped once, cut into triangles (numpy)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .surface import unit

CORNERS = 9
"""A quadrangle cut by the four lines of another has at most eight corners; one more is never used."""
FACING = 0.5
"""Cosine of the largest angle, 60°, between the normals of facets that are tied."""


class Segments(NamedTuple):
    """Triangles of the overlap (n): facet of each side, corners (n, 3, 3) [m] on the first side's plane, its axes.

    The plane of a quadrangle has the directions of its diagonals and goes through the mean of its corners; on it the
    straight edges of a warped one stay straight, so that its neighbours meet it without a gap.
    """

    slave: NDArray[np.int64]
    master: NDArray[np.int64]
    corners: NDArray[np.float64]
    axes: NDArray[np.float64]  # (n, 2, 3) unit vectors in the plane, the normal is their cross product

    @property
    def areas(self) -> NDArray[np.float64]:
        """Of each [m²]."""
        a, b, c = (self.corners[:, k] for k in range(3))
        return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


class Planes(NamedTuple):
    """Of each facet (n, 3): a place on it, two unit vectors along it, and one outward."""

    origin: NDArray[np.float64]
    axes: NDArray[np.float64]  # (n, 2, 3)
    normal: NDArray[np.float64]


def segments(slave: NDArray, master: NDArray, reach: float, sheets: tuple[NDArray, NDArray] | None = None) -> Segments:
    """Overlap of facets (S, 3 or 4, 3) and (M, 3 or 4, 3) [m] that face each other no further than reach apart.

    Each master facet is projected onto the slave's plane along the slave's normal and cut by the slave's edges
    (Sutherland and Hodgman 1974), all pairs at once.

    Args:
        sheets: which facets of each side, (S,) and (M,), are of sheets, which have no outside: they face either way.
    """
    pairs = _near(slave, master, reach)
    plane = planes(slave)
    towards = np.einsum("ni,ni->n", plane.normal[pairs[:, 0]], planes(master).normal[pairs[:, 1]])
    off = master[pairs[:, 1]] - plane.origin[pairs[:, 0], None]
    height = np.abs(np.einsum("ni,nai->na", plane.normal[pairs[:, 0]], off)).min(axis=1)
    facing = towards < -FACING
    if sheets is not None:
        facing |= (towards > FACING) & (sheets[0][pairs[:, 0]] | sheets[1][pairs[:, 1]])
    chosen = np.flatnonzero(facing & (height <= reach))
    pairs, towards = pairs[chosen], towards[chosen]
    origin, axes = plane.origin[pairs[:, 0]], plane.axes[pairs[:, 0]]
    flat = [
        np.einsum("nki,nai->nak", axes, part - origin[:, None]) for part in (slave[pairs[:, 0]], master[pairs[:, 1]])
    ]
    opposite = np.where((towards < 0)[:, None, None], flat[1][:, ::-1], flat[1])
    polygon, count = _clip(opposite, flat[0])
    return _fan(pairs, polygon, count, flat[0], origin, axes)


def planes(corners: NDArray) -> Planes:
    """Of triangles or quadrangles (n, 3 or 4, 3)."""
    normal = unit(np.cross(corners[:, 2] - corners[:, 0], corners[:, -1] - corners[:, 1]))
    along = corners[:, 1] - corners[:, 0]
    first = unit(along - np.einsum("ni,ni->n", along, normal)[:, None] * normal)
    return Planes(corners.mean(axis=1), np.stack([first, np.cross(normal, first)], axis=1), normal)


def _near(slave: NDArray, master: NDArray, reach: float) -> NDArray[np.int64]:
    centres = [part.mean(axis=1) for part in (slave, master)]
    radii = [np.linalg.norm(p - c[:, None], axis=2).max() for p, c in zip((slave, master), centres, strict=True)]
    found = cKDTree(centres[0]).sparse_distance_matrix(
        cKDTree(centres[1]), radii[0] + radii[1] + reach, output_type="ndarray"
    )
    return np.stack([found["i"], found["j"]], axis=1).astype(np.int64)


def _clip(polygon: NDArray, window: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Polygons (n, 3 or 4, 2), counter-clockwise, cut by windows (n, 3 or 4, 2): corners (n, 9, 2) and how many."""
    pairs, width, sides = len(polygon), polygon.shape[1], window.shape[1]
    corners = np.zeros((pairs, CORNERS, 2))
    corners[:, :width] = polygon
    count = np.full(pairs, width)
    for edge in range(sides):
        start, along = window[:, edge], window[:, (edge + 1) % sides] - window[:, edge]
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
    size = np.abs(_cross(window[:, 2] - window[:, 0], window[:, -1] - window[:, 1]))
    facets, found, planes_of = [], [], []
    for k in range(1, CORNERS - 1):
        parts = np.stack([polygon[:, 0], polygon[:, k], polygon[:, k + 1]], axis=1)
        area = _cross(parts[:, 1] - parts[:, 0], parts[:, 2] - parts[:, 0])
        real = (k + 1 < count) & (area > 1e-14 * size)
        facets.append(pairs[real])
        found.append(origin[real, None] + np.einsum("nak,nki->nai", parts[real], axes[real]))
        planes_of.append(axes[real])
    both = np.concatenate(facets)
    return Segments(both[:, 0], both[:, 1], np.concatenate(found), np.concatenate(planes_of))


def _cross(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
