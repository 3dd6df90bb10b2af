"""What makes a vessel's note bad: most of it missing, blood taken for thrombus or bone, a scan of the chest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.segmentation.base import SegmentationRequest
from preop.imaging.segmentation.case import Case
from preop.imaging.segmentation.even_blood import blood_in_bone_ml, is_even_blood, local_spread, lumen_around, struts
from preop.imaging.segmentation.quality import assess, assess_all
from preop.imaging.segmentation.second_lumen import doubt_second_lumen, longest_run, pool_in_outline
from preop.imaging.segmentation.thrombus import contrast_share
from preop.imaging.segmentation.tube_length import doubt_short_vessels
from preop.imaging.segmentation.which_aorta import remark_where_not_abdominal
from preop.imaging.volume import Grid, ImageVolume, LabelMap

STEP = 2.5
SHAPE = (40, 40, 160)
GRID = Grid(SHAPE, np.diag([STEP, STEP, STEP, 1.0]))
Z = STEP * np.arange(SHAPE[2])


def case_with(**runs: tuple[float, float]) -> Case:
    """A scan of 400 mm, the right dome at 350 mm, with square rods of 4 cm² between the given heights (mm)."""
    case = Case.of(ImageVolume(np.zeros(SHAPE, np.float32), GRID), SegmentationRequest())
    case.frame.dome_right = 350.0
    for number, (name, (low, high)) in enumerate(runs.items()):
        mask = np.zeros(SHAPE, dtype=bool)
        mask[2 + 9 * number : 10 + 9 * number, 16:24] = (low <= Z) & (high >= Z)
        case.masks[name] = mask
    return case


FORK = {"iliac_artery_left": (0.0, 100.0)}
"""Between it and 20 mm above the dome lie 270 mm of aorta."""


@pytest.mark.parametrize(
    ("low", "high", "level"),
    [
        (100.0, 370.0, "ok"),
        (100.0, 290.0, "warn"),
        (100.0, 250.0, "warn"),
        (100.0, 220.0, "bad"),
        (100.0, 160.0, "bad"),
    ],
)
def test_an_aorta_of_which_most_is_missing_is_bad(low: float, high: float, level: str) -> None:
    case = case_with(aorta=(low, high), **FORK)
    doubt_short_vessels(case)
    note = assess(
        case.masks["aorta"],
        "aorta",
        GRID,
        doubts=case.doubts.get("aorta", ()),
        faults=case.faults.get("aorta", ()),
    )
    assert note.level == level
    assert ("most of it is missing" in note.text) is (level == "bad")
    assert note.text.endswith("do not trust it") is (level == "bad")


def test_a_short_iliac_artery_or_vein_only_warns() -> None:
    case = case_with(aorta=(100.0, 400.0), iliac_artery_left=(90.0, 100.0), inferior_vena_cava=(100.0, 140.0))
    doubt_short_vessels(case)
    assert case.faults == {}
    assert set(case.doubts) == {"iliac_artery_left", "inferior_vena_cava"}


def test_a_fault_makes_the_note_bad_and_no_other() -> None:
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[4:12, 16:24, 20:140] = SEGMENTS["aorta"].label
    labels[20:30, 16:24, 20:140] = SEGMENTS["aortic_thrombus"].label
    volume = ImageVolume(np.full(SHAPE, 60.0, np.float32), GRID)
    notes = assess_all(
        LabelMap(labels, GRID, BY_LABEL), volume, faults={"aortic_thrombus": ["it holds contrast medium"]}
    )
    levels = {note.segment: note.level for note in notes}
    assert levels == {"aorta": "ok", "aortic_thrombus": "bad"}
    assert any("it holds contrast medium" in note.text for note in notes)


# ---- thrombus or blood

SPACING = np.array([1.25, 1.25, 1.25])
LEAN = 60.0


def sac(inside: float, pool: float | None = None, noise: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    """(HU, thrombus): a shell from 10 to 22 mm around a lumen of 400 HU, with a pool in its front half."""
    i, j, _ = np.indices((60, 60, 40))
    x, y = (i - 29.5) * 1.25, (j - 29.5) * 1.25
    away = np.hypot(x, y)
    thrombus = (away > 10.0) & (away < 22.0)
    hu = np.where(away <= 10.0, 400.0, np.where(thrombus, inside, -100.0))
    if pool is not None:
        hu = np.where(thrombus & (y < 0.0), pool, hu)
    hu += np.random.default_rng(1).normal(0.0, noise, hu.shape)
    return hu.astype(np.float32), thrombus


@pytest.mark.parametrize("clot", [30.0, 50.0, 70.0])
@pytest.mark.parametrize("noise", [0.0, 30.0])
def test_a_clot_holds_no_contrast(clot: float, noise: float) -> None:
    assert contrast_share(*sac(clot, noise=noise), LEAN, SPACING) < 0.02


@pytest.mark.parametrize(("blood", "share"), [(150.0, 1.0), (250.0, 1.0)])
def test_blood_of_a_second_lumen_does(blood: float, share: float) -> None:
    assert contrast_share(*sac(blood), LEAN, SPACING) == pytest.approx(share, abs=0.02)


def test_the_share_is_that_of_a_half_filled_false_lumen() -> None:
    assert contrast_share(*sac(45.0, pool=220.0), LEAN, SPACING) == pytest.approx(0.5, abs=0.06)


# ---- which aorta


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({}, "no kidneys"),
        ({"kidney_left": (0.0, 20.0)}, "only pieces of kidneys"),
        ({"kidney_left": (60.0, 170.0)}, None),
        ({"kidney_left": (0.0, 200.0)}, None),
        ({"iliac_artery_left": (0.0, 40.0)}, None),
    ],
    ids=["chest", "upper poles", "kidney", "kidney cut a little", "fork"],
)
def test_a_scan_without_kidneys_and_fork_is_not_of_the_abdominal_aorta(others: dict, words: str | None) -> None:
    case = case_with(aorta=(0.0, 400.0), **others)
    remark_where_not_abdominal(case)
    assert bool(case.remarks) is (words is not None)
    if words is not None:
        assert words in case.remarks[0]
        assert "not the abdominal aorta" in case.remarks[0]


def test_without_an_aorta_nothing_is_said_of_it() -> None:
    case = case_with(liver=(100.0, 200.0))
    remark_where_not_abdominal(case)
    assert case.remarks == []


# ---- blood or bone


def ring_scan(texture: float, noise: float = 20.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(HU, lumen, struts): a tube of 450 HU and 12 mm radius in a mesh of 1200 HU, in muscle; a bone plate beside it.

    The texture (HU, standard deviation over 2 voxels) is that of trabeculae.
    """
    rng = np.random.default_rng(3)
    i, j, k = np.indices((60, 60, 50))
    away = np.hypot(i - 25.0, j - 25.0) * 1.25
    lumen = away < 12.0
    mesh = (away >= 12.0) & (away < 14.0) & ((k + np.round(np.arctan2(j - 25, i - 25) * 6)).astype(int) % 3 > 0)
    plate = (i > 45) & (i < 52)
    hu = np.where(lumen, 450.0, np.where(mesh | plate, 1200.0, LEAN))
    coarse = ndimage.gaussian_filter(rng.normal(0.0, 1.0, hu.shape), 1.0)
    hu = hu + lumen * texture * coarse / coarse.std() + rng.normal(0.0, noise, hu.shape)
    return hu.astype(np.float32), lumen, mesh


