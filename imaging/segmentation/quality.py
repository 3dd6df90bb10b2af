"""What can be said about a mask without knowing the truth.

A mask that leaked has thin protrusions, is too large, or holds several tissues; one
that failed is too small or in pieces; one at the scan's edge is only part of an organ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..anatomy import SEGMENTS
from ..volume import Grid, ImageVolume, LabelMap
from .base import Level, QualityNote
from .cut_off import MOST_CUT, cut_shares
from .morphology import Mask, distance
from .resample import Pyramid, box_of

PLAUSIBLE_ML: dict[str, tuple[float, float]] = {
    # Adults, whole organ. Liver: 1.5 L ± 0.3 healthy (Kratz 2003; Johnson 2005: 0.9-2.5), 2.9 L is enlarged.
    "liver": (800.0, 2900.0),
    # Spleen 214 ± 98 mL on CT (Prassopoulos 1997: 107-315; Kaneko 2002: to 417); splenomegaly beyond 1 L is common.
    "spleen": (50.0, 1200.0),
    # Kidney by CT 146-202 mL mean by side and sex (Cheong 2007), 5th-95th about 100-280.
    "kidney_left": (70.0, 350.0),
    "kidney_right": (70.0, 350.0),
    # Each lung at inspiration about 1.5-4 L (Quanjer 1993, total lung capacity 4-8 L).
    "lung_left": (500.0, 4500.0),
    "lung_right": (600.0, 5000.0),
    # Gallbladder fasting 10-90 mL (Dodds 1985), hydrops 200.
    "gallbladder": (3.0, 200.0),
    # Lumen from diaphragm to bifurcation 30-80 mL at 18-22 mm diameter; aneurysm and thoracic part added.
    "aorta": (15.0, 800.0),
    "inferior_vena_cava": (10.0, 250.0),
}
"""Whole organs only: what the scan cuts may be smaller and still be well segmented, but is only a part."""

_CONNECTED = {"liver", "spleen", "kidney_left", "kidney_right", "aorta", "gallbladder", "inferior_vena_cava", "body"}
"""Organs that are one piece in a healthy adult."""

_SOLID = {"liver", "spleen", "kidney_left", "kidney_right", "gallbladder"}
"""Organs thicker than `_NECK_MM` everywhere but at their lips, so that thin protrusions mean a leak."""

EXPECTED_HOLES: dict[str, tuple[int, float]] = {
    # The renal sinus (fat, vessels, collecting system), parted at most by the two or three major calyces. Sinus fat in
    # healthy men 26.9 ± 8.8 mL right, 31.6 ± 10.3 mL left, in women less (Zhang et al. 2023, MRI): to 2 deviations.
    "kidney_left": (3, 52.0),
    "kidney_right": (3, 52.0),
}
"""Holes of a sound organ: how many, and of how much in all (mL). Of other solid organs none is."""

_NECK_MM = 6.0
_LEAK_WARN, _LEAK_BAD = 0.08, 0.20
_SPECK_ML = 0.3
_STEP_MM = 2.0
"""Structure is judged at this resolution, so that a note does not depend on the scan's voxel size."""


