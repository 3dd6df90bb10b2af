"""What the organs say about each other: where two findings do not fit together, their notes warn.

A mask can be smooth, in one piece and of a plausible size and still be another organ. The
other kidney, a spleen that is nowhere, a mass beside the liver that no organ explains:
these tell of it without the truth.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .case import Case
from .morphology import Mask, distance, label
from .organ_model import Abdomen, abdomen_of

_UNLIKE_HU, _UNLIKE_SIZE = 35.0, 2.2
"""Two kidneys of one patient enhance alike; between healthy ones volumes differ by less than a third."""

_MASS_RADIUS_MM, _MASS_ML, _MASS_CONTACT = 17.0, 60.0, 0.15
_ORGANS = ("liver", "spleen", "kidney_left", "kidney_right", "aorta", "aortic_thrombus", "inferior_vena_cava")


def doubt(case: Case) -> None:
    """Write into `case.doubts` what does not fit together."""
    _kidneys(case)
    _spleen(case)
    _mass_beside_liver(case)


def _median(case: Case, mask: Mask) -> float:
    inner = ndimage.binary_erosion(mask, iterations=2)
    return float(np.median(case.coarse.voxels[inner if inner.any() else mask]))


def _kidneys(case: Case) -> None:
    left, right = case.coarse_mask("kidney_left"), case.coarse_mask("kidney_right")
    if left is None or right is None or not (left.any() and right.any()):
        return
    if abs(_median(case, left) - _median(case, right)) > _UNLIKE_HU:
        for name in ("kidney_left", "kidney_right"):
            case.doubt(name, "the two kidneys differ in HU: one of them may be another organ")
    sizes = sorted((int(left.sum()), int(right.sum())))
    cut = any(m[:, :, 0].any() or m[:, :, -1].any() for m in (left, right))
    if sizes[1] > _UNLIKE_SIZE * sizes[0] and not cut:
        for name in ("kidney_left", "kidney_right"):
            case.doubt(name, "one kidney is more than twice as large as the other")


def _spleen(case: Case) -> None:
    """Without a spleen the left kidney may hold it; a spleen darker than muscle is stomach or bowel."""
    spleen = case.coarse_mask("spleen")
    if case.wants("spleen") and spleen is None and "kidney_left" in case.masks:
        case.doubt("kidney_left", "no spleen was found: it may have been taken for the kidney")
    if spleen is None or not spleen.any():
        return
    level, lean = _median(case, spleen), case.frame.muscle_hu[0]
    if level < lean - 5.0:
        case.doubt("spleen", "it is darker than muscle: stomach or bowel is")
    if case.frame.phase == "portal" and level < lean + 10.0:
        case.doubt("spleen", "it shows no contrast, as a spleen in the portal phase does")


def _mass_beside_liver(case: Case) -> None:
    """A thick homogeneous mass against the liver that belongs to no organ: tumour, cyst, or a full stomach."""
    liver = case.coarse_mask("liver")
    if liver is None or not liver.any():
        return
    abdomen = abdomen_of(case)
    free = _unexplained(case, abdomen)
    thick = distance(free, abdomen.spacing) > _MASS_RADIUS_MM
    labels, count = label(thick)
    near = distance(~liver, abdomen.spacing)
    for number in range(1, count + 1):
        core = labels == number
        mass = free & (distance(~core, abdomen.spacing) < _MASS_RADIUS_MM)
        rim = mass & ndimage.binary_dilation(~mass)
        volume = mass.sum() * abdomen.voxel_ml
        contact = float((near[rim] < 6.0).mean()) if rim.any() else 0.0
        if volume > _MASS_ML and contact > _MASS_CONTACT:
            case.doubt("liver", f"a mass of {volume:.0f} mL lies against it: if that is a tumour, give a seed in it")


def _unexplained(case: Case, abdomen: Abdomen) -> Mask:
    """(I, J, K) coarse: homogeneous soft tissue in the cavity that no organ was found to be."""
    soft = abdomen.cavity & (abdomen.hu > -5.0) & (abdomen.hu < 250.0) & (abdomen.gradient < 6.0)
    for name in _ORGANS:
        mask = case.coarse_mask(name)
        if mask is not None:
            soft &= ~mask
    heart = case.frame.dome_right
    if heart is not None:
        soft &= case.frame.z < heart - 10.0
    return np.asarray(soft & (case.frame.y < abdomen.front + 45.0), dtype=bool)
