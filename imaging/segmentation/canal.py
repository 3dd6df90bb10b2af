"""The vertebral canal, followed from slice to slice: the spine's course, and what marrow filling must leave out.

In an axial slice at the height of a vertebra's pedicles, the canal is a hole of 1-8 cm²
in the bone's ring, near the midline, of soft tissue density. Between the arches the
ring is open; there the course is interpolated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .case import Case
from .morphology import Mask, ball, closed
from .resample import Pyramid

_AREA_MM2 = (80.0, 900.0)
"""Adult canals measure about 150-600 mm² in axial slices; meninges and partial volume widen the range."""


def find_canal(case: Case, shell: Mask, hu: NDArray[np.float32], pyramid: Pyramid) -> Mask | None:
    """The canal as a mask on the pyramid's coarse grid, and the spine's course in the frame; None if unseen."""
    grid = pyramid.coarse
    soft = ndimage.gaussian_filter(hu, (1.0, 1.0, 1.0))
    rings = _rings(case, shell, soft, pyramid)
    path = _course(rings, grid.shape[2], float(grid.spacing[2]))
    if path is None:
        case.remarks.append("the vertebral canal is not seen: the spine's course is not known")
        return None
    points = np.full((grid.shape[2], 2), np.nan)
    canal = np.zeros(shell.shape, dtype=bool)
    x, y = (grid.origin[a] + grid.spacing[a] * np.arange(grid.shape[a]) for a in range(2))
    for k in np.flatnonzero(np.isfinite(path[:, 0])):
        centre, radius = path[k, :2], path[k, 2]
        points[k] = centre
        near = np.hypot(x[:, None] - centre[0], y[None, :] - centre[1]) < 1.35 * radius
        free = near & ~shell[:, :, k]
        labels, _ = ndimage.label(free)
        i, j = np.abs(x - centre[0]).argmin(), np.abs(y - centre[1]).argmin()
        canal[:, :, k] = labels == labels[i, j] if labels[i, j] else False
    _keep_course(case, points, grid, shell)
    return canal


def _rings(
    case: Case, shell: Mask, soft: NDArray[np.float32], pyramid: Pyramid
) -> list[tuple[int, float, float, float, float]]:
    """(k, x mm, y mm, radius mm, score) of every hole that may be the canal."""
    grid = pyramid.coarse
    frame = case.frame
    assert frame.centre is not None
    assert frame.half_size is not None
    ratio = case.coarse.grid.shape[2] / grid.shape[2]
    lean = frame.muscle_hu[0]
    area = float(grid.spacing[0] * grid.spacing[1])
    found: list[tuple[int, float, float, float, float]] = []
    for k in range(grid.shape[2]):
        middle = frame.centre[min(int((k + 0.5) * ratio), len(frame.centre) - 1)]
        half = frame.half_size[min(int((k + 0.5) * ratio), len(frame.centre) - 1)]
        if not np.isfinite(middle).all():
            continue
        sealed = closed(shell[:, :, k, None], 3.0, grid.spacing)[:, :, 0]
        holes, count = ndimage.label(ndimage.binary_fill_holes(sealed) & ~sealed)
        for i, box in enumerate(ndimage.find_objects(holes), start=1):
            hole = holes[box] == i
            size = float(hole.sum()) * area
            if not _AREA_MM2[0] < size < _AREA_MM2[1]:
                continue
            level = float(np.median(soft[box[0], box[1], k][hole]))
            if not lean - 130.0 < level < lean + 35.0:
                continue
            at = np.array(ndimage.center_of_mass(hole)) + (box[0].start, box[1].start)
            px, py = grid.origin[:2] + grid.spacing[:2] * at
            aside, behind = abs(px - middle[0]) / half[0], (py - middle[1]) / half[1]
            if aside < 0.45 and behind > -0.4:
                fill = size / (np.pi / 4 * np.ptp(np.nonzero(hole), axis=1).clip(1).prod() * area)
                found.append((k, float(px), float(py), float(np.sqrt(size / np.pi)), min(fill, 1.0)))
    return found


def _course(
    rings: list[tuple[int, float, float, float, float]], count: int, step_mm: float
) -> NDArray[np.float64] | None:
    """(K, 3) x, y, radius of the smoothest long chain of rings, interpolated between them; NaN beyond its ends."""
    if not rings:
        return None
    best = np.array([ring[4] for ring in rings])
    before = np.full(len(rings), -1)
    for b, ring in enumerate(rings):
        for a in range(b - 1, -1, -1):
            gap = (ring[0] - rings[a][0]) * step_mm
            if gap > 60.0:
                break
            if gap <= 0:
                continue
            jump = np.hypot(ring[1] - rings[a][1], ring[2] - rings[a][2])
            if jump > 4.0 + 0.8 * gap:
                continue
            score = best[a] + ring[4] - 0.05 * jump
            if score > best[b]:
                best[b], before[b] = score, a
    chain, at = [], int(best.argmax())
    while at >= 0:
        chain.append(rings[at])
        at = int(before[at])
    chain = np.array(chain[::-1])
    if len(chain) * step_mm < 6.0:
        return None
    path = np.full((count, 3), np.nan)
    k = np.arange(int(chain[0, 0]), int(chain[-1, 0]) + 1)
    for column in range(3):
        line = np.interp(k, chain[:, 0], chain[:, column + 1])
        path[k, column] = ndimage.gaussian_filter1d(line, 4.0 / step_mm, mode="nearest")
    return path


def _keep_course(case: Case, points: NDArray[np.float64], grid, shell: Mask) -> None:
    """The course on the case's coarse slices, continued straight for 40 mm, and the vertebral bodies before it."""
    frame = case.frame
    z_fine = grid.origin[2] + grid.spacing[2] * np.arange(grid.shape[2])
    seen = np.isfinite(points[:, 0])
    z = frame.z.ravel()
    near = (z > z_fine[seen].min() - 40.0) & (z < z_fine[seen].max() + 40.0)
    spine = np.full((len(z), 2), np.nan)
    for axis in range(2):
        spine[near, axis] = np.interp(z[near], z_fine[seen], points[seen, axis])
    frame.spine = spine
    # The middle of an adult lumbar or thoracic body lies about 25 mm before the canal's middle.
    frame.vertebra = spine - np.array([0.0, 25.0])
