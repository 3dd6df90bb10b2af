"""Blood with contrast medium beside the aorta's lumen, inside the same wall: a dissection's other lumen.

A flap parts one round vessel in two, so that lumen and pool together have a round outline, which an artery and a vein
that lie side by side do not have: two discs that touch are twice as long as broad, and their hull is partly empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .case import Case
from .morphology import Mask, label
from .resample import Pyramid, box_of

SPACING_MM = 1.5
_ENHANCED = 0.3
"""Of the lumen's excess over muscle: a false lumen fills later and less; unenhanced thrombus has nothing of it."""
_FLAP_MM = 4.0
"""An intimal flap with partial volume on both sides; farther apart they are two vessels."""
_REACH_MM = 50.0
_THICK_MM = 2.0
_LEAST_SHARE, _MOST_SHARE = 0.25, 6.0
"""Area of the pool over that of the lumen: a branch that leaves has less, a chamber of the heart before it more."""
_ROUND, _FULL = 1.5, 0.9
"""Largest ratio of the outline's axes, and least share of its convex hull that it fills."""
_FINE_MM = 2.5
_LENGTH_MM = 20.0
"""A branch or a vein that crosses lies beside the lumen over less than this."""


def doubt_second_lumen(case: Case) -> None:
    """Tell of a pool of blood beside the aorta's lumen, in one outline with it.

    Into `case.faults`; into `case.doubts` where veins may be bright or voxels are thick.
    """
    mask, level = case.masks.get("aorta"), case.frame.aorta_hu
    if mask is None or level is None or not mask.any():
        return
    pyramid = Pyramid.over(case.grid, max(SPACING_MM, float(case.grid.spacing.min())))
    spacing = pyramid.coarse.spacing
    whole = pyramid.down(mask) > 0.5
    box = box_of(whole, margin=int(np.ceil(_REACH_MM / spacing[:2].min())))
    if box is None:
        return
    lumen, lean = whole[box], case.frame.muscle_hu[0]
    hu = ndimage.gaussian_filter(pyramid.down(np.clip(case.voxels, -200.0, 1000.0))[box], 0.7)
    bright = (hu > lean + _ENHANCED * (level - lean)) & ~lumen
    for name in case.masks.keys() - {"aorta", "aortic_thrombus", "body"}:
        bright &= ~(pyramid.down(case.masks[name])[box] > 0.5)
    beside = [bool(pool_in_outline(lumen[:, :, k], bright[:, :, k], spacing[:2]).any()) for k in range(lumen.shape[2])]
    length = longest_run(beside) * float(spacing[2])
    if length >= _LENGTH_MM:
        # Veins without contrast and a flap that voxels resolve leave no other explanation.
        sure = case.frame.phase == "arterial" and float(spacing.max()) <= _FINE_MM
        (case.fault if sure else case.doubt)(
            "aorta",
            f"over {length:.0f} mm more blood with contrast medium lies beside it in the same round outline: "
            "it is not the whole lumen, or there is a second (false) one, a dissection",
        )


def longest_run(flags: Sequence[bool]) -> int:
    """Most that are true one after the other."""
    best = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def pool_in_outline(lumen: Mask, bright: Mask, spacing: NDArray[np.float64]) -> Mask:
    """(I, J) the pool beside a lumen that completes it to one round vessel; empty where there is none.

    Args:
        lumen: (I, J) an axial slice of the lumen.
        bright: (I, J) what else holds contrast medium there.
        spacing: (2,) mm.
    """
    from skimage.measure import regionprops

    none = np.zeros_like(lumen)
    if not lumen.any() or not bright.any():
        return none
    away = _to(lumen, spacing)
    core = _to(~np.pad(bright, 1), spacing)[1:-1, 1:-1] > _THICK_MM
    if not core.any():
        return none
    labels, count = label(bright & (_to(core, spacing) <= _THICK_MM))
    for number in range(1, count + 1):
        piece = labels == number
        share = float(piece.sum()) / float(lumen.sum())
        if away[piece].min() > _FLAP_MM or not _LEAST_SHARE <= share <= _MOST_SHARE:
            continue
        outline = _joined(lumen | piece, 0.5 * _FLAP_MM + float(spacing.max()), spacing)
        (shape,) = regionprops(outline.astype(np.uint8), spacing=tuple(float(s) for s in spacing))
        if shape.solidity > _FULL and shape.axis_major_length < _ROUND * shape.axis_minor_length:
            return piece
    return none


def _to(mask: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """(I, J) mm from every pixel to a mask's nearest one."""
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing))


def _joined(mask: Mask, radius_mm: float, spacing: NDArray[np.float64]) -> Mask:
    """A slice closed by a disc."""
    margin = int(np.ceil(radius_mm / spacing.min())) + 1
    wide = _to(np.pad(mask, margin), spacing) <= radius_mm
    return (_to(~wide, spacing) > radius_mm)[margin:-margin, margin:-margin] | mask
