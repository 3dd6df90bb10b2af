"""Readers of surfaces and tetrahedra that others made (`hexahedra` has bricks). The unit is asked for, not guessed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import GeometryError, MeshError
from .abaqus_format import read_inp
from .connectivity import without_unused
from .file_mesh import NO_REGION, SOLIDS, FileMesh
from .file_sets import no_sides, with_file_sets
from .gmsh_format import read_msh
from .legacy_formats import read_msh1, read_vtk
from .mesh import SurfaceMesh, TetMesh
from .sets import boundary_facets, with_region_sets
from .tetwild import turned_round
from .vtk_arrays import region_names

MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
PLAUSIBLE_MM = (2.0, 3000.0)
"""Diagonals of bounding boxes between a nodule and a tall patient."""
_SIDES = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])


def read_surface(path: str | os.PathLike, *, unit: str, name: str = "") -> SurfaceMesh:
    """Read a surface from .stl, .obj, .vtp, .vtk, .vtu, .msh or .inp.

    Of a file with solids it is their boundary, of another its triangles and quadrangles.

    Args:
        path: the file.
        unit: of the file's coordinates: "mm", "cm" or "m".
        name: of the surface; "" takes the file's stem.

    Returns:
        SurfaceMesh in mm; coincident vertices are merged, and nothing else is repaired (see `check.check_surface`).

    Raises:
        GeometryError: the size is implausible for the unit.
        MeshError: the file is missing, damaged, of another format, or holds no triangle.
    """
    path = Path(path)
    file = read_file(path)
    points, cells = file.points, file.cells
    if any(kind in cells for kind in SOLIDS) or not any(kind in cells for kind in ("triangle", "quad")):
        solid = _cut(file, path)
        turned, kept = turned_round(solid.points, solid.cells["tetrahedron"].astype(np.int32))
        points, cells = solid.points, {"triangle": boundary_facets(turned[kept])[0]}
    triangles = [cells[k] for k in ("triangle",) if k in cells]
    if "quad" in cells:
        triangles += [cells["quad"][:, [0, 1, 2]], cells["quad"][:, [0, 2, 3]]]
    merged = np.concatenate(triangles).astype(np.int64)
    points, merged = _merge(points, merged)
    points = in_mm(points, merged, unit, path)
    return SurfaceMesh(points, merged, None, name or path.stem)


def read_tetrahedra(path: str | os.PathLike, *, unit: str, name: str = "solid", region: int = 1) -> TetMesh:
    """Read tetrahedra from .vtu, .vtk, .msh or .inp; hexahedra are cut into 24 (`read_hexahedra` keeps them whole).

    Gmsh's physical groups and Abaqus' sets come along: groups of solids as regions (of a cell in several the smallest),
    groups of triangles as facet sets, groups of lines and points and sets of nodes as node sets. Of quadratic elements
    the corners are read, other solids are refused. Tetrahedra without volume are dropped. What is Abaqus' own, and when
    its files cannot be told from ones cut off: `abaqus_format`.

    Args:
        path: the file.
        unit: of the file's coordinates: "mm", "cm" or "m".
        name: of what the file gives no region; of several regions that the file does not name, followed by their ids.
        region: its id, where the file has none: sets of .msh and .inp, integer cell data "region" of .vtu.

    Raises:
        GeometryError: the size is implausible for the unit.
        MeshError: the file is missing, damaged, of another format, or holds no tetrahedron; a set that it names cannot
            be placed (`file_sets.with_file_sets`).
    """
    path = Path(path)
    file = _cut(read_file(path), path)
    points = in_mm(file.points, file.cells["tetrahedron"], unit, path)
    tetrahedra, kept = turned_round(points, file.cells["tetrahedron"].astype(np.int32))
    if not kept.any():
        raise MeshError("no tetrahedron of the file has a volume", where=str(path), advice="Export the mesh again")
    stored, named = regions_of(file, "tetrahedron", kept, name, region)
    number = renumbering(len(points), tetrahedra[kept])
    points, tetrahedra = without_unused(points, tetrahedra[kept])
    mesh = with_region_sets(TetMesh(points, tetrahedra, stored, named))
    facets = {
        text: np.where(group["triangle"] < 0, -1, number[group["triangle"]])
        for text, group in file.facets.items()
        if "triangle" in group
    }
    return with_file_sets(mesh, facets, {text: number[group] for text, group in file.nodes.items()}, path)


def regions_of(
    file: FileMesh, kind: str, kept: NDArray[np.bool_], name: str, region: int
) -> tuple[NDArray[np.int32], dict[int, str]]:
    """Ids of the cells of a kind that are kept, and the names of the regions."""
    stored = file.regions.get(kind, np.empty(0, np.int64))
    if stored.size != len(kept):  # none, or several values per element: no ids
        stored = np.full(len(kept), region)
    stored = stored[kept]
    free = region if region not in stored else int(stored.max()) + 1
    stored = np.where(stored == NO_REGION, free, stored)
    present = [i for i in np.unique(stored).tolist() if i not in file.names]
    named = {i: name if len(present) == 1 else f"{name}_{i}" for i in present}
    return stored.astype(np.int32), named | {i: text for i, text in file.names.items() if i in stored}


def renumbering(points: int, cells: NDArray[np.integer]) -> NDArray[np.int64]:
    """(points,) what `without_unused` makes of each index; −1 of those that go."""
    used = np.zeros(points, dtype=bool)
    used[cells.ravel()] = True
    return np.where(used, np.cumsum(used) - 1, -1)


def read_file(path: Path) -> FileMesh:
    """What the file holds.

    Raises:
        MeshError: the file is missing, damaged or of another format.
    """
    kinds = {".vtk": read_vtk, ".stl": _trimesh, ".obj": _trimesh, ".vtp": _xml, ".vtu": _xml}
    readers = {**kinds, ".msh": _msh, ".inp": read_inp}
    if path.suffix.lower() not in readers:
        raise MeshError(f"meshes are not read from {path.suffix!r}", where=str(path),
                        advice=f"Use one of {', '.join(readers)}")  # fmt: skip
    if not path.is_file():
        raise MeshError("there is no such file", where=str(path))
    file = readers[path.suffix.lower()](path)
    file.check(path)
    return file


def _msh(path: Path) -> FileMesh:
    with open(path, "rb") as stream:
        first = stream.readline().strip()
    return read_msh1(path) if first == b"$NOD" else read_msh(path)


def _trimesh(path: Path) -> FileMesh:
    import trimesh

    try:
        loaded = trimesh.load(path, process=False, force="mesh", skip_materials=True)
    except Exception as error:  # trimesh raises whatever its parsers meet
        raise MeshError(f"the file cannot be read ({error})", where=str(path), advice="Export it again") from error
    if not isinstance(loaded, trimesh.Trimesh) or not len(loaded.faces):
        raise MeshError("the file holds no triangle", where=str(path))
    triangles = np.asarray(loaded.faces, dtype=np.int64)
    return FileMesh(np.asarray(loaded.vertices, dtype=np.float64), {"triangle": triangles})


def _xml(path: Path) -> FileMesh:
    from vtkmodules import vtkIOXML
    from vtkmodules.util.numpy_support import vtk_to_numpy

    surface = path.suffix.lower() == ".vtp"
    reader = vtkIOXML.vtkXMLPolyDataReader() if surface else vtkIOXML.vtkXMLUnstructuredGridReader()
    if not reader.CanReadFile(str(path)):
        raise MeshError("this is not a VTK XML file of that kind", where=str(path))
    reader.SetFileName(str(path))
    reader.Update()
    data = reader.GetOutput()
    if reader.GetErrorCode() or data is None or not data.GetNumberOfPoints():
        raise MeshError("VTK cannot read the file", where=str(path), advice="Export the mesh again")
    points = vtk_to_numpy(data.GetPoints().GetData()).astype(np.float64)
    array = data.GetPolys() if surface else data.GetCells()
    offsets = vtk_to_numpy(array.GetOffsetsArray()).astype(np.int64)
    flat = vtk_to_numpy(array.GetConnectivityArray()).astype(np.int64)
    corners = np.diff(offsets)
    wanted = 3 if surface else 4
    if not len(corners) or (corners != wanted).any():
        raise MeshError("the file holds other cells than triangles or tetrahedra", where=str(path))
    kind = "triangle" if surface else "tetrahedron"
    region = data.GetCellData().GetArray("region")
    regions = {} if region is None else {kind: np.asarray(vtk_to_numpy(region), dtype=np.int64).ravel()}
    return FileMesh(points, {kind: flat.reshape(-1, wanted)}, regions, region_names(data))


def _cut(file: FileMesh, path: Path) -> FileMesh:
    """The file's solids as tetrahedra, and the quadrangles of its sets cut as the hexahedra are."""
    if "hexahedron" not in file.cells:
        if "tetrahedron" not in file.cells:
            raise MeshError("the file holds no tetrahedron", where=str(path))
        return file
    hexahedra = file.cells["hexahedron"]
    points, cut = cut_hexahedra(file.points, hexahedra)
    none = np.empty(0, np.int64)
    solids = np.concatenate([file.cells.get("tetrahedron", none.reshape(0, 4)), cut])
    owners = [file.regions.get("tetrahedron", none), np.repeat(file.regions.get("hexahedron", none), 24)]
    facets = {}
    for name, group in file.facets.items():
        facets[name] = {"triangle": _quartered(group, hexahedra, len(file.points))}
        lost = int((facets[name]["triangle"] < 0).all(axis=1).sum()) // 4
        if lost < (count := sum(map(len, group.values()))) and lost:
            raise no_sides(name, lost, count, path)
    cells, regions = {"tetrahedron": solids}, {"tetrahedron": np.concatenate(owners)}
    return FileMesh(points, cells, regions, file.names, facets, file.nodes)


