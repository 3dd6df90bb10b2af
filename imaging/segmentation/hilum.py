"""Where a kidney ends at its hilum: fat and collecting system open out of it there, and vessels hang on it.

Closing the hilum makes a kidney of one piece of threshold crumbs, but also fills the notch and follows the renal
vein. At full resolution both can be told: the notch is fat or urine that opens towards the spine, the vein is a
stalk. The sinus where parenchyma surrounds it in an axial slice stays with the kidney.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .case import Case
from .morphology import Mask, distance, fill_slices, label
from .resample import box_of
from .tidy import without_knobs

_DEEP_MM = 4.0
_SMOOTH_MM = 0.8
_BEYOND_MIDDLE_MM = 5.0
"""The sinus reaches so far lateral of a kidney's middle; what is dark beyond is a cyst or a scar, not the hilum."""
_STALK_MM, _LIP_MM = 4.0, 2.0
"""A renal vein is at most about 8 mm wide where it leaves; a kidney's lips taper within 2 mm of a ball of 8 mm."""
_MOST_OPEN = 0.25
"""Share of a kidney above which what is dark is no sinus: then nothing is taken away."""


def opened_at_hilum(case: Case, kidney: NDArray[np.bool_], side: float) -> NDArray[np.bool_]:
    """(I, J, K) full resolution: the kidney with its hilum open and without the stalks of its vessels.

    Args:
        case: its frame's `fat_hu` is known.
        kidney: (I, J, K) full resolution.
        side: -1 for the right kidney, 1 for the left one: the sign of LPS x away from the spine.
    """
    box = box_of(kidney, 3)
    if box is None:
        return kidney
    part, spacing = kidney[box], case.grid.spacing
    result = np.zeros_like(kidney)
    notched = part & ~_notch(case, part, case.voxels[box], side)
    notched = fill_slices(notched) if notched.sum() > (1.0 - _MOST_OPEN) * part.sum() else part
    result[box] = without_knobs(notched, spacing, radius_mm=_STALK_MM, give_back_mm=_LIP_MM)
    return result


def _notch(case: Case, kidney: Mask, voxels: NDArray[np.float32], side: float) -> Mask:
    """What is nearer to fat than to the kidney, on the side of the spine, and open to the outside."""
    spacing = case.grid.spacing
    deep = distance(kidney, spacing) > _DEEP_MM
    level = float(np.median(voxels[deep if deep.any() else kidney]))
    hu = ndimage.gaussian_filter(np.clip(voxels, -150.0, 300.0), _SMOOTH_MM / spacing)
    lateral = side * spacing[0] * (np.arange(kidney.shape[0]) - ndimage.center_of_mass(kidney)[0])
    dark = kidney & (hu < 0.5 * (level + case.frame.fat_hu))
    dark &= (lateral < _BEYOND_MIDDLE_MM)[:, None, None]
    pieces, _ = label(dark | ~kidney)
    return dark & np.isin(pieces, np.unique(pieces[~kidney]))
