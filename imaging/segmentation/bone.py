"""Bone with its marrow, told from contrast-filled vessels and kidneys.

Compact bone is brighter than enhanced blood, and never homogeneous over 6 mm at this
resolution; blood is. Homogeneous bright pools that no compact bone encloses are blood
or parenchyma. Everything dense then goes to bone or to a pool by a watershed on the
gradient. Marrow is what the bone's shell encloses in axial slices, without the
vertebral canal. In a thick slice the shell of a vertebral body is no brighter than blood,
and its marrow may pass for a pool: what is dense in the middle of the body, before the
canal that the arches show, is bone all the same: where the pools took most of it, the
watershed is done again from there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from ..volume import Grid
from .canal import find_canal
from .case import Case
from .even_blood import blood_in_bone_ml, is_even_blood, local_spread, lumen_around, struts
from .morphology import Mask, ball, closed, fill_slices, label, without_small
from .resample import Pyramid

SPACING_MM = 1.25
"""Cortical shells of vertebrae and ribs are 0.5-2 mm thick: coarser would lose them."""

_DENSE_ABOVE_LEAN = 115.0
"""HU above muscle: half-way from muscle (60) to the thinnest cortical shells seen (about 300)."""

_COMPACT_HU = 300.0
_PEAK_HU = 350.0
"""A rib or vertebra holds voxels brighter than this even in 3 mm slices; a kidney's cortex does not."""
_LEAST_ML = 0.4

_BODY_MM = (11.0, 8.0)
"""Half-axes (across, front to back) of what lies inside every adult vertebral body, around its middle: bodies from T5
down are 25-50 mm wide and 18-36 mm deep (Panjabi et al. 1991, 1992), and no vessel lies behind their front."""
_LEAST_OF_BODIES = 0.5
"""Of what is dense in the vertebral bodies: with less, blood has taken them and not only their marrow."""
_MOSTLY = 0.1
"""Share of a pool inside a vertebral body from which it is marrow: the aorta never enters it."""


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find bone and the spine's course; {} and a remark where there is none."""
    progress(0.0, "bone")
    pyramid = Pyramid.over(case.grid, max(SPACING_MM, float(case.grid.spacing.min())))
    hu = pyramid.down(np.clip(case.voxels, -1024.0, 3071.0))
    inside = pyramid.down(case.masks["body"]) > 0.5
    threshold = case.frame.muscle_hu[0] + _DENSE_ABOVE_LEAN
    dense = inside & (hu > threshold) & ~_between_lungs(case, pyramid)
    pools, blood = _pools(hu, dense, pyramid.coarse.spacing, case)
    shell = _parted(hu, dense, pools, blood, pyramid)
    if shell.sum() * pyramid.coarse.voxel_volume < 5e3:
        case.remarks.append("no bone in the scan: the spine's course is not known")
        return {}
    progress(0.4, "bone: vertebrae")
    canal = find_canal(case, shell, hu, pyramid)
    progress(0.5, "bone: marrow")
    bone = _with_marrow(case, shell, canal, hu, pyramid)
    if canal is not None:
        sure = dense & vertebral_bodies(case, pyramid.coarse)
        if (bone & sure).sum() < _LEAST_OF_BODIES * sure.sum():
            shell = _parted(hu, dense, _outside(pools, sure), blood, pyramid, sure=sure)
            bone = _with_marrow(case, shell, canal, hu, pyramid)
    progress(0.8, "bone")
    _doubt_blood(case, bone, hu, pyramid)
    full = _refined(case, bone, pyramid, threshold)
    case.frame.bone = case.pyramid.down(full) >= 0.5
    return {"bone": full}


def _doubt_blood(case: Case, bone: Mask, hu: NDArray[np.float32], pyramid: Pyramid) -> None:
    held = blood_in_bone_ml(bone, hu, case.frame.muscle_hu[0], pyramid.coarse.spacing)
    if held > 0.0:
        case.doubt("bone", f"{held:.0f} mL of it are as even as blood: it may hold a part of a vessel")
        case.doubt("aorta", "blood may have been taken for bone: a part of it may be missing")


def _parted(
    hu: NDArray[np.float32], dense: Mask, pools: Mask, blood: float, pyramid: Pyramid, sure: Mask | None = None
) -> Mask:
    """The bone of what is dense: what compact bone, or what is surely bone, reaches before a pool does."""
    from skimage.segmentation import watershed

    markers = np.zeros(hu.shape, dtype=np.int32)
    markers[_compact(dense & ~ndimage.binary_dilation(pools), hu, blood)] = 1
    markers[pools] = 2
    if sure is not None:
        markers[sure] = 1
    edge = ndimage.gaussian_gradient_magnitude(hu, 0.8)
    parts = watershed(edge, markers, mask=dense)
    least = int(_LEAST_ML * 1000 / pyramid.coarse.voxel_volume)
    return _with_peak(without_small(parts == 1, least), hu, max(_PEAK_HU, blood + 100.0))


def vertebral_bodies(case: Case, grid: Grid) -> Mask:
    """(I, J, K) the middle of the vertebral bodies, and of the discs between them, along the spine's course.

    Args:
        case: its frame's `vertebra` is known.
        grid: LPS-aligned.
    """
    assert case.frame.vertebra is not None
    x, y, z = (grid.origin[a] + grid.spacing[a] * np.arange(grid.shape[a]) for a in range(3))
    inside = np.zeros(grid.shape, dtype=bool)
    course = [np.interp(z, case.frame.z.ravel(), case.frame.vertebra[:, a]) for a in range(2)]
    for k in np.flatnonzero(np.isfinite(course[0])):
        across, deep = (x - course[0][k]) / _BODY_MM[0], (y - course[1][k]) / _BODY_MM[1]
        inside[:, :, k] = across[:, None] ** 2 + deep[None, :] ** 2 < 1.0
    return inside


