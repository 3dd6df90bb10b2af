"""Vessel walls: the outer surface of lumen and thrombus, thickened outward, thrombus meshed inside.

A CT shows the lumen and, in an aneurysm, the thrombus; the wall itself (1 to 2 mm) is below its
resolution. So the wall is built: fTetWild fills lumen and thrombus, the boundary of that mesh
is grown outward in prism layers, and the lumen is emptied. Wall and thrombus conform because one is
grown from the other's facets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..imaging.anatomy import SEGMENTS
from ..imaging.errors import MeshError
from ..imaging.progress import Progress, part, silent
from ..imaging.volume import LabelMap
from .ends import crop_labels, near_along_slices, open_planes, split_ends, trim_to_open
from .extrusion import GrowthError, Plane, grow
from .fairing import grow_faired, rounded
from .interfaces import smooth_interfaces
from .mesh import SurfaceMesh, TetMesh
from .regions import region_lattice
from .sets import boundary_facets, facet_normals, with_region_sets
from .sizing import coarse_away
from .tetrahedra import assemble
from .tetwild import fill
from .voxels import large_pieces

WALL = "aortic_wall"
_LATTICE_PER_EDGE = 0.5
_EPSILON_PER_EDGE = 0.08
CLOSINGS = (1.25, 1.25, 1.6, 1.6, 2.0, 2.5)
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
    side = ~_cap_facets(points, triangles, ends, reach)
    held = [(plane, np.flatnonzero(np.abs(plane.heights(points)) < reach)) for plane in ends]
    wall = grow(points, triangles[side], thickness_mm=thickness_mm, layers=layers, ends=held)
    label = SEGMENTS[name].label if name in SEGMENTS else 1
    region = np.full(len(wall.tetrahedra), label, dtype=np.int32)
    sets = {"inner": np.ascontiguousarray(triangles[side][:, ::-1]), "outer": wall.outer}
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
    margin_mm: float = 30.0,
    trim_mm: float = 4.0,
    timeout: float = 900.0,
    threads: int = 0,
    progress: Progress = silent,
) -> TetMesh:
    """The wall of a vessel, and its thrombus where there is one.

    Args:
        labels: the label map.
        lumen: segments of the blood-filled part (with their parts); must be present.
        thrombus: segments between lumen and wall; may be absent.
        thickness_mm: of the wall.
        layers: of elements through the wall.
        edge_length_mm: of the elements along the wall.
        roi_mm: corners (low, high) of an LPS box; None for what lies within `margin_mm` of the thrombus along the
            slices, or without thrombus beside the vessel's widest place. Where the vessel leaves it, it ends open.
        least_radius_mm: thinner branches are left out, as their wall would be solid; None: the edge length.
        margin_mm: see `roi_mm`.
        trim_mm: taken off at an end that lies inside the scan along the slices, so that it is open and not a dome.
        timeout: seconds for fTetWild.
        threads: of fTetWild; 0 for all.
        progress: told of the steps.

    Returns:
        TetMesh with regions "aortic_wall" and, when present, "aortic_thrombus". Facet set "lumen": the
        pressurised surface, normals out of the solid and so into the lumen; "outer": the wall's outside.
        Node sets "end_0", …: all nodes in each open end's plane, the most superior first.

    Raises:
        SegmentationError: no lumen.
        MeshError: the vessel has no open end, or the wall cannot be grown.
    """
    labels.require(lumen)
    progress(0.0, "vessel wall: preparing the labels")
    least_radius = edge_length_mm if least_radius_mm is None else least_radius_mm
    prepared = _prepare(labels, lumen, thrombus, roi_mm, least_radius, trim_mm, margin_mm)
    names = ["aorta"] + (["aortic_thrombus"] if prepared.only("aortic_thrombus").any() else [])
    lattice = region_lattice(prepared, names, _LATTICE_PER_EDGE * edge_length_mm)
    planes, faces = open_planes(prepared, lattice)
    if not planes:
        raise MeshError("the vessel has no open end", where="vessel wall",
                        advice="Give a region of interest that cuts it")  # fmt: skip

    def attempt(closing: float, seed: int, inner: Progress) -> TetMesh:
        closed = rounded(lattice, closing * thickness_mm, faces)
        surface = smooth_interfaces(closed, open_faces=faces)
        kept = (closed.labels == SEGMENTS["aortic_thrombus"].label) | _skin(closed.labels > 0)
        points, tetrahedra = fill(
            surface.points,
            surface.triangles,
            edge_length_mm=edge_length_mm,
            epsilon_mm=_EPSILON_PER_EDGE * edge_length_mm,
            keep_outside=True,
            sizing=coarse_away(closed, kept, edge_length_mm),
            timeout=timeout,
            threads=threads,
            seed=seed,
            progress=part(inner, 0.0, 0.9),
        )
        filled = assemble(points, tetrahedra, surface, closed.names, resolution_mm=edge_length_mm / 12)
        filled = _snapped(filled, planes, 2 * _EPSILON_PER_EDGE * edge_length_mm)
        inner(0.95, "vessel wall: growing the wall")
        return _with_wall(filled, planes, thickness_mm, layers)

    return _first_sound(attempt, planes, part(progress, 0.1, 1.0))


def _first_sound(
    attempt: Callable[[float, int, Progress], TetMesh], planes: Sequence[Plane], progress: Progress
) -> TetMesh:
    """Where a wall turns over or an end is not flat, mesh again with another seed, closed more."""
    for number, closing in enumerate(CLOSINGS):
        inner = part(progress, number / len(CLOSINGS), (number + 1) / len(CLOSINGS))
        last = number == len(CLOSINGS) - 1
        try:
            mesh = attempt(closing, number, inner)
        except GrowthError:
            if last:
                raise
            continue
        if _ends_are_flat(mesh, planes):
            return mesh
    raise MeshError(
        "an open end of the wall does not come out flat",
        where="vessel wall",
        advice="Use a shorter edge or another box_mm",
    )


def _ends_are_flat(mesh: TetMesh, planes: Sequence[Plane]) -> bool:
    """Whether every node of every open end lies in one of the cutting planes."""
    ends = [nodes for name, nodes in mesh.node_sets.items() if name.startswith("end_")]
    return all(min(np.abs(plane.heights(mesh.points[nodes])).max() for plane in planes) < 1e-6 for nodes in ends)


def _prepare(
    labels: LabelMap, lumen: Sequence[str], thrombus: Sequence[str], roi_mm: tuple | None,
    least_radius: float, trim_mm: float, margin_mm: float,
) -> LabelMap:  # fmt: skip
    """Labels of lumen (aorta) and thrombus only, without thin branches, cropped and cut open."""
    vessel = np.zeros(labels.labels.shape, dtype=np.uint16)
    vessel[labels.mask(thrombus)] = SEGMENTS["aortic_thrombus"].label
    vessel[labels.mask(lumen)] = SEGMENTS["aorta"].label
    by_label = {SEGMENTS[n].label: SEGMENTS[n] for n in ("aorta", "aortic_thrombus")}
    cropped = LabelMap(vessel, labels.grid, by_label)
    cropped = near_along_slices(cropped, margin_mm) if roi_mm is None else crop_labels(cropped, roi_mm)
    cropped = trim_to_open(cropped, trim_mm)
    solid = _without_thin(cropped.labels > 0, cropped.grid.spacing, least_radius)
    if not solid.any():
        raise MeshError(f"no part of the vessel is wider than {2 * least_radius:g} mm", where="vessel wall",
                        advice="Use a smaller least_radius_mm or edge length")  # fmt: skip
    return cropped.with_labels(np.where(solid, cropped.labels, 0).astype(np.uint16))


def _without_thin(mask: NDArray[np.bool_], spacing: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """Opening by a ball through distances, then the largest piece. Beyond the border the vessel goes on."""
    margin = [(int(np.ceil(2 * radius / s)) + 1,) * 2 for s in spacing]
    padded = np.pad(mask, margin, mode="edge")
    core = np.asarray(ndimage.distance_transform_edt(padded, sampling=spacing)) > radius
    if not core.any():
        return np.zeros_like(mask)
    opened = padded & (np.asarray(ndimage.distance_transform_edt(~core, sampling=spacing)) <= radius)
    inner = tuple(slice(m[0], m[0] + n) for m, n in zip(margin, mask.shape, strict=True))
    return large_pieces(opened[inner], 1e18, keep_largest=True)


def _skin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The outermost cells of a mask: there the wall's facets come from."""
    return mask & ~np.asarray(ndimage.binary_erosion(mask))


