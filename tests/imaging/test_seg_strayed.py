"""An aorta that leaves its place before the spine is doubted, and is wrong where no caval vein is left beside it."""

from __future__ import annotations

import numpy as np
import pytest

from preop.imaging.segmentation.base import SegmentationRequest
from preop.imaging.segmentation.case import Case
from preop.imaging.segmentation.strayed import doubt_strayed_aorta
from preop.imaging.volume import Grid, ImageVolume

STEP = 2.5
SHAPE = (60, 40, 100)
MIDDLE = 75.0


def case_with(right_mm: float, *, from_mm: float = 0.0, to_mm: float = 60.0, vein: bool | None) -> Case:
    """A scan of 250 mm, dome at 220 mm, the spine's middle at x = 75 mm (LPS, rising to the left).

    The aorta is a rod before the spine, over a height `right_mm` to its right; the caval vein a rod 25 mm to the right,
    over that height only if `vein` (None: not sought).
    """
    case = Case.of(
        ImageVolume(np.zeros(SHAPE, np.float32), Grid(SHAPE, np.diag([STEP] * 3 + [1.0]))), SegmentationRequest()
    )
    case.frame.dome_right = 220.0
    case.frame.spine = np.full((case.coarse.grid.shape[2], 2), MIDDLE)
    i, j, k = np.indices(SHAPE) * STEP
    there = (k >= from_mm) & (k < to_mm)
    case.masks["aorta"] = np.hypot(i - (MIDDLE - right_mm * there), j - 50.0) < 9.0
    case.masks["iliac_artery_left"] = np.zeros(SHAPE, bool)
    case.masks["iliac_artery_left"][30:34, 20:24, :4] = True
    if vein is not None:
        case.masks["inferior_vena_cava"] = (np.hypot(i - (MIDDLE - 25.0), j - 75.0) < 9.0) & (there <= vein)
    return case


@pytest.mark.parametrize(("vein", "wrong"), [(False, True), (True, False), (None, False)])
def test_far_to_the_right_it_is_doubted_and_wrong_where_the_vein_is_missing(vein: bool | None, wrong: bool) -> None:
    case = case_with(28.0, vein=vein)
    doubt_strayed_aorta(case)
    told, silent = (case.faults, case.doubts) if wrong else (case.doubts, case.faults)
    assert "28 mm to the right" in told["aorta"][0]
    assert "28 mm to the right" in told["iliac_artery_left"][0]
    assert ("no caval vein" in told["aorta"][0]) is wrong
    assert silent == {}


@pytest.mark.parametrize(
    "where",
    [
        {"right_mm": 12.0},
        {"right_mm": -45.0},
        {"right_mm": 28.0, "to_mm": 8.0},
        {"right_mm": 28.0, "from_mm": 200.0, "to_mm": 250.0},
    ],
    ids=["a little", "to the left", "over two slices", "in the chest"],
)
def test_nothing_is_said_of_a_sound_aorta(where: dict) -> None:
    case = case_with(**where, vein=False)
    doubt_strayed_aorta(case)
    assert case.faults == case.doubts == {}
