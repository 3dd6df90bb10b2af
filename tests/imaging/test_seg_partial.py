"""What the scan's edge leaves of an organ, and of a vessel, and what their notes say of it."""

from __future__ import annotations

import numpy as np
import pytest

from preop.imaging.segmentation.base import SegmentationRequest
from preop.imaging.segmentation.case import Case
from preop.imaging.segmentation.cut_off import MOST_CUT, cut_shares
from preop.imaging.segmentation.quality import assess
from preop.imaging.segmentation.tube_length import doubt_short_vessels
from preop.imaging.volume import Grid, ImageVolume

STEP = 2.5


def ellipsoid(low: float, high: float) -> tuple[np.ndarray, Grid]:
    """An organ of 1.57 L, 150 mm high, of which the scan holds the heights between two shares of it (-1 to 1)."""
    half = np.array([100.0, 50.0, 75.0])
    z = np.arange(low * half[2], high * half[2] + 0.1, STEP)
    x, y = np.arange(-110, 110.1, STEP), np.arange(-60, 60.1, STEP)
    away = (x[:, None, None] / half[0]) ** 2 + (y[None, :, None] / half[1]) ** 2 + (z[None, None, :] / half[2]) ** 2
    affine = np.diag([STEP, STEP, STEP, 1.0])
    return away < 1.0, Grid(away.shape, affine)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-0.27, 0.27), (-0.1, 1.2), (-1.2, 0.5), (-0.6, 0.6)],
    ids=["slab", "no lower half", "no dome", "ends"],
)
def test_a_slab_or_half_an_organ_is_only_a_part(low, high):
    note = assess(*with_name("liver", *ellipsoid(low, high)))
    assert note.touches_border
    assert note.partial


@pytest.mark.parametrize(("low", "high"), [(-0.94, 1.2), (-1.2, 0.92), (-0.96, 0.96)])
def test_an_organ_without_a_few_mm_of_its_tip_is_no_part(low, high):
    note = assess(*with_name("liver", *ellipsoid(low, high)))
    assert note.touches_border
    assert not note.partial
    assert note.plausible
    assert note.only_cut


def test_a_whole_organ_is_neither_cut_nor_a_part():
    note = assess(*with_name("liver", *ellipsoid(-1.2, 1.2)))
    assert (note.touches_border, note.partial, note.only_cut) == (False, False, False)


def test_what_is_smaller_than_plausible_is_not_called_plausible():
    note = assess(*with_name("liver", *ellipsoid(-0.27, 0.27)))
    assert "smaller than plausible" in note.text
    assert not note.plausible


def with_name(name: str, mask: np.ndarray, grid: Grid) -> tuple[np.ndarray, str, Grid]:
    return mask, name, grid


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cut_is_measured_at_every_side(axis):
    """A cross-section of an ellipsoid at the height t is 1 - t² of its largest."""
    full, _ = ellipsoid(-1.2, 1.2)
    middle = (full.shape[axis] - 1) / 2
    half = np.array([100.0, 50.0, 75.0])[axis] / STEP
    keep = np.flatnonzero((np.arange(full.shape[axis]) - middle) / half <= 0.6)
    shares = cut_shares(np.take(full, keep, axis=axis))
    assert list(shares) == [("left", "back", "top")[axis]]
    last = (keep[-1] - middle) / half
    assert next(iter(shares.values())) == pytest.approx(1 - last**2, rel=0.03)
    assert next(iter(shares.values())) > MOST_CUT


def test_no_text_calls_a_tumour_harmless():
    note = assess(*with_name("liver_tumor", *ellipsoid(-1.2, 1.2)))
    assert note.level == "ok"
    assert "suspicious" not in note.text
    assert note.text.endswith("no flag raised")
    assert "volume plausible" in assess(*with_name("liver", *ellipsoid(-1.2, 1.2))).text


# ---- vessels

SHAPE = (40, 40, 160)
DOME, FORK = 350.0, 100.0


def case_with(**runs: tuple[float, float]) -> Case:
    """A scan of 400 mm with the right dome at 350 mm and square vessels between the given heights (mm)."""
    grid = Grid(SHAPE, np.diag([STEP, STEP, STEP, 1.0]))
    case = Case.of(ImageVolume(np.zeros(SHAPE, np.float32), grid), SegmentationRequest())
    case.frame.dome_right = DOME
    z = STEP * np.arange(SHAPE[2])
    for number, (name, (low, high)) in enumerate(runs.items()):
        mask = np.zeros(SHAPE, dtype=bool)
        mask[4 + 8 * number : 8 + 8 * number, 18:22] = (z >= low) & (z <= high)
        case.masks[name] = mask
    return case


WHOLE = {"aorta": (FORK, 400.0), "iliac_artery_left": (0.0, FORK), "inferior_vena_cava": (90.0, 335.0)}


def test_vessels_followed_through_the_scan_raise_no_doubt():
    case = case_with(**WHOLE)
    doubt_short_vessels(case)
    assert case.doubts == {}


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("inferior_vena_cava", (90.0, 265.0)),
        ("inferior_vena_cava", (190.0, 335.0)),
        ("aorta", (FORK, 250.0)),
        ("iliac_artery_left", (70.0, FORK)),
    ],
)
def test_a_vessel_of_which_a_piece_was_found_is_called_short(name, run):
    case = case_with(**{**WHOLE, name: run})
    doubt_short_vessels(case)
    assert list(case.doubts) == [name]
    assert "mm" in case.doubts[name][0]
    assert "missing" in case.doubts[name][0]


def test_a_gap_in_a_vessel_counts_as_missing():
    case = case_with(**WHOLE)
    case.masks["inferior_vena_cava"][:, :, 60:80] = False
    doubt_short_vessels(case)
    assert list(case.doubts) == ["inferior_vena_cava"]


def test_what_the_scan_does_not_hold_is_not_missed():
    """The scan ends 20 mm below the bifurcation, and an iliac artery reaches its end."""
    case = case_with(aorta=(20.0, 400.0), iliac_artery_left=(0.0, 20.0))
    doubt_short_vessels(case)
    assert case.doubts == {}


def test_a_vein_lit_from_kidneys_alone_is_doubted_where_no_bifurcation_is_seen():
    case = case_with(kidney_left=(150.0, 260.0), inferior_vena_cava=(240.0, 335.0))
    doubt_short_vessels(case)
    assert list(case.doubts) == ["inferior_vena_cava"]
