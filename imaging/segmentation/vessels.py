"""Portal and hepatic veins inside the liver, where contrast makes them brighter than it.

Brightness is taken against the parenchyma around (a mean over 12 mm that leaves vessels
and tumours out), because livers are unevenly enhanced. Strong voxels start a vessel and
weaker ones that touch them carry it on (hysteresis); small and blunt pieces are noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .case import Case
from .morphology import Mask, connected_to, distance, label
from .resample import Pyramid, box_of

SPACING_MM = 1.25
_STRONG, _WEAK = 4.0, 2.8
"""Multiples of the parenchyma's own spread at this scale."""

_HALF = 0.4
"""Share of the excess of large veins at which a vessel ends; its border lies about half-way."""

_LEAST_HU = 14.0
_LEAST_LENGTH_MM = 8.0
_INSIDE_MM = 2.5
"""Stay this far from the liver's surface, where partial volume and neighbours are bright too."""


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find the veins; {} and a remark where the liver is missing or its veins are not brighter."""
    progress(0.0, "liver vessels")
    liver = case.masks.get("liver")
    if liver is None:
        return {}
    pyramid = Pyramid.over(case.grid, max(SPACING_MM, float(case.grid.spacing.min())))
    coarse = pyramid.down(liver) > 0.5
    box = box_of(coarse, margin=2)
    if box is None:
        return {}
    inside = coarse[box]
    # within the liver only: kidney, rib or portal trunk beside it would bleed in and pass for vessels
    hu = _local_mean(pyramid.down(np.clip(case.voxels, -200.0, 600.0))[box], inside, np.full(3, 0.7))
    core = distance(inside, pyramid.coarse.spacing) > _INSIDE_MM
    excess, spread = _excess(hu, inside, core, pyramid.coarse.spacing)
    progress(0.5, "liver vessels")
    weak, strong = _thresholds(excess[core], spread)
    weak, strong = core & (excess > weak), core & (excess > strong)
    vessels = _long_pieces(connected_to(weak, strong), pyramid.coarse.spacing)
    share = float(vessels.sum()) / max(int(inside.sum()), 1)
    case.frame.evidence["liver_vessel_share"] = share
    if share < 0.002:
        case.remarks.append("the liver's vessels are not brighter than the liver in this phase: none labelled")
        return {}
    whole = np.zeros(pyramid.coarse.shape, dtype=bool)
    whole[box] = vessels
    progress(0.9, "liver vessels")
    return {"liver_vessels": pyramid.up_mask(whole) & liver}


def _thresholds(excess: NDArray[np.float32], spread: float) -> tuple[float, float]:
    """(weak, strong) HU above parenchyma: half-way to the blood of the large veins, but clear of the noise."""
    strong = max(_STRONG * spread, _LEAST_HU)
    bright = excess[excess > strong]
    blood = float(np.percentile(bright, 90)) if bright.size > 50 else strong
    return max(_WEAK * spread, _HALF * blood), max(strong, 0.65 * blood)


def _excess(
    hu: NDArray[np.float32], inside: Mask, core: Mask, spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float]:
    """HU above the parenchyma around, and the parenchyma's own standard deviation about that level."""
    middle = float(np.median(hu[core])) if core.any() else float(np.median(hu[inside]))
    rest = hu[core] if core.any() else hu[inside]
    spread = 1.4826 * float(np.median(np.abs(rest - middle)))
    normal = inside & (np.abs(hu - middle) < 2.5 * spread + 5.0)
    excess = hu - middle
    for _ in range(2):
        level = _local_mean(hu, normal, 12.0 / spacing)
        excess = hu - level
        # Vessels lie above the level only, so the lower half of the parenchyma tells the spread.
        below = excess[inside & (excess < 0.0) & (excess > -4.0 * spread)]
        spread = 1.4826 * float(np.median(-below)) if below.size > 50 else spread
        normal = inside & (np.abs(excess) < 2.0 * spread)
    return excess.astype(np.float32), spread


def _local_mean(hu: NDArray[np.float32], where: Mask, sigma: NDArray[np.float64]) -> NDArray[np.float32]:
    weight = ndimage.gaussian_filter(where.astype(np.float32), sigma, truncate=2.5)
    total = ndimage.gaussian_filter(np.where(where, hu, 0.0).astype(np.float32), sigma, truncate=2.5)
    return total / np.maximum(weight, 1e-3)


def _long_pieces(mask: Mask, spacing: NDArray[np.float64]) -> Mask:
    """Pieces that extend far in at least one direction: vessels do, noise does not."""
    labels, count = label(mask)
    keep = np.zeros(count + 1, dtype=bool)
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        size = np.array([s.stop - s.start for s in box]) * spacing
        keep[i] = np.linalg.norm(size) > _LEAST_LENGTH_MM * 1.5
    return keep[labels]
