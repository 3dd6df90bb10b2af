"""The kidneys: the beans beside the spine, embedded in fat.

With contrast they are the brightest large organs there; the threshold is the valley
between them and everything else beside the spine. Without contrast they have the HU of
muscle and bowel, and the fat around them and their shape decide. Medulla, and the sinus
where parenchyma surrounds it, belong to the kidney; its vessels do not.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .basins import basins_of
from .boundary import local_means, refined
from .case import Case
from .continuous_cut import minimum_cut
from .hilum import opened_at_hilum
from .morphology import Mask, closed, distance, fill_slices, largest
from .organ_model import Abdomen, abdomen_of, edge_capacity, opened, tissue_peaks
from .resample import box_of
from .seeded import agrees, allowed, claimed_by_others, corrected, lump_under, seed_region

SIDES = {"kidney_right": -1.0, "kidney_left": 1.0}
_LEAST_ML, _MOST_ML = 30.0, 500.0
_LEAST_CUT_ML = 6.0
"""Of a kidney that the scan's first or last slice cuts."""
_TYPICAL_ML = 150.0
_HILUM_MM = 5.0
_STEP_HU = 14.0
_AT_WALL = 0.25
"""Share of its surroundings that body wall or lung may be: kidneys lie in fat, the spleen lies against the wall."""
_EVEN_MM, _UNEVEN_HU = 8.0, 30.0
"""Cortex and medulla blend over this length; a kidney with spleen, liver or bowel does not."""
_NECKS = (0.65, 0.9)
_LEAST_SCORE, _SURE_SCORE = 0.05, 0.12
_SEED_REACH_MM = 90.0
_PASSES, _PASSES_IN_BOX = 2, 6
"""Of regrowth, each a few millimetres: a box holds it where the HU of a neighbour does not."""
_INTO_WALL_MM = 5.0
"""Below the ribs the wall's inner face is only interpolated."""


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find both kidneys; a remark for one that is not seen."""
    progress(0.0, "kidneys")
    abdomen = abdomen_of(case)
    found: dict[str, NDArray[np.bool_]] = {}
    for number, (name, side) in enumerate(SIDES.items()):
        kidney = _bordered(case, abdomen, name, side, seeded=False)
        if not agrees(case, name, kidney):
            again = _bordered(case, abdomen, name, side, seeded=True)
            kidney = corrected(case, name, kidney, again)
        if kidney.any():
            found[name] = kidney
        else:
            case.remarks.append(f"no {name.replace('_', ' ')} was found beside the spine")
        progress((number + 1) / 2, "kidneys")
    return found


def _bordered(case: Case, abdomen: Abdomen, name: str, side: float, *, seeded: bool) -> NDArray[np.bool_]:
    """(I, J, K) full resolution; empty where none is seen."""
    coarse = _kidney(case, abdomen, name, side, seeded=seeded)
    if coarse is None:
        return np.zeros(case.grid.shape, dtype=bool)
    place = beside_spine(case, abdomen, side)
    if seeded:
        place = _seeded_place(case, abdomen, name, place)
    bounded = seeded and case.request.seeds[name].box is not None
    coarse = _regrown(case, abdomen, place, coarse, passes=_PASSES_IN_BOX if bounded else _PASSES)
    return opened_at_hilum(case, refined(case, coarse, forbidden=case.masks.get("bone")), side)


def _seeded_place(case: Case, abdomen: Abdomen, name: str, place: Mask) -> Mask:
    """Where a person's seed lets the kidney be: in the box, or within a kidney's length of the point."""
    seed = seed_region(case, name)
    assert seed is not None
    free = abdomen.cavity | place
    return allowed(case, name) & (place | (free & (distance(~seed, abdomen.spacing) < _SEED_REACH_MM)))


def _kidney(case: Case, abdomen: Abdomen, name: str, side: float, *, seeded: bool) -> Mask | None:
    place = beside_spine(case, abdomen, side)
    seed = seed_region(case, name) if seeded else None
    if seed is not None:
        place = _seeded_place(case, abdomen, name, place)
    foreign = claimed_by_others(case, name)
    best, best_score = None, 0.0
    for threshold in _thresholds(case, abdomen, place):
        for mask in _candidates(case, abdomen, place, threshold):
            if (mask & foreign).any():
                continue
            score = _score(case, abdomen, mask) * _ends_inside(abdomen, place, mask)
            if seed is not None:
                score *= float((mask & seed).sum()) / float(seed.sum())
            if score > best_score:
                best, best_score = mask, score
    if seed is not None:
        # a person has said that it is here: the best that holds the seed, however unlike a kidney
        return best if best_score > 0.1 * _LEAST_SCORE else lump_under(case, abdomen, name, place)
    if best is not None and seed is None and best_score < _SURE_SCORE:
        case.doubt(name, "its size, place or surroundings are unlike a kidney's")
    return best if best_score > _LEAST_SCORE else None


def _regrown(case: Case, abdomen: Abdomen, place: Mask, core: Mask, *, passes: int) -> Mask:
    """The kidney with its border half-way to what lies beside it there: one threshold cannot serve fat and liver."""
    result = core
    for _ in range(passes):
        box = box_of(result, 7)
        assert box is not None
        outer = local_means(case, result)[1][box]
        level = np.float32(np.median(abdomen.hu[result]))
        middle, half = 0.5 * (level + outer), np.maximum(0.5 * (level - outer), 10.0)
        away = distance(~result[box], abdomen.spacing)
        cost = np.clip((middle - abdomen.hu[box]) / half, -1.0, 1.0) + np.clip((away - 4.0) / 3.0, 0.0, 3.0)
        cost[~(place | core)[box]] = 3.0
        cost[distance(core[box], abdomen.spacing) > 4.0] = -1.5
        grown = minimum_cut(cost.astype(np.float32), edge_capacity(abdomen, 30.0)[box])
        grown = largest(opened(fill_slices(grown | (core[box] & (cost < 0.5))), 3.0, abdomen.spacing))
        result = np.zeros(core.shape, dtype=bool)
        result[box] = fill_slices(closed(grown, _HILUM_MM, abdomen.spacing) & place[box])
    return result if result.sum() > 0.7 * core.sum() else core


def beside_spine(case: Case, abdomen: Abdomen, side: float) -> Mask:
    """(I, J, K) where a kidney can lie: 15 to 110 mm beside the spine, from its level 70 mm forward."""
    frame = case.frame
    beside = (frame.x - abdomen.midline) * side
    ahead = abdomen.front - frame.y
    place = (beside > 12.0) & (beside < 115.0) & (ahead > -60.0) & (ahead < 75.0)
    taken = ~abdomen.lungs & (distance(abdomen.wall, abdomen.spacing) < _INTO_WALL_MM)
    if frame.bone is not None:
        taken &= ~frame.bone
    aorta = case.coarse_mask("aorta")
    if aorta is not None:
        taken &= ~ndimage.binary_dilation(aorta)
    return np.asarray(place & taken, dtype=bool)


def _thresholds(case: Case, abdomen: Abdomen, place: Mask) -> list[float]:
    """HU above which a kidney may be: valleys of the histogram above muscle, a ladder of steps between
    muscle and the brightest tissue there, and the border to fat."""
    hu = abdomen.hu[place & (abdomen.hu > case.frame.fat_hu + 60.0)]
    muscle = case.frame.muscle_hu[0]
    found: list[float] = []
    peaks = sorted(tissue_peaks(hu, least_share=0.02, smooth_hu=5.0), key=lambda t: t.mean)
    for low, high in pairwise(peaks):
        if high.mean > muscle + 25.0:
            found.append(0.5 * (low.mean + high.mean))
    bright = hu[hu > muscle + 30.0]
    if bright.size > 200:
        found.append(0.5 * (muscle + float(np.percentile(bright, 90))))
        for step in np.arange(muscle + 25.0, float(np.percentile(bright, 98)) - 15.0, _STEP_HU):
            if all(abs(step - known) > 0.5 * _STEP_HU for known in found):
                found.append(float(step))
    return [*found, case.frame.fat_hu + 0.6 * (muscle - case.frame.fat_hu)]


def _candidates(case: Case, abdomen: Abdomen, place: Mask, threshold: float) -> list[Mask]:
    """Pieces of kidney size above a threshold, parted at narrow necks from what they touch."""
    pieces = opened((abdomen.hu > threshold) & place, 4.5, abdomen.spacing)
    if not pieces.any():
        return []
    found = []
    lumps = basins_of(pieces, abdomen.spacing, least_depth_mm=2.0)
    groups = [g for neck in _NECKS for g in _joined(lumps.contact, lumps.neck, lumps.thickness, neck)]
    for group in sorted({tuple(group) for group in groups}):
        core = np.isin(lumps.labels, group)
        volume = core.sum() * abdomen.voxel_ml
        if 0.5 * _least(core) < volume < 1.3 * _MOST_ML:
            found.append(_completed(abdomen, core, threshold, place & (~pieces | core)))
    return found


def _least(mask: Mask) -> float:
    """mL; less where the first or last slice cuts it."""
    return _LEAST_CUT_ML if mask[:, :, 0].any() or mask[:, :, -1].any() else _LEAST_ML


def _joined(
    contact: NDArray[np.float64], neck: NDArray[np.float64], thickness: NDArray[np.float64], least: float
) -> list[list[int]]:
    """Groups of lumps that are one kidney: poles and lips meet over a neck nearly as wide as themselves."""
    count = len(thickness) - 1
    group = list(range(count + 1))
    pairs = np.argwhere(np.triu(contact) > 0)
    for first, second in pairs:
        if neck[first, second] >= least * min(thickness[first], thickness[second]):
            old, new = group[second], group[first]
            group = [new if g == old else g for g in group]
    return [[i for i in range(1, count + 1) if group[i] == g] for g in sorted(set(group[1:]))]


def _completed(abdomen: Abdomen, core: Mask, threshold: float, place: Mask) -> Mask:
    """A smooth border at the threshold, with medulla and enclosed sinus."""
    result = np.zeros(core.shape, dtype=bool)
    box = box_of(core, 6)
    assert box is not None
    away = distance(~core[box], abdomen.spacing)
    scale = max(0.2 * abs(threshold), 15.0)
    cost = np.clip((threshold - abdomen.hu[box]) / scale, -1.0, 1.0) + np.clip((away - 3.0) / 3.0, 0.0, 3.0)
    cost[~place[box]] = 3.0
    cost[core[box]] = -1.5
    whole = minimum_cut(cost.astype(np.float32), edge_capacity(abdomen, scale)[box])
    whole = fill_slices(whole | core[box])
    whole = closed(whole, _HILUM_MM, abdomen.spacing) & place[box]
    result[box] = fill_slices(whole)
    return result


def _ends_inside(abdomen: Abdomen, place: Mask, mask: Mask) -> float:
    """1 where the piece ends by itself; less where the place's edge cuts through its tissue."""
    box = box_of(mask, 2)
    assert box is not None
    part, middle = mask[box], float(np.median(abdomen.hu[mask]))
    beyond = ndimage.binary_dilation(part) & ~part
    same = np.abs(abdomen.hu[box] - middle) < 25.0
    cut = float((beyond & ~place[box] & same).sum()) / max(float(beyond.sum()), 1.0)
    return float(np.exp(-((cut / 0.12) ** 2)))


