"""From a coarse organ to its border in the full-resolution scan.

Within a few millimetres of the coarse border each voxel goes to the side whose local
mean HU it is nearer to (the local region model of Lankton and Tannenbaum 2008), so the
border falls between the organ and whatever touches it there: fat, lung, muscle.
Where both sides look alike the coarse border, smooth, stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .case import Case
from .morphology import Mask, distance

_LOCAL_MM = 4.0
_OUTSIDE_HU = (-120.0, 300.0)
_WIDEST_HU = 110.0
_RING_MM = 7.0


def refined(
    case: Case, coarse: Mask, *, reach_mm: float = 4.0, forbidden: Mask | None = None, smooth_mm: float = 0.8
) -> Mask:
    """(I, J, K) full-resolution mask of an organ known on the coarse grid.

    Args:
        case: the scan.
        coarse: the organ on the coarse grid.
        reach_mm: how far the border may move.
        forbidden: (I, J, K) full-resolution voxels that are something else.
        smooth_mm: standard deviation of the smoothing of scan and border.
    """
    result = np.zeros(case.grid.shape, dtype=bool)
    box = case.pyramid.fine_box(coarse, margin_mm=reach_mm + 4.0)
    if box is None:
        return result
    spacing = case.grid.spacing
    inside_hu, outside_hu = local_means(case, coarse)
    depth = _signed_distance(coarse, case.coarse.grid.spacing)
    depth = case.pyramid.up(depth, box)
    inner, outer = case.pyramid.up(inside_hu, box), case.pyramid.up(outside_hu, box)
    hu = np.clip(case.voxels[box], *_OUTSIDE_HU)
    hu = ndimage.gaussian_filter(hu, smooth_mm / spacing)
    trust, vote = _vote(hu, inner, outer, case.frame.noise_hu)
    score = trust * vote + (1.2 - trust) * np.clip(depth / reach_mm, -1.0, 1.0)
    score[depth > reach_mm] = 1.5
    score[depth < -reach_mm] = -1.5
    score = ndimage.gaussian_filter(score, smooth_mm / spacing)
    mask = score > 0
    if forbidden is not None:
        mask &= ~forbidden[box]
    result[box] = mask
    return result


def _vote(
    hu: NDArray[np.float32], inner: NDArray[np.float32], outer: NDArray[np.float32], noise_hu: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much the scan is worth here, and which side it speaks for (1 inside, −1 outside).

    The border lies half-way to the outside's mean, but never farther from the organ's
    mean than `_WIDEST_HU`, so that beside lung or gas a partial voxel of fat or muscle
    stays outside.
    """
    contrast = np.abs(inner - outer)
    noise = np.float32(max(0.6 * noise_hu, 6.0))
    width = np.clip(0.5 * contrast, 0.5 * noise, _WIDEST_HU)
    away = hu - inner
    away = np.where(np.sign(away) == np.sign(outer - inner), np.abs(away), np.abs(away) / 1.6)
    trust = np.asarray(contrast**2 / (contrast**2 + noise**2), dtype=np.float32)
    return trust, np.clip(1.0 - away / width, -1.5, 1.0).astype(np.float32)


def _signed_distance(mask: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    """mm to the border, positive inside."""
    half = np.float32(0.5 * spacing.mean())
    inside, outside = distance(mask, spacing), distance(~mask, spacing)
    return np.where(mask, inside - half, half - outside).astype(np.float32)


def local_means(case: Case, mask: Mask) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(I, J, K) coarse: mean HU of an organ and of what is outside it (the darker part of that), near each voxel."""
    spacing = case.coarse.grid.spacing
    hu = np.clip(case.coarse.voxels, *_OUTSIDE_HU)
    depth = _signed_distance(mask, spacing)
    core = (depth > 1.5) if (depth > 1.5).any() else mask
    inside = _local_mean(hu, core, spacing)
    ring = (depth < -1.5) & (depth > -_RING_MM)
    darker = ring & (hu < inside)
    return inside, _local_mean(hu, darker if darker.any() else ring, spacing)


def _local_mean(hu: NDArray[np.float32], where: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    total = np.zeros(hu.shape, dtype=np.float32)
    norm = np.full(hu.shape, 1e-12, dtype=np.float32)
    weight = where.astype(np.float32)
    for reach, share in ((1.0, 1.0), (3.0, 1e-3)):
        total += share * ndimage.gaussian_filter(hu * weight, reach * _LOCAL_MM / spacing)
        norm += share * ndimage.gaussian_filter(weight, reach * _LOCAL_MM / spacing)
    overall = float(hu[where].mean()) if where.any() else 0.0
    return np.where(norm > 1e-9, total / norm, overall).astype(np.float32)