def _outside(pools: Mask, bodies: Mask) -> Mask:
    """The pools that do not lie in the vertebral bodies."""
    labels, count = label(pools)
    sizes = np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)
    keep = np.bincount(labels[bodies], minlength=count + 1) < _MOSTLY * sizes
    keep[0] = False
    return keep[labels]


def _compact(dense: Mask, hu: NDArray[np.float32], blood: float) -> Mask:
    """Compact bone: brighter than blood. Where blood is very bright, a piece needs only some voxels that are."""
    return _with_peak(dense & (hu > _compact_above(blood)), hu, max(blood + 100.0, _PEAK_HU))


def _compact_above(blood: float) -> float:
    return min(max(_COMPACT_HU, blood + 100.0), 500.0)


def _with_peak(mask: Mask, hu: NDArray[np.float32], least: float) -> Mask:
    """The pieces of a mask whose brightest voxel reaches a value."""
    labels, count = label(mask)
    keep = np.bincount(labels[mask & (hu > least)], minlength=count + 1) > 0
    return keep[labels]


def _between_lungs(case: Case, pyramid: Pyramid) -> Mask:
    """Heart, great vessels and the lungs' own vessels: inside the lungs' hull and before the spine.

    The sternum lies before the hull, ribs outside it; vertebrae are kept by their
    distance to the canal. Empty where the lungs or the spine are not seen.
    """
    from skimage.morphology import convex_hull_image

    frame = case.frame
    lungs = frame.lungs
    if lungs is None or frame.lung_left is None or frame.lung_right is None:
        return np.zeros(pyramid.coarse.shape, dtype=bool)
    hull = np.zeros(lungs.shape, dtype=bool)
    for k in range(lungs.shape[2]):
        if frame.lung_left[:, :, k].any() and frame.lung_right[:, :, k].any():
            back = frame.y.ravel()[np.flatnonzero(lungs[:, :, k].any(axis=0))[-1]]
            # A vertebral body reaches at most about 65 mm before the back of the lungs beside it.
            behind = back - frame.y[:, :, 0]
            near_spine = (np.abs(frame.x[:, :, 0] - frame.midline()[k]) < 35.0) & (behind < 75.0)
            hull[:, :, k] = convex_hull_image(lungs[:, :, k]) & ~near_spine & (behind > 45.0)
    hull = ndimage.binary_erosion(hull, ball(4.0, case.coarse.grid.spacing), border_value=1)
    return Pyramid(pyramid.coarse, case.coarse.grid).up_mask(hull)


def _pools(hu: NDArray[np.float32], dense: Mask, spacing: NDArray[np.float64], case: Case) -> tuple[Mask, float]:
    """Homogeneous bright regions that are not the inside of a bone, and the HU of the brightest large one."""
    spread, noise = local_spread(hu, case.frame.muscle_hu[0], spacing)
    calm = dense & (spread < 2.0 * noise + 10.0)
    voxel = float(np.prod(spacing))
    calm = without_small(calm, int(150.0 / voxel))
    labels, count = label(calm)
    keep, even = np.zeros(count + 1, dtype=bool), np.zeros(count + 1, dtype=bool)
    blood = 0.0
    coarsest = float(spacing.max())
    about, near = ball(max(5.0, 1.5 * coarsest), spacing), ball(max(2.5, 1.05 * coarsest), spacing)
    reach = np.maximum(np.ceil(6.0 / spacing).astype(int), 2)
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        window = tuple(slice(max(s.start - r, 0), s.stop + r) for s, r in zip(box, reach, strict=True))
        core = labels[window] == i
        rim = ndimage.binary_dilation(core, about) & ~core
        level = float(hu[window][core].mean())
        # Compact bone around it: the shell of a vertebra or a pelvis. A calcified plaque covers less.
        shell = ndimage.maximum_filter(hu[window], footprint=near)[rim]
        even[i] = is_even_blood(level, spread[window][core], noise, core.sum() * voxel / 1000.0)
        keep[i] = even[i] or (shell > level + 100.0).mean() < 0.35
        if keep[i] and core.sum() * voxel > 2000.0:
            blood = max(blood, level)
    lumen = lumen_around(labels, even, hu, noise, spacing)
    return keep[labels] | lumen | struts(dense & (hu > _compact_above(blood)), lumen, spacing), blood


def _with_marrow(case: Case, shell: Mask, canal: Mask | None, hu: NDArray[np.float32], pyramid: Pyramid) -> Mask:
    spacing = pyramid.coarse.spacing
    wide, narrow = (max(radius, 1.05 * float(spacing.max())) for radius in (4.0, 2.5))
    # Closing also bridges gaps between bones; what the wide one adds must be denser than muscle.
    soft = ndimage.gaussian_filter(hu, 1.5 / float(spacing.min()))
    filled = fill_slices(closed(shell, wide, spacing)) & (soft > case.frame.muscle_hu[0] + 30.0)
    filled |= fill_slices(closed(shell, narrow, spacing)) & (hu > -150.0)
    if canal is not None:
        filled &= ~canal
    return shell | filled


def _refined(case: Case, bone: Mask, pyramid: Pyramid, threshold: float) -> NDArray[np.bool_]:
    inner = ndimage.binary_erosion(bone, border_value=1)
    outer = ndimage.binary_dilation(bone)
    level = pyramid.up(inner.astype(np.float32) + outer)
    return (level > 1.5) | ((level > 0.5) & (case.voxels > threshold))
