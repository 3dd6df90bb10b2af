"""The inferior vena cava below and behind the liver.

It lies right of and before the vertebral bodies, 12 to 35 mm wide. In the portal phase it
is brighter than all around it, without contrast or in the arterial phase it has the HU of
muscle and liver and only fat, bone, aorta or kidney beside it show it. So each point is
scored for being the middle of an even disc that ends in as many directions as can be
seen; the smoothest line of best discs is its course, which bridges the liver's groove,
where nothing shows. Around the course a minimum cut ends the vein where its HU ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .boundary import refined
from .case import Case
from .continuous_cut import minimum_cut
from .morphology import Mask, distance, largest
from .organ_model import Abdomen, abdomen_of
from .path import smoothest_path
from .resample import Box, box_of

_RADII_MM = (6.0, 8.0, 10.0, 12.5, 15.0)
_EVEN_HU, _OTHER_HU = 16.0, 20.0
"""Inside, voxels differ by less from the middle; what differs by more is something else."""
_ASIDE_MM, _BEFORE_MM = (-22.0, 8.0), (26.0, 8.0)
"""Middle and spread of its place against the vertebral body's middle, to the left and to the front, in CT of adults."""
_RISES_MM, _RISE = 65.0, 0.35
"""Below the dome by this it begins to come forward, by this share of the height, to reach the heart."""
_SEEN, _PLAIN = 0.22, 0.4
_STIFFNESS = 0.06
_LEAST_LENGTH_MM = 50.0
_LEAST_SEEN = 0.45
_BELOW_BIFURCATION_MM, _BELOW_KIDNEY_MM = 20.0, 80.0
_BRIDGE_MM, _GAP_MM = 45.0, 15.0


