"""What a person's seed changes: where an organ may be, what is certainly in it, and its tissue.

A box bounds the organ: nothing outside belongs to it, and it is found in the box even
where anatomy would not put it. A point is inside: its surroundings are the organ's
tissue and belong to it. Neither says anything about the rest of a border that was found
without it, so that stays (`corrected`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Seed
from .basins import basins_of
from .case import Case
from .morphology import Mask, distance, label, largest
from .organ_model import Abdomen, opened
from .resample import box_of

_BOX_MARGIN_MM = 3.0
"""A person draws a box about as tight as this."""
_POINT_MM = 6.0
_INNER_SHARE = 0.6
_BOX_SLACK_MM = 8.0
_LUMP_REACH_MM = 80.0
_SAME_ORGAN = 0.6
"""Dice from which two results are one organ with a part more or less, not two organs."""
_LARGE_PART = 0.25
"""Share of what was found from which a part to be added must be of the same tissue; a tumour is mostly smaller."""
_LUMP_MM = 3.0
"""Radius from which a difference between two results is a part, not another run of the same border."""


def allowed(case: Case, name: str) -> Mask:
    """(I, J, K) coarse: everywhere, or inside the seed's box where one is given."""
    seed = case.seed(name)
    inside = np.ones(case.coarse.grid.shape, dtype=bool)
    if seed is None or seed.box is None:
        return inside
    frame = case.frame
    for axis, line in enumerate((frame.x, frame.y, frame.z)):
        inside &= (line >= seed.box[0][axis] - _BOX_MARGIN_MM) & (line <= seed.box[1][axis] + _BOX_MARGIN_MM)
    return inside


def seed_region(case: Case, name: str) -> Mask | None:
    """(I, J, K) coarse: a small ball around the seed's point, else the middle of its box; None without a seed."""
    seed = case.seed(name)
    if seed is None:
        return None
    frame = case.frame
    if seed.point is not None:
        x, y, z = (line - value for line, value in zip((frame.x, frame.y, frame.z), seed.point, strict=True))
        near = x**2 + y**2 + z**2
        return np.asarray(near <= max(_POINT_MM**2, float(near.min())), dtype=bool)
    assert seed.box is not None
    inside = np.ones(case.coarse.grid.shape, dtype=bool)
    for axis, line in enumerate((frame.x, frame.y, frame.z)):
        middle, half = 0.5 * (seed.box[0][axis] + seed.box[1][axis]), 0.5 * (seed.box[1][axis] - seed.box[0][axis])
        inside &= np.abs(line - middle) <= max(_INNER_SHARE * half, float(np.abs(line - middle).min()))
    return inside


def claimed_by_others(case: Case, name: str) -> Mask:
    """(I, J, K) coarse: around the points that a person gave for other organs."""
    taken = np.zeros(case.coarse.grid.shape, dtype=bool)
    for other, seed in case.request.seeds.items():
        ball = seed_region(case, other) if other != name and seed.point is not None else None
        if ball is not None:
            taken |= ball
    return taken


def agrees(case: Case, name: str, found: Mask) -> bool:
    """Whether what was found without the seed already fits it: then there is nothing to correct.

    A point must lie in it, or in a hole or a gap of a few millimetres; a box must hold it and be about as large.

    Args:
        case: with its seeds.
        name: segment.
        found: (I, J, K) at full resolution.
    """
    seed = case.seed(name)
    if seed is None or not found.any():
        return seed is None
    if seed.point is not None:
        at = np.round(case.grid.index_from_points(seed.point)).astype(int)
        reach = np.maximum(np.round(1.5 / case.grid.spacing).astype(int), 0)
        window = tuple(slice(max(a - r, 0), a + r + 1) for a, r in zip(at, reach, strict=True))
        if not found[window].mean() > 0.5:
            return False
    return seed.box is None or not _misfit(case, seed.box, found).any()


