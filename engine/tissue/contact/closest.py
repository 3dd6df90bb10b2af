"""The nearest point of a triangle, flat or curved, for many pairs at once (numpy)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import triangle

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
FACE = 6
"""Features: 0, 1, 2 a corner; 3, 4, 5 the edge after it; 6 the face."""
_SIXTH = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]])
_SIX_PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]])
NEWTON_STEPS = 6
ON_EDGE = 1e-9
"""So far beyond an edge, over the facet, a place still counts as on the face: there the way to the point has no
direction of its own where the gap closes, as over the diagonals of quadrangles that match."""


class Closest(NamedTuple):
    """Of each pair: place (n, 2), feature (n,), nearest point (n, 3) and distance (n,) [m]."""

    place: NDArray[np.float64]
    feature: NDArray[np.int64]
    point: NDArray[np.float64]
    distance: NDArray[np.float64]


def closest(points: NDArray, facets: NDArray) -> Closest:
    """Of points (n, 3) on triangles (n, 3, 4 or 6, 3), each its own."""
    if facets.shape[1] < 6:
        place, feature = _flat(points, triangle.corners(facets))
    else:
        place, feature = _curved(points, facets)
    near = np.einsum("na,nai->ni", triangle.shape(np, facets.shape[1], place), facets)
    return Closest(place, feature, near, np.linalg.norm(points - near, axis=1))


def _flat(points: NDArray, facets: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """On flat triangles: the face where the foot of the perpendicular lies in it, else the nearest of three edges."""
    origin, first, second = facets[:, 0], facets[:, 1] - facets[:, 0], facets[:, 2] - facets[:, 0]
    arm = points - origin
    a, b, c = (np.einsum("ni,ni->n", p, q) for p, q in ((first, first), (first, second), (second, second)))
    d, e = np.einsum("ni,ni->n", arm, first), np.einsum("ni,ni->n", arm, second)
    det = np.maximum(a * c - b * b, 1e-300)
    place = np.stack([(c * d - b * e) / det, (a * e - b * d) / det], axis=1)
    inside = (place >= -ON_EDGE).all(axis=1) & (place.sum(axis=1) <= 1 + ON_EDGE)
    feature = np.full(len(points), FACE)
    best = np.where(inside, -1.0, np.inf)
    for k, (i, j) in enumerate(triangle.CORNER_EDGES):
        along = facets[:, j] - facets[:, i]
        share = np.einsum("ni,ni->n", points - facets[:, i], along)
        share = np.clip(share / np.maximum(np.einsum("ni,ni->n", along, along), 1e-300), 0.0, 1.0)
        away = np.linalg.norm(points - facets[:, i] - share[:, None] * along, axis=1)
        nearer = away < best
        best = np.where(nearer, away, best)
        place = np.where(nearer[:, None], CORNERS[i] + share[:, None] * (CORNERS[j] - CORNERS[i]), place)
        kind = np.where(share <= 0.0, i, np.where(share >= 1.0, j, 3 + k))
        feature = np.where(nearer, kind, feature)
    return place, feature


def _curved(points: NDArray, facets: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """On curved triangles: the nearest of four flat parts, then Newton's method on the face, else on an edge."""
    parts = [_flat(points, facets[:, corners])[0] for corners in _SIXTH]
    places = [
        np.einsum("na,ai->ni", triangle.shape(np, 3, at), _SIX_PLACES[corners])
        for at, corners in zip(parts, _SIXTH, strict=True)
    ]
    away = [np.linalg.norm(points - _point(facets, at), axis=1) for at in places]
    start = np.stack(places)[np.argmin(away, axis=0), np.arange(len(points))]
    identity = np.broadcast_to(np.eye(2), (len(points), 2, 2))
    place = _newton(points, facets, start, identity)
    inside = (place >= -1e-12).all(axis=1) & (place.sum(axis=1) <= 1 + 1e-12)
    best = np.where(inside, np.linalg.norm(points - _point(facets, place), axis=1), np.inf)
    feature = np.full(len(points), FACE)
    for k, (i, j) in enumerate(triangle.CORNER_EDGES):
        along = CORNERS[j] - CORNERS[i]
        share = np.clip((start - CORNERS[i]) @ along / (along @ along), 0.0, 1.0)
        at = _newton(points, facets, CORNERS[i] + share[:, None] * along, edge_basis(k, len(points)))
        share = np.clip((at - CORNERS[i]) @ along / (along @ along), 0.0, 1.0)
        at = CORNERS[i] + share[:, None] * along
        off = np.linalg.norm(points - _point(facets, at), axis=1)
        nearer = (off < best) & ~inside
        best, place = np.where(nearer, off, best), np.where(nearer[:, None], at, place)
        feature = np.where(nearer, np.where(share <= 0.0, i, np.where(share >= 1.0, j, 3 + k)), feature)
    return place, feature


def edge_basis(edge: int, count: int) -> NDArray[np.float64]:
    """(count, 2, 2): first column along the edge after a corner, second zero."""
    i, j = triangle.CORNER_EDGES[edge]
    return np.broadcast_to(np.stack([CORNERS[j] - CORNERS[i], np.zeros(2)], axis=1), (count, 2, 2))


def feature_basis(feature: NDArray) -> NDArray[np.float64]:
    """(n, 2, 2): along which directions the nearest point may move on its feature."""
    table = np.zeros((7, 2, 2))
    for edge in range(3):
        table[3 + edge] = edge_basis(edge, 1)[0]
    table[FACE] = np.eye(2)
    return table[feature]


def _point(facets: NDArray, place: NDArray) -> NDArray[np.float64]:
    return np.einsum("na,nai->ni", triangle.shape(np, facets.shape[1], place), facets)


def _newton(points: NDArray, facets: NDArray, place: NDArray, basis: NDArray) -> NDArray[np.float64]:
    """The foot of the perpendicular on a curved triangle, within the directions of a basis."""
    idle = np.eye(2) * (np.abs(basis).sum(axis=1) == 0)[:, None, :]
    for _ in range(NEWTON_STEPS):
        off = points - _point(facets, place)
        along = np.einsum("nad,nai->ndi", triangle.slope(np, facets.shape[1], place), facets)
        bend = np.einsum("adf,nai->ndfi", np.array(triangle.CURVATURE_6), facets)
        matrix = np.einsum("ndi,nfi->ndf", along, along) - np.einsum("ndfi,ni->ndf", bend, off)
        steep = np.swapaxes(basis, 1, 2) @ matrix @ basis + idle
        right = np.einsum("ndi,ni->nd", along, off)
        step = np.linalg.solve(steep + 1e-300 * np.eye(2), np.einsum("ndk,nd->nk", basis, right)[..., None])[..., 0]
        place = np.clip(place + np.clip(np.einsum("ndk,nk->nd", basis, step), -0.5, 0.5), -0.5, 1.5)
    return place
