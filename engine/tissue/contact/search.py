"""Which facet each contact point meets: a tree of centres, then the nearest point, then what cannot be contact."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from . import triangle
from .closest import FACE, Closest, closest
from .surface import PseudoNormals, Surface

OPPOSED = -0.1
"""Facets meet where the cosine between their normals is below this."""


class Met(NamedTuple):
    """Of each point that meets a facet: its number, the facet's, the nearest point, the side (±1, 0 on the face)."""

    point: NDArray[np.int64]
    facet: NDArray[np.int64]
    near: Closest
    side: NDArray[np.float64]


def search(
    points: NDArray, normals: NDArray, surface: Surface, place: NDArray, reach: float, refused: NDArray | None = None
) -> Met:
    """The nearest facet of a surface to each point (n, 3) with outward normals (n, 3), within a reach [m].

    Args:
        surface: facets whose nodes are at `place` (nodes, 3) m.
        refused: (pairs,) keys point × facets + facet of pairs that cannot be contact, sorted; None where all can.

    Points whose nearest place lies on the surface's rim are beside it and meet nothing.
    """
    pseudo = surface.normals(place)
    corners = place[surface.facets]
    point, facet = candidates(points, triangle.corners(corners), reach)
    keep = np.einsum("ni,ni->n", normals[point], pseudo.facet[facet]) < OPPOSED
    if refused is not None:
        key = point * len(surface.facets) + facet
        at = np.minimum(np.searchsorted(refused, key), max(len(refused) - 1, 0))
        keep &= (refused[at] != key) if len(refused) else True
    point, facet = _nearest_few(points, corners, point[keep], facet[keep])
    near = closest(points[point], corners[facet])
    order = np.lexsort((near.distance, point))
    order = order[np.diff(point[order], prepend=-1) > 0]
    order = order[(near.distance[order] <= reach) & ~_on_rim(surface, facet[order], near.feature[order])]
    point, facet = point[order], facet[order]
    near = Closest(near.place[order], near.feature[order], near.point[order], near.distance[order])
    return Met(point, facet, near, _side(points[point] - near.point, surface, facet, near.feature, pseudo))


def candidates(points: NDArray, corners: NDArray, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (point, facet) closer than reach, found by facets of like size, each with a tree of their centres."""
    centre = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)
    octave = np.floor(np.log2(np.maximum(radius, 1e-300))).astype(int)
    tree, found = cKDTree(points), []
    for level in np.unique(octave):
        mine = np.flatnonzero(octave == level)
        limit = reach + 1.1 * radius[mine].max()
        pairs = tree.sparse_distance_matrix(cKDTree(centre[mine]), limit, output_type="ndarray")
        found.append((pairs["i"], mine[pairs["j"]]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    point, facet = (np.concatenate(parts).astype(np.int64) for parts in zip(*found, strict=True))
    return point, facet


def _nearest_few(
    points: NDArray, corners: NDArray, point: NDArray, facet: NDArray
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the pairs, those whose flat triangles are nearest to their point, within what curvature may change."""
    if corners.shape[1] < 6 or len(point) == 0:
        return point, facet
    flat = closest(points[point], corners[facet][:, :3]).distance
    best = np.full(len(points), np.inf)
    np.minimum.at(best, point, flat)
    middle = 0.5 * (corners[:, :3] + corners[:, [1, 2, 0]])
    sag = 2.0 * np.linalg.norm(corners[:, 3:] - middle, axis=2).max()
    keep = flat <= best[point] + 2.0 * sag + 1e-9 * np.abs(corners).max()
    return point[keep], facet[keep]


def _on_rim(surface: Surface, facet: NDArray, feature: NDArray) -> NDArray[np.bool_]:
    flags = np.concatenate([surface.rim_corner, surface.rim_edge, np.zeros((len(surface.facets), 1), bool)], axis=1)
    return flags[facet, feature]


def _side(
    off: NDArray, surface: Surface, facet: NDArray, feature: NDArray, pseudo: PseudoNormals
) -> NDArray[np.float64]:
    """On which side of an edge or corner a point lies, by its pseudonormal; 0 on a face, whose own normal tells."""
    edge = surface.edge_of[facet, np.clip(feature - 3, 0, 2)]
    node = surface.corners[facet, np.clip(feature, 0, 2)]
    normal = np.where((feature >= 3)[:, None], pseudo.edge[edge], pseudo.node[node])
    sign = np.where(np.einsum("ni,ni->n", off, normal) < 0, -1.0, 1.0)
    return np.where(feature == FACE, 0.0, sign)


def not_contact(
    points: NDArray, normals: NDArray, owner: NDArray, surface: Surface, place: NDArray, reach: float
) -> NDArray:
    """Keys (sorted) of pairs of a surface with itself that are neighbours, at rest.

    A pair is no contact where the facets share a node; or where they are near each other at rest and do not face each
    other there: they bend alike, or one is the back of the other (a thin wall).
    """
    corners = place[surface.facets]
    point, facet = candidates(points, triangle.corners(corners), 2.0 * reach)
    near = closest(points[point], corners[facet])
    normal = surface.normals(place).facet[facet]
    opposed = np.einsum("ni,ni->n", normals[point], normal) < OPPOSED
    behind = np.einsum("ni,ni->n", points[point] - near.point, normal) <= 0.0
    shares = (surface.faces[owner[point]][:, :, None] == surface.facets[facet][:, None, :]).any(axis=(1, 2))
    key = point * len(surface.facets) + facet
    return np.sort(key[shares | ((near.distance <= 2.0 * reach) & (~opposed | behind))])
