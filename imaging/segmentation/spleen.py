"""The spleen: the largest homogeneous tissue at the back of the left upper abdomen, against the wall.

As for the liver: peaks of the histogram of the place where spleens are, the lumps that
each forms, and the one that fits a spleen best by size, place and contact with wall and
diaphragm. Liver, kidneys and aorta must be known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .basins import Basins, basins_of
from .boundary import refined
from .case import Case
from .continuous_cut import minimum_cut
from .morphology import Mask, distance, largest
from .organ_model import Abdomen, Tissue, abdomen_of, edge_capacity, not_organ, opened, tissue_peaks, wall_cost
from .resample import box_of
from .seeded import agrees, allowed, corrected, seed_region

_WIDTH = 2.7
_LEAST_ML, _MOST_ML = 25.0, 1500.0
_BELOW_MUSCLE_HU = 18.0
"""A spleen is never much darker than muscle; the stomach's contents are."""
_SEED_FREES_MM = 12.0
_KNOWN_BEFORE = ("liver", "kidney_left", "kidney_right", "aorta")


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find the spleen; {} and a remark where the scan shows none."""
    progress(0.0, "spleen")
    found = _spleen(case, None)
    if not agrees(case, "spleen", found):
        progress(0.5, "spleen: again, from the given seed")
        again = _spleen(case, seed_region(case, "spleen"))
        found = corrected(case, "spleen", found, again)
    if not found.any():
        case.remarks.append("no spleen was found at the back of the left upper abdomen (removed, or not in the scan)")
        return {}
    return {"spleen": found}


def _spleen(case: Case, seed: Mask | None) -> NDArray[np.bool_]:
    """(I, J, K) full resolution; empty where none is seen."""
    abdomen = abdomen_of(case)
    others = _others(case)
    if seed is not None:
        # what a person points at is not what an earlier stage took it for
        others &= distance(~seed, abdomen.spacing) > _SEED_FREES_MM
    place = spleen_place(case, abdomen, seed) & ~others
    best, best_score = None, 0.0
    for tissue in _tissues(abdomen, place, seed):
        for core in _candidates(abdomen, tissue, place, seed):
            own = tissue_of(abdomen, core)
            score = _score(case, abdomen, core, seeded=seed is not None) / (1.0 + (own.sd / 15.0) ** 2)
            score /= 1.0 + np.exp((abdomen.muscle_hu - _BELOW_MUSCLE_HU - own.mean) / 5.0)
            if score > best_score:
                best, best_score = (own, core), score
    if best is None:
        return np.zeros(case.grid.shape, dtype=bool)
    tissue, core = best
    like = core & (np.abs(tissue.deviation(abdomen.hu)) < _WIDTH)
    pure = largest(opened(like, 4.0, abdomen.spacing))
    if seed is not None:
        others = others | ~allowed(case, "spleen")
    coarse = _cut_out(abdomen, tissue, pure if pure.any() else core, others)
    return refined(case, coarse, forbidden=not_organ(case, abdomen, tissue, _KNOWN_BEFORE))


def spleen_place(case: Case, abdomen: Abdomen, seed: Mask | None = None) -> Mask:
    """(I, J, K) left of the spine, behind the trunk's front third, from the diaphragm 170 mm down."""
    frame = case.frame
    if seed is not None:
        return abdomen.cavity & allowed(case, "spleen") & (distance(~seed, abdomen.spacing) < 130.0)
    place = (frame.x - abdomen.midline > 20.0) & (abdomen.front - frame.y < 110.0)
    dome = frame.dome_left if frame.dome_left is not None else frame.dome_right
    if dome is not None:
        place &= (frame.z < dome + 5.0) & (frame.z > dome - 190.0)
    return np.asarray(place & abdomen.cavity, dtype=bool)


def _others(case: Case) -> Mask:
    taken = np.zeros(case.coarse.grid.shape, dtype=bool)
    for name in _KNOWN_BEFORE:
        mask = case.coarse_mask(name)
        if mask is not None:
            taken |= mask
    return taken


def _tissues(abdomen: Abdomen, place: Mask, seed: Mask | None) -> list[Tissue]:
    if seed is not None:
        around = abdomen.hu[seed & place]
        if around.size:
            middle = float(np.median(around))
            near = place & (np.abs(abdomen.hu - middle) < 40.0) & (abdomen.gradient < 3.0)
            peaks = tissue_peaks(abdomen.hu[near])
            close = [t for t in peaks if abs(t.mean - middle) < 3.0 * t.sd]
            return close[:1] or [Tissue(middle, 8.0)]
    sample = place & (abdomen.gradient < 3.0) & (abdomen.hu > 10.0) & (abdomen.hu < 260.0)
    peaks = tissue_peaks(abdomen.hu[sample], least_share=0.15)
    bright = abdomen.hu[sample & (abdomen.hu > abdomen.muscle_hu + 30.0)]
    if bright.size > 200:
        # an arterial spleen is mottled: no peak of its own, but brighter than all around it
        middle = float(np.median(bright))
        peaks.append(Tissue(middle, max(1.4826 * float(np.median(np.abs(bright - middle))), 8.0)))
    return peaks


