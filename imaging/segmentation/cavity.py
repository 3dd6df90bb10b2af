"""The space inside ribs, abdominal wall and spine: where organs can be, muscle of the wall cannot.

A fatty liver has the HU of muscle, and a tumour at the liver's border lies against the
wall, so intensity alone does not end at the wall. Around the middle of every axial
slice the wall's thickness is seen along many rays: where a ray meets a rib, where the
lung's outer face ends, or where fat inside the wall begins. What lies between is
interpolated over angle and height (normalised convolution).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .case import Case
from .morphology import Mask

_ANGLES = 192
_STEP_MM = 2.0
_REACH_MM = 280.0
_CENTRE_BEFORE_VERTEBRA_MM = 45.0
_WALL_MM = 12.0
"""Thickness of an abdominal wall where nothing is seen of it."""


@dataclass(frozen=True)
class _Rays:
    """Samples along rays: (K, angle, radius)."""

    hu: NDArray[np.float32]
    bone: Mask
    lung: Mask
    centre: NDArray[np.float64]


def abdominal_cavity(case: Case) -> Mask:
    """(I, J, K) on the coarse grid: inside the wall, without bone. Lungs are inside."""
    frame, grid = case.frame, case.coarse.grid
    body = frame.body if frame.body is not None else np.ones(grid.shape, dtype=bool)
    bone = frame.bone if frame.bone is not None else np.zeros(grid.shape, dtype=bool)
    rays = _cast(case, body, bone)
    outer = _wall_outside(rays.hu)
    thickness = _interpolated(*_wall_seen(rays, outer), float(grid.spacing[2]))
    radius = np.maximum(outer * _STEP_MM - thickness, 0.0)
    return _inside(radius, rays.centre, grid.shape, grid.spacing) & body & ~bone


def _centres(case: Case) -> NDArray[np.float64]:
    """(K, 2) index of the point that rays start from: in front of the vertebra, or the trunk's middle."""
    frame, grid = case.frame, case.coarse.grid
    middle = np.full((grid.shape[2], 2), np.nan)
    if frame.centre is not None:
        middle = frame.centre.copy()
    if frame.vertebra is not None:
        seen = np.isfinite(frame.vertebra).all(axis=1)
        middle[seen] = frame.vertebra[seen] - (0.0, _CENTRE_BEFORE_VERTEBRA_MM)
    index = (middle - grid.origin[:2]) / grid.spacing[:2]
    for axis, default in enumerate((grid.shape[0] / 2, grid.shape[1] / 2)):
        good = np.flatnonzero(np.isfinite(index[:, axis]))
        if not good.size:
            index[:, axis] = default
            continue
        filled = np.interp(np.arange(len(index)), good, index[good, axis])
        index[:, axis] = ndimage.gaussian_filter1d(filled, 10.0 / grid.spacing[2], mode="nearest")
    return index


def _cast(case: Case, body: Mask, bone: Mask) -> _Rays:
    grid = case.coarse.grid
    centre = _centres(case)
    angle = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    radius = np.arange(int(_REACH_MM / _STEP_MM)) * _STEP_MM
    points = np.empty((3, grid.shape[2], _ANGLES, len(radius)), dtype=np.float32)
    points[0] = centre[:, 0, None, None] + np.cos(angle)[:, None] * radius / grid.spacing[0]
    points[1] = centre[:, 1, None, None] + np.sin(angle)[:, None] * radius / grid.spacing[1]
    points[2] = np.arange(grid.shape[2])[:, None, None]

    def sample(field: NDArray, outside: float = 0.0) -> NDArray[np.float32]:
        return ndimage.map_coordinates(field.astype(np.float32), points, order=1, cval=outside)

    hu = sample(np.where(body, case.coarse.voxels, -1000.0), -1000.0)
    ribs = sample(bone & ~_vertebral(case)) > 0.4
    lungs = case.frame.lungs
    lung = np.zeros(hu.shape, dtype=bool) if lungs is None else sample(lungs) > 0.5
    return _Rays(hu, ribs, lung, centre)


