"""The liver: the largest homogeneous tissue under the right lung, with its tumours and vessels.

1. Tissue: peaks of the histogram right of the spine inside the body wall; the one that
   forms the thickest, largest piece.
2. Core: that piece parted into lumps; lumps that belong by contact and place are kept, so
   that spleen, heart, pancreas and stomach of the same HU stay out.
3. Parenchyma: minimum cut with the tissue's likelihood.
4. What it encloses: tumours, also those at its border, and vessels (`tumours`).
5. Its border in the full-resolution scan (`boundary`), without knobs and stalks (`tidy`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress, part
from .basins import Basins, basins_of
from .boundary import refined
from .case import Case
from .continuous_cut import minimum_cut
from .morphology import Mask, distance, largest
from .organ_model import (
    Abdomen,
    Tissue,
    abdomen_of,
    edge_capacity,
    not_organ,
    opened,
    tissue_peaks,
    wall_cost,
)
from .resample import box_of
from .seeded import agrees, allowed, claimed_by_others, corrected, lump_under, seed_region
from .tidy import without_knobs
from .tumours import with_enclosed

_WIDTH = 2.5
"""Spreads from the mean within which a voxel is the tissue."""
_LEAST_ML = 150.0
_OTHERS = ("aorta", "kidney_left", "kidney_right")
_VEIN = "inferior_vena_cava"
"""Cut out of the finished liver only: a hole in it beforehand would part its lumps elsewhere."""
_UNEVEN_MM = 18.0
_LEVEL_PASSES = 2
_SEED_REACH_MM = 140.0
_WIDE_NECK_MM = 16.0
"""Nothing but its own lobes joins a liver over a passage of this radius."""
_TAIL_MM = 11.0
"""Radius of a wide caval vein."""
_KNOB_MM = 6.0
"""What hangs on by less than twice this is stomach wall, portal trunk or muscle between ribs, not liver ..."""
_EDGE_MM = 2.0
"""... but for the sharp edges of the lobes, which keep this much beyond the ball that fits into them."""


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find the liver; {} and a remark where the scan shows none."""
    found = _liver(case, part(progress, 0.0, 0.6), None)
    if not agrees(case, "liver", found):
        again = _liver(case, part(progress, 0.6, 1.0), seed_region(case, "liver"))
        found = corrected(case, "liver", found, again)
    if not found.any():
        case.remarks.append("no liver was found: no large homogeneous tissue right of the spine")
        return {}
    return {"liver": found}


def _liver(case: Case, progress: Progress, seed: Mask | None) -> NDArray[np.bool_]:
    """(I, J, K) full resolution; empty where none is seen."""
    progress(0.0, "liver: looking for its tissue")
    abdomen = abdomen_of(case)
    others = other_organs(case) | claimed_by_others(case, "liver")
    if seed is not None:
        others |= ~allowed(case, "liver")
    best = liver_tissue(case, abdomen, others, seed)
    if best is None:
        return np.zeros(case.grid.shape, dtype=bool)
    tissue, core = best
    progress(0.3, "liver: parenchyma")
    parenchyma, rejected = parenchyma_of(case, abdomen, tissue, core, others, seed)
    progress(0.5, "liver: tumours and vessels")
    if seed is not None and case.request.seeds["liver"].point is not None:
        parenchyma |= seed & ~others
        lump = lump_under(case, abdomen, "liver", abdomen.cavity & ~others)
        if lump is not None:
            parenchyma |= lump
            rejected &= ~lump
    whole = with_enclosed(abdomen, tissue, parenchyma, others | rejected)
    vein = case.coarse_mask(_VEIN)
    if vein is not None:
        whole = largest(whole & ~vein)
    whole = without_tails(case, abdomen, whole)
    progress(0.7, "liver: border")
    found = refined(case, whole, forbidden=not_organ(case, abdomen, tissue, (*_OTHERS, _VEIN)))
    progress(0.9, "liver: taking off what merely touches it")
    return without_knobs(found, case.grid.spacing, radius_mm=_KNOB_MM, give_back_mm=_EDGE_MM)


def other_organs(case: Case) -> Mask:
    """(I, J, K) coarse: what earlier stages found that is no liver."""
    taken = np.zeros(case.coarse.grid.shape, dtype=bool)
    for name in _OTHERS:
        mask = case.coarse_mask(name)
        if mask is not None:
            taken |= mask
    return taken


