"""Readers of surfaces and tetrahedra that others made (`hexahedra` has bricks). The unit is asked for, not guessed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import GeometryError, MeshError
from .connectivity import without_unused
from .legacy_formats import read_msh, read_vtk
from .mesh import SurfaceMesh, TetMesh
from .sets import boundary_facets, with_region_sets
from .tetwild import turned_round
from .vtk_arrays import region_names

MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
PLAUSIBLE_MM = (2.0, 3000.0)
"""Diagonals of bounding boxes between a nodule and a tall patient."""


def read_surface(path: str | os.PathLike, *, unit: str, name: str = "") -> SurfaceMesh:
    """Read a surface from .stl, .obj, .vtp, .vtk, .vtu or .msh (solids give their boundary).

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
    points, cells, _ = read_cells(path)
    if "triangle" not in cells and "quad" not in cells:
        solid, facets = _tetrahedra(points, cells, path)
        points, cells = solid, {"triangle": boundary_facets(facets)[0].astype(np.int64)}
    triangles = [cells[k] for k in ("triangle",) if k in cells]
    if "quad" in cells:
        triangles += [cells["quad"][:, [0, 1, 2]], cells["quad"][:, [0, 2, 3]]]
    merged = np.concatenate(triangles)
    check_indices(points, merged, path)
    points, merged = _merge(points, merged)
    points = in_mm(points, merged, unit, path)
    return SurfaceMesh(points, merged, None, name or path.stem)


def read_tetrahedra(path: str | os.PathLike, *, unit: str, name: str = "solid", region: int = 1) -> TetMesh:
    """Read tetrahedra from .vtu, .vtk or .msh; hexahedra are cut into 24 each (`read_hexahedra` keeps them whole).

    Args:
        path: the file.
        unit: of the file's coordinates: "mm", "cm" or "m".
        name: of the one region; of several that the file does not name, followed by their ids.
        region: its id, unless the file has integer cell data "region" (.vtu written by preop). Tetrahedra without
            volume are dropped.

    Raises:
        GeometryError: the size is implausible for the unit.
        MeshError: the file is missing, damaged, of another format, or holds no tetrahedron.
    """
    path = Path(path)
    points, cells, names = read_cells(path)
    points, tetrahedra = _tetrahedra(points, cells, path)
    stored = cells["region"].ravel() if "region" in cells else np.empty(0, dtype=np.int64)
    if stored.size != len(tetrahedra):  # none, or several values per element: no ids
        stored = np.full(len(tetrahedra), region)
    points = in_mm(points, tetrahedra, unit, path)
    tetrahedra, kept = turned_round(points, tetrahedra)
    if not kept.any():
        raise MeshError("no tetrahedron of the file has a volume", where=str(path), advice="Export the mesh again")
    stored = stored[kept].astype(np.int32)
    points, tetrahedra = without_unused(points, tetrahedra[kept])
    present = np.unique(stored).tolist()
    named = {i: name if len(present) == 1 else f"{name}_{i}" for i in present}
    named |= {i: text for i, text in names.items() if i in named}
    return with_region_sets(TetMesh(points, tetrahedra, stored, named))


def read_cells(path: Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.int64]], dict[int, str]]:
    """Points, kind → cells (with "region", where the file has it), and the names of the regions."""
    readers = {".vtk": read_vtk, ".msh": read_msh, ".stl": _trimesh, ".obj": _trimesh, ".vtp": _xml, ".vtu": _xml}
    if path.suffix.lower() not in readers:
        raise MeshError(f"meshes are not read from {path.suffix!r}", where=str(path),
                        advice=f"Use one of {', '.join(readers)}")  # fmt: skip
    if not path.is_file():
        raise MeshError("there is no such file", where=str(path))
    points, cells, *more = readers[path.suffix.lower()](path)
    names = more[0] if more else {}
    if not len(points) or not any(len(c) for c in cells.values()):
        raise MeshError("the file holds no mesh", where=str(path))
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1) | (np.abs(points) > 1e9).any(axis=1))
    if bad.size:
        raise MeshError(f"the file is damaged: point {bad[0]} is at {points[bad[0]]}", where=str(path),
                        advice="Export the mesh again")  # fmt: skip
    return points, cells, names


def _trimesh(path: Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.int64]]]:
    import trimesh

    try:
        loaded = trimesh.load(path, process=False, force="mesh", skip_materials=True)
    except Exception as error:  # trimesh raises whatever its parsers meet
        raise MeshError(f"the file cannot be read ({error})", where=str(path), advice="Export it again") from error
    if not isinstance(loaded, trimesh.Trimesh) or not len(loaded.faces):
        raise MeshError("the file holds no triangle", where=str(path))
    return np.asarray(loaded.vertices, dtype=np.float64), {"triangle": np.asarray(loaded.faces, dtype=np.int64)}


def _xml(path: Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.int64]], dict[int, str]]:
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
    cells = {"triangle" if surface else "tetrahedron": flat.reshape(-1, wanted)}
    region = data.GetCellData().GetArray("region")
    if region is not None:
        cells["region"] = np.asarray(vtk_to_numpy(region), dtype=np.int64).reshape(-1, 1)
    return points, cells, region_names(data)


def _tetrahedra(points, cells, path: Path) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    parts = [cells["tetrahedron"]] if "tetrahedron" in cells else []
    for group in (*parts, *([cells["hexahedron"]] if "hexahedron" in cells else [])):
        check_indices(points, group, path)
    if "hexahedron" in cells:
        points, cut = cut_hexahedra(points, cells["hexahedron"])
        parts.append(cut)
    if not parts:
        raise MeshError("the file holds no tetrahedron", where=str(path))
    return points, np.concatenate(parts).astype(np.int32)


def cut_hexahedra(points: NDArray[np.float64], hexahedra: NDArray[np.int64]) -> tuple[NDArray, NDArray[np.int64]]:
    """24 tetrahedra per hexahedron about its centre and its faces' centres: conforming whatever its orientation."""
    sides = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])
    faces = hexahedra[:, sides].reshape(-1, 4)
    distinct, which = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True)
    face_node = len(points) + which.ravel().reshape(-1, 6)
    centre = len(points) + len(distinct) + np.arange(len(hexahedra))
    merged = np.concatenate([points, points[distinct].mean(axis=1), points[hexahedra].mean(axis=1)])
    cells = [
        np.stack([hexahedra[:, side[i]], hexahedra[:, side[(i + 1) % 4]], face_node[:, number], centre], axis=1)
        for number, side in enumerate(sides)
        for i in range(4)
    ]
    return merged, np.concatenate(cells)


def check_indices(points: NDArray, cells: NDArray, path: Path) -> None:
    """Raises MeshError where a cell names a point that is not there."""
    if cells.size and (cells.min() < 0 or cells.max() >= len(points)):
        named = int(cells.min() if cells.min() < 0 else cells.max())
        raise MeshError(f"the file is damaged: a cell names point {named} of {len(points)}",
                        where=str(path), advice="Export the mesh again")  # fmt: skip


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