def _quartered(group: Mapping[str, NDArray[np.int64]], hexahedra: NDArray[np.int64], points: int) -> NDArray[np.int64]:
    """(F, 3) a set's triangles and the quarters of its quadrangles about the nodes that `cut_hexahedra` puts there."""
    parts = [group["triangle"]] if "triangle" in group else []
    if "quad" in group:
        quads, (faces, _) = group["quad"], _faces(hexahedra)
        both, inverse = np.unique(np.concatenate([faces, np.sort(quads, axis=1)]), axis=0, return_inverse=True)
        node = np.full(len(both), -1)
        node[inverse.ravel()[: len(faces)]] = points + np.arange(len(faces))
        middle = node[inverse.ravel()[len(faces) :]]
        # A quadrangle that is no side has no middle: its quarters name no side either.
        quarters = [np.stack([quads[:, i], quads[:, (i + 1) % 4], middle], axis=1) for i in range(4)]
        parts += [np.where(middle[:, None] < 0, -1, quarter) for quarter in quarters]
    return np.concatenate(parts)


def cut_hexahedra(points: NDArray[np.float64], hexahedra: NDArray[np.int64]) -> tuple[NDArray, NDArray[np.int64]]:
    """24 tetrahedra per hexahedron about its centre and its faces' centres: conforming whatever its orientation."""
    distinct, which = _faces(hexahedra)
    face_node = len(points) + which
    centre = len(points) + len(distinct) + np.arange(len(hexahedra))
    merged = np.concatenate([points, points[distinct].mean(axis=1), points[hexahedra].mean(axis=1)])
    cells = [
        np.stack([hexahedra[:, side[i]], hexahedra[:, side[(i + 1) % 4]], face_node[:, number], centre], axis=1)
        for number, side in enumerate(_SIDES)
        for i in range(4)
    ]
    return merged, np.stack(cells, axis=1).reshape(-1, 4)


