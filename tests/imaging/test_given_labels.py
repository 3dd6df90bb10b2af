"""Labels that were made elsewhere: what bringing them to the scan cost is said, and the scan may be of any kind."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from preop.imaging.anatomy import SEGMENTS
from preop.imaging.compare import compare_labels
from preop.imaging.errors import GeometryError
from preop.imaging.labelfile import read_labels, read_masks, write_labels, write_volume
from preop.imaging.segmentation.base import Segmentation, SegmentationRequest
from preop.imaging.segmentation.labels import LabelFileSegmenter
from preop.imaging.volume import Grid, ImageVolume, LabelMap

SHAPE = (40, 40, 36)
SPACING = (4.0, 4.0, 5.0)


def grid(shape=SHAPE, spacing=SPACING, origin=(0.0, 0.0, 0.0)) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape, affine)


def scan(modality: str = "CT", unit: str = "HU", value: float = 60.0) -> ImageVolume:
    return ImageVolume(np.full(SHAPE, value, np.float32), grid(), modality, unit)


def liver(on: Grid) -> LabelMap:
    """A ball of 60 mm about the scan's middle."""
    points = on.points_from_index(np.argwhere(np.ones(on.shape)))
    inside = np.linalg.norm(points - (78, 78, 87.5), axis=1).reshape(on.shape) < 60
    segment = SEGMENTS["liver"]
    return LabelMap(np.where(inside, segment.label, 0).astype(np.uint16), on, {segment.label: segment})


def given(folder: Path, labels: LabelMap, volume: ImageVolume) -> Segmentation:
    write_labels(folder / "l.nii.gz", labels)
    segmenter, request = LabelFileSegmenter(), SegmentationRequest(options={"path": str(folder / "l.nii.gz")})
    segmenter.check(volume, request)
    return segmenter.segment(volume, request)


def remarks(found: Segmentation) -> str:
    return " / ".join(note.text for note in found.notes if note.segment == "scan")


def test_labels_on_the_grid_of_the_scan_need_no_remark(tmp_path):
    found = given(tmp_path, liver(grid()), scan())
    assert remarks(found) == ""
    assert found.phase == "given"
    assert "labels given" in found.text
    assert "auto" not in found.text


def test_axes_that_only_run_the_other_way_need_no_remark(tmp_path):
    written = liver(grid())
    affine = written.grid.affine.copy()
    affine[:3, 3] = written.grid.points_from_index((SHAPE[0] - 1, 0, 0))
    affine[:3, 0] *= -1
    turned = LabelMap(written.labels[::-1].copy(), Grid(SHAPE, affine), written.segments)
    found = given(tmp_path, turned, scan())
    np.testing.assert_array_equal(found.labels.labels, written.labels)
    assert remarks(found) == ""


def test_coarser_labels_are_said_to_be_resampled(tmp_path):
    found = given(tmp_path, liver(grid((14, 14, 12), (12, 12, 15), (4, 4, 5))), scan())
    assert "resampled to the nearest voxel of the scan" in remarks(found)
    assert "l.nii" not in remarks(found)


def test_labels_of_a_part_of_the_scan_say_how_much_they_cover(tmp_path):
    found = given(tmp_path, liver(grid((40, 40, 18), origin=(0, 0, 90))), scan())
    assert "covers 50 % of the scan" in remarks(found)
    assert "cropped or padded" in remarks(found)


def test_labels_that_barely_touch_the_scan_are_refused(tmp_path):
    with pytest.raises(GeometryError, match="label map and scan overlap by only"):
        given(tmp_path, liver(grid(origin=(0, 0, 5 * 35.5))), scan())