@pytest.mark.parametrize(("texture", "blood"), [(0.0, True), (25.0, False), (60.0, False)])
def test_blood_varies_as_noise_does_and_marrow_more(texture: float, blood: bool) -> None:
    hu, lumen, _ = ring_scan(texture)
    core = ndimage.binary_erosion(lumen, iterations=4)
    spread, noise = local_spread(hu, LEAN, SPACING)
    assert noise == pytest.approx(20.0, rel=0.1)
    assert is_even_blood(float(hu[core].mean()), spread[core], noise, 10.0) is blood


@pytest.mark.parametrize(("texture", "wrong"), [(0.0, True), (60.0, False)])
def test_a_bone_that_holds_a_lumen_is_told_from_one_with_marrow(texture: float, wrong: bool) -> None:
    hu, lumen, mesh = ring_scan(texture)
    held = blood_in_bone_ml(lumen | mesh, hu, LEAN, SPACING)
    whole = lumen.sum() * float(np.prod(SPACING)) / 1000.0
    assert (0.2 * whole < held <= whole) if wrong else held == 0.0


def test_what_is_small_or_as_dark_as_marrow_is_not_called_blood() -> None:
    even = np.full(1000, 20.0, np.float32)
    assert is_even_blood(450.0, even, 20.0, 10.0)
    assert not is_even_blood(450.0, even, 20.0, 0.5)
    assert not is_even_blood(220.0, even, 20.0, 10.0)
    assert not is_even_blood(3000.0, even, 20.0, 10.0)


def test_in_a_noisy_scan_the_spread_itself_tells_marrow_from_blood() -> None:
    marrow = np.full(1000, np.hypot(45.0, 30.0), np.float32)
    assert np.median(marrow) < 1.25 * 45.0
    assert not is_even_blood(330.0, marrow, 45.0, 10.0)
    assert is_even_blood(330.0, np.full(1000, 46.0, np.float32), 45.0, 10.0)


