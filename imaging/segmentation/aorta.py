"""The aorta's lumen and the common iliac arteries, in a scan with contrast.

1. Per slice, how well every point before the spine is the middle of a bright disc with
   darker surroundings; the smoothest line of best discs through all slices.
2. The lumen's HU along that line, and from it the border half-way to soft tissue.
3. From the clearest slice up and down, the lumen is followed from slice to slice: what
   touches the last one, cut free of branches and neighbours by an opening. Where going
   down it parts in two that are both much smaller than the trunk, that is the
   bifurcation; a branch leaves the trunk as large as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .case import Case
from .follow import Lumen, follow
from .morphology import Mask
from .path import smoothest_path
from .phase import estimate_phase
from .resample import Box, Pyramid

SPACING_MM = 1.25
_RADII_MM = (4.0, 5.5, 7.5, 10.0, 13.0, 17.0)
_BRIGHTER = 40.0
"""HU above muscle from which on blood counts as enhanced; less cannot be told from its wall."""

_CORE = 0.78
"""Share of the lumen's excess over muscle that the middle of an iliac artery keeps and an iliac vein does not reach."""

_LEAST_LENGTH_MM = 25.0


@dataclass(frozen=True, eq=False)
class Trunk:
    """The aorta's course on the case's coarse slices.

    Attributes:
        centre: (K, 2) mm, LPS x and y.
        radius: (K,) mm.
        level: (K,) lumen HU, smoothed.
        strength: (K,) score of the disc in [0, 1].
    """

    centre: NDArray[np.float64]
    radius: NDArray[np.float64]
    level: NDArray[np.float64]
    strength: NDArray[np.float64]


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find the lumen; {} and a remark without contrast. Estimates the contrast phase on the way."""
    progress(0.0, "aorta")
    trunk = find_trunk(case)
    case.frame.aorta_hu = None if trunk is None else float(np.median(trunk.level[trunk.strength > 0.4]))
    case.frame.phase = estimate_phase(case)
    if trunk is None:
        case.remarks.append(
            "the aorta's lumen is not seen: without contrast it cannot be told from its wall"
            if case.frame.phase == "native"
            else "the aorta was not found before the spine"
        )
        return {}
    progress(0.4, "aorta")
    pyramid = Pyramid.over(case.grid, max(SPACING_MM, float(case.grid.spacing.min())))
    found = _followed(case, trunk, pyramid)
    if not found:
        case.remarks.append("the aorta was seen but could not be followed")
        return {}
    progress(0.8, "aorta")
    full = {name: _refined(case, mask, pyramid, case.frame.aorta_hu or 150.0) for name, mask in found.items()}
    case.frame.aorta = case.pyramid.down(np.any(list(full.values()), axis=0)) >= 0.5
    return full


def find_trunk(case: Case) -> Trunk | None:
    """The aorta's course, or None where no bright tube runs before the spine."""
    score, radius, level = _disc_score(case)
    path, strength = smoothest_path(score, case.coarse.grid.spacing, stiffness=0.05)
    k = np.arange(len(path))
    good = strength > 0.4
    if good.sum() * case.coarse.grid.spacing[2] < _LEAST_LENGTH_MM:
        return None
    hu = np.interp(k, k[good], ndimage.median_filter(level[path[good, 0], path[good, 1], k[good]], size=5))
    size = np.interp(k, k[good], ndimage.median_filter(radius[path[good, 0], path[good, 1], k[good]], size=5))
    grid = case.coarse.grid
    centre = grid.origin[:2] + grid.spacing[:2] * path
    return Trunk(centre, size, ndimage.gaussian_filter1d(hu, 4.0, mode="nearest"), strength)


def _disc_score(case: Case) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """(score, radius mm, lumen HU), each (I, J, K) on the coarse grid; score 0 where no aorta can be."""
    frame, grid = case.frame, case.coarse.grid
    hu = case.coarse.voxels
    lean = frame.muscle_hu[0]
    prior = _prior(case)
    best = np.zeros(hu.shape, dtype=np.float32)
    radius = np.full(hu.shape, _RADII_MM[0], dtype=np.float32)
    level = ndimage.uniform_filter(hu, size=(3, 3, 3))
    half = lean + 0.5 * (level - lean)
    possible = (prior > 0.02) & (level > lean + _BRIGHTER)
    if frame.bone is not None:
        possible &= ~frame.bone
    shell = ndimage.maximum_filter(hu, size=(3, 3, 1))
    for r in _RADII_MM:
        inside = _share(hu, half, 0.75 * r, grid.spacing, above=True)
        outside = _share(hu, half, 1.2 * r + 2.5, grid.spacing, above=False)
        # A vertebral body is a disc as well, but in a shell of compact bone.
        outside *= _share(shell, level + 120.0, 1.1 * r + 1.0, grid.spacing, above=True) < 0.42
        score = (np.clip(inside - 0.7, 0.0, 0.3) / 0.3 * outside * prior * possible).astype(np.float32)
        better = score > best
        best[better], radius[better] = score[better], r
    return ndimage.gaussian_filter1d(best, 3.0 / grid.spacing[2], axis=2), radius, level


