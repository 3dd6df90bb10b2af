"""How wide a vessel is in its voxels: the largest sphere that fits in, and the largest extent in an axial plane.

A voxel belongs to a mask where its centre does, so both are measured between centres. Half a voxel per side, as for a
plane border, would be too much: on a curved one there is always a centre close to it.
"""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.spatial.distance import pdist

from ...imaging.volume import Grid
from ...meshing.ends import course_axis
from ...meshing.voxels import bounding_box, distance_inside

_CANDIDATES = 6
_ALIGNED = 1e-3


def largest_inscribed(
    mask: NDArray[np.bool_], grid: Grid, *, within: NDArray[np.bool_] | None = None
) -> tuple[float, NDArray[np.float64]]:
    """Diameter (mm) and centre (LPS mm) of the largest sphere inside a mask, its closed holes filled.

    A voxel between lumen and thrombus that carries neither label would else halve the sac. Where the vessel's course
    leaves the scan it goes on: nothing limits the sphere there. The best voxels' centres are moved off the lattice.

    Args:
        mask: (I, J, K) with at least one voxel.
        grid: of the mask.
        within: (I, J, K) voxels where the centre may lie; None for all.
    """
    box = bounding_box(mask)
    start = np.array([s.start for s in box])
    course = course_axis(mask, grid)
    pad = np.ones((3, 2), dtype=int)
    pad[course] = box[course].start > 0, box[course].stop < mask.shape[course]
    # only holes closed on all sides: what an end of the scan cuts open stays open
    inside = np.pad(np.asarray(ndimage.binary_fill_holes(mask[box])), pad)
    first = start - pad[:, 0]
    depth = distance_inside(inside, grid.spacing)
    if within is not None:
        depth = np.where(np.pad(within[box], pad), depth, 0.0)
    best, centre = 0.0, np.zeros(3)
    for index in _deepest(depth, grid.spacing):
        radius, place = _moved_off_lattice(inside, index, float(depth[tuple(index)]), grid, first)
        if radius > best:
            best, centre = radius, place
    return 2.0 * best, centre


def _deepest(depth: NDArray[np.float64], spacing: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """The deepest voxels, half a depth from each other, as far as they may hold the largest sphere."""
    limit = float(depth.max() - spacing.max())
    index = np.argwhere(depth > max(limit, 0.0))
    value = depth[tuple(index.T)]
    chosen = []
    while len(index) and len(chosen) < _CANDIDATES:
        top = index[np.argmax(value)]
        chosen.append(top)
        far = np.linalg.norm((index - top) * spacing, axis=1) > 0.5 * float(depth[tuple(top)])
        index, value = index[far], value[far]
    return chosen


def _moved_off_lattice(
    inside: NDArray[np.bool_], index: NDArray[np.int64], depth: float, grid: Grid, first: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Radius and centre (LPS mm) of the largest sphere near a voxel that holds no outside voxel's centre.

    The smallest of distances has ridges but no second peak nearby: a search in ever finer steps climbs it.
    """
    near = 2.0 * float(grid.spacing.max())
    reach = np.ceil((depth + 2.0 * near) / grid.spacing).astype(int)
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, inside.shape)
    part = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    rim = np.argwhere(~part & np.asarray(ndimage.binary_dilation(part, np.ones((3, 3, 3), dtype=bool))))
    start = centre = grid.points_from_index(index + first)
    if not len(rim):
        return depth, centre
    outside = cKDTree(grid.points_from_index(rim + low + first))
    radius, step = float(outside.query(centre)[0]), near / 4.0
    offsets = np.stack(np.meshgrid(*[np.linspace(-1, 1, 5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    while step > 0.01 * grid.spacing.min():
        places = centre + step * offsets
        place_index = grid.index_from_points(places) - low - first
        known = ((place_index >= 0) & (place_index <= np.array(part.shape) - 1)).all(axis=1)
        allowed = known & (np.linalg.norm(places - start, axis=1) <= near)
        away = np.where(allowed, np.asarray(outside.query(places)[0]), 0.0)
        top = int(np.argmax(away))
        if away[top] > radius + 1e-9:
            radius, centre = float(away[top]), places[top]
        else:
            step /= 2.0
    return radius, centre


def largest_axial_diameter(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Largest extent (maximum Feret diameter, mm) of one connected piece in one plane across the patient's S axis."""
    upright, spacing = _axial_slices(mask, grid)
    best = 0.0
    for plane in upright:
        pieces, count = ndimage.label(plane)
        for number in range(1, count + 1):
            piece = pieces == number
            rim = np.argwhere(piece & ~ndimage.binary_erosion(piece)) * spacing
            best = max(best, _farthest(rim))
    # both outermost centres inside stay short of the border: by 0.1 voxel of a wide circle, by 0.7 of an ellipse's tip
    return best + 0.4 * float(spacing.min())


def _axial_slices(mask: NDArray[np.bool_], grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(planes, rows, columns) the mask in planes across S, and the (2,) mm between rows and columns.

    A grid that is turned against the patient is resampled; one whose axes are the patient's, in any order, is not.
    """
    box = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in bounding_box(mask))
    start = np.array([s.start for s in box])
    part, upright = mask[box], int(np.argmax(np.abs(grid.direction[2])))
    if np.sort(np.abs(grid.direction), axis=0)[:2].max() < _ALIGNED:
        return np.moveaxis(part, upright, 0), np.delete(grid.spacing, upright)
    step = float(grid.spacing.min())
    corners = np.array(np.meshgrid(*zip(np.zeros(3), np.array(part.shape) - 1.0, strict=True))).reshape(3, -1).T
    corners = grid.points_from_index(corners + start)
    axes = [np.arange(low, high + step, step) for low, high in zip(corners.min(0), corners.max(0), strict=True)]
    source, planes = part.astype(np.float32), []
    for z in axes[2]:
        x, y = np.meshgrid(axes[0], axes[1], indexing="ij")
        index = np.moveaxis(grid.index_from_points(np.stack([x, y, np.full_like(x, z)], axis=-1)) - start, -1, 0)
        # the half level lies midway between the centres inside and outside: half a voxel less over both sides
        planes.append(ndimage.map_coordinates(source, index, order=1, prefilter=False) > 0.75)
    return np.array(planes), np.array([step, step])


def _farthest(points: NDArray[np.float64]) -> float:
    """Largest distance between two points of a plane (n, 2)."""
    if len(points) < 2:
        return 0.0
    if len(points) > 40:
        with contextlib.suppress(QhullError):  # all on one line
            points = points[ConvexHull(points).vertices]
    return float(pdist(points).max())
