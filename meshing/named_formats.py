"""What Gmsh and Abaqus files have in common: blocks of cells, and named groups of them, put together as one mesh.

A group of solids is a region (where several hold a cell, the smallest of them), a group of triangles or quadrangles a
facet set, one of lines and points a node set. Of elements with nodes on their edges the corners are taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .file_mesh import CORNERS, NO_REGION, SOLIDS, FileMesh


class Block(NamedTuple):
    """Cells of one kind (of `CORNERS`; None for lines and points): (m, k) indices of points, corners first."""

    kind: str | None
    cells: NDArray[np.int64]


class Group(NamedTuple):
    """A set of cells: rows of each block, the id of the region that it may be, and its name ("" for none)."""

    name: str
    number: int
    rows: Mapping[int, NDArray[np.int64]]


Members = dict[str | None, NDArray[np.int64]]


def assembled(
    points: NDArray[np.float64], blocks: Sequence[Block], groups: Sequence[Group], nodes: Mapping[str, NDArray]
) -> FileMesh:
    """One mesh of (n, 3) points and blocks of cells, each cell once, with the groups as regions and sets.

    Args:
        points: (n, 3).
        blocks: of all kinds.
        groups: of two regions that hold a cell and are alike in size, the first has it.
        nodes: named sets of nodes, beside those of lines and points.
    """
    places, cells = _distinct(blocks)
    members = [(group, _members(group, blocks, places)) for group in groups]
    facets = {
        group.name: {kind: cells[kind][own] for kind, own in of.items() if kind}
        for group, of in members
        if any(of) and not any(kind in SOLIDS for kind in of)
    }
    named = {group.name: of[None] for group, of in members if of.keys() == {None}}
    solid = [(group, of) for group, of in members if any(kind in SOLIDS for kind in of)]
    regions, names = _regions(solid, cells)
    return FileMesh(points, cells, regions, names, facets, {**nodes, **named})


def _distinct(blocks: Sequence[Block]) -> tuple[list[NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
    """Rows of each block's cells, and the cells, each once: version 2 of Gmsh repeats what is in several groups."""
    rows: list[NDArray[np.int64]] = [np.empty(0, np.int64) for _ in blocks]
    cells: dict[str, NDArray[np.int64]] = {}
    for kind, corners in CORNERS.items():
        own = [b for b, block in enumerate(blocks) if block.kind == kind]
        if not own:
            continue
        every = np.concatenate([blocks[b].cells[:, :corners] for b in own])
        _, first, inverse = np.unique(np.sort(every, axis=1), axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        cells[kind] = every[first[order]]
        place = np.argsort(order)[inverse.ravel()]
        ends = np.cumsum([len(blocks[b].cells) for b in own])
        for b, part in zip(own, np.split(place, ends[:-1]), strict=True):
            rows[b] = part
    return rows, cells


def _members(group: Group, blocks: Sequence[Block], places: list[NDArray[np.int64]]) -> Members:
    """Kind → rows of the mesh's cells; of lines and points (None) their nodes."""
    found: dict[str | None, list[NDArray[np.int64]]] = {}
    for b, chosen in group.rows.items():
        if len(chosen):
            kind, cells = blocks[b]
            found.setdefault(kind, []).append(places[b][chosen] if kind else cells[chosen].ravel())
    return {kind: np.unique(np.concatenate(parts)) for kind, parts in found.items()}


def _regions(
    groups: list[tuple[Group, Members]], cells: dict[str, NDArray[np.int64]]
) -> tuple[dict[str, NDArray[np.int64]], dict[int, str]]:
    """Id of each solid's region, and the names of those that are left."""
    if not groups:
        return {}, {}
    regions = {kind: np.full(len(cells[kind]), NO_REGION) for kind in SOLIDS if kind in cells}
    # The largest first, painted over by smaller ones; of two alike the first of the list lasts.
    for group, of in sorted(groups, key=lambda one: sum(len(one[1].get(kind, ())) for kind in SOLIDS))[::-1]:
        for kind, ids in regions.items():
            ids[of.get(kind, np.empty(0, np.int64))] = group.number
    present = set(np.unique(np.concatenate(list(regions.values()))).tolist())
    return regions, {group.number: group.name for group, _ in groups if group.number in present and group.name}
