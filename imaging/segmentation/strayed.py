"""Whether what was followed down as the aorta left its place before the spine for a vein or an iliac artery.

The abdominal aorta lies before the vertebral bodies or to their left; the caval vein and the right iliac vessels run to
their right. In thick voxels the two common iliac arteries can be missed as a pair, and the trunk then goes on into what
touches it. Such a lumen is smooth and of plausible width: only its place tells, and that no caval vein was found there.
"""

from __future__ import annotations

import numpy as np

from .case import Case

_RIGHT_MM = 20.0
"""From the spine's middle: there runs the middle of the caval vein. A tortuous aorta may come here: this only warns."""
_LEAST_MM = 15.0
"""Height over which it must lie there."""
_BELOW_DOME_MM = 25.0
"""The ascending aorta lies to the right of the spine: only what is below the diaphragm is looked at."""
_ILIAC = ("iliac_artery_left", "iliac_artery_right")


def doubt_strayed_aorta(case: Case) -> None:
    """Write into `case.doubts` that the lumen strayed to the right, into `case.faults` where no caval vein lies there.

    The iliac arteries are followed from the aorta's lower end: what is said of it is said of them.
    """
    aorta, vein = (case.coarse_mask(name) for name in ("aorta", "inferior_vena_cava"))
    if aorta is None:
        return
    area = aorta.sum(axis=(0, 1))
    x = (aorta * case.frame.x).sum(axis=(0, 1)) / np.maximum(area, 1)
    right = np.nan_to_num(case.frame.midline() - x) * (area > 0)
    if case.frame.dome_right is not None:
        right[case.frame.z.ravel() > case.frame.dome_right - _BELOW_DOME_MM] = 0.0
    strayed = right > _RIGHT_MM
    if strayed.sum() * float(case.coarse.grid.spacing[2]) < _LEAST_MM:
        return
    said = f"up to {right.max():.0f} mm to the right of the spine, where veins and the right iliac artery run"
    taken = vein is not None and vein.any() and not vein[:, :, strayed].any(axis=(0, 1)).mean() > 0.5
    tell = case.fault if taken else case.doubt
    tell("aorta", f"it lies {said}" + ("; no caval vein was found there: it may be it" if taken else ""))
    for name in _ILIAC:
        if name in case.masks and case.masks[name].any():
            tell(name, f"it was followed from an aorta that lies {said}")
