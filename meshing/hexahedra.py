"""Hexahedra from files, kept whole (`readers.read_tetrahedra` cuts them). The unit is asked for, never guessed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .connectivity import without_unused
from .file_sets import with_file_sets
from .mesh import HEXAHEDRON_FACES, HexMesh, hexahedron_jacobians
from .readers import in_mm, read_file, regions_of, renumbering

UPSIDE_DOWN = [4, 5, 6, 7, 0, 1, 2, 3]


def read_hexahedra(path: str | os.PathLike, *, unit: str, name: str = "solid", region: int = 1) -> HexMesh:
    """Read hexahedra from .vtk, .msh or .inp, with the facet set "surface" around them and the file's own sets.

    Sets are those that `read_tetrahedra` tells, of quadrangles instead of triangles. Upside-down hexahedra are turned
    round. `Model.from_mesh(mesh, …, element="H8")` takes what this returns.

    Args:
        path: the file.
        unit: of the file's coordinates: "mm", "cm" or "m".
        name: of what the file gives no region.
        region: its id.

    Raises:
        GeometryError: the size is implausible for the unit.
        MeshError: the file is missing, damaged, of another format, holds no hexahedron, one that is folded, or
            solids of another kind.
    """
    path = Path(path)
    file = read_file(path)
    hexahedra = file.cells.get("hexahedron", np.empty((0, 8), np.int64))
    if not len(hexahedra):
        raise MeshError("the file holds no hexahedron", where=str(path), advice="Read it with read_tetrahedra")
    if others := len(file.cells.get("tetrahedron", ())):
        raise MeshError(f"the file holds {others} tetrahedra beside its hexahedra", where=str(path),
                        advice="Read it with read_tetrahedra, which cuts the hexahedra")  # fmt: skip
    points = in_mm(file.points, hexahedra, unit, path)
    turned: NDArray[np.bool_] = np.all(hexahedron_jacobians(points[hexahedra]) < 0, axis=1)
    hexahedra = np.where(turned[:, None], hexahedra[:, UPSIDE_DOWN], hexahedra)
    labels, named = regions_of(file, "hexahedron", np.ones(len(hexahedra), bool), name, region)
    number = renumbering(len(points), hexahedra)
    points, hexahedra = without_unused(points, hexahedra)
    surface = boundary_quadrangles(hexahedra)
    mesh = HexMesh(points, hexahedra, labels, named, facet_sets={"surface": surface})
    facets = {text: number[group["quad"]] for text, group in file.facets.items() if "quad" in group}
    return with_file_sets(mesh, facets, {text: number[group] for text, group in file.nodes.items()}, path)


def boundary_quadrangles(hexahedra: NDArray[np.integer]) -> NDArray[np.int32]:
    """(F, 4) faces that belong to one hexahedron only, normals outward."""
    faces = hexahedra[:, HEXAHEDRON_FACES].reshape(-1, 4)
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    return faces[np.sort(first[count == 1])].astype(np.int32)
