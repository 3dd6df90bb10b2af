"""A vessel's axis through its voxels, and the sections across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ...imaging.volume import Grid

STEP_MM = 1.0
SMOOTH_MM = 4.0
_BLUR_VOXELS = 0.8
_END_MM = 3.0
"""An end of a vessel lies in its outermost slab of this height."""


@dataclass(frozen=True, eq=False)
class Section:
    """What a plane across the axis cuts out of the vessel.

    Attributes:
        mean_mm: diameter of the circle of the same area.
        widest_mm, narrowest_mm: largest and smallest extent (Feret diameters).
    """

    mean_mm: float
    widest_mm: float
    narrowest_mm: float


@dataclass(frozen=True, eq=False)
class VesselAxis:
    """An axis from above down, in steps of `STEP_MM`.

    Attributes:
        points: (n, 3) LPS mm.
        mask: (I, J, K) voxels of the vessel.
        grid: where they are.
        reach_mm: no place of the vessel lies farther from its axis in a section.
    """

    points: NDArray[np.float64]
    mask: NDArray[np.bool_]
    grid: Grid
    reach_mm: float

    @property
    def length_mm(self) -> float:
        """Along the axis."""
        return STEP_MM * (len(self.points) - 1)

    def nearest(self, point: NDArray[np.float64]) -> tuple[int, float]:
        """The station nearest to a place (3,) LPS mm, and how far away it is."""
        away = np.linalg.norm(self.points - point, axis=1)
        return int(np.argmin(away)), float(away.min())

    def sections(self) -> list[Section | None]:
        """One per station; None where the plane leaves the scan or meets nothing."""
        tangents = np.gradient(self.points, axis=0)
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
        low, part = _box(self.mask, margin=4)
        # Steps of voxels would make every section wider than the vessel.
        solid = ndimage.gaussian_filter(part.astype(np.float32), _BLUR_VOXELS)
        return [self._section(p, t, solid, low) for p, t in zip(self.points, tangents, strict=True)]

    def _section(self, centre: NDArray, tangent: NDArray, solid: NDArray[np.float32], low: NDArray) -> Section | None:
        step = float(self.grid.spacing.min()) / 2
        across = np.cross(tangent, np.eye(3)[np.argmin(np.abs(tangent))])
        across /= np.linalg.norm(across)
        down = np.cross(tangent, across)
        line = np.arange(-self.reach_mm, self.reach_mm + step / 2, step)
        a, b = np.meshgrid(line, line, indexing="ij")
        index = np.moveaxis(self.grid.index_from_points(centre + a[..., None] * across + b[..., None] * down), -1, 0)
        inside = ndimage.map_coordinates(solid, index - low[:, None, None], order=1, prefilter=False) > 0.5
        pieces, count = ndimage.label(inside)
        if not count:
            return None
        nearest = np.argmin(np.where(inside, a**2 + b**2, np.inf))
        piece = pieces == pieces.ravel()[nearest]
        limit = np.array(self.grid.shape)[:, None] - 1
        if ((index[:, piece] < 0) | (index[:, piece] > limit)).any():
            return None
        points = np.stack([a[piece], b[piece]], axis=1)
        narrow, wide = _extents(points[_rim(piece)[piece]])
        area = float(piece.sum()) * step**2
        return Section(2.0 * float(np.sqrt(area / np.pi)), wide + step, narrow + step)

    def volume_ml(self, first: int, last: int) -> float:
        """Of the voxels nearest to the stations from `first` to `last`, both included."""
        low, part = _box(self.mask, margin=0)
        voxels = self.grid.points_from_index(np.argwhere(part) + low)
        _, station = cKDTree(self.points).query(voxels)
        return float(((station >= first) & (station <= last)).sum() * self.grid.voxel_volume / 1000)


def vessel_axis(mask: NDArray[np.bool_], grid: Grid) -> VesselAxis | None:
    """The axis of the largest piece of a vessel, from its highest to its lowest end; None where it is too short.

    The way of least cost from end to end, where a step costs the more the nearer it runs to the wall (1 / distance²),
    made smooth. Closed holes are filled first: they would push the way aside.
    """
    if not mask.any():
        return None
    low, part = _box(mask, margin=1)
    pieces, _ = ndimage.label(part)
    part = np.asarray(ndimage.binary_fill_holes(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])))
    depth = ndimage.distance_transform_edt(part, sampling=grid.spacing)
    index = np.argwhere(part)
    height = grid.points_from_index(index + low)[:, 2]
    ends = []
    for at_end in (height >= height.max() - _END_MM, height <= height.min() + _END_MM):
        candidates = index[at_end]
        ends.append(tuple(candidates[np.argmax(depth[tuple(candidates.T)])]))
    way = _cheapest_way(depth, grid.spacing, *ends)
    points = _even(grid.points_from_index(way + low), 0.25 * STEP_MM)
    smooth = ndimage.gaussian_filter1d(points, SMOOTH_MM / (0.25 * STEP_MM), axis=0, mode="nearest")
    points = _even(smooth, STEP_MM)
    if len(points) < 5:
        return None
    whole = np.zeros(grid.shape, dtype=bool)
    whole[tuple(slice(a + 1, a + n - 1) for a, n in zip(low, part.shape, strict=True))] = part[1:-1, 1:-1, 1:-1]
    away, _ = cKDTree(points).query(grid.points_from_index(index + low))
    return VesselAxis(points, whole, grid, float(away.max()) + 3.0 * float(grid.spacing.max()))


def _cheapest_way(depth: NDArray[np.float64], spacing: NDArray[np.float64], start, stop) -> NDArray[np.int64]:
    """(n, 3) voxels from start to stop."""
    from skimage.graph import MCP_Geometric

    costs = np.where(depth > 0, 1.0 / np.maximum(depth, 1e-6) ** 2, -1.0)
    search = MCP_Geometric(costs, sampling=tuple(float(one) for one in spacing))
    search.find_costs([start], [stop])
    return np.array(search.traceback(stop))


def _even(points: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """A polyline in steps of one length."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.arange(0.0, along[-1] + 1e-9, step)
    return np.stack([np.interp(at, along, points[:, axis]) for axis in range(3)], axis=1)


def _box(mask: NDArray[np.bool_], *, margin: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The first index of the box around a mask, and the mask in it with an empty margin around."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return np.array([one.start for one in box]) - margin, np.pad(mask[box], margin)


def _extents(points: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest extent of points (n, 2) over 180 directions (the largest is off by less than 0.02 %)."""
    angle = np.radians(np.arange(180))
    along = np.ptp(points @ np.stack([np.cos(angle), np.sin(angle)]), axis=0)
    return float(along.min()), float(along.max())


def _rim(piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return piece & ~ndimage.binary_erosion(piece)