def _snapped(mesh: TetMesh, planes: Sequence[Plane], reach: float) -> TetMesh:
    """The caps' nodes put into their planes, from which fTetWild strays by up to `reach`."""
    facets, _ = boundary_facets(mesh.tetrahedra)
    facing = facet_normals(mesh.points, facets)
    points = mesh.points.copy()
    for plane in planes:
        # facets of the cap itself: a side that leaves the plane at a slant comes near it too
        cap = (np.abs(plane.heights(mesh.points)) < reach)[facets].all(axis=1) & (facing @ plane.normal > 0.9)
        nodes = np.unique(facets[cap])
        points[nodes] -= np.outer(plane.heights(points[nodes]), plane.normal)
    corner = points[mesh.tetrahedra]
    six = np.einsum("ij,ij->i", corner[:, 1] - corner[:, 0],
                    np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 0]))  # fmt: skip
    flat = six < 1e-4 * reach**3
    # a boundary element that became flat lies in the plane: take it off
    return _compact(points, mesh.tetrahedra[~flat], mesh.region[~flat], dict(mesh.region_names), {})


def _with_wall(filled: TetMesh, planes: Sequence[Plane], thickness_mm: float, layers: int) -> TetMesh:
    reach = 1e-6
    facets, _ = boundary_facets(filled.tetrahedra)
    side = facets[~_cap_facets(filled.points, facets, planes, reach)]
    _require_manifold(filled.points, side)
    held = [(plane, np.flatnonzero(np.abs(plane.heights(filled.points)) < reach)) for plane in planes]
    solid = filled.region == SEGMENTS["aortic_thrombus"].label
    wall = grow_faired(filled.points, side, filled.tetrahedra[solid], held, thickness_mm=thickness_mm, layers=layers)
    tetrahedra = np.concatenate([wall.tetrahedra, filled.tetrahedra[solid]])
    region = np.r_[np.full(len(wall.tetrahedra), SEGMENTS[WALL].label), filled.region[solid]].astype(np.int32)
    names = {SEGMENTS[WALL].label: WALL} | (
        {SEGMENTS["aortic_thrombus"].label: "aortic_thrombus"} if solid.any() else {}
    )
    sets = {"lumen": _lumen_facets(filled, solid, side), "outer": wall.outer}
    mesh = _compact(wall.points, tetrahedra, region, names, sets)
    return replace(with_region_sets(mesh), node_sets=split_ends(mesh, planes))


