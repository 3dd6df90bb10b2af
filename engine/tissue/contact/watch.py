"""Whether bodies have passed through each other between two states, each of which is in balance.

A tissue's point knows what is within its reach; one that got further in has no force on it. What gets through a rigid
body is followed by `way_through`; a body that gets through itself is seen from its surface (`own_crossing`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..facets import solid_faces
from ..floating import assemblies
from ..model import MM, Model
from ..problem import Problem
from .look import Look, surface_points
from .own_crossing import OwnCrossing
from .rigid import RigidContact
from .surface_distance import signed_distance
from .tissue import TissueContact
from .way_through import Ways


class Solid(NamedTuple):
    """One body: its nodes as a mask, and the triangles (n, 3) around it, normals outward."""

    nodes: NDArray[np.bool_]
    triangles: NDArray[np.int64]


class Watch:
    """Looks at the surfaces of a problem's contacts, state after state."""

    def __init__(self, problem: Problem) -> None:
        self.contacts = [c for c in problem.contacts if isinstance(c, (RigidContact, TissueContact))]
        self.model = problem.model
        self._solids: list[Solid] | None = None
        self._inside: dict[tuple[int, int], NDArray[np.bool_]] = {}
        self._own: dict[tuple[int, int], OwnCrossing] = {}
        self._ways: dict[int, Ways] = {}

    def passed(self, before: tuple[float, Any], after: tuple[float, Any]) -> str:
        """Where a body has passed through another between two load fractions and displacements; "" where none has."""
        if not self.contacts:
            return ""
        start, end = ((at, np.asarray(rows)[: self.model.nodes]) for at, rows in (before, after))
        ways: dict[int, Ways] = {}
        for index, contact in enumerate(self.contacts):
            if isinstance(contact, RigidContact):
                known = self._ways.get(index) or Ways.begun(self.model, contact, *start)
                ways[index], place = known.on(self.model, contact, *end)
            else:
                place = self._sunk(index, contact, start[1], end[1])
            if place is not None:
                return f"{contact.label}, at {np.round(place / MM, 2)} mm"
        self._ways = ways
        return ""

    def _sunk(self, index: int, contact: TissueContact, start: NDArray, end: NDArray) -> NDArray | None:
        """Place of a point that is deeper in the other body than it looks, and was not so at first."""
        for side, look in enumerate(contact.bind(self.model)):
            key = (index, side)
            sight = self._own.get(key) or self._sight(look)
            if sight is None:
                continue
            if isinstance(sight, OwnCrossing):
                self._own[key] = sight
            if key not in self._inside:
                self._inside[key] = sight.lost(start)
            found = sight.lost(end) & ~self._inside[key]
            if found.any():
                return sight.places(end)[int(np.argmax(found))]
        return None

    def _sight(self, look: Look) -> Across | OwnCrossing | None:
        """How what has passed is told: of the body that carries the facets that are met, another one or the same."""
        if self._solids is None:
            self._solids = solids(self.model)
        for solid in self._solids:
            if solid.nodes[look.master.facets].all():
                if not solid.nodes[look.slave.faces].any():
                    return Across(look, solid)
                return OwnCrossing(look, solid.triangles) if _closed(solid.triangles) else None
        return None


class Across(NamedTuple):
    """Points that look for another body: lost where they are further inside it than they can look."""

    look: Look
    solid: Solid

    def lost(self, displacement: NDArray) -> NDArray[np.bool_]:
        """Of each point, at a displacement (nodes, 3) [m]."""
        return deeper(self.look, self.solid, displacement)

    def places(self, displacement: NDArray) -> NDArray[np.float64]:
        """Of the points (n, 3) [m]."""
        place = np.asarray(self.look.points) + displacement
        return surface_points(self.look.slave, place, self.look.facet, self.look.rule)[0]


def solids(model: Model) -> list[Solid]:
    """The bodies of a model with the surface around each."""
    triangles = np.concatenate([_outside(model, 3), *(_outside(model, 4)[:, pick] for pick in ([0, 1, 2], [0, 2, 3]))])
    found = []
    for parts in assemblies(model):
        mine = np.zeros(len(model.points), bool)
        mine[np.concatenate(parts)] = True
        found.append(Solid(mine, triangles[mine[triangles].all(axis=1)]))
    return found


def _closed(triangles: NDArray) -> bool:
    """Whether as many run along each edge one way as the other; else there is no inside, as where sheets hang on it."""
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).astype(np.int64)
    count = int(ends.max(initial=0)) + 1
    there, back = (np.sort(ends[:, k] * count + ends[:, 1 - k]) for k in (0, 1))
    return len(triangles) > 0 and bool((there == back).all())


def _outside(model: Model, corners: int) -> NDArray[np.int64]:
    """Faces (n, corners) of solids that belong to one element only, normals outward."""
    faces = solid_faces(model, corners, np.arange(len(model.points)))
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    return faces[first[count == 1]]


def deeper(look: Look, solid: Solid, displacement: NDArray) -> NDArray[np.bool_]:
    """Which points that look are further inside a body than they can look, at a displacement (nodes, 3) [m]."""
    place = np.asarray(look.points) + displacement
    point, _ = surface_points(look.slave, place, look.facet, look.rule)
    found, around = np.zeros(len(point), bool), place[solid.nodes]
    within = (point > around.min(axis=0) + look.reach) & (point < around.max(axis=0) - look.reach)
    chosen = np.flatnonzero(within.all(axis=1))
    if chosen.size == 0:
        return found
    try:
        found[chosen] = signed_distance(place, solid.triangles, point[chosen]) < -look.reach
    except SolverError:  # no closed surface, as where sheets and strands hang on it: it has no inside
        return found
    return found