def assess(
    mask: Mask,
    name: str,
    grid: Grid,
    *,
    hu: NDArray[np.float32] | None = None,
    doubts: Sequence[str] = (),
    faults: Sequence[str] = (),
) -> QualityNote:
    """Judge one mask.

    Args:
        mask: (I, J, K) voxels of the whole segment with its parts.
        name: segment name.
        grid: where the voxels are.
        hu: (I, J, K) the scan, if tissue homogeneity is to be judged too.
        doubts: what its finder is not sure of; each is a warning.
        faults: what shows that it is wrong; each makes it bad.
    """
    volume = float(mask.sum()) * grid.voxel_volume / 1000.0
    if volume == 0.0:
        return QualityNote(name, 0.0, 0, 0, 0.0, False, False, "bad", f"{_title(name)}: not found")
    coarse, step = _judged_at(mask, grid)
    pieces, cavities = _pieces(coarse, step), _holes(coarse, step)
    holes = len(cavities)
    leak = _thin_share(coarse, step) if name in _SOLID else 0.0
    sides = cut_shares(mask)
    low, high = PLAUSIBLE_ML.get(name, (0.0, np.inf))
    complaints: list[tuple[Level, str]] = []
    if volume > high:
        complaints.append(("bad", f"{_amount(volume)} is larger than plausible ({_span(low, high)}): leaked"))
    elif volume < low:
        level: Level = "warn" if sides else "bad"
        complaints.append((level, f"{_amount(volume)} is smaller than plausible ({_span(low, high)})"))
    if sides and name != "body":
        complaints.append(("warn", f"cut off by the scan's edge ({', '.join(sides)}): only a part"))
    if leak > _LEAK_WARN:
        worse: Level = "bad" if leak > _LEAK_BAD else "warn"
        complaints.append((worse, f"{100 * leak:.0f} % of it lies in thin protrusions: it may have leaked"))
    if pieces > 1 and name in _CONNECTED:
        complaints.append(("bad" if pieces > 5 else "warn", f"in {pieces} pieces"))
    if name in _SOLID:
        complaints += _unexpected_holes(name, cavities)
    complaints += _mixed(mask, name, hu)
    complaints.extend(("bad", fault) for fault in faults)
    complaints.extend(("warn", doubt) for doubt in doubts)
    level = _worst(complaints)
    text = _line(name, volume, level, complaints)
    return QualityNote(
        name,
        volume,
        pieces,
        holes,
        leak,
        touches_border=bool(sides),
        plausible=low <= volume <= high,
        level=level,
        text=text,
        partial=bool(sides) and (volume < low or sum(sides.values()) > MOST_CUT),
        only_cut=bool(sides) and len(complaints) == 1 + (volume < low),
    )


def assess_all(
    labels: LabelMap,
    volume: ImageVolume,
    *,
    wanted: Sequence[str] = (),
    remarks: Sequence[str] = (),
    doubts: Mapping[str, Sequence[str]] | None = None,
    faults: Mapping[str, Sequence[str]] | None = None,
) -> tuple[QualityNote, ...]:
    """A note for every segment present, for every wanted one that is missing, and the finders' own remarks.

    Args:
        labels: on LPS-aligned axes.
        volume: the scan on the same grid.
        wanted: segments that were asked for by name.
        remarks: lines of the finders, such as "no lung in the scan".
        doubts: segment name → what its finder is not sure of.
        faults: segment name → what shows that it is wrong.
    """
    volume.grid.require_same(labels.grid, tolerance_mm=0.1)
    names = list(dict.fromkeys([*labels.names, *wanted]))
    hu = volume.voxels if volume.unit == "HU" else None
    said, wrong = doubts or {}, faults or {}
    notes = [
        assess(_whole(labels, n), n, labels.grid, hu=hu, doubts=said.get(n, ()), faults=wrong.get(n, ())) for n in names
    ]
    return tuple(notes) + tuple(
        QualityNote("scan", 0.0, 0, 0, 0.0, False, True, "warn", remark) for remark in dict.fromkeys(remarks)
    )


def _whole(labels: LabelMap, name: str) -> Mask:
    """A segment with its parts; the body is everything inside the skin, not what the organs leave of it."""
    return labels.labels != 0 if name == "body" else labels.mask(name)


GIVEN = "given"
"""In the place of a contrast phase where labels were given: nothing was estimated."""


def summary(notes: Sequence[QualityNote], phase: str) -> str:
    """One line: how many segments, which are not to be trusted."""
    found = [note for note in notes if note.volume_ml > 0]
    bad = [note.segment for note in notes if note.level == "bad"]
    what = "labels given" if phase == GIVEN else f"{phase or 'unknown'} phase"
    text = f"{len(found)} segments, {what}"
    if bad:
        return f"{text}; not to be trusted: {', '.join(bad)}"
    doubtful = [note.segment for note in found if note.level == "warn" and not note.only_cut]
    cut = sum(note.only_cut for note in found)
    said = f"look at {', '.join(doubtful)}" if doubtful else "no flag raised"
    return f"{text}; {said}" + (f"; {cut} cut by the scan's edge" if cut else "")