def test_masks_of_another_grid_are_said_to_be_resampled(tmp_path):
    coarse = liver(grid((14, 14, 12), (12, 12, 15), (4, 4, 5)))
    mask = (coarse.labels > 0).astype(np.float32)
    write_volume(tmp_path / "liver.nii.gz", ImageVolume(mask, coarse.grid, "", ""))
    values = np.random.default_rng(0).normal(0, 300, SHAPE).astype(np.float32)
    write_volume(tmp_path / "Doe_Jane.nii.gz", ImageVolume(values, scan().grid))
    assert read_labels(tmp_path).notes == ("1 file beside the masks left out: no mask",)
    notes = read_labels(tmp_path, like=scan().grid).notes
    assert "masks on another grid than the scan: resampled to the nearest voxel of the scan" in notes
    assert not any("Doe" in note for note in notes)


@pytest.mark.parametrize(("modality", "unit"), [("MR", ""), ("", ""), ("CT", "")])
def test_given_labels_need_no_ct_and_no_hounsfield_units(tmp_path, modality, unit):
    """Values of 400 would be as dense as bone in HU, 3000 beyond; of an MR they say nothing."""
    found = given(tmp_path, liver(grid()), scan(modality, unit, 3000.0))
    assert not any(note.segment == "scan" for note in found.notes)
    assert all("as dense as bone" not in note.text for note in found.notes)
    (note,) = [note for note in found.notes if note.segment == "liver"]
    assert note.volume_ml == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.05)
    in_hu = given(tmp_path, liver(grid()), scan("CT", "HU", 3000.0))
    assert any("as dense as bone" in note.text for note in in_hu.notes)


def unplaced(file: Path, voxels: np.ndarray) -> Path:
    """A NIfTI file with neither sform nor qform."""
    image = nibabel.Nifti1Image(voxels.astype(np.uint8), None)
    image.set_sform(np.eye(4), code=0)
    image.set_qform(np.eye(4), code=0)
    nibabel.save(image, file)
    return file


@pytest.mark.parametrize("folder", [False, True])
def test_labels_without_a_place_are_laid_on_a_scan_of_their_size_with_a_note(tmp_path, folder):
    """Wherever the scan lies: the grids' boxes do not even meet."""
    like = grid(origin=(-900.0, 400.0, 1200.0))
    marked = liver(grid()).labels > 0
    marked[:4, :9, 2:5] = True
    file = unplaced(tmp_path / "liver.nii.gz", marked)
    (tmp_path / "labels.json").unlink(missing_ok=True)
    found = read_labels(tmp_path if folder else file, like=like, names={1: "liver"})
    np.testing.assert_array_equal(found.mask("liver"), marked)
    assert found.grid is like
    (note,) = found.notes
    assert "does not say how it lies in the patient" in note
    assert "may be the wrong way round" in note
    assert "liver.nii" not in note


@pytest.mark.parametrize("folder", [False, True])
def test_labels_without_a_place_and_of_another_size_are_refused(tmp_path, folder):
    file = unplaced(tmp_path / "liver.nii.gz", np.ones((40, 40, 35)))
    with pytest.raises(GeometryError, match="40×40×35 voxels, the scan 40×40×36") as caught:
        read_labels(tmp_path if folder else file, like=grid())
    assert caught.value.line().startswith("liver.nii.gz: does not say how it lies in the patient")


def test_the_note_on_labels_without_a_place_reaches_the_quality_notes(tmp_path):
    file = unplaced(tmp_path / "l.nii.gz", liver(grid()).labels > 0)
    (tmp_path / "labels.json").write_text('{"1": "liver"}')
    found = LabelFileSegmenter().segment(scan(), SegmentationRequest(options={"path": str(file)}))
    assert "does not say how it lies in the patient" in remarks(found)
    assert any(note.segment == "scan" and note.level != "ok" for note in found.notes)


def test_two_label_maps_without_a_place_can_be_compared(tmp_path):
    a, b = np.zeros((2, *SHAPE), bool)
    a[5:15, 5:15, 5:15] = b[5:15, 5:15, 10:20] = True
    one, two = (
        read_masks(unplaced(tmp_path / f"{n}.nii.gz", mask), names={1: "liver"}) for n, mask in enumerate((a, b))
    )
    (found,) = compare_labels(one, two)
    # 500 of 1000 voxels each are common.
    assert found.dice == pytest.approx(0.5)