@dataclass(frozen=True, eq=False)
class Course:
    """The vein's line on the coarse slices `first` … `last`: (K, 2) index, (K,) radius mm, (K,) HU."""

    centre: NDArray[np.float64]
    radius: NDArray[np.float64]
    level: NDArray[np.float64]
    first: int
    last: int


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find the vein; {} and a remark where it cannot be seen with confidence."""
    progress(0.0, "inferior vena cava")
    abdomen = abdomen_of(case)
    course = _course(case, abdomen) if case.frame.vertebra is not None else None
    if course is None:
        case.remarks.append("the inferior vena cava is not seen clearly enough to be labelled")
        return {}
    progress(0.4, "inferior vena cava")
    coarse = _around(case, abdomen, course)
    if not coarse.any():
        case.remarks.append("the inferior vena cava could not be told from what lies beside it")
        return {}
    return {"inferior_vena_cava": refined(case, coarse, reach_mm=2.5, forbidden=_taken(case))}


def _taken(case: Case) -> NDArray[np.bool_]:
    taken = np.zeros(case.grid.shape, dtype=bool)
    for name in ("bone", "aorta", "aortic_thrombus", "iliac_artery_left", "iliac_artery_right", "kidney_right"):
        if name in case.masks:
            taken |= case.masks[name]
    return taken


def _place(case: Case, abdomen: Abdomen) -> NDArray[np.float32]:
    """(I, J, K) how likely its middle lies there, in [0, 1]; 0 where bone, aorta or kidney is."""
    frame = case.frame
    assert frame.vertebra is not None
    x, y = frame.vertebra[None, None, :, 0], frame.vertebra[None, None, :, 1]
    rise = np.zeros(frame.z.shape)
    if frame.dome_right is not None:
        rise = np.clip(_RISE * (frame.z - (frame.dome_right - _RISES_MM)), 0.0, 40.0)
    aside = (frame.x - x - _ASIDE_MM[0]) / _ASIDE_MM[1]
    before = (y - frame.y - _BEFORE_MM[0] - rise) / (_BEFORE_MM[1] + 0.3 * rise)
    place = np.exp(-0.5 * (np.maximum(np.abs(aside) - 0.6, 0.0) ** 2 + np.maximum(np.abs(before) - 0.6, 0.0) ** 2))
    if frame.dome_right is not None:
        place = place * (frame.z < frame.dome_right - 5.0)
    place = place * (frame.z > _lowest(case))
    taken = case.pyramid.down(_taken(case)) > 0.3
    return np.where(np.isfinite(x) & ~taken, place, 0.0).astype(np.float32)


def _lowest(case: Case) -> float:
    """LPS z below which there are only iliac veins: from the arteries' bifurcation, or the kidneys' lower poles."""
    z = case.frame.z.ravel()
    trunk = case.coarse_mask("aorta")
    if trunk is not None and "iliac_artery_left" in case.masks:
        return float(z[np.flatnonzero(trunk.any(axis=(0, 1)))[0]]) - _BELOW_BIFURCATION_MM
    kidneys = [case.coarse_mask(name) for name in ("kidney_left", "kidney_right")]
    poles = [float(z[np.flatnonzero(m.any(axis=(0, 1)))[0]]) for m in kidneys if m is not None and m.any()]
    return min(poles) - _BELOW_KIDNEY_MM if poles else -np.inf


def _course(case: Case, abdomen: Abdomen) -> Course | None:
    """Where it is plainest, below the liver, its HU and width are learnt; with them it is followed to where it ends."""
    place = _place(case, abdomen)
    box = box_of(place > 0.02, 9)
    if box is None:
        return None
    box = (box[0], box[1], slice(0, place.shape[2]))
    level = _level(abdomen, box)
    score, radius = _disc_score(case, abdomen, place[box], box)
    path, strength = smoothest_path(score, abdomen.spacing, stiffness=_STIFFNESS)
    plain = np.flatnonzero((strength > _PLAIN) & (case.frame.z.ravel() < _liver_top(case) - _RISES_MM))
    if plain.size * float(abdomen.spacing[2]) < 0.5 * _LEAST_LENGTH_MM:
        return None
    blood = float(np.median(level[path[plain, 0], path[plain, 1], plain]))
    width = float(np.median(radius[path[plain, 0], path[plain, 1], plain]))
    like = (level > blood - _EVEN_HU) & (level < blood + 2.0 * _EVEN_HU) & (radius < 1.6 * width)
    score = ndimage.gaussian_filter1d(np.where(like, score, 0.0), 1.0, axis=2).astype(np.float32)
    path, strength = smoothest_path(score, abdomen.spacing, stiffness=_STIFFNESS)
    run = _seen_run(case, strength, plain)
    k = np.arange(run[0], run[-1] + 1)
    case.frame.evidence["caval_vein_seen"] = len(run) / len(k)
    if len(run) * float(abdomen.spacing[2]) < _LEAST_LENGTH_MM or len(run) < _LEAST_SEEN * len(k):
        return None
    at = path[run, 0], path[run, 1], run
    smooth = 6.0 / float(abdomen.spacing[2])

    def along(values: NDArray) -> NDArray[np.float64]:
        line = np.interp(np.arange(place.shape[2]), run, ndimage.median_filter(values.astype(float), 5, mode="nearest"))
        return ndimage.gaussian_filter1d(line, smooth, mode="nearest")

    centre = np.stack([along(path[run, axis]) + box[axis].start for axis in range(2)], axis=1)
    return Course(centre, along(radius[at]), along(level[at]), int(k[0]), int(k[-1]))


def _seen_run(case: Case, strength: NDArray[np.float64], plain: NDArray[np.intp]) -> NDArray[np.intp]:
    """The coarse slices that show it, without gaps but short ones; longer ones where it lies in the liver."""
    z = case.frame.z.ravel()
    seen = np.flatnonzero(strength > _SEEN)
    seen = np.union1d(seen, plain)
    bridge = np.where(z[seen[1:]] > _liver_top(case) - _RISES_MM, _BRIDGE_MM, _GAP_MM)
    runs = np.split(seen, np.flatnonzero(np.diff(z[seen]) > bridge) + 1)
    return max(runs, key=len)


def _liver_top(case: Case) -> float:
    """LPS z of the right dome, or of the scan's top where no lung is in it."""
    dome = case.frame.dome_right
    return float(case.frame.z.max()) + 60.0 if dome is None else dome


