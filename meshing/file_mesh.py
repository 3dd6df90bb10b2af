"""What a mesh file holds, as it stands there: the file's own unit, its own order, nothing repaired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError

CORNERS = {"triangle": 3, "quad": 4, "tetrahedron": 4, "hexahedron": 8}
SOLIDS = ("tetrahedron", "hexahedron")
NO_REGION = int(np.iinfo(np.int64).min)
"""Region id of a cell that is in none of the regions that a file names."""


@dataclass(frozen=True, eq=False)
class FileMesh:
    """Points and cells of a file.

    Attributes:
        points: (n, 3).
        cells: kind (of `CORNERS`) → (m, corners) indices of points.
        regions: kind → (m,) id of each cell's region, where the file has them; `NO_REGION` of a cell in none.
        names: id → name of the region, where the file has one.
        facets: set → kind of facet → (f, corners).
        nodes: set → (n,) indices of points.
    """

    points: NDArray[np.float64]
    cells: Mapping[str, NDArray[np.int64]]
    regions: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    facets: Mapping[str, Mapping[str, NDArray[np.int64]]] = field(default_factory=dict)
    nodes: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def check(self, path: Path) -> None:
        """Raises MeshError where there is nothing, a point is no place, or a cell names a point that is not there."""
        if not len(self.points) or not any(len(c) for c in self.cells.values()):
            raise MeshError("the file holds no mesh", where=str(path))
        bad = np.flatnonzero(~np.isfinite(self.points).all(axis=1) | (np.abs(self.points) > 1e9).any(axis=1))
        if bad.size:
            raise damaged(f"point {bad[0]} is at {self.points[bad[0]]}", path)
        for group in (*self.cells.values(), *self.nodes.values()):
            check_indices(self.points, group, path)


def check_indices(points: NDArray, cells: NDArray, path: Path) -> None:
    """Raises MeshError where a cell names a point that is not there."""
    if cells.size and (cells.min() < 0 or cells.max() >= len(points)):
        named = int(cells.min() if cells.min() < 0 else cells.max())
        raise damaged(f"a cell names point {named} of {len(points)}", path)


def damaged(what: str, path: Path) -> MeshError:
    """The error of a file that cannot be what was written."""
    return MeshError(f"the file is damaged: {what}", where=str(path), advice="Export the mesh again")


def unsupported_cells(counts: Mapping[str, int], path: Path) -> MeshError:
    """The error of a whole file with cells that are not read: kind → how many of them."""
    told = ", ".join(f"{count} of type {kind}" for kind, count in counts.items())
    return MeshError(f"the file holds cells that are not read: {told}", where=str(path),
                     advice="Mesh it with linear or quadratic tetrahedra or hexahedra")  # fmt: skip
