"""Legacy VTK files and Gmsh's of version 1, parsed here because VTK's own reader crashes on damaged ones.

Each parser raises MeshError that names the file and what is wrong with it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .file_mesh import CORNERS, FileMesh, unsupported_cells

_TYPES = {
    "float": ">f4", "double": ">f8", "int": ">i4", "long": ">i8", "vtktypeint64": ">i8", "vtktypeint32": ">i4",
    "unsigned_int": ">u4", "vtkidtype": ">i8",
}  # fmt: skip
_VTK_KINDS = {5: "triangle", 9: "quad", 10: "tetrahedron", 12: "hexahedron"}
_VTK_LINES = {1, 2, 3, 4, 21}
_MSH_KINDS = {2: "triangle", 3: "quad", 4: "tetrahedron", 5: "hexahedron"}


def read_vtk(path: Path) -> FileMesh:
    """The mesh of a legacy .vtk PolyData or UnstructuredGrid, ASCII or binary."""
    reader = _VtkText(path)
    points = np.empty((0, 3))
    polygons: list[NDArray[np.int64]] = []
    types: NDArray[np.int64] | None = None
    known = False
    while (words := reader.line()) is not None:
        head = words[0].upper() if words else ""
        if head == "POINTS":
            points = reader.numbers(3 * int(words[1]), words[2]).reshape(-1, 3).astype(np.float64)
        elif head in ("POLYGONS", "CELLS"):
            known = True
            polygons = reader.cells(int(words[1]), int(words[2]))
        elif head == "CELL_TYPES":
            types = reader.numbers(int(words[1]), "int").astype(np.int64)
        elif head in ("POINT_DATA", "CELL_DATA"):
            break
    if not known:
        raise MeshError("the file holds no polygons or cells", where=str(path), advice="Export the mesh again")
    return FileMesh(points, _by_kind(polygons, types, path))


def read_msh1(path: Path) -> FileMesh:
    """The mesh of a Gmsh file of version 1, which `named_formats` does not read."""
    lines = path.read_text(encoding="ascii", errors="replace").split("\n")
    sections = {line.strip(): n for n, line in enumerate(lines) if line.startswith("$") and "End" not in line}
    nodes, elements = sections.get("$NOD"), sections.get("$ELM")
    if nodes is None or elements is None:
        raise MeshError("the file has no node or element section", where=str(path), advice="Save it as MSH 4")
    try:
        count = int(lines[nodes + 1])
        table = np.array([line.split() for line in lines[nodes + 2 : nodes + 2 + count]], dtype=np.float64)
        number = {int(tag): row for row, tag in enumerate(table[:, 0])}
        found: dict[str, list[list[int]]] = {}
        for line in lines[elements + 2 : elements + 2 + int(lines[elements + 1])]:
            values = [int(v) for v in line.split()]
            kind = _MSH_KINDS.get(values[1])
            if kind is not None:
                found.setdefault(kind, []).append([number[v] for v in values[5 : 5 + CORNERS[kind]]])
    except KeyError as error:
        raise MeshError(f"the file is damaged: a cell names node {error}, which it does not have", where=str(path),
                        advice="Export the mesh again") from error  # fmt: skip
    except (ValueError, IndexError) as error:
        raise MeshError(f"the file is damaged ({error})", where=str(path), advice="Export the mesh again") from error
    return FileMesh(table[:, 1:4], {kind: np.array(cells, dtype=np.int64) for kind, cells in found.items()})


def _by_kind(
    cells: list[NDArray[np.int64]], types: NDArray[np.int64] | None, path: Path
) -> dict[str, NDArray[np.int64]]:
    found: dict[str, list[NDArray[np.int64]]] = {}
    refused: Counter[str] = Counter()
    for place, cell in enumerate(cells):
        if types is None:
            # a polygon of any size is a fan of triangles
            found.setdefault("triangle", []).extend(cell[[0, i, i + 1]] for i in range(1, len(cell) - 1))
            continue
        kind = _VTK_KINDS.get(int(types[place])) if place < len(types) else None
        if kind is not None:
            if len(cell) != CORNERS[kind]:
                raise MeshError(f"cell {place} should be a {kind} but has {len(cell)} corners", where=str(path))
            found.setdefault(kind, []).append(cell)
        elif place < len(types) and int(types[place]) not in _VTK_LINES:
            refused[f"{types[place]} of VTK"] += 1
    if refused:
        raise unsupported_cells(refused, path)
    return {kind: np.array(group, dtype=np.int64) for kind, group in found.items()}


class _VtkText:
    """Reads lines of words and blocks of numbers from a legacy VTK file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path.read_bytes()
        self.place = 0
        header = [self._raw_line() for _ in range(3)]
        if not header[0].startswith(b"# vtk DataFile"):
            raise MeshError("this is not a legacy VTK file", where=str(path))
        self.binary = header[2].strip().upper() == b"BINARY"

    def _raw_line(self) -> bytes:
        stop = self.data.find(b"\n", self.place)
        stop = len(self.data) if stop < 0 else stop
        line, self.place = self.data[self.place : stop], stop + 1
        return line

    def line(self) -> list[str] | None:
        """The words of the next line that is not empty; None at the end."""
        while self.place < len(self.data):
            words = self._raw_line().split()
            if words:
                return [w.decode("ascii", "replace") for w in words]
        return None

    def numbers(self, count: int, type_name: str) -> NDArray:
        """The next `count` numbers."""
        kind = _TYPES.get(type_name.lower())
        if kind is None:
            raise self._damaged(f"unknown number type {type_name[:20]!r}")
        if self.binary:
            size = count * np.dtype(kind).itemsize
            if count < 0 or self.place + size > len(self.data):
                raise self._damaged(f"it should hold {count} more numbers and ends before them")
            block = np.frombuffer(self.data, dtype=kind, count=count, offset=self.place)
            self.place += size
            return block
        values: list[bytes] = []
        while len(values) < count and self.place < len(self.data):
            values += self._raw_line().split()
        if len(values) != count:
            raise self._damaged(f"a block should hold {count} numbers and holds {len(values)}")
        try:
            return np.array(values, dtype=np.float64)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def cells(self, first: int, second: int) -> list[NDArray[np.int64]]:
        """Cells of either layout: counts in line (versions up to 4), or offsets and connectivity (5)."""
        before = self.place
        words = self.line() or [""]
        if words[0].upper() == "OFFSETS":
            offsets = self.numbers(first, words[1]).astype(np.int64)
            words = self.line() or ["", "int"]
            flat = self.numbers(second, words[1]).astype(np.int64)
            return np.split(flat, offsets[1:-1])
        self.place = before
        flat = self.numbers(second, "int").astype(np.int64)
        cells, place = [], 0
        for number in range(first):
            size = int(flat[place]) if place < len(flat) else -1
            if size < 1 or place + 1 + size > len(flat):
                raise self._damaged(f"cell {number} of {first} claims {size} corners")
            cells.append(flat[place + 1 : place + 1 + size])
            place += 1 + size
        return cells

    def _damaged(self, reason: str) -> MeshError:
        return MeshError(f"the file is damaged: {reason}", where=str(self.path), advice="Export the mesh again")
