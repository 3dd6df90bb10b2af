"""Writers of surfaces (VTP, STL, GLB) and tetrahedra (VTU, PVD). Files are written beside and renamed.

VTP, STL and VTU are LPS mm. GLB follows glTF: metres, +Y up, +Z towards the viewer, so that a
patient stands upright and faces the viewer: glTF x = Left, y = Superior, z = Anterior.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import SEGMENTS
from ..imaging.errors import MeshError, write_error
from .mesh import SurfaceMesh, TetMesh
from .vtk_arrays import add_array, add_region_names, polydata, set_unit, unstructured

GLTF_FROM_LPS_MM = np.array([[1e-3, 0, 0, 0], [0, 0, 1e-3, 0], [0, -1e-3, 0, 0], [0, 0, 0, 1]])
"""(4, 4) LPS mm → glTF m."""
_GREY = (0.8, 0.8, 0.8)


def write_surface(
    path: str | os.PathLike,
    surface: SurfaceMesh,
    fields: Mapping[str, NDArray] | None = None,
    *,
    single_precision: bool = False,
) -> Path:
    """Write a surface; the suffix chooses .vtp (with fields), .stl (binary) or .glb (with the segment's colour).

    Args:
        path: target; its folder must exist.
        surface: LPS mm.
        fields: name → (V, ...) point or (F, ...) cell values, kept by .vtp only; added to the surface's own.
        single_precision: points of a .vtp in 32 bits, as in the others: within 1e-4 mm in a patient, at two thirds of
            the size.

    Raises:
        MeshError: unknown suffix, a field of the wrong length, or the file cannot be written.
        DiskError: the disk is full.
    """
    path = Path(path)
    writers = {".vtp": _write_vtp, ".stl": _write_stl, ".glb": _write_glb}
    if path.suffix.lower() not in writers:
        raise MeshError(
            f"surfaces are not written as {path.suffix!r}", where=str(path), advice="Use .vtp, .stl or .glb"
        )
    named = {**surface.fields, **(fields or {})}
    writer = writers[path.suffix.lower()]
    if writer is _write_vtp and single_precision:
        return _beside(path, lambda temporary: _write_vtp(temporary, surface, named, np.float32))
    return _beside(path, lambda temporary: writer(temporary, surface, named))


def write_tetrahedra(
    path: str | os.PathLike,
    mesh: TetMesh,
    point_data: Mapping[str, NDArray] | None = None,
    cell_data: Mapping[str, NDArray] | None = None,
    *,
    units: Mapping[str, str] | None = None,
) -> Path:
    """Write a .vtu in LPS mm with the region of each element; node sets become 0/1 point data "set_NAME".

    The regions' ids and names are field data, "region_id" and "region_name". Arrays carry VTK's own label of their
    unit: mm for the points, 1 for regions and sets.

    Args:
        path: target, .vtu.
        mesh: the mesh.
        point_data: name → (N, ...).
        cell_data: name → (E, ...).
        units: name → unit of these fields; those without one get no label.

    Raises:
        MeshError: wrong suffix, a field of the wrong length, or the file cannot be written.
        DiskError: the disk is full.
    """
    path = Path(path)
    if path.suffix.lower() != ".vtu":
        raise MeshError(f"tetrahedra are not written as {path.suffix!r}", where=str(path), advice="Use .vtu")
    grid = unstructured(mesh.points, mesh.tetrahedra)
    set_unit(grid.GetPoints().GetData(), "mm")
    add_array(grid.GetCellData(), "region", mesh.region, "1")
    if mesh.region_names:
        add_region_names(grid, mesh.region_names)
    for name, nodes in mesh.node_sets.items():
        member = np.zeros(len(mesh.points), dtype=np.uint8)
        member[nodes] = 1
        add_array(grid.GetPointData(), f"set_{name}", member, "1")
    _add_fields(grid.GetPointData(), point_data or {}, len(mesh.points), path, units)
    _add_fields(grid.GetCellData(), cell_data or {}, len(mesh.tetrahedra), path, units)
    return _beside(path, lambda temporary: _write_xml("vtkXMLUnstructuredGridWriter", grid, temporary))


def write_collection(path: str | os.PathLike, steps: Sequence[tuple[float, str | os.PathLike]]) -> Path:
    """Write a .pvd that lists one file per load step or time: (value, file), the files relative to the .pvd."""
    path = Path(path)
    lines = ['<?xml version="1.0"?>', '<VTKFile type="Collection" version="0.1">', "  <Collection>"]
    for value, file in steps:
        name = os.path.relpath(file, path.parent) if Path(file).is_absolute() else os.fspath(file)
        lines.append(f'    <DataSet timestep="{float(value)!r}" file={quoteattr(Path(name).as_posix())}/>')
    text = "\n".join([*lines, "  </Collection>", "</VTKFile>", ""])
    return _beside(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _beside(path: Path, write: Callable[[Path], object]) -> Path:
    """Write to a temporary name in the same folder and rename, so that no half file is ever seen."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        write(temporary)
        if not temporary.exists() or temporary.stat().st_size == 0:
            raise OSError("nothing was written (is the disk full?)")
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise write_error(error, str(path)) from error
        raise MeshError(f"the file cannot be written ({error.strerror or error})", where=str(path),
                        advice="Check that the folder exists, is writable and has space") from error  # fmt: skip
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _write_vtp(
    path: Path, surface: SurfaceMesh, fields: Mapping[str, NDArray], precision: type[np.floating] = np.float64
) -> None:
    data = polydata(surface.points, surface.triangles, precision)
    if surface.regions is not None:
        add_array(data.GetCellData(), "regions", surface.regions)
    for name, values in fields.items():
        at_points = len(values) == len(surface.points)
        attributes, count = (
            (data.GetPointData(), len(surface.points)) if at_points else (data.GetCellData(), len(surface.triangles))
        )
        _add_fields(attributes, {name: values}, count, path)
    _write_xml("vtkXMLPolyDataWriter", data, path)


def _write_stl(path: Path, surface: SurfaceMesh, fields: Mapping[str, NDArray]) -> None:
    """Binary STL: 80 bytes of header that say the unit and frame, a count, 50 bytes per triangle."""
    corners = surface.points[surface.triangles].astype("<f4")
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    record = np.zeros(len(corners), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["normal"] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    record["corners"] = corners
    header = f"preop {surface.name or 'surface'}, millimetres, LPS".encode("ascii", "replace")[:80].ljust(80)
    path.write_bytes(header + np.uint32(len(corners)).tobytes() + record.tobytes())


def _write_glb(path: Path, surface: SurfaceMesh, fields: Mapping[str, NDArray]) -> None:
    import trimesh
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    colour = SEGMENTS[surface.name].colour if surface.name in SEGMENTS else _GREY
    points = surface.points @ GLTF_FROM_LPS_MM[:3, :3].T
    # glTF base colours are linear; the table is sRGB
    linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in colour]
    material = PBRMaterial(name=surface.name or "surface", baseColorFactor=[*linear, 1.0], metallicFactor=0.0,
                           roughnessFactor=0.6)  # fmt: skip
    mesh = trimesh.Trimesh(points, surface.triangles, process=False)
    mesh.visual = TextureVisuals(material=material)
    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name=surface.name or "surface", geom_name=surface.name or "surface")
    path.write_bytes(cast("bytes", scene.export(file_type="glb", include_normals=True)))


def _add_fields(
    attributes, fields: Mapping[str, NDArray], count: int, path: Path, units: Mapping[str, str] | None = None
) -> None:
    for name, values in fields.items():
        if len(values) != count:
            raise MeshError(f"the field {name} has {len(values)} values for {count}", where=str(path))
        add_array(attributes, name, values, (units or {}).get(name, ""))


def _write_xml(writer_name: str, data, path: Path) -> None:
    from vtkmodules import vtkIOXML

    writer = getattr(vtkIOXML, writer_name)()
    # On a full disk VTK prints dumps of many lines and a success: Python writes the bytes and tells the system's error.
    writer.WriteToOutputStringOn()
    writer.SetInputData(data)
    writer.SetDataModeToAppended()
    writer.EncodeAppendedDataOff()
    writer.SetCompressorTypeToZLib()
    # A third of the time of VTK's own level, for files less than 1 % larger.
    writer.SetCompressionLevel(1)
    if not writer.Write() or writer.GetErrorCode():
        raise OSError("VTK could not write it")
    content = writer.GetOutputString()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