def _candidates(abdomen: Abdomen, tissue: Tissue, place: Mask, seed: Mask | None) -> list[Mask]:
    """Groups of lumps of this tissue, each a possible spleen."""
    like = (np.abs(tissue.deviation(abdomen.hu)) < _WIDTH) & place
    like = opened(ndimage.binary_fill_holes(like) & place, 4.0, abdomen.spacing)
    if not like.any():
        return []
    lumps = basins_of(like, abdomen.spacing, least_depth_mm=1.2)
    found = []
    for first in np.argsort(-lumps.volume[1:])[:4] + 1:
        group = _grown(lumps, int(first))
        core = np.isin(lumps.labels, group)
        if seed is not None and not (core & seed).any():
            continue
        if core.sum() * abdomen.voxel_ml > 0.5 * _LEAST_ML:
            found.append(core)
    return found


def tissue_of(abdomen: Abdomen, core: Mask) -> Tissue:
    """Median and robust spread of a piece, away from its border."""
    inner = distance(core, abdomen.spacing) > 4.0
    values = abdomen.hu[inner if inner.any() else core]
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return Tissue(middle, max(spread, 5.0))


def _grown(lumps: Basins, first: int) -> list[int]:
    """A lump and those that join it broadly."""
    group = [first]
    waiting = set(range(1, lumps.count + 1)) - {first}
    while waiting:
        joins = [
            i
            for i in waiting
            if lumps.contact[i, group].sum() / lumps.size(i) >= 0.7
            and lumps.neck[i, group].max() >= 0.6 * min(lumps.thickness[i], lumps.thickness[first])
        ]
        if not joins:
            return group
        group += joins
        waiting -= set(joins)
    return group


def _score(case: Case, abdomen: Abdomen, core: Mask, *, seeded: bool) -> float:
    """How much like a spleen: size, contact with wall or lung, place at the back and the side."""
    volume = core.sum() * abdomen.voxel_ml
    if not 0.5 * _LEAST_ML < volume < _MOST_ML:
        return 0.0
    size = float(np.exp(-0.5 * (np.log(volume / 180.0) / 1.0) ** 2))
    shell = distance(~core, abdomen.spacing)
    ring = (shell > 0) & (shell < 8.0)
    outer = float((abdomen.wall | abdomen.lungs)[ring].mean())
    middle = np.array(ndimage.center_of_mass(core))
    point = case.coarse.grid.points_from_index(middle)
    k = int(np.clip(round(float(middle[2])), 0, core.shape[2] - 1))
    beside = float(point[0]) - float(abdomen.midline[0, 0, k])
    ahead = float(abdomen.front[0, 0, k]) - float(point[1])
    place = float(np.clip(beside / 70.0, 0.0, 1.0)) * float(np.exp(-0.5 * (max(ahead - 15.0, 0.0) / 30.0) ** 2))
    if seeded:
        return size
    dome = case.frame.dome_left
    height = 1.0 if dome is None else float(np.exp(-0.5 * (max(dome - float(point[2]) - 60.0, 0.0) / 40.0) ** 2))
    return size * min(outer / 0.25, 1.0) * place * height


def _cut_out(abdomen: Abdomen, tissue: Tissue, core: Mask, others: Mask) -> Mask:
    box = box_of(core, 6)
    assert box is not None
    away = distance(~core[box], abdomen.spacing)
    deviation = tissue.deviation(abdomen.hu[box]) / np.float32(_WIDTH)
    cost = np.clip(deviation**2 - 1.0, -1.0, 2.0) + np.clip((away - 5.0) / 6.0, 0.0, 3.0)
    cost += wall_cost(abdomen, tissue)[box]
    cost[abdomen.lungs[box] | others[box]] = 3.0
    cost[ndimage.binary_erosion(core[box])] = -3.0
    result = np.zeros(core.shape, dtype=bool)
    result[box] = minimum_cut(cost.astype(np.float32), edge_capacity(abdomen, 2.0 * tissue.sd)[box])
    return ndimage.binary_fill_holes(largest(result))
