"""The vertebral canal, followed from slice to slice: the spine's course, and what marrow filling must leave out.

In an axial slice the canal is soft tissue with compact bone around it at 7-16 mm: the
vertebral body before it, the arch beside and behind it. Between the arches the ring is
open. So every point of every slice gets a score for being the middle of such a ring,
and the smoothest path of highest scores through all slices is found by dynamic
programming.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..volume import Grid
from .case import Case
from .morphology import Mask
from .path import smoothest_path
from .resample import Pyramid

_CORE_MM, _RING_MM = 5.0, (7.0, 16.0)
"""Adult canals are 15-25 mm deep and wide in axial slices, bone begins beyond."""

_SEEN = 0.18
"""Least ring score at which a slice shows the canal; vertebrae with arches reach 0.3-0.7."""

_BODY_BEFORE_CANAL_MM = 25.0
"""Middle of an adult vertebral body before the middle of its canal (T8-L5: 22-30 mm)."""


def find_canal(case: Case, shell: Mask, hu: NDArray[np.float32], pyramid: Pyramid) -> Mask | None:
    """The canal on the pyramid's coarse grid, and the spine's course in the frame; None if unseen.

    Args:
        case: its frame gets `spine` and `vertebra`.
        shell: (I, J, K) compact bone on the pyramid's coarse grid.
        hu: (I, J, K) the scan on that grid.
        pyramid: between the scan and that grid.
    """
    score = _ring_score(case, shell, pyramid)
    path, strength = smoothest_path(score, case.coarse.grid.spacing)
    visible = ndimage.gaussian_filter1d(strength, 1.0) > _SEEN
    if visible.sum() * case.coarse.grid.spacing[2] < 8.0:
        case.remarks.append("the vertebral canal is not seen: the spine's course is not known")
        return None
    _keep_course(case, path, visible)
    return _canal(case, shell, hu, pyramid.coarse)


def _ring_score(case: Case, shell: Mask, pyramid: Pyramid) -> NDArray[np.float32]:
    """(I, J, K) on the case's coarse grid: how evenly bone lies around a soft middle, in [0, 1]; 0 where impossible."""
    frame, grid = case.frame, case.coarse.grid
    assert frame.body is not None
    assert frame.centre is not None
    assert frame.half_size is not None
    between = Pyramid(pyramid.coarse, grid)
    bone = np.minimum(1.5 * ndimage.maximum_filter(between.down(shell), size=(2, 2, 2)), 1.0)
    radius = int(np.ceil(_RING_MM[1] / grid.spacing[0]))
    x = np.arange(-radius, radius + 1)[:, None] * grid.spacing[0]
    y = np.arange(-radius, radius + 1)[None, :] * grid.spacing[1]
    distance, angle = np.hypot(x, y), np.arctan2(y, x)
    sectors = []
    for start in np.arange(-np.pi, np.pi - 1e-6, np.pi / 4):
        sector = (distance >= _RING_MM[0]) & (distance <= _RING_MM[1])
        sector &= (angle >= start) & (angle < start + np.pi / 4 + 1e-6)
        # One filled ray's worth of bone closes a sector.
        covered = ndimage.convolve(bone, (sector / sector.sum())[::-1, ::-1, None].astype(np.float32), mode="constant")
        sectors.append(np.minimum(3.0 * covered, 1.0))
    core = (distance <= _CORE_MM).astype(np.float32)
    filled = ndimage.convolve(bone, (core / core.sum())[:, :, None], mode="constant")
    ring = np.sort(np.array(sectors), axis=0)[1:].mean(axis=0) * np.clip(1.0 - 1.5 * filled, 0.0, 1.0)
    soft = ndimage.uniform_filter(case.coarse.voxels, size=(3, 3, 1))
    lean = frame.muscle_hu[0]
    possible = frame.body & (soft < lean + 70.0) & (soft > lean - 140.0)
    aside = np.abs(frame.x - frame.centre[:, 0]) / np.maximum(frame.half_size[:, 0], 1.0)
    behind = (frame.y - frame.centre[:, 1]) / np.maximum(frame.half_size[:, 1], 1.0)
    possible &= (aside < 0.3) & (behind > -0.35)
    score = np.where(possible, (ring - 0.35) / 0.65, 0.0)
    smooth = ndimage.gaussian_filter1d(np.clip(score, 0.0, 1.0), 4.0 / grid.spacing[2], axis=2)
    return smooth.astype(np.float32)


def _keep_course(case: Case, path: NDArray[np.intp], visible: NDArray[np.bool_]) -> None:
    """The course on the case's coarse slices from the lowest to the highest visible one, and 40 mm on."""
    frame, grid = case.frame, case.coarse.grid
    z = frame.z.ravel()
    seen = np.flatnonzero(visible)
    near = (z > z[seen[0]] - 40.0) & (z < z[seen[-1]] + 40.0)
    spine = np.full((len(z), 2), np.nan)
    for axis in range(2):
        at = grid.origin[axis] + grid.spacing[axis] * path[:, axis]
        line = np.interp(z[near], z[seen], at[seen])
        spine[near, axis] = ndimage.gaussian_filter1d(line, 6.0 / grid.spacing[2], mode="nearest")
    frame.spine = spine
    frame.vertebra = spine - np.array([0.0, _BODY_BEFORE_CANAL_MM])


def _canal(case: Case, shell: Mask, hu: NDArray[np.float32], grid: Grid) -> Mask:
    """Soft tissue around the course that bone does not part from it."""
    frame = case.frame
    assert frame.spine is not None
    lean = frame.muscle_hu[0]
    soft = ndimage.gaussian_filter(hu, 1.0)
    x, y, z = (grid.origin[a] + grid.spacing[a] * np.arange(grid.shape[a]) for a in range(3))
    course = np.stack([np.interp(z, frame.z.ravel(), frame.spine[:, a]) for a in range(2)], axis=1)
    canal = np.zeros(shell.shape, dtype=bool)
    for k in np.flatnonzero(np.isfinite(course[:, 0])):
        i = np.flatnonzero(np.abs(x - course[k, 0]) < 16.0)
        j = np.flatnonzero(np.abs(y - course[k, 1]) < 13.0)
        if not (i.size and j.size):
            continue
        box = (slice(i[0], i[-1] + 1), slice(j[0], j[-1] + 1), k)
        away = np.hypot((x[box[0], None] - course[k, 0]) / 16.0, (y[None, box[1]] - course[k, 1]) / 13.0)
        free = (away < 1.0) & ~shell[box] & (soft[box] < lean + 70.0)
        labels, count = ndimage.label(free)
        if count:
            nearest = labels.ravel()[np.where(free, away, np.inf).argmin()]
            canal[box] = labels == nearest
    return canal