def _lumen_facets(filled: TetMesh, solid: NDArray[np.bool_], side: NDArray[np.int32]) -> NDArray[np.int32]:
    """Facets between lumen and (thrombus or wall), normals into the lumen."""
    from .sets import all_facets

    facets, owner, paired = all_facets(filled.tetrahedra)
    beyond = np.where(paired >= 0, solid[owner[paired]], False)
    of_thrombus = facets[beyond & ~solid[owner]][:, ::-1]
    key = {tuple(f) for f in np.sort(side, axis=1).tolist()}
    free = np.flatnonzero((paired < 0) & ~solid[owner])
    on_side = np.array([tuple(f) in key for f in np.sort(facets[free], axis=1).tolist()], dtype=bool)
    return np.concatenate([of_thrombus, facets[free[on_side]][:, ::-1]])


def _cap_facets(points: NDArray, facets: NDArray, planes: Sequence[Plane], reach: float) -> NDArray[np.bool_]:
    cap = np.zeros(len(facets), dtype=bool)
    for plane in planes:
        cap |= (np.abs(plane.heights(points)) < reach)[facets].all(axis=1)
    return cap


def _require_manifold(points: NDArray[np.float64], side: NDArray[np.int32]) -> None:
    edges = np.sort(np.stack([side, np.roll(side, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    distinct, count = np.unique(edges, axis=0, return_counts=True)
    if (count > 2).any():
        at = points[distinct[count > 2][0]].mean(axis=0)
        raise MeshError(f"the vessel pinches to an edge near {np.round(at, 1)} mm", where="vessel wall",
                        advice="Use a shorter edge or a larger least_radius_mm")  # fmt: skip


def _compact(points, tetrahedra, region, names, sets) -> TetMesh:
    """The mesh without nodes that no tetrahedron uses."""
    used = np.unique(tetrahedra)
    number = np.full(len(points), -1, dtype=np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    return TetMesh(points[used], number[tetrahedra], region, names, {n: number[f] for n, f in sets.items()})


__all__ = ["Plane", "vessel_wall", "wall_mesh"]