def _faces(hexahedra: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(F, 4) distinct faces, their nodes ascending, and (H, 6) which each hexahedron has."""
    distinct, which = np.unique(np.sort(hexahedra[:, _SIDES].reshape(-1, 4), axis=1), axis=0, return_inverse=True)
    return distinct, which.ravel().reshape(-1, 6)


def _merge(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> tuple[NDArray, NDArray[np.int32]]:
    """Merge vertices of equal coordinates; faces that lose a corner go."""
    distinct, inverse = np.unique(points, axis=0, return_inverse=True)
    renamed = inverse.ravel()[triangles]
    alive = (renamed != np.roll(renamed, 1, axis=1)).all(axis=1)
    return without_unused(distinct, renamed[alive].astype(np.int32))


def in_mm(points: NDArray[np.float64], cells: NDArray, unit: str, path: Path) -> NDArray[np.float64]:
    """Points in mm; raises GeometryError where the cells' size is no part of a patient in that unit."""
    if unit not in MM_PER_UNIT:
        raise GeometryError(f"unknown unit {unit!r}", where=str(path), advice="Give mm, cm or m")
    scaled = points * MM_PER_UNIT[unit]
    size = float(np.linalg.norm(np.ptp(scaled[np.unique(cells)], axis=0)))
    if not PLAUSIBLE_MM[0] <= size <= PLAUSIBLE_MM[1]:
        fits = [u for u, f in MM_PER_UNIT.items() if 20 <= size / MM_PER_UNIT[unit] * f <= 2000]
        advice = f"Another unit would fit: {' or '.join(fits)}" if fits else "Look at the file's coordinates"
        raise GeometryError(f"a mesh of {size:.3g} mm across is no part of a patient if its unit is {unit}",
                            where=str(path), advice=advice)  # fmt: skip
    return scaled
