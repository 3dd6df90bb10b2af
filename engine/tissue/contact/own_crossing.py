"""Whether points of a body's surface have gone through that body itself: from one state, whatever the way there.

A surface that crosses itself nowhere has not. Elsewhere a point lies in its own body where a ray from just above it
leaves the surface more often than it enters it. Lost is one that does, further than its reach from all that it can
have come through; and one that is felt as half of that behind a facet, but lies outside again: it has come out of the
back of something thin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from . import triangle
from .closest import FACE, closest
from .crossing_surface import buried, crossed, neighbours
from .look import Look, surface_points
from .passing import STRIDE_SHARE, signed_gap
from .rule import refined
from .search import candidates, search

LIFT = 1e-4
"""Over the reach: how far above a flat surface is looked from; above a curved one also what it bulges."""
CLOSER = 2
"""As many times closer than the contact's points lie those that are followed."""
ALIKE = 0.5
"""Cosine of the angle up to which facets face the same way: one no point can have come in through."""


class OwnCrossing:
    """Points that look for facets of their own body, whose closed surface is `triangles` (n, 3), normals outward."""

    def __init__(self, look: Look, triangles: NDArray) -> None:
        self.look, self.triangles, self.rule = look, triangles, refined(look.rule, CLOSER)
        self.face = on_faces(triangles, look.slave.faces)
        self.beside = neighbours(triangles)

    def lost(self, displacement: NDArray) -> NDArray[np.bool_]:
        """Of each point, at a displacement (nodes, 3) [m]."""
        found = np.zeros(len(self.look.slave.faces) * len(self.rule.weights), bool)
        chosen = self._suspects(np.asarray(self.look.points) + displacement)
        if chosen.size:
            found[chosen] = self._lost(chosen, displacement)
        return found

    def places(self, displacement: NDArray) -> NDArray[np.float64]:
        """Of the points (n, 3) [m]."""
        return self._at(displacement)[1]

    def _suspects(self, place: NDArray) -> NDArray[np.int64]:
        """Points of facets off the main part of the surface, as the lines along which it crosses itself divide it.

        A point is in the body with all of the part it lies on, so that of most no ray need be followed.
        """
        cut = crossed(place, self.triangles)
        if not cut.any():
            return np.zeros(0, np.int64)
        kept = self.beside[~cut[self.beside].any(axis=1)]
        count = len(self.triangles)
        links = sparse.csr_matrix((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), (count, count))
        _, part = connected_components(links, directed=False)
        main = np.argmax(np.bincount(part[~cut])) if not cut.all() else -1
        faces = np.unique(self.face[(cut | (part != main)) & (self.face >= 0)])
        return (faces[:, None] * len(self.rule.weights) + np.arange(len(self.rule.weights))).ravel()

    def _lost(self, chosen: NDArray, displacement: NDArray) -> NDArray[np.bool_]:
        place, point, normal = self._at(displacement)
        point, normal, reach = point[chosen], normal[chosen], self.look.reach
        lift = LIFT * reach + self._bulge(place)[chosen]
        inside, own = buried(point + lift[:, None] * normal, place[self.triangles]), self._around(chosen)
        found = inside & ~self._near(point, normal, place, own)
        met = search(point, normal, self.look.master, place, reach, own)
        if len(met.point):
            gap, _ = signed_gap(met, point, self.look.master, place)
            behind = (met.near.feature == FACE) & (gap < -STRIDE_SHARE * reach)
            found[met.point[behind & ~inside[met.point]]] = True
        return found

    def _at(self, displacement: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        place = np.asarray(self.look.points) + displacement
        return place, *surface_points(self.look.slave, place, self.look.facet, self.rule)

    def _bulge(self, place: NDArray) -> NDArray[np.float64]:
        """How far each point may lie off flat triangles through the corners of its facet [m]."""
        nodes = place[self.look.slave.faces]
        off = np.zeros((len(nodes), 1, 3))
        if nodes.shape[1] == 6:
            off = nodes[:, 3:] - 0.5 * (nodes[:, :3] + nodes[:, [1, 2, 0]])
        elif nodes.shape[1] == 4:
            off = 0.5 * (nodes[:, [0]] + nodes[:, [2]] - nodes[:, [1]] - nodes[:, [3]])
        return np.repeat(np.linalg.norm(off, axis=2).max(axis=1), len(self.rule.weights))

    def _near(self, point: NDArray, normal: NDArray, place: NDArray, own: NDArray) -> NDArray[np.bool_]:
        """Which points have a facet within reach that they can have come in through."""
        surface, corners = self.look.master, place[self.look.master.facets]
        row, facet = candidates(point, triangle.corners(corners), self.look.reach)
        alike = np.einsum("ni,ni->n", normal[row], surface.normals(place).facet[facet]) > ALIKE
        kept = ~alike & ~np.isin(row * len(corners) + facet, own)
        row, facet = row[kept], facet[kept]
        found = np.zeros(len(point), bool)
        found[row[closest(point[row], corners[facet]).distance <= self.look.reach]] = True
        return found

    def _around(self, chosen: NDArray) -> NDArray[np.int64]:
        """Keys row × facets + facet of what surrounds points at rest: neighbours, and the back of a thin wall."""
        look, surface = self.look, self.look.master
        place, point, normal = self._at(np.zeros((len(look.points), 3)))
        point, normal, corners = point[chosen], normal[chosen], place[surface.facets]
        row, facet = candidates(point, triangle.corners(corners), 2.0 * look.reach)
        near, outward = closest(point[row], corners[facet]), surface.normals(place).facet[facet]
        alike = np.einsum("ni,ni->n", normal[row], outward) > ALIKE
        behind = np.einsum("ni,ni->n", point[row] - near.point, outward) <= 0.0
        faces = look.slave.faces[chosen[row] // len(self.rule.weights)]
        shares = (faces[:, :, None] == surface.facets[facet][:, None]).any(axis=(1, 2))
        own = shares | ((near.distance <= 2.0 * look.reach) & (alike | behind))
        return np.sort((row * len(corners) + facet)[own])


def on_faces(triangles: NDArray, faces: NDArray) -> NDArray[np.int64]:
    """On which of faces (m, 3, 4 or 6) each triangle (n, 3) lies, by their corners; −1 on none."""
    picks = ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]) if faces.shape[1] == 4 else ([0, 1, 2],)
    parts = np.sort(np.concatenate([faces[:, pick] for pick in picks]), axis=1)
    _, key = np.unique(np.concatenate([parts, np.sort(triangles, axis=1)]), axis=0, return_inverse=True)
    key = key.ravel()
    face = np.full(int(key.max(initial=-1)) + 1, -1)
    face[key[: len(parts)]] = np.tile(np.arange(len(faces)), len(picks))
    return face[key[len(parts) :]]