def _share(
    hu: NDArray[np.float32], limit: NDArray[np.float32], radius: float, spacing: NDArray[np.float64], *, above: bool
) -> NDArray[np.float32]:
    """Share of 12 directions in which the voxel at this distance lies above (or below) the limit of the middle."""
    count = np.zeros(hu.shape, dtype=np.float32)
    offsets = [(radius * np.cos(a), radius * np.sin(a)) for a in np.arange(12) * np.pi / 6]
    margin = int(np.ceil(radius / float(spacing[:2].min()))) + 1
    padded = np.pad(hu, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    for x, y in offsets:
        i, j = margin + round(x / spacing[0]), margin + round(y / spacing[1])
        moved = padded[i : i + hu.shape[0], j : j + hu.shape[1]]
        count += (moved > limit) if above else (moved < limit)
    return count / 12.0


def _prior(case: Case) -> NDArray[np.float32]:
    """How likely the aorta's middle lies at a place relative to the spine: before it, a little to the left."""
    frame = case.frame
    middle = frame.midline()
    assert frame.centre is not None
    assert frame.half_size is not None
    canal = frame.centre[:, 1] + 0.5 * frame.half_size[:, 1]
    if frame.spine is not None:
        canal = np.where(np.isfinite(frame.spine[:, 1]), frame.spine[:, 1], canal)
    left = frame.x - np.nan_to_num(middle)[None, None, :]
    before = np.nan_to_num(canal)[None, None, :] - frame.y
    chest = np.zeros(frame.grid.shape[2])
    if frame.lungs is not None and frame.body is not None:
        chest = frame.lungs.sum(axis=(0, 1)) / np.maximum(frame.body.sum(axis=(0, 1)), 1)
    chest = np.clip((chest - 0.1) / 0.15, 0.0, 1.0)[None, None, :]
    # Beside the thoracic vertebra, about 30 mm before the canal; before the lumbar one, about 55 mm, and sacs reach 90.
    aside, depth, slack = 13.0 + 9.0 * chest, 52.0 - 18.0 * chest, 22.0 - 12.0 * chest
    across = np.exp(-0.5 * ((left - aside) / (17.0 - 4.0 * chest)) ** 2)
    along = np.exp(-0.5 * (np.maximum(np.abs(before - depth) - slack, 0.0) / 12.0) ** 2)
    vertebra = ((np.abs(left) < 16.0) & (before < 40.0)) | ((np.abs(left) < 24.0) & (before < 30.0))
    return (across * along * np.isfinite(middle)[None, None, :] * ~vertebra).astype(np.float32)


def _followed(case: Case, trunk: Trunk, pyramid: Pyramid) -> dict[str, Mask]:
    """Masks on the pyramid's coarse grid: the trunk, and the common iliac arteries where it parts."""
    grid = pyramid.coarse
    x, y, z = (grid.origin[a] + grid.spacing[a] * np.arange(grid.shape[a]) for a in range(3))
    coarse_z = case.frame.z.ravel()
    reach = trunk.centre[:, 0].min() - 70.0, trunk.centre[:, 0].max() + 70.0
    depth = trunk.centre[:, 1].min() - 60.0, trunk.centre[:, 1].max() + 45.0
    i, j = (np.flatnonzero((a > low) & (a < high)) for a, (low, high) in ((x, reach), (y, depth)))
    box: Box = (slice(int(i[0]), int(i[-1]) + 1), slice(int(j[0]), int(j[-1]) + 1), slice(0, grid.shape[2]))
    hu = ndimage.gaussian_filter(pyramid.down(np.clip(case.voxels, -200.0, 1500.0))[box], 0.6)
    level = np.interp(z, coarse_z, trunk.level)
    lean = case.frame.muscle_hu[0]
    bright = (hu > lean + 0.5 * (level - lean)) & (hu < level + 0.75 * (level - lean) + 60.0)
    if "bone" in case.masks:
        bright &= ~ndimage.binary_dilation(pyramid.down(case.masks["bone"])[box] > 0.3)
    centre = np.stack([np.interp(z, coarse_z, trunk.centre[:, a]) for a in range(2)], axis=1)
    at = (centre - (x[box[0].start], y[box[1].start])) / grid.spacing[:2]
    veins_bright = case.frame.phase != "arterial"
    core = bright & (hu > lean + _CORE * (level - lean)) if veins_bright else bright
    course = Lumen(at, np.interp(z, coarse_z, trunk.radius), np.interp(z, coarse_z, trunk.strength))
    lumen = follow(bright, core, course, grid.spacing)
    result = {}
    for name, mask in lumen.items():
        whole = np.zeros(grid.shape, dtype=bool)
        whole[box] = mask
        result[name] = whole
    return result


def _refined(case: Case, mask: Mask, pyramid: Pyramid, level: float) -> NDArray[np.bool_]:
    """Full resolution: the inside as followed, the border where HU crosses half-way to soft tissue."""
    result = np.zeros(case.grid.shape, dtype=bool)
    box = pyramid.fine_box(mask, margin_mm=4.0)
    if box is None:
        return result
    inner = ndimage.binary_erosion(mask)
    outer = ndimage.binary_dilation(mask)
    grade = pyramid.up(inner.astype(np.float32) + outer, box)
    lean = case.frame.muscle_hu[0]
    hu = ndimage.gaussian_filter(case.voxels[box], 0.5)
    result[box] = (grade > 1.5) | ((grade > 0.5) & (hu > lean + 0.5 * (level - lean)))
    return result
