"""Bone with its marrow, told from contrast-filled vessels and kidneys.

Compact bone is brighter than enhanced blood, and never homogeneous over 6 mm at this
resolution; blood is. Homogeneous bright pools that no compact bone encloses are blood
or parenchyma. Everything dense then goes to bone or to a pool by a watershed on the
gradient. Marrow is what the bone's shell encloses in axial slices, without the
vertebral canal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .canal import find_canal
from .case import Case
from .morphology import Mask, ball, closed, fill_slices, without_small
from .resample import Pyramid

SPACING_MM = 1.25
"""Cortical shells of vertebrae and ribs are 0.5-2 mm thick: coarser would lose them."""

_DENSE_ABOVE_LEAN = 115.0
"""HU above muscle: half-way from muscle (60) to the thinnest cortical shells seen (about 300)."""

_COMPACT_HU = 300.0
_LEAST_ML = 0.4


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find bone and the spine's course; {} and a remark where there is none."""
    progress(0.0, "bone")
    pyramid = Pyramid.over(case.grid, max(SPACING_MM, float(case.grid.spacing.min())))
    hu = pyramid.down(np.clip(case.voxels, -1024.0, 3071.0))
    inside = pyramid.down(case.masks["body"]) > 0.5
    threshold = case.frame.muscle_hu[0] + _DENSE_ABOVE_LEAN
    shell = _dense_bone(hu, inside, threshold, pyramid.coarse.spacing, case)
    if shell.sum() * pyramid.coarse.voxel_volume < 5e3:
        case.remarks.append("no bone in the scan: the spine's course is not known")
        return {}
    progress(0.5, "bone: marrow")
    bone = _with_marrow(case, shell, hu, pyramid)
    progress(0.8, "bone")
    full = _refined(case, bone, pyramid, threshold)
    case.frame.bone = case.pyramid.down(full) >= 0.5
    return {"bone": full}


def _dense_bone(
    hu: NDArray[np.float32], inside: Mask, threshold: float, spacing: NDArray[np.float64], case: Case
) -> Mask:
    from skimage.segmentation import watershed

    dense = inside & (hu > threshold)
    pools = _pools(hu, dense, spacing, case)
    bright = float(hu[pools].mean()) if pools.any() else 0.0
    compact = dense & (hu > max(_COMPACT_HU, bright + 100.0)) & ~ndimage.binary_dilation(pools, iterations=1)
    markers = np.zeros(hu.shape, dtype=np.int32)
    markers[compact] = 1
    markers[pools] = 2
    edge = ndimage.gaussian_gradient_magnitude(hu, 0.8)
    parts = watershed(edge, markers, mask=dense)
    least = int(_LEAST_ML * 1000 / float(np.prod(spacing)))
    return without_small(parts == 1, least)


def _pools(hu: NDArray[np.float32], dense: Mask, spacing: NDArray[np.float64], case: Case) -> Mask:
    """Homogeneous bright regions that are not the inside of a bone."""
    mean = ndimage.uniform_filter(hu, 5)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(hu * hu, 5) - mean * mean, 0.0))
    lean = np.abs(mean - case.frame.muscle_hu[0]) < 20.0
    noise = float(np.percentile(spread[lean], 25)) if lean.any() else 15.0
    calm = dense & (spread < 2.0 * noise + 10.0)
    calm = without_small(calm, int(150.0 / float(np.prod(spacing))))
    labels, count = ndimage.label(calm)
    keep = np.zeros(count + 1, dtype=bool)
    reach = np.maximum(np.ceil(6.0 / spacing).astype(int), 1)
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        window = tuple(slice(max(s.start - r, 0), s.stop + r) for s, r in zip(box, reach, strict=True))
        core = labels[window] == i
        rim = ndimage.binary_dilation(core, ball(5.0, spacing)) & ~core
        level = float(hu[window][core].mean())
        # Compact bone around it: the shell of a vertebra or a pelvis. A calcified plaque covers less.
        shell = ndimage.maximum_filter(hu[window], footprint=ball(2.5, spacing))[rim]
        keep[i] = (shell > level + 120.0).mean() < 0.35
    return keep[labels]


def _with_marrow(case: Case, shell: Mask, hu: NDArray[np.float32], pyramid: Pyramid) -> Mask:
    spacing = pyramid.coarse.spacing
    canal = find_canal(case, shell, hu, pyramid)
    sealed = closed(shell, 4.0, spacing)
    filled = fill_slices(sealed)
    # Closing also bridges gaps between bones; what it adds must be denser than muscle or lie inside.
    soft = ndimage.gaussian_filter(hu, 1.5)
    lean = case.frame.muscle_hu[0]
    added = filled & ~shell
    enclosed = fill_slices(closed(shell, 2.5, spacing)) & ~shell
    marrow = added & (enclosed | (soft > lean + 30.0)) & (hu > -150.0)
    bone = shell | marrow
    return bone if canal is None else bone & ~(canal & ~shell)


def _refined(case: Case, bone: Mask, pyramid: Pyramid, threshold: float) -> NDArray[np.bool_]:
    inner = ndimage.binary_erosion(bone, border_value=1)
    outer = ndimage.binary_dilation(bone)
    level = pyramid.up(inner.astype(np.float32) + outer)
    return (level > 1.5) | ((level > 0.5) & (case.voxels > threshold))
