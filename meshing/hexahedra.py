"""Hexahedra from files, kept whole (`readers.read_tetrahedra` cuts them). The unit is asked for, never guessed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .connectivity import without_unused
from .mesh import HEXAHEDRON_FACES, HexMesh, hexahedron_jacobians
from .readers import check_indices, in_mm, read_cells

UPSIDE_DOWN = [4, 5, 6, 7, 0, 1, 2, 3]


def read_hexahedra(path: str | os.PathLike, *, unit: str, name: str = "solid", region: int = 1) -> HexMesh:
    """Read hexahedra from .vtk or .msh (version 2, ASCII), one region, with the facet set "surface" around them.

    Upside-down ones are turned round. `Model.from_mesh(mesh, …, element="H8")` takes what this returns.

    Args:
        path: the file.
        unit: of the file's coordinates: "mm", "cm" or "m".
        name: of the region.
        region: its id.

    Raises:
        GeometryError: the size is implausible for the unit.
        MeshError: the file is missing, damaged, of another format, holds no hexahedron, or one that is folded.
    """
    path = Path(path)
    points, cells, _ = read_cells(path)
    hexahedra = cells.get("hexahedron", np.empty((0, 8), np.int64))
    if not len(hexahedra):
        raise MeshError("the file holds no hexahedron", where=str(path), advice="Read it with read_tetrahedra")
    check_indices(points, hexahedra, path)
    points = in_mm(points, hexahedra, unit, path)
    turned: NDArray[np.bool_] = np.all(hexahedron_jacobians(points[hexahedra]) < 0, axis=1)
    hexahedra = np.where(turned[:, None], hexahedra[:, UPSIDE_DOWN], hexahedra)
    points, hexahedra = without_unused(points, hexahedra)
    labels = np.full(len(hexahedra), region, np.int32)
    surface = boundary_quadrangles(hexahedra)
    return HexMesh(points, hexahedra, labels, {region: name}, facet_sets={"surface": surface})


def boundary_quadrangles(hexahedra: NDArray[np.integer]) -> NDArray[np.int32]:
    """(F, 4) faces that belong to one hexahedron only, normals outward."""
    faces = hexahedra[:, HEXAHEDRON_FACES].reshape(-1, 4)
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    return faces[np.sort(first[count == 1])].astype(np.int32)