def _level(abdomen: Abdomen, box: Box) -> NDArray[np.float32]:
    return ndimage.uniform_filter(abdomen.hu, size=(3, 3, 3))[box]


def _disc_score(
    case: Case, abdomen: Abdomen, place: NDArray[np.float32], box: Box
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(score, radius mm) on the box: an even disc, ending in many directions, in its place."""
    hu, lean = abdomen.hu[box], case.frame.muscle_hu[0]
    level = _level(abdomen, box)
    blood = case.frame.aorta_hu if case.frame.phase == "portal" and case.frame.aorta_hu else lean + 40.0
    low = lean + 10.0 if case.frame.phase == "portal" else lean - 30.0
    possible = place * ((level > low) & (level < blood + 40.0))
    best = np.zeros(hu.shape, dtype=np.float32)
    radius = np.full(hu.shape, _RADII_MM[0], dtype=np.float32)
    for r in _RADII_MM:
        even = _share(hu, level, 0.65 * r, abdomen.spacing, other=False)
        ends = _share(hu, level, r + 3.5, abdomen.spacing, other=True)
        score = possible * np.clip((even - 0.6) / 0.4, 0.0, 1.0) * np.clip((ends - 0.25) / 0.5, 0.0, 1.0)
        better = score > best
        best[better], radius[better] = score[better], r
    return ndimage.gaussian_filter1d(best, 4.0 / float(abdomen.spacing[2]), axis=2), radius


def _share(
    hu: NDArray[np.float32], level: NDArray[np.float32], radius: float, spacing: NDArray[np.float64], *, other: bool
) -> NDArray[np.float32]:
    """Share of 12 directions in which the voxel at this distance is like the middle, or is something else."""
    margin = int(np.ceil(radius / float(spacing[:2].min()))) + 1
    padded = np.pad(hu, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    count = np.zeros(hu.shape, dtype=np.float32)
    for angle in np.arange(12) * np.pi / 6:
        i = margin + round(radius * np.cos(angle) / spacing[0])
        j = margin + round(radius * np.sin(angle) / spacing[1])
        away = np.abs(padded[i : i + hu.shape[0], j : j + hu.shape[1]] - level)
        count += (away > _OTHER_HU) if other else (away < _EVEN_HU)
    return count / np.float32(12.0)


def _around(case: Case, abdomen: Abdomen, course: Course) -> Mask:
    """The vein on the coarse grid: the course's disc, ended where the HU ends."""
    shape = abdomen.hu.shape
    x = (np.arange(shape[0])[:, None] - course.centre[None, :, 0]) * abdomen.spacing[0]
    y = (np.arange(shape[1])[:, None] - course.centre[None, :, 1]) * abdomen.spacing[1]
    away = np.sqrt(x[:, None, :] ** 2 + y[None, :, :] ** 2) - course.radius
    k = np.arange(shape[2])
    away[:, :, (k < course.first) | (k > course.last)] = np.inf
    result = np.zeros(shape, dtype=bool)
    box = box_of(away < 8.0, 2)
    if box is None:
        return result
    width = np.maximum(0.35 * np.abs(course.level - case.frame.muscle_hu[0]), _OTHER_HU).astype(np.float32)
    unlike = ((abdomen.hu[box] - course.level[box[2]].astype(np.float32)) / width[box[2]]) ** 2 - 1.0
    near = away[box].astype(np.float32)
    cost = np.clip(unlike, -0.6, 1.5) + np.clip(near / 3.0, -1.0, 3.0)
    cost[~np.isfinite(near)] = 3.0
    cost[(case.pyramid.down(_taken(case)) > 0.5)[box]] = 3.0
    cut = minimum_cut(cost.astype(np.float32), np.full(cost.shape, 0.4, np.float32))
    cut &= distance(~(near < 0.0), abdomen.spacing) < 4.0
    result[box] = largest(cut)
    return result
