"""Abaqus input files (.inp): nodes, elements, and sets of them.

A file is flat, or has one part and one instance of it, as Abaqus/CAE writes them: its translation is applied, and nodes
and sets of the assembly come along. Sets of elements are read as `named_formats` tells. Four things are Abaqus' own:

* A set that *ELSET makes comes before one that an *ELEMENT block names, where both hold the same.
* A set of nodes with the name of a set of elements is left out where it holds their nodes and nothing else. Where it
  holds only some of a set of solids (CAE writes both for a face or an edge), the nodes are read and the solids are not
  a region.
* Sets marked INTERNAL are CAE's own and left out. *SURFACE is not read.
* A set of the part is called `part.set` where the assembly has another one of its name.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .abaqus_cards import read_cards
from .abaqus_model import AbaqusModel
from .file_mesh import SOLIDS, FileMesh, unsupported_cells
from .named_formats import Block, Group, assembled


def read_inp(path: Path) -> FileMesh:
    """The mesh of an Abaqus input file, with its sets.

    A file that was cut off is found by what is then missing: the end of its last line, nodes of an element, a node or
    an element that something names, the end of a part, an assembly or a step. One that was cut exactly at the end of a
    line of elements or of a set, outside of such a block, cannot be told from a whole one.

    Raises:
        MeshError: the file is damaged, or holds what is not read: solids other than tetrahedra and hexahedra, several
            parts or instances, a rotated instance, *INCLUDE and keywords that generate nodes or elements.
    """
    model = AbaqusModel(path)
    for card in read_cards(path):
        model.add(card)
    if not model.points:
        raise MeshError("the file has no *NODE: it is no Abaqus input file", where=str(path))
    if refused := Counter(name for name, what in model.types if not what.known):
        raise unsupported_cells(refused, path)
    points = model.placed()
    blocks, place = _blocks(model)
    nodes = {name: np.array(sorted(found), np.int64) for name, found in model.sets("NSET").items()}
    groups: list[Group] = []
    for name, found in model.sets("ELSET").items():
        chosen = place[np.array(sorted(found), np.int64)]
        rows = {int(b): chosen[chosen[:, 0] == b, 1] for b in np.unique(chosen[:, 0])}
        used = np.unique(np.concatenate([blocks[b].cells[own].ravel() for b, own in rows.items()])) if rows else []
        if name in nodes and np.array_equal(nodes[name], used):
            del nodes[name]
        elif name in nodes and any(blocks[b].kind in SOLIDS for b in rows) and np.isin(nodes[name], used).all():
            continue
        groups.append(Group(name, len(groups) + 1, rows))
    return assembled(points, blocks, groups, nodes)


def _blocks(model: AbaqusModel) -> tuple[list[Block], NDArray[np.int64]]:
    """Cells by kind and number of nodes, and (elements, 2) block and row of each element."""
    order: dict[tuple[str | None, int], list[int]] = {}
    elements = model.elements()
    for e, (nodes, (_, what)) in enumerate(zip(elements, model.types, strict=True)):
        order.setdefault((what.kind, len(nodes)), []).append(e)
    place = np.zeros((len(elements), 2), np.int64)
    blocks: list[Block] = []
    for (kind, _), own in order.items():
        place[own, 0] = len(blocks)
        place[own, 1] = np.arange(len(own))
        blocks.append(Block(kind, np.array([elements[e] for e in own], np.int64)))
    return blocks, place
