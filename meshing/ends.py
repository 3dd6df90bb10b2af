"""Where a vessel leaves the scan or the region of interest: cropping, planes, node sets of open ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..imaging.errors import MeshError
from ..imaging.volume import Grid, LabelMap
from .extrusion import Plane
from .mesh import TetMesh
from .regions import RegionLattice
from .sets import boundary_facets
from .voxels import bounding_box, distance_inside


def crop_labels(labels: LabelMap, roi_mm: tuple[Sequence[float], Sequence[float]] | None) -> LabelMap:
    """The voxels whose centres lie in the smallest index box around an LPS box (low, high); None keeps all.

    Raises:
        MeshError: the box misses the scan.
    """
    if roi_mm is None:
        return labels
    low, high = np.sort(np.array(roi_mm, dtype=np.float64), axis=0)
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    index = labels.grid.index_from_points(corners)
    start = np.clip(np.ceil(index.min(axis=0)), 0, labels.grid.shape).astype(int)
    stop = np.clip(np.floor(index.max(axis=0)) + 1, 0, labels.grid.shape).astype(int)
    if (stop <= start).any():
        raise MeshError("the region of interest lies outside the scan", where="vessel wall",
                        advice="Give the box in LPS mm of this scan")  # fmt: skip
    return _cut(labels, start, stop)


def trim_to_open(labels: LabelMap, trim_mm: float, *, reach_mm: float = 25.0) -> LabelMap:
    """Cut the vessel open along its course, so that it meets the border of the grid in a full section.

    An end inside the grid is trimmed by `trim_mm`; any end further, up to `reach_mm`, until its section is at least
    three fifths of the median of those behind it: a dome or an oblique end would leave a hole too small for its wall.
    """
    mask = labels.labels > 0
    if not mask.any():
        raise MeshError("the region of interest holds no vessel", where="vessel wall", advice="Move or enlarge it")
    axis = course_axis(mask, labels.grid)
    spacing, size = float(labels.grid.spacing[axis]), mask.shape[axis]
    box = bounding_box(mask)[axis]
    section = mask.sum(axis=tuple(a for a in range(3) if a != axis))[box]
    trim, reach = max(int(np.ceil(trim_mm / spacing)), 1), int(np.ceil(reach_mm / spacing))
    low, high = (
        _to_full_section(profile, 0 if at_border else trim, reach)
        for profile, at_border in ((section, box.start == 0), (section[::-1], box.stop == size))
    )
    start, stop = np.zeros(3, dtype=int), np.array(labels.grid.shape)
    if len(section) > low + high + trim:
        start[axis], stop[axis] = box.start + low, box.stop - high
    return _cut(labels, start, stop)


def _to_full_section(section: NDArray[np.integer], least: int, reach: int) -> int:
    """How many slices to take off the beginning of a profile of sections."""
    behind = section[least : least + reach + 1]
    full = np.flatnonzero(behind >= 0.6 * np.median(behind)) if behind.size else np.zeros(1, dtype=int)
    return least + int(full[0])


def near_along_slices(
    labels: LabelMap, margin_mm: float, name: str = "aortic_thrombus", *, beside_widest_mm: float = 60.0
) -> LabelMap:
    """What lies within a margin of a segment along the vessel's course; where it is absent, beside the widest place."""
    axis = course_axis(labels.labels > 0, labels.grid)
    mask = labels.only(name)
    if mask.any():
        box = bounding_box(mask)[axis]
        low, high, reach = box.start, box.stop, margin_mm
    elif (labels.labels > 0).any():
        low = _widest_slice(labels.labels > 0, labels.grid, axis)
        high, reach = low + 1, beside_widest_mm
    else:
        return labels
    margin = int(np.ceil(reach / labels.grid.spacing[axis]))
    start, stop = np.zeros(3, dtype=int), np.array(labels.grid.shape)
    start[axis], stop[axis] = max(low - margin, 0), min(high + margin, stop[axis])
    return _cut(labels, start, stop)


def _widest_slice(mask: NDArray[np.bool_], grid: Grid, axis: int) -> int:
    """The slice of the centre of the largest sphere inside a mask; beyond the border the vessel goes on."""
    box = bounding_box(mask)
    ends = [(1, 1) if a != axis else (0, 0) for a in range(3)]
    inside = np.pad(mask[box], ends)
    distance = distance_inside(inside, grid.spacing)
    return int(np.unravel_index(np.argmax(distance), distance.shape)[axis]) + box[axis].start


def course_axis(mask: NDArray[np.bool_], grid: Grid) -> int:
    """The index axis a vessel runs along: superior-inferior, unless it is twice as long along another one."""
    upright = int(np.argmax(np.abs(grid.direction[2])))
    if not mask.any():
        return upright
    length = np.array([s.stop - s.start for s in bounding_box(mask)]) * grid.spacing
    longest = int(np.argmax(length))
    return longest if length[longest] > 2 * length[upright] else upright


def open_planes(labels: LabelMap, lattice: RegionLattice) -> tuple[list[Plane], list[tuple[int, int]]]:
    """The lattice's faces at which the labels touch their grid's border: planes outward, and (axis, side)."""
    box = bounding_box(labels.labels > 0)
    planes, faces = [], []
    for axis in range(3):
        for side in (0, 1):
            touches = box[axis].start == 0 if side == 0 else box[axis].stop == labels.grid.shape[axis]
            if not touches:
                continue
            index = np.zeros(3)
            index[axis] = 0.5 if side == 0 else lattice.labels.shape[axis] - 1.5
            # the normal of a lattice plane is a row of the inverse affine, also on a sheared lattice
            normal = np.linalg.inv(lattice.affine[:3, :3])[axis] * (1 if side else -1)
            planes.append(Plane(lattice.points(index), normal / np.linalg.norm(normal)))
            faces.append((axis, side))
    return planes, faces


def split_ends(mesh: TetMesh, planes: Sequence[Plane], *, reach_mm: float = 1e-4) -> dict[str, NDArray[np.int32]]:
    """Node sets "end_0", … : the boundary's connected patches in the planes, from superior to inferior."""
    facets, _ = boundary_facets(mesh.tetrahedra)
    patches = []
    for plane in planes:
        inside = (np.abs(plane.heights(mesh.points)) < reach_mm)[facets].all(axis=1)
        if not inside.any():
            continue
        chosen = facets[inside]
        rows, columns = chosen.ravel(), np.roll(chosen, -1, axis=1).ravel()
        shape = (len(mesh.points),) * 2
        graph = sparse.coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape)
        patch = sparse.csgraph.connected_components(graph, directed=False)[1]
        patches += [np.unique(chosen[patch[chosen[:, 0]] == p]) for p in np.unique(patch[chosen[:, 0]])]
    patches.sort(key=lambda nodes: -float(mesh.points[nodes, 2].mean()))
    return {f"end_{n}": nodes.astype(np.int32) for n, nodes in enumerate(patches)}


def _cut(labels: LabelMap, start: NDArray[np.int_], stop: NDArray[np.int_]) -> LabelMap:
    window = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    affine = labels.grid.affine.copy()
    affine[:3, 3] = labels.grid.points_from_index(start)
    cut = labels.labels[window]
    shape = (cut.shape[0], cut.shape[1], cut.shape[2])
    return LabelMap(cut, Grid(shape, affine, labels.grid.frame_of_reference_uid), labels.segments)