def corrected(case: Case, name: str, found: Mask, again: Mask) -> Mask:
    """What was found, changed by what its seed says and no more.

    Where the search from the seed came to the same organ, only its parts at the point, or towards the sides of the
    box that were not reached, are added, and what lies outside the box is taken away. A large part of another tissue
    is left out with a doubt: the search has then run into a neighbour. Where it came to another organ, or nothing
    had been found before, its result is taken whole.

    Args:
        case: with its seeds.
        name: segment.
        found: (I, J, K) full resolution, without the seed.
        again: (I, J, K) from the seed.
    """
    seed = case.seed(name)
    if seed is None or not again.any():
        return found
    common = 2.0 * float((found & again).sum()) / max(float(found.sum() + again.sum()), 1.0)
    if common < _SAME_ORGAN:
        return again
    kept = found
    if seed.box is not None:
        kept = largest(found & case.pyramid.up_mask(allowed(case, name)))
    added = again & ~kept
    box = box_of(added, 2)
    if box is None:
        return kept
    labels, count = label(distance(added[box], case.grid.spacing) > _LUMP_MM)
    result = kept.copy()
    for number in range(1, count + 1):
        lump = np.zeros_like(added)
        lump[box] = added[box] & (distance(labels != number, case.grid.spacing) <= _LUMP_MM + 1.0)
        if not _is_asked_for(case, seed, kept, lump):
            continue
        if _may_be_part(case, kept, lump):
            result |= lump
        else:
            case.doubt(name, "its seed leads to something larger and of another tissue, which was left out")
    if seed.point is not None:
        away = _from_point(case, seed.point)
        result |= again & (away < _POINT_MM + _LUMP_MM)
    return largest(result)


def _is_asked_for(case: Case, seed: Seed, kept: Mask, lump: Mask) -> bool:
    """Whether a part lies at the point, or reaches towards a side of the box that the rest falls short of."""
    if seed.point is not None and float(_from_point(case, seed.point)[lump].min()) < _POINT_MM:
        return True
    if seed.box is None:
        return False
    before = _misfit(case, seed.box, kept)
    return bool((_misfit(case, seed.box, kept | lump) < before).any())


def _may_be_part(case: Case, kept: Mask, lump: Mask) -> bool:
    """Small against the rest, or of its tissue: the search from a seed may have run into muscle or bowel."""
    if lump.sum() < _LARGE_PART * kept.sum():
        return True
    # On the coarse, smoothed scan: one voxel's noise at full resolution says nothing of a tissue.
    own, other = (case.coarse.voxels[case.pyramid.down(mask) > 0.9] for mask in (kept, lump))
    if not own.size or not other.size:
        return False
    middle = float(np.median(own))
    spread = 1.4826 * float(np.median(np.abs(own - middle)))
    return abs(float(np.median(other)) - middle) < max(spread, 5.0)


def _from_point(case: Case, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """(I, J, K) mm from a point."""
    grid = case.grid
    index = grid.index_from_points(point)
    i, j, k = ((np.arange(n) - at) * step for n, at, step in zip(grid.shape, index, grid.spacing, strict=True))
    return np.sqrt(i[:, None, None] ** 2 + j[None, :, None] ** 2 + k[None, None, :] ** 2)


def _misfit(case: Case, box: tuple[NDArray[np.float64], NDArray[np.float64]], mask: Mask) -> NDArray[np.float64]:
    """(2, 3) mm by which a mask's ends differ from a box's sides; 0 within a few millimetres."""
    hit = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in range(3)]
    ends = case.grid.points_from_index(np.array(hit).T)
    away = np.abs(ends - np.array(box))
    return np.where(away < _BOX_SLACK_MM, 0.0, away)


def lump_under(case: Case, abdomen: Abdomen, name: str, free: Mask) -> Mask | None:
    """(I, J, K) coarse: the homogeneous lump that a seed's point lies in; None without one.

    Its tissue is what the point's surroundings measure, its ends are edges and necks.
    """
    seed = seed_region(case, name)
    if seed is None or not (seed & free).any():
        return None
    values = abdomen.hu[seed & free]
    middle = float(np.median(values))
    spread = float(np.clip(1.4826 * np.median(np.abs(values - middle)), 6.0, 10.0))
    near = free & (distance(~seed, abdomen.spacing) < _LUMP_REACH_MM)
    like = opened(near & (np.abs(abdomen.hu - middle) < 2.5 * spread), 4.0, abdomen.spacing)
    lumps = basins_of(like, abdomen.spacing, least_depth_mm=2.0)
    under = np.bincount(lumps.labels[seed], minlength=lumps.count + 1)
    under[0] = 0
    return lumps.labels == int(under.argmax()) if under.any() else None
