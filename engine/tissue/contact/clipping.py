"""Where two meshes of one surface overlap: each pair of facets clipped once, cut into triangles (numpy)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .surface import unit

CORNERS = 9
"""A quadrangle cut by the four lines of another has at most eight corners; one more is never used."""
BATCH, LOOKED_UP = 16384, 1024
"""Pairs that are clipped at a time, and facets whose neighbours are looked up at a time: bounds the memory."""
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

    def rows(self, chosen: NDArray) -> Segments:
        """Some of them."""
        return Segments(self.slave[chosen], self.master[chosen], self.corners[chosen], self.axes[chosen])


class Planes(NamedTuple):
    """Of each facet (n, 3): a place on it, two unit vectors along it, and one outward."""

    origin: NDArray[np.float64]
    axes: NDArray[np.float64]  # (n, 2, 3)
    normal: NDArray[np.float64]


def segments(slave: NDArray, master: NDArray, reach: float, sheets: tuple[NDArray, NDArray] | None = None) -> Segments:
    """Overlap of facets (S, 3 or 4, 3) and (M, 3 or 4, 3) [m] that face each other no further than reach apart.

    Each master facet is projected onto the slave's plane along the slave's normal and cut by the slave's edges
    (Sutherland and Hodgman 1974), many pairs at once.

    Args:
        sheets: which facets of each side, (S,) and (M,), are of sheets, which have no outside: they face either way.
    """
    of_slave, of_master = planes(slave), planes(master)
    either = (np.zeros(len(slave), bool), np.zeros(len(master), bool)) if sheets is None else sheets
    found = []
    for pairs in near_pairs(slave, master, reach):
        normal = of_slave.normal[pairs[:, 0]]
        towards = np.einsum("ni,ni->n", normal, of_master.normal[pairs[:, 1]])
        off = master[pairs[:, 1]] - of_slave.origin[pairs[:, 0], None]
        height = np.abs(np.einsum("ni,nai->na", normal, off)).min(axis=1)
        facing = towards < -FACING
        facing |= (towards > FACING) & (either[0][pairs[:, 0]] | either[1][pairs[:, 1]])
        chosen = np.flatnonzero(facing & (height <= reach))
        found.append(_overlap(slave, master, of_slave, pairs[chosen], towards[chosen] < 0))
    return Segments(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _overlap(slave: NDArray, master: NDArray, plane: Planes, pairs: NDArray, against: NDArray) -> Segments:
    """Of pairs of facets, whose normals are `against` each other or not."""
    origin, axes = plane.origin[pairs[:, 0]], plane.axes[pairs[:, 0]]
    flat = [
        np.einsum("nki,nai->nak", axes, part - origin[:, None]) for part in (slave[pairs[:, 0]], master[pairs[:, 1]])
    ]
    opposite = np.where(against[:, None, None], flat[1][:, ::-1], flat[1])
    polygon, count = _clip(opposite, flat[0])
    return _fan(pairs, polygon, count, flat[0], origin, axes)


def planes(corners: NDArray) -> Planes:
    """Of triangles or quadrangles (n, 3 or 4, 3)."""
    normal = unit(np.cross(corners[:, 2] - corners[:, 0], corners[:, -1] - corners[:, 1]))
    along = corners[:, 1] - corners[:, 0]
    first = unit(along - np.einsum("ni,ni->n", along, normal)[:, None] * normal)
    return Planes(corners.mean(axis=1), np.stack([first, np.cross(normal, first)], axis=1), normal)


def near_pairs(slave: NDArray, master: NDArray, reach: float) -> Iterator[NDArray[np.int64]]:
    """Pairs (n, 2) of facets whose circles come within reach of each other, `BATCH` at a time, at least one batch.

    Facets of like size have a tree of their centres: a large one among small ones is no neighbour of all.
    """
    (first, second), (wide, narrow) = zip(_circles(slave), _circles(master), strict=True)
    sizes = [np.floor(np.log2(np.maximum(radius, 1e-300))).astype(int) for radius in (wide, narrow)]
    trees = [(mine, cKDTree(second[mine])) for mine in _classes(sizes[1])]
    kept = np.zeros((0, 2), np.int64)
    for rows in (rows for own in _classes(sizes[0]) for rows in _parts(own)):
        for mine, tree in trees:
            limit = reach + wide[rows].max() + narrow[mine].max()
            near = cKDTree(first[rows]).sparse_distance_matrix(tree, limit, output_type="ndarray")
            pairs = np.stack([rows[near["i"]], mine[near["j"]]], axis=1)
            pairs = pairs[near["v"] <= reach + wide[pairs[:, 0]] + narrow[pairs[:, 1]]]
            kept = np.concatenate([kept, pairs])
            while len(kept) >= BATCH:
                yield kept[:BATCH]
                kept = kept[BATCH:]
    yield kept


def _circles(facets: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of the corners (n, 3), and how far the furthest lies from there (n)."""
    centre = facets.mean(axis=1)
    return centre, np.linalg.norm(facets - centre[:, None], axis=2).max(axis=1)


def _classes(sizes: NDArray) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(sizes == size) for size in np.unique(sizes)]


def _parts(rows: NDArray) -> Iterator[NDArray[np.int64]]:
    yield from (rows[k : k + LOOKED_UP] for k in range(0, len(rows), LOOKED_UP))


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
