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


def trim_to_open(labels: LabelMap, trim_mm: float) -> LabelMap:
    """Cut the vessel open along its slices: trim an end that lies inside the grid, so that it meets the border.

    The axis is the one nearest to superior-inferior.
    """
    mask = labels.labels > 0
    if not mask.any():
        raise MeshError("the region of interest holds no vessel", where="vessel wall", advice="Move or enlarge it")
    axis = _slice_axis(labels.grid)
    box = bounding_box(mask)[axis]
    trim = max(int(np.ceil(trim_mm / labels.grid.spacing[axis])), 1)
    start, stop = np.zeros(3, dtype=int), np.array(labels.grid.shape)
    if box.stop - box.start > 3 * trim:
        start[axis] = box.start + trim if box.start > 0 else 0
        stop[axis] = box.stop - trim if box.stop < stop[axis] else stop[axis]
    return _cut(labels, start, stop)


def near_along_slices(
    labels: LabelMap, margin_mm: float, name: str = "aortic_thrombus", *, beside_widest_mm: float = 60.0
) -> LabelMap:
    """The slices within a margin of a segment; where it is absent, those beside the vessel's widest place."""
    axis = _slice_axis(labels.grid)
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


def _slice_axis(grid: Grid) -> int:
    """The index axis nearest to superior-inferior."""
    return int(np.argmax(np.abs(grid.direction[2])))


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
