"""Gmsh and Abaqus files, read by meshio, with the sets that the file names.

A group of solids is a region (where several hold a cell, the smallest of them), a group of triangles or quadrangles a
facet set; groups of lines and points and Abaqus' node sets are node sets. Of elements with nodes on their edges the
corners are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .file_mesh import CORNERS, FileMesh

KINDS = {
    "triangle": "triangle", "triangle6": "triangle", "triangle7": "triangle",
    "quad": "quad", "quad8": "quad", "quad9": "quad",
    "tetra": "tetrahedron", "tetra10": "tetrahedron",
    "hexahedron": "hexahedron", "hexahedron20": "hexahedron", "hexahedron27": "hexahedron",
}  # fmt: skip
SOLIDS = ("tetrahedron", "hexahedron")
DIMENSION = {"triangle": 2, "quad": 2, "tetrahedron": 3, "hexahedron": 3}


class Group(NamedTuple):
    """A named set of cells: kind (None for lines and points) → rows of `cells` of the file's blocks, put together."""

    name: str
    number: int
    members: dict[str | None, NDArray[np.int64]]


def read_named(path: Path) -> FileMesh:
    """The mesh of a .msh file of version 2 or 4 (ASCII or binary) or of an .inp file, with its sets.

    Raises:
        MeshError: the file is damaged.
    """
    found = _parsed(path)
    rows, cells = _distinct(found)
    groups = list(_groups(found, rows))
    nodes = {name: np.asarray(members, np.int64) for name, members in found.point_sets.items()}
    nodes |= {g.name: g.members[None] for g in groups if g.members.keys() == {None}}
    facets = {}
    for group in groups:
        sides = {kind: cells[kind][own] for kind, own in group.members.items() if kind and kind not in SOLIDS}
        if sides and not any(kind in SOLIDS for kind in group.members):
            facets[group.name] = sides
    solid = [g for g in groups if any(kind in SOLIDS for kind in g.members)]
    regions, names = _regions(solid, cells)
    # Abaqus files list the nodes of a set of cells under the cells' own name, too.
    taken = {*facets, *names.values(), *(g.name for g in solid)}
    nodes = {name: members for name, members in nodes.items() if name not in taken and len(members)}
    return FileMesh(np.asarray(found.points, np.float64), cells, regions, names, facets, nodes)


def _parsed(path: Path) -> Any:
    import meshio

    read = meshio.abaqus.read if path.suffix.lower() == ".inp" else meshio.gmsh.read
    try:
        found = read(str(path))
    except Exception as error:  # its parsers raise whatever they meet
        reason = f"{type(error).__name__}: {error}".rstrip(": \n").split("\n")[0]
        raise MeshError(f"the file is damaged or of another format ({reason})", where=str(path),
                        advice="Export the mesh again") from error  # fmt: skip
    if found.points.ndim != 2 or found.points.shape[1] != 3:
        raise MeshError("the file's points have no three coordinates", where=str(path), advice="Export a solid mesh")
    return found


def _distinct(found: Any) -> tuple[list[NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
    """Rows of each block's cells, and the cells, each once: version 2 of Gmsh repeats what is in several groups."""
    rows: list[NDArray[np.int64]] = [np.empty(0, np.int64) for _ in found.cells]
    cells: dict[str, NDArray[np.int64]] = {}
    for kind, corners in CORNERS.items():
        blocks = [b for b, block in enumerate(found.cells) if KINDS.get(block.type) == kind]
        if not blocks:
            continue
        every = np.concatenate([np.asarray(found.cells[b].data, np.int64)[:, :corners] for b in blocks])
        _, first, inverse = np.unique(np.sort(every, axis=1), axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        cells[kind] = every[first[order]]
        place = np.argsort(order)[inverse.ravel()]
        ends = np.cumsum([len(found.cells[b].data) for b in blocks])
        for b, own in zip(blocks, np.split(place, ends[:-1]), strict=True):
            rows[b] = own
    return rows, cells


def _groups(found: Any, rows: list[NDArray[np.int64]]) -> Iterator[Group]:
    """The sets of cells that the file names, and Gmsh's numbered ones without a name."""
    numbers = {(int(value[0]), int(value[1])): name for name, value in found.field_data.items()}
    used = {number for number, _ in numbers}
    given = {name: chosen for name, chosen in found.cell_sets.items() if not name.startswith("gmsh:")}
    for name, chosen in given.items():
        number = int(found.field_data[name][0]) if name in found.field_data else max(used, default=0) + 1
        used.add(number)
        picked = [np.asarray(block if block is not None else [], np.int64) for block in chosen]
        yield Group(name, number, _members(found, rows, picked))
    physical = found.cell_data.get("gmsh:physical", [])
    tags = {
        (int(tag), _dimension(block.type))
        for block, own in zip(found.cells, physical, strict=False)
        for tag in np.unique(own)
    }
    for tag, dimension in sorted(tags):
        name = numbers.get((tag, dimension), "" if dimension == 3 else f"group_{tag}")
        if tag == 0 or name in given:
            continue
        picked = [
            np.flatnonzero(own == tag) if _dimension(block.type) == dimension else np.empty(0, np.int64)
            for block, own in zip(found.cells, physical, strict=True)
        ]
        yield Group(name, tag, _members(found, rows, picked))


def _members(
    found: Any, rows: list[NDArray[np.int64]], picked: list[NDArray[np.int64]]
) -> dict[str | None, NDArray[np.int64]]:
    members: dict[str | None, list[NDArray[np.int64]]] = {}
    for block, own, chosen in zip(found.cells, rows, picked, strict=True):
        if len(chosen):
            kind = KINDS.get(block.type)
            members.setdefault(kind, []).append(
                own[chosen] if kind else np.asarray(block.data, np.int64)[chosen].ravel()
            )
    return {kind: np.unique(np.concatenate(parts)) for kind, parts in members.items()}


def _regions(
    groups: list[Group], cells: dict[str, NDArray[np.int64]]
) -> tuple[dict[str, NDArray[np.int64]], dict[int, str]]:
    """Id of each solid's region, 0 where it is in no group, and the names of those that are left."""
    if not groups:
        return {}, {}
    regions = {kind: np.zeros(len(cells[kind]), np.int64) for kind in SOLIDS if kind in cells}
    # The largest first, painted over by smaller ones; of two alike the one that the file names first lasts.
    for group in sorted(groups, key=lambda g: sum(len(g.members.get(kind, ())) for kind in SOLIDS))[::-1]:
        for kind in regions:
            regions[kind][group.members.get(kind, np.empty(0, np.int64))] = group.number
    present = set(np.unique(np.concatenate(list(regions.values()))).tolist())
    return regions, {g.number: g.name for g in groups if g.number in present and g.name}


def _dimension(block_type: str) -> int:
    return DIMENSION.get(KINDS.get(block_type, ""), 0 if block_type == "vertex" else 1)
