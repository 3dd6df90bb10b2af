"""Gmsh files (.msh) of version 2 or 4, read by meshio, with their physical groups."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..imaging.errors import MeshError
from .file_mesh import FileMesh, damaged, unsupported_cells
from .gmsh_scan import Groups, check_version_2, check_version_4, sections_of
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
        MeshError: the file is damaged, partitioned, has nodes with parameters, or cells of other kinds.
    """
    sections = sections_of(path)
    try:
        found, groups = _read(sections, path)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise damaged(str(error), path) from error
    refused: Counter[str] = Counter()
    for block in found.cells:
        if block.type not in KINDS and not block.type.startswith(("vertex", "line")):
            refused[block.type] += len(block.data)
    if refused:
        raise unsupported_cells(refused, path)
    blocks = [Block(KINDS.get(block.type), np.asarray(block.data, np.int64)) for block in found.cells]
    names = _names(sections.get("PhysicalNames", b""))
    return assembled(np.asarray(found.points, np.float64), blocks, _groups(found, groups, names), {})


def _read(sections: dict[str, bytes], path: Path) -> tuple[Any, Groups]:
    """What meshio makes of it, and the physical groups of each element in the order of its blocks."""
    version, binary = sections["MeshFormat"].split()[:2]
    if version == b"4.0":
        return _tagged(_parsed(path, path))
    four = check_version_4(sections, binary != b"0", path) if version.startswith(b"4") else None
    two = check_version_2(sections, path) if four is None and binary == b"0" else None
    if two is not None:  # meshio counts the tags of elements without any as those of the next
        padded = re.sub(
            rb"^([ \t]*\d+[ \t]+\d+[ \t]+)0[ \t]", rb"\g<1>2 0 0 ", sections["Elements"], flags=re.MULTILINE
        )
        sections = {**sections, "Elements": padded}
    with TemporaryDirectory() as folder:
        # meshio stops at some of the other sections, which are read here or not wanted.
        copy = Path(folder) / "mesh.msh"
        copy.write_bytes(b"".join(b"$%s\n%s$End%s\n" % (name.encode(), sections[name], name.encode())
                                  for name in ("MeshFormat", "Nodes", "Elements")))  # fmt: skip
        found = _parsed(copy, path)
    if four is not None:
        blocks = zip(found.cells, found.cell_data["gmsh:geometrical"], strict=True)
        own = [
            (four.get((_dimension(b.type), int(tags[0])), frozenset()), len(tags)) for b, tags in blocks if len(tags)
        ]
        return found, [tags for tags, count in own for _ in range(count)]
    if two is None:
        return _tagged(found)
    widths = [block.data.shape[1] for block in found.cells for _ in block.data]
    if widths != two[1]:
        raise ValueError("an element has not as many nodes as its type")
    return found, two[0]


def _tagged(found: Any) -> tuple[Any, Groups]:
    """meshio's own tags, where nothing else is known."""
    tags = found.cell_data.get("gmsh:physical", [np.zeros(len(block.data), int) for block in found.cells])
    return found, [frozenset({abs(int(tag))} - {0}) for own in tags for tag in own]


def _parsed(copy: Path, path: Path) -> Any:
    import meshio

    try:
        found = meshio.gmsh.read(str(copy))
    except Exception as error:  # its parsers raise whatever they meet
        reason = f"{type(error).__name__}: {error}".rstrip(": \n").split("\n")[0]
        raise MeshError(f"the file is damaged or of a kind that is not read ({reason})", where=str(path),
                        advice="Export the mesh again") from error  # fmt: skip
    if found.points.ndim != 2 or found.points.shape[1] != 3:
        raise MeshError("the file's points have no three coordinates", where=str(path), advice="Export a solid mesh")
    return found


def _names(section: bytes) -> dict[tuple[int, int], str]:
    """(dimension, tag) → name: meshio keeps one of two groups of one name."""
    rows = re.findall(rb'^\s*(\d+)\s+(\d+)\s+"(.*)"\s*$', section, re.MULTILINE)
    return {(int(dimension), int(tag)): name.decode("utf-8", "replace") for dimension, tag, name in rows}


def _groups(found: Any, own: Groups, names: dict[tuple[int, int], str]) -> list[Group]:
    """Groups by dimension and tag, those with names first and in the file's order."""
    rows: dict[tuple[int, int], dict[int, np.ndarray]] = {}
    start = 0
    for b, block in enumerate(found.cells):
        tags = own[start : start + len(block.data)]
        start += len(block.data)
        for tag in frozenset().union(*set(tags)):
            chosen = np.flatnonzero([tag in each for each in tags])
            rows.setdefault((_dimension(block.type), tag), {})[b] = chosen
    keys = [*(key for key in names if key in rows), *sorted(rows.keys() - names.keys())]
    return [Group(names.get(key, _UNNAMED[key[0]].format(key[1])), key[1], rows[key]) for key in keys]


def _dimension(block_type: str) -> int:
    return _DIMENSION.get(KINDS.get(block_type, ""), 0 if block_type == "vertex" else 1)
