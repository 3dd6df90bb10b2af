"""What the organs say about each other: where two findings do not fit together, their notes warn.

A mask can be smooth, in one piece and of a plausible size and still be another organ. The
other kidney, a spleen that is nowhere, a mass beside the liver that no organ explains:
these tell of it without the truth. So do a length, a shape and an enhancement that the
organ does not have in any healthy adult. All figures are of the literature; a doubt asks
a person to look, and a diseased organ may well raise one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .case import Case
from .morphology import Mask, distance, label
from .organ_model import Abdomen, abdomen_of
from .quality import assess
from .second_lumen import doubt_second_lumen
from .strayed import doubt_strayed_aorta
from .tube_length import doubt_short_vessels
from .which_aorta import remark_where_not_abdominal

_UNLIKE_HU, _UNLIKE_SIZE = 35.0, 2.2
"""Two kidneys of one patient enhance alike; between healthy ones volumes differ by less than a third."""
_KIDNEY_MM = (72.0, 150.0)
"""Pole to pole 108.5 ± 12.2 mm right, 111.3 ± 12.6 mm left on CT of 1040 adults (Glodny et al. 2009), ± three
deviations."""
_BROAD = 0.85
"""Second extent over the first: kidneys are about half as broad as long (10-12 by 5-6 cm in any anatomy)."""
_FILLED = 0.6
"""Of the ellipsoid of the same three extents. L·W·T·π/6 is the usual estimate of a kidney's volume, and is rather
too small (Bakker et al. 1999); two organs that hang together fill half of theirs."""
_ABOVE_LIVER_HU = 20.0
"""In the portal phase a kidney's medulla reaches 145 HU and its cortex more (Goshima et al. 2007), a liver 50 to 70 HU
above its native 60 (Heiken et al. 1995)."""

_MASS_RADIUS_MM, _MASS_ML, _MASS_CONTACT = 17.0, 60.0, 0.15
_ORGANS = ("liver", "spleen", "kidney_left", "kidney_right", "aorta", "aortic_thrombus", "inferior_vena_cava")


def doubt(case: Case) -> None:
    """Write into `case.doubts` what does not fit together."""
    _kidneys(case)
    _spleen(case)
    _mass_beside_liver(case)
    doubt_short_vessels(case)
    doubt_strayed_aorta(case)
    doubt_second_lumen(case)
    remark_where_not_abdominal(case)


def _median(case: Case, mask: Mask) -> float:
    inner = ndimage.binary_erosion(mask, iterations=2)
    return float(np.median(case.coarse.voxels[inner if inner.any() else mask]))


def _kidneys(case: Case) -> None:
    found = {name: case.coarse_mask(name) for name in ("kidney_left", "kidney_right")}
    seen = {name: mask for name, mask in found.items() if mask is not None and mask.any()}
    for name, mask in seen.items():
        _like_a_kidney(case, name, mask)
    if len(seen) < 2:
        return
    left, right = seen["kidney_left"], seen["kidney_right"]
    if abs(_median(case, left) - _median(case, right)) > _UNLIKE_HU:
        unsure = [name for name in seen if not _enhances_as_a_kidney(case, seen[name])]
        for name in unsure or seen:
            case.doubt(name, "the two kidneys differ in HU: one of them may be another organ")
    sizes = sorted((int(left.sum()), int(right.sum())))
    if sizes[1] > _UNLIKE_SIZE * sizes[0] and not (_is_cut(left) or _is_cut(right)):
        for name in seen:
            case.doubt(name, "one kidney is more than twice as large as the other")


def _is_cut(mask: Mask) -> bool:
    """The scan's first or last slice cuts it."""
    return bool(mask[:, :, 0].any() or mask[:, :, -1].any())


def _like_a_kidney(case: Case, name: str, mask: Mask) -> None:
    """Length, shape and enhancement of one kidney by itself."""
    extents = extents_mm(mask, case.coarse.grid.spacing)
    longest = float(extents.max())
    volume = mask.sum() * float(np.prod(case.coarse.grid.spacing))
    low, high = _KIDNEY_MM
    if longest > high or (longest < low and not _is_cut(mask)):
        case.doubt(name, f"it is {longest:.0f} mm long: kidneys are {low:.0f} to {high:.0f} mm")
    if not _is_cut(mask) and np.sort(extents)[1] > _BROAD * longest:
        case.doubt(name, "it is as broad as long: it may be joined with another organ")
    if volume < _FILLED * float(np.prod(extents)) * np.pi / 6.0:
        case.doubt(name, "its shape is not a kidney's: it may be joined with another organ")
    above = _above_liver(case, mask)
    if above is not None and above < _ABOVE_LIVER_HU:
        case.doubt(name, "it is no brighter than the liver, as kidneys in the portal phase are: look where it ends")


def _above_liver(case: Case, mask: Mask) -> float | None:
    """HU by which an organ is brighter than the liver in the portal phase; None in another phase or without a liver."""
    liver = case.coarse_mask("liver")
    if case.frame.phase != "portal" or liver is None or not liver.any():
        return None
    return _median(case, mask) - _median(case, liver)


def _enhances_as_a_kidney(case: Case, mask: Mask) -> bool:
    """Beyond doubt brighter than the liver, which neither a spleen nor bowel is in the portal phase."""
    above = _above_liver(case, mask)
    return above is not None and above > 2.0 * _ABOVE_LIVER_HU


def extents_mm(mask: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) mm: how far a mask reaches along its principal axes, the axis of largest spread first."""
    points = np.argwhere(mask) * spacing
    points = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(points.T @ points)
    return np.asarray(np.ptp(points @ axes[:, ::-1], axis=0) + spacing.mean(), dtype=np.float64)


def _spleen(case: Case) -> None:
    """Without a spleen the left kidney may hold it; a spleen darker than muscle is stomach or bowel."""
    spleen = case.coarse_mask("spleen")
    if spleen is not None and spleen.any():
        level, lean = _median(case, spleen), case.frame.muscle_hu[0]
        if level < lean - 5.0:
            case.doubt("spleen", "it is darker than muscle: stomach or bowel is")
        if case.frame.phase == "portal" and level < lean + 10.0:
            case.doubt("spleen", "it shows no contrast, as a spleen in the portal phase does")
    kidney = case.coarse_mask("kidney_left")
    if not case.wants("spleen") or kidney is None or _enhances_as_a_kidney(case, kidney):
        return
    if spleen is None:
        case.doubt("kidney_left", "no spleen was found: it may have been taken for the kidney")
    elif case.doubts.get("spleen") or assess(case.masks["spleen"], "spleen", case.grid).level == "bad":
        case.doubt("kidney_left", "what was found as spleen is doubtful: the spleen may have been taken for the kidney")


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