def _vertebral(case: Case) -> Mask:
    """(I, J, K) where vertebrae and their processes are: bone there is no rib."""
    frame, grid = case.frame, case.coarse.grid
    if frame.vertebra is None:
        return np.zeros(grid.shape, dtype=bool)
    x, y = frame.vertebra[None, None, :, 0], frame.vertebra[None, None, :, 1]
    near = (np.abs(frame.x - x) < 40.0) & (frame.y > y - 30.0)
    return np.asarray(near & np.isfinite(x), dtype=bool)


def _last(mask: Mask) -> NDArray[np.float64]:
    """(K, angle) index of the outermost True along each ray; 0 where none."""
    return np.where(mask.any(axis=2), mask.shape[2] - 1 - mask[:, :, ::-1].argmax(axis=2), 0).astype(float)


def _persistent(mask: Mask, length_mm: float) -> Mask:
    """Runs of at least this length along the rays."""
    size = max(round(length_mm / _STEP_MM), 1)
    shortest = ndimage.minimum_filter1d(mask.astype(np.uint8), size, axis=2)
    return ndimage.maximum_filter1d(shortest, size, axis=2, origin=-1 if size % 2 == 0 else 0) > 0


def _wall_outside(hu: NDArray[np.float32]) -> NDArray[np.float64]:
    """(K, angle) radius index where the outermost muscle begins, below skin and fat."""
    outer = _last(_persistent(hu > -30.0, 4.0))
    wrapped = np.pad(outer, ((0, 0), (8, 8)), mode="wrap")
    return ndimage.percentile_filter(wrapped, 65, size=(7, 11), mode="nearest")[:, 8:-8]


def _wall_seen(rays: _Rays, outer: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, angle) wall thickness in mm where it is seen, and how sure that is."""
    index = np.arange(rays.hu.shape[2])
    ribs = rays.bone & (index * _STEP_MM > 20.0)
    rib = np.where(ribs.any(axis=2), ribs.argmax(axis=2), 0)
    by_rib = (outer - rib) * _STEP_MM
    by_lung = (outer - _last(rays.lung)) * _STEP_MM - 2.0
    fat = _persistent((rays.hu < -30.0) & (rays.hu > -400.0), 6.0) & (index < outer[:, :, None] - 1)
    by_fat = (outer - _last(fat)) * _STEP_MM
    rib_seen = ribs.any(axis=2) & (by_rib > 0)
    lung_seen = rays.lung.any(axis=2) & (by_lung > 0) & (by_lung < 60.0)
    fat_seen = fat.any(axis=2) & (by_fat > 4.0) & (by_fat < 25.0)
    bony = np.where(rib_seen & lung_seen, np.minimum(by_rib, by_lung), np.where(rib_seen, by_rib, by_lung))
    thickness = np.where(rib_seen | lung_seen, bony, by_fat)
    weight = np.where(rib_seen | lung_seen, 1.0, np.where(fat_seen, 0.15, 0.0))
    return np.where(weight > 0, thickness, 0.0), weight


def _interpolated(thickness: NDArray[np.float64], weight: NDArray[np.float64], spacing_z: float) -> NDArray[np.float64]:
    """Wall thickness everywhere: near observations first, farther ones only where those are missing."""
    total = np.full(thickness.shape, 1e-6 * _WALL_MM)
    norm = np.full(thickness.shape, 1e-6)
    for height_mm, angle_deg, share in ((8.0, 4.0, 1.0), (16.0, 9.0, 1e-2), (32.0, 18.0, 1e-4)):
        sigma = (height_mm / spacing_z, angle_deg / 360.0 * _ANGLES)
        total += share * ndimage.gaussian_filter(thickness * weight, sigma, mode=("nearest", "wrap"))
        norm += share * ndimage.gaussian_filter(weight, sigma, mode=("nearest", "wrap"))
    return total / norm


def _inside(
    radius: NDArray[np.float64], centre: NDArray[np.float64], shape: tuple[int, int, int], spacing: NDArray[np.float64]
) -> Mask:
    i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    inside = np.zeros(shape, dtype=bool)
    for k in range(shape[2]):
        x, y = (i - centre[k, 0]) * spacing[0], (j - centre[k, 1]) * spacing[1]
        turn = (np.arctan2(y, x) % (2 * np.pi)) * (_ANGLES / (2 * np.pi))
        limit = ndimage.map_coordinates(radius[k], [turn.ravel()], order=1, mode="grid-wrap").reshape(turn.shape)
        inside[:, :, k] = np.hypot(x, y) < limit
    return inside
