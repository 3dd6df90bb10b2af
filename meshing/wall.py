"""Vessel walls: the outer surface of lumen and thrombus, thickened outward, thrombus meshed inside.

A CT shows the lumen and, in an aneurysm, the thrombus; the wall itself (1 to 2 mm) is below its
resolution. So the wall is built: lumen and thrombus are carved out of a lattice of tetrahedra, their outline
is grown outward in prism layers, and the lumen is emptied. Wall and thrombus conform because one is
grown from the other's facets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import SEGMENTS
from ..imaging.errors import MeshError
from ..imaging.progress import Progress, silent
from ..imaging.volume import LabelMap
from .carving import Carved, carve
from .ends import split_ends
from .extrusion import GrowthError, Plane, grow
from .mesh import SurfaceMesh, TetMesh
from .relaxation import relaxed
from .sets import all_facets, with_region_sets
from .vessel_fields import VesselFields, vessel_fields, vessel_lattice
from .vessel_labels import MARGIN_MM, THROMBUS, TRIM_MM, vessel_labels
from .wall_checks import require_flat_ends, require_manifold, without_crumbs

WALL = "aortic_wall"
CELL_PER_EDGE = 1.4
"""Edge of the lattice's cubes for facets of a given mean edge: they cut the cubes into smaller pieces."""

CLOSINGS = (1.6, 2.0, 2.6)
"""Radius, in wall thicknesses, below which a concave crease of the outside is filled: in it a wall would fold."""


def wall_mesh(
    surface: SurfaceMesh,
    *,
    thickness_mm: float,
    layers: int = 2,
    ends: Sequence[Plane] = (),
    name: str = WALL,
) -> TetMesh:
    """A wall grown outward from a surface, whose nodes become its inner nodes.

    Args:
        surface: oriented manifold with outward normals, closed or open, LPS mm.
        thickness_mm: of the wall.
        layers: of elements through the wall.
        ends: planes at which the vessel was cut; facets that lie in one are taken off and leave an open end.
        name: of the region.

    Returns:
        TetMesh with facet sets "inner" (normals out of the wall, into the lumen) and "outer", and node
        sets "end_0", … (the most superior first) for each open end.

    Raises:
        MeshError: the wall cannot be grown without inversion.
    """
    points, triangles = surface.points, surface.triangles
    reach = 1e-3 * float(np.sqrt(np.median(surface.areas)))
    within = [np.abs(plane.heights(points)) < reach for plane in ends]
    capped = (
        np.any([held[triangles].all(axis=1) for held in within], axis=0) if within else np.zeros(len(triangles), bool)
    )
    side = triangles[~capped]
    held = [(plane, np.flatnonzero(nodes)) for plane, nodes in zip(ends, within, strict=True)]
    wall = grow(points, side, thickness_mm=thickness_mm, layers=layers, ends=held)
    label = SEGMENTS[name].label if name in SEGMENTS else 1
    region = np.full(len(wall.tetrahedra), label, dtype=np.int32)
    sets = {"inner": np.ascontiguousarray(side[:, ::-1]), "outer": wall.outer}
    mesh = _compact(wall.points, wall.tetrahedra, region, {label: name}, sets)
    return replace(with_region_sets(mesh), node_sets=split_ends(mesh, ends))


def vessel_wall(
    labels: LabelMap,
    *,
    lumen: Sequence[str] = ("aorta",),
    thrombus: Sequence[str] = ("aortic_thrombus",),
    thickness_mm: float = 1.5,
    layers: int = 2,
    edge_length_mm: float = 3.0,
    roi_mm: tuple[Sequence[float], Sequence[float]] | None = None,
    least_radius_mm: float | None = None,
    margin_mm: float = MARGIN_MM,
    trim_mm: float = TRIM_MM,
    progress: Progress = silent,
) -> TetMesh:
    """The wall of a vessel, and its thrombus where there is one. The same input gives the same mesh.

    Args:
        labels: the label map.
        lumen: segments of the blood-filled part (with their parts); must be present.
        thrombus: segments between lumen and wall; may be absent.
        thickness_mm: of the wall.
        layers: of elements through the wall.
        edge_length_mm: mean edge of the facets along the wall.
        roi_mm: corners (low, high) of an LPS box; None for what lies within `margin_mm` of the thrombus along the
            slices, or without thrombus beside the vessel's widest place. Where the vessel leaves it, it ends open.
        least_radius_mm: thinner branches are left out, as their wall would be solid; None: the edge length.
        margin_mm: see `roi_mm`.
        trim_mm: taken off at an end that lies inside the scan along the slices, so that it is open and not a dome.
        progress: told of the steps.

    Returns:
        TetMesh with regions "aortic_wall" and, when present, "aortic_thrombus". Facet set "lumen": the
        pressurised surface, normals out of the solid and so into the lumen; "outer": the wall's outside.
        Node sets "end_0", …: all nodes in each open end's plane, the most superior first. The wall's elements come
        first, layer by layer: element e stands over outer facet e mod F.

    Raises:
        SegmentationError: no lumen.
        MeshError: the vessel has no open end, or the wall cannot be grown.
    """
    if not edge_length_mm > 0:
        raise MeshError(f"an edge length of {edge_length_mm} mm is not positive", where="vessel wall")
    progress(0.0, "preparing the labels")
    least_radius = edge_length_mm if least_radius_mm is None else least_radius_mm
    prepared = vessel_labels(labels, lumen, thrombus, roi_mm=roi_mm, least_radius_mm=least_radius,
                             trim_mm=trim_mm, margin_mm=margin_mm)  # fmt: skip
    return _first_sound(prepared, thickness_mm, layers, edge_length_mm, least_radius, progress)


