"""What a person's seed changes, what organs say about each other, and labels made elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.errors import PreopError, SegmentationError
from preop.imaging.labelfile import write_labels
from preop.imaging.segmentation.base import Seed, SegmentationRequest
from preop.imaging.segmentation.case import Case
from preop.imaging.segmentation.doubts import doubt, extents_mm
from preop.imaging.segmentation.labels import LabelFileSegmenter
from preop.imaging.segmentation.quality import assess, assess_all
from preop.imaging.segmentation.seeded import agrees, allowed, claimed_by_others, corrected, seed_region
from preop.imaging.volume import Grid, ImageVolume, LabelMap

GRID = Grid((80, 80, 80), np.diag([2.5, 2.5, 2.5, 1.0]))


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    points = GRID.points_from_index(np.indices(GRID.shape).reshape(3, -1).T)
    return (np.linalg.norm(points - centre, axis=1) < radius).reshape(GRID.shape)


def case_with(seeds: dict[str, Seed], hu: np.ndarray | None = None) -> Case:
    voxels = np.full(GRID.shape, -100.0, np.float32) if hu is None else hu.astype(np.float32)
    return Case.of(ImageVolume(voxels, GRID), SegmentationRequest(seeds=seeds))


def test_a_point_inside_agrees_and_one_outside_does_not() -> None:
    liver = ball((100.0, 100.0, 100.0), 40.0)
    assert agrees(case_with({}), "liver", liver)
    assert agrees(case_with({"liver": Seed(point=np.array([110.0, 100.0, 100.0]))}), "liver", liver)
    assert not agrees(case_with({"liver": Seed(point=np.array([160.0, 100.0, 100.0]))}), "liver", liver)
    nothing = np.zeros(GRID.shape, dtype=bool)
    assert not agrees(case_with({"liver": Seed(point=np.array([110.0, 100.0, 100.0]))}), "liver", nothing)


def test_a_box_agrees_with_what_fills_it_only() -> None:
    liver = ball((100.0, 100.0, 100.0), 40.0)
    tight = Seed(box=(np.full(3, 62.0), np.full(3, 138.0)))
    wide = Seed(box=(np.full(3, 30.0), np.full(3, 138.0)))
    assert agrees(case_with({"liver": tight}), "liver", liver)
    assert not agrees(case_with({"liver": wide}), "liver", liver)


def test_a_box_bounds_and_its_middle_is_the_seed() -> None:
    case = case_with({"spleen": Seed(box=(np.full(3, 50.0), np.full(3, 90.0)))})
    inside = np.argwhere(allowed(case, "spleen")) * case.coarse.grid.spacing
    assert inside.min() >= 45.0
    assert inside.max() <= 95.0
    middle = seed_region(case, "spleen")
    assert middle is not None
    assert np.allclose(np.argwhere(middle).mean(axis=0) * case.coarse.grid.spacing, 70.0, atol=3.0)


def test_points_of_other_organs_are_taken() -> None:
    case = case_with({"spleen": Seed(point=np.full(3, 50.0)), "liver": Seed(point=np.full(3, 120.0))})
    taken = claimed_by_others(case, "liver")
    assert taken[20, 20, 20]
    assert not taken[48, 48, 48]


def bean(centre: tuple[float, float, float], half_mm: tuple[float, float, float] = (25.0, 30.0, 55.0)) -> np.ndarray:
    points = GRID.points_from_index(np.indices(GRID.shape).reshape(3, -1).T)
    return (np.linalg.norm((points - centre) / half_mm, axis=1) < 1.0).reshape(GRID.shape)


LEFT, RIGHT = (140.0, 100.0, 100.0), (60.0, 100.0, 100.0)


def _kidneys(left_hu: float, right_hu: float, left: np.ndarray | None = None, liver_hu: float | None = None) -> Case:
    left, right = bean(LEFT) if left is None else left, bean(RIGHT)
    liver = ball((60.0, 40.0, 160.0), 35.0) & ~left & ~right
    hu = np.where(left, left_hu, np.where(right, right_hu, np.where(liver, liver_hu or -100.0, -100.0)))
    case = case_with({}, hu)
    case.masks |= {"kidney_left": left, "kidney_right": right, "spleen": ball((150.0, 150.0, 160.0), 28.0)}
    if liver_hu is not None:
        case.masks["liver"] = liver
        case.frame.phase = "portal"
    case.frame.muscle_hu = (-130.0, 10.0)
    return case


def test_sound_kidneys_are_not_doubted() -> None:
    alike = _kidneys(200.0, 205.0, liver_hu=110.0)
    doubt(alike)
    assert not {"kidney_left", "kidney_right"} & set(alike.doubts)


def test_kidneys_that_differ_are_doubted_and_equal_ones_are_not() -> None:
    alike = _kidneys(200.0, 205.0)
    doubt(alike)
    assert "kidney_left" not in alike.doubts
    brighter = _kidneys(120.0, 205.0)
    doubt(brighter)
    assert any("differ in HU" in line for line in brighter.doubts["kidney_left"])
    smaller = _kidneys(200.0, 205.0, bean(LEFT, (16.0, 21.0, 42.0)))
    doubt(smaller)
    assert any("twice as large" in line for line in smaller.doubts["kidney_right"])


def test_of_two_unlike_kidneys_the_one_brighter_than_the_liver_is_kept() -> None:
    case = _kidneys(115.0, 205.0, liver_hu=110.0)
    doubt(case)
    assert any("differ in HU" in line for line in case.doubts["kidney_left"])
    assert any("no brighter than the liver" in line for line in case.doubts["kidney_left"])
    assert "kidney_right" not in case.doubts


@pytest.mark.parametrize("phase", ["native", "arterial"])
def test_a_kidney_as_dark_as_the_liver_is_sound_without_portal_contrast(phase: str) -> None:
    case = _kidneys(35.0, 35.0, liver_hu=60.0)
    case.frame.phase = phase
    doubt(case)
    assert not {"kidney_left", "kidney_right"} & set(case.doubts)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (bean(LEFT, (15.0, 18.0, 30.0)), "mm long"),
        (bean(LEFT, (25.0, 30.0, 90.0)), "mm long"),
        (bean(LEFT, (30.0, 50.0, 52.0)), "as broad as long"),
        (bean((115.0, 100.0, 75.0), (25.0, 15.0, 45.0)) | bean((150.0, 100.0, 130.0), (45.0, 30.0, 15.0)), "joined"),
    ],
)
def test_what_is_no_kidney_by_its_shape_is_doubted(left: np.ndarray, words: str) -> None:
    case = _kidneys(200.0, 205.0, left, liver_hu=110.0)
    doubt(case)
    assert any(words in line for line in case.doubts["kidney_left"]), case.doubts


def test_what_the_scan_cuts_may_be_short() -> None:
    case = _kidneys(200.0, 205.0, bean((140.0, 100.0, 0.0)), liver_hu=110.0)
    doubt(case)
    assert not any("mm long" in line for line in case.doubts.get("kidney_left", []))


def test_extents_of_a_turned_bean() -> None:
    turned = extents_mm(bean(LEFT, (20.0, 30.0, 50.0)).transpose(2, 0, 1), GRID.spacing)
    assert turned == pytest.approx([100.0, 60.0, 40.0], abs=4.0)


def test_a_left_kidney_without_a_sound_spleen_is_doubted() -> None:
    missing = _kidneys(200.0, 205.0)
    del missing.masks["spleen"]
    doubt(missing)
    assert any("no spleen" in line for line in missing.doubts["kidney_left"])
    speck = _kidneys(200.0, 205.0)
    speck.masks["spleen"] = ball((150.0, 150.0, 160.0), 12.0)
    doubt(speck)
    assert any("may have been taken for the kidney" in line for line in speck.doubts["kidney_left"])


def test_without_a_spleen_a_kidney_that_enhances_as_one_is_not_doubted() -> None:
    case = _kidneys(200.0, 205.0, liver_hu=110.0)
    del case.masks["spleen"]
    doubt(case)
    assert "kidney_left" not in case.doubts


def test_a_doubt_makes_a_note_warn() -> None:
    mask = ball((100.0, 100.0, 100.0), 30.0)
    assert assess(mask, "kidney_left", GRID).level == "ok"
    note = assess(mask, "kidney_left", GRID, doubts=("it may be the spleen",))
    assert note.level == "warn"
    assert "it may be the spleen" in note.text
    labels = LabelMap(np.where(mask, SEGMENTS["kidney_left"].label, 0).astype(np.uint16), GRID, BY_LABEL)
    volume = ImageVolume(np.full(GRID.shape, 100.0, np.float32), GRID)
    (only,) = assess_all(labels, volume, doubts={"kidney_left": ["it may be the spleen"]})
    assert only.level == "warn"


# ---- labels made elsewhere


def _file(tmp_path, mask: np.ndarray, name: str = "liver") -> str:
    labels = LabelMap(np.where(mask, SEGMENTS[name].label, 0).astype(np.uint16), GRID, BY_LABEL)
    write_labels(tmp_path / "labels.nii.gz", labels)
    return str(tmp_path / "labels.nii.gz")


def test_labels_of_a_file_are_read_and_judged(tmp_path) -> None:
    mask = ball((100.0, 100.0, 100.0), 65.0)
    volume = ImageVolume(np.full(GRID.shape, 100.0, np.float32), GRID)
    request = SegmentationRequest(options={"path": _file(tmp_path, mask)})
    result = LabelFileSegmenter().segment(volume, request)
    assert np.array_equal(result.labels.mask("liver"), mask)
    note = result.note("liver")
    assert note is not None
    assert note.volume_ml == pytest.approx(4 / 3 * np.pi * 6.5**3, rel=0.02)
    assert result.trusted


def test_labels_that_are_no_liver_are_not_trusted(tmp_path) -> None:
    mask = ball((100.0, 100.0, 100.0), 20.0)
    volume = ImageVolume(np.full(GRID.shape, 100.0, np.float32), GRID)
    request = SegmentationRequest(options={"path": _file(tmp_path, mask)}, wanted=("liver", "spleen"))
    result = LabelFileSegmenter().segment(volume, request)
    assert not result.trusted
    assert result.note("spleen").level == "bad"  # type: ignore[union-attr]


@pytest.mark.parametrize("path", ["", "no/such/file.nii.gz"])
def test_a_label_file_that_is_not_there_is_one_line(path: str) -> None:
    volume = ImageVolume(np.zeros(GRID.shape, np.float32), GRID)
    with pytest.raises(SegmentationError, match="is not there"):
        LabelFileSegmenter().segment(volume, SegmentationRequest(options={"path": path}))


def test_labels_of_another_grid_are_refused_or_brought_over(tmp_path) -> None:
    """A file on a grid that does not cover the scan cannot be its truth."""
    path = _file(tmp_path, ball((100.0, 100.0, 100.0), 30.0))
    far = Grid(GRID.shape, GRID.affine + np.array([[0, 0, 0, 5000.0], [0] * 4, [0] * 4, [0] * 4]))
    volume = ImageVolume(np.full(GRID.shape, 100.0, np.float32), far)
    with pytest.raises(PreopError, match=r"(?i)grid|patient|lie|overlap|cover"):
        LabelFileSegmenter().segment(volume, SegmentationRequest(options={"path": path}))


# ---- what a seed changes of what was found without it


def test_a_point_adds_its_part_and_leaves_the_rest_of_the_border() -> None:
    organ, lobe, elsewhere = ball((90.0, 100.0, 100.0), 40.0), ball((135.0, 100.0, 100.0), 16.0), (90.0, 60.0, 100.0)
    other_border = ball((92.0, 100.0, 102.0), 40.0) | lobe | ball(elsewhere, 14.0)
    case = case_with({"liver": Seed(point=np.array([142.0, 100.0, 100.0]))})
    result = corrected(case, "liver", organ, other_border)
    assert result[organ].all()
    assert result[lobe].mean() > 0.95
    assert (result & ~organ & ~ball((135.0, 100.0, 100.0), 22.0)).sum() == 0


def test_a_box_takes_away_what_is_outside_and_adds_what_it_is_short_of() -> None:
    organ, leak, lobe = ball((90.0, 100.0, 100.0), 40.0), bean((40.0, 100.0, 100.0), (30.0, 9.0, 9.0)), LEFT
    box = Seed(box=(np.array([50.0, 60.0, 60.0]), np.array([156.0, 140.0, 140.0])))
    case = case_with({"liver": box})
    missing = ball(lobe, 16.0) | bean((125.0, 100.0, 100.0), (20.0, 12.0, 12.0))
    result = corrected(case, "liver", organ | leak, organ | missing)
    points = GRID.points_from_index(np.argwhere(result))
    assert points[:, 0].min() > 44.0
    assert points[:, 0].max() == pytest.approx(156.0, abs=4.0)
    assert result[organ].mean() > 0.99


@pytest.mark.parametrize(("hu", "taken"), [(110.0, True), (75.0, False)])
def test_a_large_part_is_added_only_if_it_is_of_the_same_tissue(hu: float, taken: bool) -> None:
    organ, part = ball((75.0, 100.0, 100.0), 40.0), ball((135.0, 100.0, 100.0), 30.0)
    voxels = np.where(organ, 110.0, np.where(part, hu, -100.0))
    case = case_with({"liver": Seed(point=np.array([135.0, 100.0, 100.0]))}, voxels)
    result = corrected(case, "liver", organ, organ | part)
    assert result[organ].all()
    assert bool(result[part].mean() > 0.9) is taken
    assert ("liver" in case.doubts) is not taken


def test_a_seed_that_finds_another_organ_is_followed() -> None:
    wrong, right = ball((60.0, 60.0, 60.0), 30.0), ball((130.0, 130.0, 130.0), 30.0)
    case = case_with({"spleen": Seed(point=np.full(3, 130.0))})
    assert np.array_equal(corrected(case, "spleen", wrong, right), right)
    assert np.array_equal(corrected(case, "spleen", wrong & ~wrong, right), right)
    assert np.array_equal(corrected(case, "spleen", wrong, right & ~right), wrong)
