"""Left and right lung, and the heights of the diaphragm.

Inflated lung measures −950 to −500 HU once averaged over 2.5 mm; bowel gas and the
trachea are as light as air itself and fall below that window. The rim of a gas bubble
passes through the window too, but is thin: opening removes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .case import Case
from .morphology import Mask, ball, closed, connected_to, distance, fill_slices, without_small

_ABOVE_AIR = 45.0
_LUNG_BELOW = -500.0
_EDGE_HU = -400.0
"""Border of the lung at full resolution: half-way between lung and soft tissue."""
_LEAST_ML = 15.0


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find the lungs; {} and a remark where none is in the scan."""
    progress(0.0, "lungs")
    both = _coarse_lungs(case)
    if not both.any():
        case.remarks.append("no lung in the scan: the diaphragm's height is not known")
        return {}
    right, left = _sides(case, both)
    frame = case.frame
    frame.lung_left, frame.lung_right = _or_none(case, left), _or_none(case, right)
    frame.lung_base_left, frame.dome_left = _heights(case, frame.lung_left)
    frame.lung_base_right, frame.dome_right = _heights(case, frame.lung_right)
    progress(0.5, "lungs")
    found = {"lung_left": frame.lung_left, "lung_right": frame.lung_right}
    return {name: _refined(case, mask) for name, mask in found.items() if mask is not None}


def _coarse_lungs(case: Case) -> Mask:
    frame, hu, spacing = case.frame, case.coarse.voxels, case.coarse.grid.spacing
    assert frame.body is not None
    window = frame.body & (hu > frame.air_hu + _ABOVE_AIR) & (hu < _LUNG_BELOW)
    padded = np.pad(window, 2, mode="edge")
    core = ndimage.binary_opening(padded, ball(4.0, spacing))[2:-2, 2:-2, 2:-2]
    least = int(_LEAST_ML * 1000 / case.coarse.grid.voxel_volume)
    core = without_small(core, least)
    core = _without_bowel(case, core)
    grown = connected_to(ndimage.binary_dilation(core, ball(4.0, spacing)) & window, core)
    return fill_slices(closed(grown, 7.5, spacing) & frame.body & (hu < 150.0))


def _without_bowel(case: Case, core: Mask) -> Mask:
    """Drop pieces that surround gas: faeces and stomach contents pass through the window as well."""
    hu, air = case.coarse.voxels, case.frame.air_hu
    labels, count = ndimage.label(core)
    keep = np.zeros(count + 1, dtype=bool)
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        piece = labels[box] == i
        volume = piece.sum()
        depth = distance(np.pad(piece, 1), case.coarse.grid.spacing).max()
        window = tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in box)
        around = ndimage.binary_dilation(labels[window] == i, iterations=2)
        gas = (around & (hu[window] < air + 30.0)).sum()
        keep[i] = gas < 0.1 * volume and depth > 6.0
    return keep[labels]


def _sides(case: Case, both: Mask) -> tuple[Mask, Mask]:
    """(right, left): every voxel goes with the nearer core, cores lying clear of the midline.

    Lungs may touch in front of the heart; the watershed on depth parts them there.
    """
    from skimage.segmentation import watershed

    frame = case.frame
    middle = np.nan_to_num(frame.midline(), nan=float(np.nanmedian(frame.midline())))
    aside = frame.x - middle[None, None, :]
    depth = distance(both, case.coarse.grid.spacing)
    markers = np.zeros(both.shape, dtype=np.int32)
    markers[both & (aside < -30.0)] = 1
    markers[both & (aside > 30.0)] = 2
    sides = watershed(-depth, markers, mask=both)
    rest = both & (sides == 0)
    right = (sides == 1) | (rest & (aside < 0))
    return right, both & ~right


def _or_none(case: Case, mask: Mask) -> Mask | None:
    mask = without_small(mask, int(_LEAST_ML / 3 * 1000 / case.coarse.grid.voxel_volume))
    return mask if mask.any() else None


def _heights(case: Case, lung: Mask | None) -> tuple[float | None, float | None]:
    """LPS z (mm) of the lowest lung and of the top of the dome that pushes into it from below.

    The dome's top is where the hull of the lung first has no soft tissue below it: the
    highest z at which an axial slice of the filled lung has a hole closed from above.
    """
    if lung is None:
        return None, None
    z = case.frame.z.ravel()
    base = float(z[np.flatnonzero(lung.any(axis=(0, 1)))[0]])
    bottom = np.where(lung.any(axis=2), lung.argmax(axis=2), -1)
    # Columns through the middle of the lung's footprint stand on the dome; the rim stands in the recess.
    footprint = bottom >= 0
    depth = ndimage.distance_transform_edt(np.pad(footprint, 1))[1:-1, 1:-1]
    inner = footprint & (depth > 0.5 * depth.max())
    dome = float(z[int(np.percentile(bottom[inner], 90))]) if inner.any() else None
    return base, dome


def _refined(case: Case, lung: Mask) -> NDArray[np.bool_]:
    """Full resolution: the inside as found (with its vessels), the border where HU crosses −400."""
    spacing = case.coarse.grid.spacing
    box = case.pyramid.fine_box(lung, margin_mm=6.0)
    result = np.zeros(case.grid.shape, dtype=bool)
    if box is None:
        return result
    inner = distance(np.pad(lung, 1, mode="edge"), spacing)[1:-1, 1:-1, 1:-1] > 3.5
    outer = ndimage.binary_dilation(lung, ball(3.0, spacing))
    level = case.pyramid.up(inner.astype(np.float32) + outer, box)
    hu = case.voxels[box]
    result[box] = (level > 1.5) | ((level > 0.5) & (hu < _EDGE_HU) & (hu > case.frame.air_hu - 100.0))
    return result