def test_a_lumen_is_found_from_its_core_and_its_stent_with_it_but_no_bone() -> None:
    hu, lumen, mesh = ring_scan(0.0)
    cores = ndimage.binary_erosion(lumen, iterations=6).astype(np.int32)
    found = lumen_around(cores, np.array([False, True]), hu, 20.0, SPACING)
    assert found[lumen].mean() > 0.95
    assert not found[mesh].any()
    assert not found[(hu < 300.0) | (hu > 700.0)].any()
    metal = struts(hu > 700.0, found, SPACING)
    assert metal[mesh & (hu > 700.0)].mean() > 0.99
    assert not metal[46:52].any()


def test_no_core_no_lumen_and_no_struts() -> None:
    hu, lumen, _ = ring_scan(0.0)
    cores = lumen.astype(np.int32)
    nothing = lumen_around(cores, np.array([False, False]), hu, 20.0, SPACING)
    assert not nothing.any()
    assert not struts(hu > 700.0, nothing, SPACING).any()


# ---- a second lumen

PIXEL = np.array([1.0, 1.0])


def disc(x: float, y: float, radius: float) -> np.ndarray:
    i, j = np.indices((90, 90))
    return np.hypot(i - x, j - y) < radius


@pytest.mark.parametrize("radius", [12.0, 20.0])
@pytest.mark.parametrize("flap", [1.5, 3.0])
@pytest.mark.parametrize("at", [-0.5, 0.0, 0.3])
def test_a_flap_through_a_round_vessel_shows_a_second_lumen(radius: float, flap: float, at: float) -> None:
    vessel, across = disc(45, 45, radius), np.indices((90, 90))[0] - 45.0 - at * radius
    true, false = vessel & (across < -flap / 2), vessel & (across > flap / 2)
    # The tips of the crescent, thinner than 4 mm, may be left out.
    assert np.mean(pool_in_outline(true, false, PIXEL)[false]) > 0.8


@pytest.mark.parametrize("artery", [8.0, 14.0])
@pytest.mark.parametrize("vein", [5.0, 8.0, 14.0])
@pytest.mark.parametrize("gap", [0.5, 2.0])
def test_a_vein_beside_an_artery_is_no_second_lumen(artery: float, vein: float, gap: float) -> None:
    first, second = disc(30, 45, artery), disc(30 + artery + gap + vein, 45, vein)
    assert not pool_in_outline(first, second, PIXEL).any()


def test_a_chamber_of_the_heart_beside_the_aorta_is_no_second_lumen() -> None:
    i, j = np.indices((90, 90))
    chamber = np.hypot((i - 45) / 30.0, (j - 50) / 25.0) < 1.0
    aorta = disc(45, 16, 9)
    assert not pool_in_outline(aorta & ~chamber, chamber & ~aorta, PIXEL).any()


@pytest.mark.parametrize(("flags", "run"), [([], 0), ([False], 0), ([1, 0, 1, 1], 2), ([1, 1, 1, 0, 1], 3)])
def test_only_what_lies_slice_on_slice_is_a_second_lumen_along_a_vessel(flags: list, run: int) -> None:
    assert longest_run(flags) == run


@pytest.mark.parametrize(("half", "found"), [(220.0, True), (60.0, False), (None, False)])
def test_a_dissected_tube_is_a_fault_and_a_thrombosed_or_whole_one_is_not(half: float | None, found: bool) -> None:
    """A tube of 30 mm across with a flap of 2.5 mm, its back half of blood or clot; lumen 400 HU, fat around it."""
    i, j, _ = np.indices(SHAPE)
    tube = np.hypot(i - 20, j - 20) * STEP < 20.0
    front = tube if half is None else tube & (j < 20)
    hu = np.where(front, 400.0, np.where(tube & (j > 20), half or 0.0, np.where(tube, 60.0, -100.0)))
    case = Case.of(ImageVolume(hu.astype(np.float32), GRID), SegmentationRequest())
    case.masks["aorta"], case.frame.aorta_hu, case.frame.muscle_hu = front, 400.0, (LEAN, 10.0)
    doubt_second_lumen(case)
    assert ("aorta" in case.doubts) is found
    assert case.faults == {}, "a vein may be as bright unless the phase is arterial"
    case.frame.phase = "arterial"
    doubt_second_lumen(case)
    assert ("aorta" in case.faults) is found
    if found:
        assert "dissection" in case.faults["aorta"][0]