def _first_sound(
    prepared: LabelMap,
    thickness_mm: float,
    layers: int,
    edge_length_mm: float,
    least_radius_mm: float,
    progress: Progress,
) -> TetMesh:
    """The wall after as little closing of clefts as it can be grown with; nearly always the first."""
    lattice = vessel_lattice(prepared, edge_length_mm)
    for number, closing in enumerate(CLOSINGS):
        progress((1 + number) / (1 + len(CLOSINGS)), "smoothing, carving and growing")
        fields = vessel_fields(prepared, lattice, edge_length_mm=edge_length_mm, closing_mm=closing * thickness_mm,
                               least_radius_mm=least_radius_mm)  # fmt: skip
        if not fields.planes:
            raise MeshError("the vessel has no open end", where="vessel wall",
                            advice="Give a region of interest that cuts it")  # fmt: skip
        try:
            return _walled(fields, thickness_mm, layers, CELL_PER_EDGE * edge_length_mm)
        except GrowthError:
            if closing == CLOSINGS[-1]:
                raise
    raise AssertionError("unreachable")


def _walled(fields: VesselFields, thickness_mm: float, layers: int, cell_mm: float) -> TetMesh:
    """Carve, even out, bring into the patient and grow the wall."""
    carved = carve(fields.outline, fields.lumen, fields.box, fields.open_faces, cell_mm)
    carved = relaxed(without_crumbs(carved, cell_mm), fields.outline, fields.lumen)
    points = fields.patient(carved.points)
    tetrahedra, side = carved.tetrahedra, carved.outline
    if fields.mirrored:
        tetrahedra, side = tetrahedra[:, [0, 1, 3, 2]], side[:, ::-1]
    require_manifold(points, side, thickness_mm)
    held = [
        (plane, np.flatnonzero((carved.free[:, axis] == 0) & (np.abs(plane.heights(points)) < cell_mm / 4)))
        for plane, (axis, _) in zip(fields.planes, fields.open_faces, strict=True)
    ]
    wall = grow(points, side, thickness_mm=thickness_mm, layers=layers, ends=held)
    solid = tetrahedra[carved.inside]
    label = SEGMENTS[WALL].label
    region = np.r_[np.full(len(wall.tetrahedra), label), np.full(len(solid), SEGMENTS[THROMBUS].label)].astype(np.int32)
    names = {label: WALL} | ({SEGMENTS[THROMBUS].label: THROMBUS} if len(solid) else {})
    sets = {"lumen": _lumen_facets(carved, tetrahedra, side), "outer": wall.outer}
    mesh = _compact(wall.points, np.concatenate([wall.tetrahedra, solid]), region, names, sets)
    mesh = replace(with_region_sets(mesh), node_sets=split_ends(mesh, fields.planes))
    require_flat_ends(mesh, fields.planes)
    return mesh


def _lumen_facets(carved: Carved, tetrahedra: NDArray[np.int32], side: NDArray[np.int32]) -> NDArray[np.int32]:
    """Facets between lumen and (thrombus or wall), normals into the lumen."""
    facets, owner, paired = all_facets(tetrahedra)
    of_thrombus = carved.inside[owner] & (paired >= 0)
    of_thrombus[of_thrombus] = ~carved.inside[owner[paired[of_thrombus]]]
    free = facets[(paired < 0) & carved.inside[owner]]
    clad = {tuple(f) for f in np.sort(free, axis=1).tolist()}
    bare = np.array([tuple(f) not in clad for f in np.sort(side, axis=1).tolist()], dtype=bool)
    return np.concatenate([facets[of_thrombus], side[bare][:, ::-1]])


def _compact(points, tetrahedra, region, names, sets) -> TetMesh:
    """The mesh without nodes that no tetrahedron uses."""
    used = np.unique(tetrahedra)
    number = np.full(len(points), -1, dtype=np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    return TetMesh(points[used], number[tetrahedra], region, names, {n: number[f] for n, f in sets.items()})


__all__ = ["Plane", "vessel_wall", "wall_mesh"]