def _worst(complaints: list[tuple[Level, str]]) -> Level:
    levels = {level for level, _ in complaints}
    return "bad" if "bad" in levels else "warn" if "warn" in levels else "ok"


def _judged_at(mask: Mask, grid: Grid) -> tuple[Mask, NDArray[np.float64]]:
    """The mask's box at about 2 mm, and that spacing; a margin is kept so that the edge stays seen."""
    box = box_of(mask, margin=2)
    assert box is not None
    part = mask[box]
    affine = np.diag([*grid.spacing, 1.0])
    pyramid = Pyramid.over(Grid((part.shape[0], part.shape[1], part.shape[2]), affine), _STEP_MM)
    return pyramid.down(part) >= 0.5, pyramid.coarse.spacing


def _least(step: NDArray[np.float64]) -> int:
    return max(int(_SPECK_ML * 1000 / float(np.prod(step))), 1)


def _pieces(mask: Mask, step: NDArray[np.float64]) -> int:
    labels, _ = ndimage.label(mask)
    return int((np.bincount(labels.ravel())[1:] >= _least(step)).sum()) or 1


def _holes(mask: Mask, step: NDArray[np.float64]) -> list[float]:
    """mL of every enclosed cavity that is not just a few voxels."""
    labels, _ = ndimage.label(~np.pad(mask, 1))
    outside = labels[0, 0, 0]
    sizes = np.bincount(labels.ravel())
    sizes[[0, outside]] = 0
    return [float(size * np.prod(step) / 1000.0) for size in sizes if size >= max(_least(step) // 2, 1)]


def _unexpected_holes(name: str, cavities: Sequence[float]) -> list[tuple[Level, str]]:
    """Holes that this organ has not by nature."""
    most, most_ml = EXPECTED_HOLES.get(name, (0, 0.0))
    count, volume = len(cavities), sum(cavities)
    if count <= most and volume <= most_ml:
        return []
    holes = "1 hole" if count == 1 else f"{count} holes"
    return [("bad" if count > 20 else "warn", f"{holes} inside it, {volume:.1f} mL together")]


def _thin_share(mask: Mask, step: NDArray[np.float64]) -> float:
    """Share of the volume that an opening of `_NECK_MM` takes away, beyond what it takes of a smooth rim."""
    margin = np.ceil(_NECK_MM / step).astype(int) + 1
    padded = np.pad(mask, [(m, m) for m in margin], mode="edge")
    core = distance(padded, step) > _NECK_MM
    if not core.any():
        return 1.0
    opened = distance(~core, step) <= _NECK_MM + 0.5 * float(step.max())
    inner = tuple(slice(m, m + n) for m, n in zip(margin, mask.shape, strict=True))
    return float((mask & ~opened[inner]).sum() / mask.sum())


def _mixed(mask: Mask, name: str, hu: NDArray[np.float32] | None) -> list[tuple[Level, str]]:
    """Fat, gas or bone inside a solid organ means that the mask is not that organ."""
    if hu is None or name not in _SOLID:
        return []
    values = hu[mask]
    alien = float(((values < -60.0) | (values > 700.0)).mean())
    if alien < 0.05:
        return []
    return [("bad" if alien > 0.15 else "warn", f"{100 * alien:.0f} % of it is as light as fat or as dense as bone")]


def _title(name: str) -> str:
    return SEGMENTS[name].meaning.lower() if name in SEGMENTS else name.replace("_", " ")


def _amount(volume_ml: float) -> str:
    return f"{volume_ml / 1000:.1f} L" if volume_ml >= 1000 else f"{volume_ml:.0f} mL"


def _span(low: float, high: float) -> str:
    return f"{_amount(low)} to {_amount(high)}"


def _line(name: str, volume: float, level: Level, complaints: list[tuple[Level, str]]) -> str:
    if not complaints:
        known = "volume plausible, no flag raised" if name in PLAUSIBLE_ML else "no flag raised"
        return f"{_title(name)}: {_amount(volume)}, {known}"
    said = "; ".join(text for _, text in complaints)
    return f"{_title(name)}: {said}" + ("; do not trust it" if level == "bad" else "")