def liver_tissue(case: Case, abdomen: Abdomen, others: Mask, seed: Mask | None = None) -> tuple[Tissue, Mask] | None:
    """The liver's tissue and the piece it forms, or None."""
    region = abdomen.cavity & ~others & right_upper(case, abdomen)
    if seed is not None:
        region = abdomen.cavity & ~others & (distance(~seed, abdomen.spacing) < _SEED_REACH_MM)
    sample = region & (abdomen.gradient < 3.0) & (abdomen.hu > -5.0) & (abdomen.hu < 260.0)
    best, best_score = None, 0.0
    for tissue in tissue_peaks(abdomen.hu[sample]):
        piece = tissue_piece(abdomen, tissue, others)
        core = largest(opened(piece & region, 10.0, abdomen.spacing))
        score = core.sum() * abdomen.voxel_ml
        if seed is not None:
            # a click may hit a tumour or a vessel: the tissue under it counts, but does not decide
            score *= 0.3 + float((piece & seed).sum()) / float(seed.sum())
        if score > best_score:
            best, best_score = (tissue, piece), score
    return best if best_score >= _LEAST_ML / 3 else None


def right_upper(case: Case, abdomen: Abdomen) -> Mask:
    """(I, J, K) right of the midline and not farther below the diaphragm than a liver is high."""
    frame = case.frame
    place = np.broadcast_to(frame.x < abdomen.midline, abdomen.hu.shape).copy()
    if frame.dome_right is not None:
        place &= (frame.z < frame.dome_right + 5.0) & (frame.z > frame.dome_right - 220.0)
    return place


def tissue_piece(abdomen: Abdomen, tissue: Tissue, others: Mask) -> Mask:
    """Voxels of this tissue in the cavity, small holes (vessels) filled, without thin parts."""
    like = (np.abs(tissue.deviation(abdomen.hu)) < _WIDTH) & abdomen.cavity & ~others
    like = ndimage.binary_fill_holes(like)
    return opened(like & abdomen.cavity & ~others, 4.5, abdomen.spacing)


def parenchyma_of(
    case: Case, abdomen: Abdomen, tissue: Tissue, piece: Mask, others: Mask, seed: Mask | None = None
) -> tuple[Mask, Mask]:
    """Liver tissue without what only touches it, and the lumps that were turned down."""
    lumps = basins_of(piece, abdomen.spacing)
    kept = liver_lumps(case, abdomen, lumps, seed)
    core = np.isin(lumps.labels, kept)
    rejected = (lumps.labels > 0) & ~core
    deep = distance(rejected, abdomen.spacing) > 4.0
    level = np.full(core.shape, tissue.mean, dtype=np.float32)
    result = cut_out(abdomen, tissue, level, core, others | deep)
    for _ in range(_LEVEL_PASSES):
        level = local_level(abdomen, tissue, result)
        result = cut_out(abdomen, tissue, level, opened(result, 6.0, abdomen.spacing), others | deep)
    return result, deep


def local_level(abdomen: Abdomen, tissue: Tissue, mask: Mask) -> NDArray[np.float32]:
    """HU of the tissue near each voxel: perfusion and beam hardening make one organ uneven."""
    like = mask & (np.abs(tissue.deviation(abdomen.hu)) < 2.0 * _WIDTH)
    sigma = _UNEVEN_MM / abdomen.spacing
    weight = ndimage.gaussian_filter(like.astype(np.float32), sigma) + np.float32(1e-3)
    excess = np.where(like, abdomen.hu - np.float32(tissue.mean), np.float32(0.0))
    return ndimage.gaussian_filter(excess, sigma) / weight + np.float32(tissue.mean)