def _score(case: Case, abdomen: Abdomen, mask: Mask) -> float:
    """How much like a kidney: size, compactness, fat around it, distance from the spine, contrast."""
    volume = mask.sum() * abdomen.voxel_ml
    if not _least(mask) < volume < _MOST_ML:
        return 0.0
    size = float(np.exp(-0.5 * (np.log(volume / _TYPICAL_ML) / 0.7) ** 2))
    if _least(mask) < _LEAST_ML:
        size = max(size, 0.5) if volume < _TYPICAL_ML else size
    middle = np.array(ndimage.center_of_mass(mask))
    box = box_of(mask, 3)
    assert box is not None
    part = mask[box]
    depth = distance(part, abdomen.spacing)
    radius = (3.0 * volume * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
    compact = min(float(depth.max()) / (0.6 * radius), 1.0)
    shell = ndimage.binary_dilation(part, iterations=2) & ~ndimage.binary_dilation(part)
    fat = float((abdomen.hu[box][shell] < case.frame.fat_hu + 65.0).mean())
    point = case.coarse.grid.points_from_index(middle)
    k = int(np.clip(round(float(middle[2])), 0, mask.shape[2] - 1))
    beside = abs(float(point[0]) - float(abdomen.midline[0, 0, k]))
    ahead = float(abdomen.front[0, 0, k]) - float(point[1])
    place = float(np.exp(-0.5 * ((beside - 58.0) / 20.0) ** 2 - 0.5 * ((ahead + 2.0) / 25.0) ** 2))
    bright = float(np.median(abdomen.hu[mask])) - case.frame.muscle_hu[0]
    contrast = 0.4 + 0.6 * float(np.clip(bright / 60.0, 0.0, 1.0))
    walled = float((abdomen.wall | abdomen.lungs)[box][shell].mean())
    free = float(np.exp(-((walled / _AT_WALL) ** 2)))
    even = float(np.exp(-((_unevenness(abdomen.hu[box], part, abdomen.spacing) / _UNEVEN_HU) ** 2)))
    return size * compact * (0.2 + fat) * place * contrast * free * even


def _unevenness(hu: NDArray[np.float32], part: Mask, spacing: NDArray[np.float64]) -> float:
    """Standard deviation, HU, of a piece's level once blended over `_EVEN_MM`."""
    sigma = _EVEN_MM / spacing
    weight = ndimage.gaussian_filter(part.astype(np.float32), sigma)
    level = ndimage.gaussian_filter(np.where(part, hu, np.float32(0.0)), sigma) / np.maximum(weight, 1e-3)
    return float(level[part].std())
