"""Gmsh files (.msh) of version 2 or 4, read by meshio, with their physical groups."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ..imaging.errors import MeshError
from .file_mesh import FileMesh, damaged, unsupported_cells
from .named_formats import Block, Group, assembled

KINDS = {
    "triangle": "triangle", "triangle6": "triangle", "triangle7": "triangle",
    "quad": "quad", "quad8": "quad", "quad9": "quad",
    "tetra": "tetrahedron", "tetra10": "tetrahedron",
    "hexahedron": "hexahedron", "hexahedron20": "hexahedron", "hexahedron27": "hexahedron",
}  # fmt: skip
_DIMENSION = {"triangle": 2, "quad": 2, "tetrahedron": 3, "hexahedron": 3}
_UNNAMED = ("physical_point_{}", "physical_curve_{}", "physical_surface_{}", "")


def read_msh(path: Path) -> FileMesh:
    """The mesh of a .msh file of version 2 or 4, ASCII or binary, with its groups.

    A group without a name is called physical_surface_7, physical_curve_7 or physical_point_7 after its number.

    Raises:
        MeshError: the file is damaged, or holds cells of other kinds.
    """
    data = path.read_bytes()
    for section in (b"Nodes", b"Elements"):
        if b"$End" + section not in data:
            raise damaged(f"it has no $End{section.decode()}, so it was cut off", path)
    found = _parsed(path)
    lines = ("vertex", "line")
    refused: Counter[str] = Counter()
    for block in found.cells:
        if block.type not in KINDS and not block.type.startswith(lines):
            refused[block.type] += len(block.data)
    if refused:
        raise unsupported_cells(refused, path)
    blocks = [Block(KINDS.get(block.type), np.asarray(block.data, np.int64)) for block in found.cells]
    return assembled(np.asarray(found.points, np.float64), blocks, _groups(found, _names(data)), {})


def _parsed(path: Path) -> Any:
    import meshio

    try:
        found = meshio.gmsh.read(str(path))
    except Exception as error:  # its parsers raise whatever they meet
        reason = f"{type(error).__name__}: {error}".rstrip(": \n").split("\n")[0]
        raise MeshError(f"the file is damaged or of a kind that is not read ({reason})", where=str(path),
                        advice="Export the mesh again") from error  # fmt: skip
    if found.points.ndim != 2 or found.points.shape[1] != 3:
        raise MeshError("the file's points have no three coordinates", where=str(path), advice="Export a solid mesh")
    return found


def _names(data: bytes) -> dict[tuple[int, int], str]:
    """(dimension, tag) → name: meshio keeps one of two groups of one name."""
    section = re.search(rb"\$PhysicalNames(.*?)\$EndPhysicalNames", data, re.DOTALL)
    rows = re.findall(rb'^\s*(\d+)\s+(\d+)\s+"(.*)"\s*$', section[1] if section else b"", re.MULTILINE)
    return {(int(dimension), int(tag)): name.decode("utf-8", "replace") for dimension, tag, name in rows}


def _groups(found: Any, names: dict[tuple[int, int], str]) -> list[Group]:
    """Groups by dimension and tag: of a block the tags of its cells, and the sets that meshio makes of version 4."""
    rows: dict[tuple[int, int], dict[int, np.ndarray]] = {}
    for b, (block, tags) in enumerate(zip(found.cells, found.cell_data.get("gmsh:physical", []), strict=False)):
        dimension = _DIMENSION.get(KINDS.get(block.type, ""), 0 if block.type == "vertex" else 1)
        for tag in set(np.asarray(tags).tolist()) - {0}:
            rows.setdefault((dimension, tag), {})[b] = np.flatnonzero(tags == tag)
    several = Counter(names.values())
    for name, (tag, dimension) in found.field_data.items():
        # A cell in several groups of version 4 has the tag of one of them only.
        if name in found.cell_sets and several[name] == 1:
            chosen = {b: np.asarray(own, np.int64) for b, own in enumerate(found.cell_sets[name]) if own is not None}
            rows[(int(dimension), int(tag))] = {b: own for b, own in chosen.items() if len(own)}
    keys = [*(key for key in names if key in rows), *sorted(rows.keys() - names.keys())]
    return [Group(names.get(key, _UNNAMED[key[0]].format(key[1])), key[1], rows[key]) for key in keys]
