"""Blood told from marrow where something as dense as bone lies around both: stent struts, plaque, a rib.

Blood with contrast medium varies by the scan's noise and by nothing else. Marrow is a mesh of trabeculae between fat,
and at the size of a voxel its HU varies by more than noise however fine the mesh.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .morphology import Mask, connected_to, distance, label

_LEVEL_HU = (300.0, 1000.0)
"""Marrow of a young adult reaches about 250 HU at 120 kV; a lumen in the arterial phase has more. Cement and metal are
as even as blood, and brighter."""
_AS_NOISE = 1.25
"""Spread over that of muscle, as a median over the whole core. In the scans tried blood had 1.00 to 1.18, the marrow of
vertebrae and pelvis 1.4 and more."""
_EXCESS_HU = 12.0
"""By which blood's own spread may exceed noise (root of the difference of squares): trabeculae vary by 20 HU and more,
and in a noisy scan a ratio alone would not see them."""
_LEAST_ML = 1.0
_STRUT_MM = 4.0
"""A stent's struts and a plaque lie within this of the lumen; a bone reaches farther."""
_THICK_MM = 2.0
_STRAY = 2.5
"""Standard deviations of noise by which a lumen's voxels may differ from its core's mean."""


def is_even_blood(level: float, spread: NDArray[np.float32], noise: float, volume_ml: float) -> bool:
    """Whether a dense, calm region is blood whatever lies around it.

    Args:
        level: mean HU.
        spread: (n,) HU, the local standard deviation at its voxels.
        noise: HU, the same in muscle.
        volume_ml: of the region.
    """
    low, high = _LEVEL_HU
    usual = float(np.median(spread))
    even = usual < _AS_NOISE * noise and usual**2 - (1.05 * noise) ** 2 < _EXCESS_HU**2
    return volume_ml >= _LEAST_ML and low < level < high and even


def local_spread(
    hu: NDArray[np.float32], lean: float, spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float]:
    """(I, J, K) the standard deviation within about 3 mm of every voxel, HU, and that of muscle: the noise.

    Args:
        hu: (I, J, K).
        lean: HU of muscle.
        spacing: (3,) mm.
    """
    size = tuple(int(2 * max(round(3.0 / s), 1) + 1) for s in spacing)
    mean = ndimage.uniform_filter(hu, size)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(hu * hu, size) - mean * mean, 0.0))
    muscle = np.abs(mean - lean) < 20.0
    return spread, float(np.percentile(spread[muscle], 25)) if muscle.any() else 15.0


def blood_in_bone_ml(bone: Mask, hu: NDArray[np.float32], lean: float, spacing: NDArray[np.float64]) -> float:
    """mL of a finished bone that are pools as even as blood.

    Args:
        bone: (I, J, K).
        hu: (I, J, K).
        lean: HU of muscle.
        spacing: (3,) mm.
    """
    spread, noise = local_spread(hu, lean, spacing)
    labels, _ = label(bone & (spread < 1.5 * noise) & (hu > _LEVEL_HU[0]))
    voxel, total = float(np.prod(spacing)) / 1000.0, 0.0
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        core = labels[box] == number
        volume = float(core.sum()) * voxel
        if is_even_blood(float(hu[box][core].mean()), spread[box][core], noise, volume):
            total += volume
    return total


def lumen_around(
    cores: NDArray[np.int32],
    even: NDArray[np.bool_],
    hu: NDArray[np.float32],
    noise: float,
    spacing: NDArray[np.float64],
) -> Mask:
    """(I, J, K) the lumens whose cores are even blood: what is of the core's level, thick, and hangs together with it.

    Args:
        cores: (I, J, K) numbered calm regions.
        even: (n + 1,) which of them are even blood.
        hu: (I, J, K).
        noise: HU.
        spacing: (3,) mm.
    """
    result = np.zeros(cores.shape, dtype=bool)
    for number in np.flatnonzero(even):
        core = cores == number
        alike = (np.abs(hu - float(hu[core].mean())) < _STRAY * noise) | core
        inner = distance(alike, spacing) > _THICK_MM
        reached = connected_to(inner | core, core)
        result |= alike & (distance(~reached, spacing) <= _THICK_MM)
    return result


def struts(dense: Mask, blood: Mask, spacing: NDArray[np.float64]) -> Mask:
    """(I, J, K) the pieces of dense matter that lie around a lumen and go nowhere else.

    Args:
        dense: (I, J, K) what is denser than the blood.
        blood: (I, J, K) the lumens.
        spacing: (3,) mm.
    """
    if not blood.any():
        return np.zeros_like(dense)
    near = distance(~blood, spacing) <= _STRUT_MM
    labels, count = label(dense & ~blood)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    inside = np.bincount(labels[near], minlength=count + 1)
    keep = inside >= 0.9 * np.maximum(sizes, 1)
    keep[0] = False
    return keep[labels]