def liver_lumps(case: Case, abdomen: Abdomen, lumps: Basins, seed: Mask | None = None) -> list[int]:
    """Numbers of the lumps that are liver: the largest right one, and what joins it broadly in a place of liver."""
    x = _means(np.broadcast_to(case.frame.x - abdomen.midline, lumps.labels.shape), lumps)
    y = _means(np.broadcast_to(case.frame.y - abdomen.front, lumps.labels.shape), lumps)
    z = _means(np.broadcast_to(case.frame.z, lumps.labels.shape), lumps)
    near_wall = distance(~(abdomen.wall | abdomen.lungs), abdomen.spacing) < 10.0
    at_wall = np.bincount(lumps.labels[near_wall], minlength=lumps.count + 1)
    at_wall = at_wall * np.prod(abdomen.spacing) / 10.0
    right = np.where(x < 0, lumps.volume, 0.0)
    if seed is not None:
        # a click on a tumour or a lobe's tip finds a small lump: the liver is then the largest nearby
        under = np.bincount(lumps.labels[seed], minlength=lumps.count + 1) * lumps.volume
        under[(lumps.volume < 0.3 * right[1:].max(initial=0.0))] = 0.0
        under[0] = 0.0
        right = under if under.any() else right
    right[0] = 0.0
    kept = [int(right.argmax())]
    dome = case.frame.dome_right
    waiting = set(range(1, lumps.count + 1)) - set(kept)
    while waiting:
        ratio = {i: lumps.contact[i, kept].sum() / lumps.size(i) for i in waiting}
        accepted = []
        for i in waiting:
            posterior_left = x[i] > 35.0 and y[i] > -45.0
            over_dome = dome is not None and z[i] > dome - 12.0 and x[i] > -50.0
            neck = lumps.neck[i, kept].max() / max(lumps.thickness[i], 1e-6)
            wide = neck >= 0.7 and lumps.neck[i, kept].max() >= _WIDE_NECK_MM
            broad = ratio[i] >= 0.9 and (wide or (neck >= 0.5 and at_wall[i] / lumps.size(i) >= 0.25))
            if (ratio[i] >= 1.8 or broad) and not posterior_left and not over_dome:
                accepted.append(i)
        if not accepted:
            return kept
        kept += accepted
        waiting -= set(accepted)
    return kept


def _means(field: NDArray, lumps: Basins) -> NDArray[np.float64]:
    return np.asarray(ndimage.mean(field, lumps.labels, np.arange(lumps.count + 1)))


def without_tails(case: Case, abdomen: Abdomen, mask: Mask) -> Mask:
    """Cut off the caval vein, crura and duodenum where they have the liver's HU: narrow medial parts
    that hang on by less than their own cross-section."""
    frame = case.frame
    thick = opened(mask, _TAIL_MM, abdomen.spacing)
    thick = ndimage.binary_dilation(thick) & mask
    labels, count = ndimage.label(mask & ~thick)
    if not count:
        return mask
    index = np.arange(1, count + 1)
    medial = np.abs(frame.x - abdomen.midline) < 50.0
    medial = medial & (abdomen.front - frame.y < 85.0)
    inside = np.asarray(ndimage.mean(np.broadcast_to(medial, mask.shape), labels, index))
    volume = np.bincount(labels.ravel(), minlength=count + 1)[1:] * abdomen.voxel_ml
    root = ndimage.binary_dilation(thick) & (labels > 0)
    area = np.bincount(labels[root], minlength=count + 1)[1:] * float(np.prod(abdomen.spacing)) ** (2.0 / 3.0)
    hanging = area / (1000.0 * np.maximum(volume, 1e-3)) ** (2.0 / 3.0)
    cut = index[(inside > 0.7) & (volume > 0.5) & (hanging < 1.2)]
    return largest(mask & ~np.isin(labels, cut))


def cut_out(abdomen: Abdomen, tissue: Tissue, level: NDArray[np.float32], core: Mask, others: Mask) -> Mask:
    """Minimum cut around a core: tissue likelihood, distance from the core, the wall."""
    away = distance(~core, abdomen.spacing)
    box = box_of(away < 50.0, 2)
    assert box is not None
    deviation = (abdomen.hu[box] - level[box]) / np.float32(_WIDTH * tissue.sd)
    cost = np.clip(deviation**2 - 1.0, -1.0, 2.0) + np.clip((away[box] - 10.0) / 15.0, 0.0, 2.0)
    cost += wall_cost(abdomen, tissue)[box]
    cost[abdomen.lungs[box] | others[box]] = 3.0
    cost[ndimage.binary_erosion(core[box])] = -3.0
    capacity = 1.2 * edge_capacity(abdomen, 2.0 * tissue.sd)[box]
    result = np.zeros(core.shape, dtype=bool)
    result[box] = minimum_cut(cost.astype(np.float32), capacity)
    return largest(result)
