"""Sets that a file names, put on the mesh that was read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .mesh import HEXAHEDRON_FACES, HexMesh, TetMesh
from .sets import all_facets

Mesh = TypeVar("Mesh", TetMesh, HexMesh)
Sets = Mapping[str, NDArray[np.integer]]


def with_file_sets(mesh: Mesh, facets: Sets, nodes: Sets, path: Path) -> Mesh:
    """The mesh with a file's sets beside its own.

    Facets turn their normals outward, between two regions out of the smaller one (by volume), inside one region as the
    file turns them. Sets that lie apart from the solids, such as a shell's, are left out, and so are nodes that no
    solid has.

    Args:
        mesh: what the file's solids became; its own sets stay.
        facets: name → (F, corners) nodes of the mesh, −1 where the mesh does not have it.
        nodes: name → (n,) of the same.
        path: of the file, for messages.

    Raises:
        MeshError: a set is only in part on the solids, or has the name of another that the mesh has.
    """
    sides, rank = _sides(mesh)
    placed: dict[str, NDArray[np.int32]] = {}
    for name, group in facets.items():
        found = _found(sides, np.asarray(group, np.int64))
        missing = int((found < 0).sum())
        if missing == len(group):
            continue
        if missing:
            raise no_sides(name, missing, len(group), path)
        placed[name] = _turned(sides, rank, np.asarray(group, np.int64))
    points = {name: np.unique(group[group >= 0]).astype(np.int32) for name, group in nodes.items()}
    points = {name: group for name, group in points.items() if len(group)}
    for name in {*placed, *points} & {*mesh.facet_sets, *mesh.node_sets}:
        own = mesh.facet_sets.get(name, np.empty((0, 0), np.int32))
        if name in placed and np.array_equal(_keys(own), _keys(placed[name])):
            continue
        raise MeshError(f"set {name!r} has the name of another set of the mesh", where=str(path),
                        advice="Give it another name in the file")  # fmt: skip
    return replace(mesh, facet_sets={**mesh.facet_sets, **placed}, node_sets={**mesh.node_sets, **points})


def no_sides(name: str, missing: int, count: int, path: Path) -> MeshError:
    """The error of a set of which some facets are on the solids and some are not."""
    return MeshError(f"{missing} of the {count} facets of set {name!r} are no side of a solid",
                     where=str(path), advice="Export facets and solids from one mesh")  # fmt: skip


def _sides(mesh: TetMesh | HexMesh) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All (S, corners) sides of all solids, normals out of their own, and (S,) how its region ranks by volume."""
    if isinstance(mesh, TetMesh):
        sides, owner, _ = all_facets(mesh.tetrahedra)
    else:
        sides = mesh.hexahedra[:, HEXAHEDRON_FACES].reshape(-1, 4)
        owner = np.repeat(np.arange(len(mesh.hexahedra)), len(HEXAHEDRON_FACES))
    ids, which = np.unique(mesh.region, return_inverse=True)
    size = np.bincount(which.ravel(), weights=mesh.volumes, minlength=len(ids))
    # Of equal volumes, which round-off makes differ, the smaller id comes first.
    rank = np.argsort(np.argsort(np.round(size / size.sum(), 9), kind="stable"))
    return sides.astype(np.int64), rank[which.ravel()][owner]


def _found(sides: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """(F,) the first row of `sides` with the nodes of each facet, or −1."""
    if group.shape[1] != sides.shape[1]:
        return np.full(len(group), -1)
    distinct, first = np.unique(np.sort(sides, axis=1), axis=0, return_index=True)
    both = np.concatenate([distinct, np.sort(group, axis=1)])
    _, start, inverse = np.unique(both, axis=0, return_index=True, return_inverse=True)
    at = start[inverse.ravel()[len(distinct) :]]
    return np.where(at < len(distinct), first[np.minimum(at, len(distinct) - 1)], -1)


def _turned(sides: NDArray[np.int64], rank: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int32]:
    """(F, corners) the sides with a group's nodes, each as the smaller of the regions at it has it, or as the group."""
    wanted, first = np.unique(np.sort(group, axis=1), axis=0, return_index=True)
    rows = np.flatnonzero(_found(wanted, sides) >= 0)  # once on the boundary, twice inside
    like = _found(wanted, sides[rows])
    against = _turn(sides[rows]) != _turn(group[first[like]])
    order = np.lexsort((rows, against, rank[rows], like))
    _, first = np.unique(like[order], return_index=True)
    return sides[np.sort(rows[order][first])].astype(np.int32)


def _turn(facets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(F,) which way round a facet goes from its lowest node: to the lower of that one's two neighbours or not."""
    each = np.arange(len(facets))
    lowest = facets.argmin(axis=1)
    corners = facets.shape[1]
    return facets[each, (lowest + 1) % corners] < facets[each, lowest - 1]


def _keys(facets: NDArray[np.integer]) -> NDArray[np.integer]:
    return np.unique(np.sort(facets, axis=1), axis=0)
