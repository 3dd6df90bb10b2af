"""Label maps and folders of masks: names, grids, overlaps, round trips."""

from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from preop.imaging.anatomy import SEGMENTS, Segment
from preop.imaging.errors import DiskError, GeometryError, ScanError, SegmentationError
from preop.imaging.label_names import segment_name
from preop.imaging.labelfile import read_labels, read_masks, write_labels
from preop.imaging.masks import masks_of
from preop.imaging.regrid import regrid
from preop.imaging.scan import read_scan
from preop.imaging.volume import Grid, LabelMap
from shared_data import shared

SHAPE = (10, 12, 8)


def grid(spacing=(1.0, 1.5, 2.0), origin=(-5.0, 7.0, 30.0), turn=None) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) * spacing
    affine[:3, 3] = origin
    return Grid(SHAPE, affine)


def label_map() -> LabelMap:
    """Liver with a tumour inside, and a left kidney; nothing symmetric."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[1:7, 2:9, 1:6] = SEGMENTS["liver"].label
    labels[2:4, 3:5, 2:4] = SEGMENTS["liver_tumor"].label
    labels[8, 9:11, 6:8] = SEGMENTS["kidney_left"].label
    names = ("liver", "liver_tumor", "kidney_left", "spleen")
    return LabelMap(labels, grid(), {SEGMENTS[n].label: SEGMENTS[n] for n in names})


def oblique() -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    return turn * np.sign(np.linalg.det(turn))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("turned", [False, True])
def test_round_trip(tmp_path, suffix, turned):
    written = label_map()
    written = LabelMap(written.labels, grid(turn=oblique()) if turned else grid(), written.segments)
    file = tmp_path / f"labels{suffix}"
    write_labels(file, written)
    again = read_labels(file)
    np.testing.assert_array_equal(again.labels, written.labels)
    again.grid.require_same(written.grid, tolerance_mm=1e-4)
    assert again.names == ("liver", "liver_tumor", "kidney_left")
    assert again.segments[SEGMENTS["liver"].label] == SEGMENTS["liver"]
    table = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))["labels"]["10"]
    assert (table["name"], table["snomed_ct"]) == ("liver", "10200004")
    assert len(list(tmp_path.iterdir())) == 2


def test_nifti_is_written_in_ras(tmp_path):
    written = label_map()
    write_labels(tmp_path / "l.nii.gz", written)
    image = nibabel.Nifti1Image.from_filename(tmp_path / "l.nii.gz")
    lps = written.grid.points_from_index((2, 3, 4))
    assert image.affine is not None
    np.testing.assert_allclose(image.affine @ [2, 3, 4, 1], [-lps[0], -lps[1], lps[2], 1], atol=1e-5)
    np.testing.assert_array_equal(np.asarray(image.dataobj), written.labels)


def test_our_own_file_keeps_its_names_without_the_sidecar(tmp_path):
    write_labels(tmp_path / "l.nii.gz", label_map())
    (tmp_path / "labels.json").unlink()
    assert "liver_tumor" in read_labels(tmp_path / "l.nii.gz").names


def foreign(tmp_path, values=(1, 2), name="other.nii.gz"):
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[2:5, 2:5, 2:5], voxels[6:9, 6:9, 5:7] = values
    image = nibabel.Nifti1Image(voxels, np.diag([-1, -1.5, 2, 1.0]))
    nibabel.save(image, tmp_path / name)
    return tmp_path / name


def test_ids_of_another_tool_are_not_guessed(tmp_path):
    """Id 1 is the spleen in one tool and the body in another: without names it is label_1."""
    assert read_labels(foreign(tmp_path)).names == ("label_1", "label_2")


def test_names_are_given_or_stand_beside_the_file(tmp_path):
    file = foreign(tmp_path)
    assert read_labels(file, names={1: "Spleen", 2: "kidney_right"}).names == ("spleen", "kidney_right")
    (tmp_path / "labels.json").write_text('{"1": "leftkidney", "2": "vertebrae_L3"}')
    labels = read_labels(file)
    assert labels.names == ("kidney_left", "vertebrae_l3")
    assert labels.segments[1].code == SEGMENTS["kidney_left"].code
    assert labels.segments[2].part_of == ("spine", "bone")


@pytest.mark.parametrize("content", ["{", "[1]", '{"one": "liver"}', '{"1": {"no": "name"}}'])
def test_a_wrong_sidecar_is_told(tmp_path, content):
    file = foreign(tmp_path)
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(SegmentationError, match=r"labels\.json"):
        read_labels(file)


def test_segment_names_inside_a_slicer_nrrd(tmp_path):
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 3)
    for key, value in {"Segment0_Name": "Liver", "Segment0_LabelValue": "2", "Segment1_Name": "My cyst"}.items():
        image.SetMetaData(key, value)
    image.SetMetaData("Segment1_LabelValue", "1")
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    assert read_labels(tmp_path / "s.seg.nrrd").names == ("my_cyst", "liver")


def test_a_scan_is_no_label_map(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.full(SHAPE, -3, np.int16), np.eye(4)), tmp_path / "ct.nii.gz")
    with pytest.raises(SegmentationError, match="is no label map"):
        read_labels(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("leftkidney", "kidney_left"), ("Right Kidney", "kidney_right"), ("livertumor", "liver_tumor"),
        ("LiverTumour", "liver_tumor"), ("venacava_venous", "inferior_vena_cava"), ("artery", "aorta"),
        ("skin", "body"), ("rightlung", "lung_right"), ("portalvein", "portal_vein"), ("liver_mask", "liver"),
        ("portal_vein_and_splenic_vein", "portal_vein"), ("vertebrae_T12", "vertebrae_t12"), ("spleen", "spleen"),
    ],
)  # fmt: skip
def test_spellings(given, name):
    assert segment_name(given) == name


ORIENTATIONS = [
    (permutation, flips)
    for permutation in ((0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0))
    for flips in ((1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, -1, -1))
]


@pytest.mark.parametrize(("permutation", "flips"), ORIENTATIONS)
def test_other_axis_orders_come_back_exactly(permutation, flips):
    """The same voxels stored with axes swapped and flipped, on a grid that says so."""
    voxels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    home = grid(turn=oblique())
    affine = home.affine.copy()
    stored = voxels.transpose(permutation)
    affine[:3, :3] = home.affine[:3, list(permutation)]
    for axis, flip in enumerate(flips):
        if flip < 0:
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
            stored = np.flip(stored, axis)
    out, note = regrid(stored, Grid(stored.shape, affine), home)
    np.testing.assert_array_equal(out, voxels)
    assert ("exactly" in note) == (permutation != (0, 1, 2) or min(flips) < 0)


def test_cropped_grid_is_put_back_exactly():
    voxels = np.arange(1, 1 + np.prod(SHAPE)).reshape(SHAPE)
    home = grid()
    corner = home.affine.copy()
    corner[:3, 3] = home.points_from_index((2, 3, 1))
    part = voxels[2:8, 3:9, 1:5]
    out, note = regrid(part, Grid(part.shape, corner), home)
    expected = np.zeros_like(voxels)
    expected[2:8, 3:9, 1:5] = part
    np.testing.assert_array_equal(out, expected)
    assert "cropped or padded" in note


def test_rotated_grid_takes_the_nearest_voxel_and_says_so():
    voxels = np.arange(1, 1 + np.prod(SHAPE)).reshape(SHAPE)
    source, target = grid(turn=oblique(), origin=(0, 0, 0)), grid(origin=(-4, -8, -6))
    out, note = regrid(voxels, source, target)
    assert "nearest" in note
    for index in np.ndindex(*SHAPE):
        at = np.rint(source.index_from_points(target.points_from_index(index))).astype(int)
        inside = (at >= 0).all() and (at < SHAPE).all()
        assert out[index] == (voxels[tuple(at)] if inside else 0)


def test_finer_grid_takes_the_nearest_voxel():
    voxels = np.arange(1, 1 + np.prod(SHAPE)).reshape(SHAPE)
    out, note = regrid(voxels, grid(), grid(spacing=(0.5, 0.75, 1.0)))
    assert "nearest" in note
    assert (out[0, 0, 0], out[4, 4, 4]) == (voxels[0, 0, 0], voxels[2, 2, 2])


def test_grids_that_do_not_meet_or_share_a_frame_raise():
    voxels = np.ones(SHAPE)
    with pytest.raises(GeometryError, match="lies nowhere"):
        regrid(voxels, grid(), grid(origin=(500, 0, 0)))
    with pytest.raises(GeometryError, match="lies nowhere"):
        regrid(voxels, grid(turn=oblique()), grid(origin=(500, 0, 0)))
    a, b = (Grid(SHAPE, grid().affine, uid) for uid in ("1.2", "1.3"))
    with pytest.raises(GeometryError, match="another frame of reference"):
        regrid(voxels, a, b)


@pytest.fixture
def folder(tmp_path):
    """Overlapping masks as of a manual segmentation: skin, liver with tumour and vein inside, one mask flipped."""
    masks = {name: np.zeros(SHAPE, np.uint8) for name in ("skin", "liver", "livertumor", "portalvein", "leftkidney")}
    masks["skin"][0:10, 1:11, 0:8] = 255
    masks["liver"][1:7, 2:9, 1:6] = 1
    masks["livertumor"][2:4, 3:5, 2:4] = 1
    masks["portalvein"][5:9, 5, 3] = 1
    masks["leftkidney"][8, 9:11, 6:8] = 1
    affine = np.diag([-1, -1.5, 2, 1.0])
    (tmp_path / "masks").mkdir()
    for name, mask in masks.items():
        if name == "leftkidney":
            turned = affine.copy()
            turned[0] = [1.0, 0, 0, -(SHAPE[0] - 1)]
            nibabel.save(nibabel.Nifti1Image(mask[::-1], turned), tmp_path / "masks" / f"{name}.nii.gz")
        else:
            nibabel.save(nibabel.Nifti1Image(mask, affine), tmp_path / "masks" / f"{name}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.full(SHAPE, -50, np.int16), affine), tmp_path / "masks" / "ct.nii.gz")
    (tmp_path / "masks" / "notes.txt").write_text("drawn by hand")
    return tmp_path / "masks", masks


def test_masks_overlap_and_the_scan_beside_them_is_left_out(folder):
    path, written = folder
    found = read_masks(path, like=read_scan(path / "ct.nii.gz").grid)
    assert set(found.loaders) == {"body", "liver", "liver_tumor", "portal_vein", "kidney_left"}
    assert "kidneys" in found.names
    assert any("ct.nii.gz is no mask" in note for note in found.notes)
    for name, file in (("body", "skin"), ("liver", "liver"), ("kidneys", "leftkidney"), ("liver_tumor", "livertumor")):
        np.testing.assert_array_equal(found.mask(name), written[file] > 0)


def test_masks_painted_into_one_map_keep_parts_and_wholes(folder):
    path, written = folder
    labels = read_labels(path, like=read_scan(path / "ct.nii.gz").grid)
    # The vein's part inside the liver belongs to the liver; outside of it, it is the portal vein still.
    np.testing.assert_array_equal(labels.mask("liver"), written["liver"] > 0)
    np.testing.assert_array_equal(labels.mask("portal_vein"), written["portalvein"] > 0)
    np.testing.assert_array_equal(labels.mask("liver_tumor"), written["livertumor"] > 0)
    np.testing.assert_array_equal(masks_of(labels).mask("body"), written["skin"] > 0)


def test_nothing_to_read(tmp_path):
    with pytest.raises(ScanError, match="nothing at this path"):
        read_labels(tmp_path / "absent")
    with pytest.raises(ScanError, match="no mask or label map"):
        read_masks(tmp_path)
    nibabel.save(nibabel.Nifti1Image(np.full(SHAPE, -50, np.int16), np.eye(4)), tmp_path / "ct.nii.gz")
    with pytest.raises(SegmentationError, match="no mask in this folder"):
        read_masks(tmp_path)


def test_a_mask_that_is_not_there_lists_the_others(folder):
    with pytest.raises(SegmentationError, match=r"no mask spleen\. There are: .*liver"):
        read_masks(folder[0]).mask("spleen")


def test_labels_are_brought_to_the_grid_of_the_scan(tmp_path):
    written = label_map()
    write_labels(tmp_path / "l.nii.gz", written)
    turned = written.grid.affine.copy()
    turned[:3, 3] = written.grid.points_from_index((SHAPE[0] - 1, 0, 0))
    turned[:3, 0] *= -1
    found = read_labels(tmp_path / "l.nii.gz", like=Grid(SHAPE, turned, "1.2.3"))
    np.testing.assert_array_equal(found.labels, written.labels[::-1])
    assert found.grid.frame_of_reference_uid == "1.2.3"


def test_sheared_grids_and_unwritable_places_are_told(tmp_path):
    written = label_map()
    affine = written.grid.affine.copy()
    affine[1, 2] = 0.7
    sheared = LabelMap(written.labels, Grid(SHAPE, affine), written.segments)
    with pytest.raises(GeometryError, match="sheared"):
        write_labels(tmp_path / "l.nii.gz", sheared)
    with pytest.raises(DiskError, match="cannot be written"):
        write_labels(tmp_path / "absent" / "l.nii.gz", written)
    with pytest.raises(ScanError, match="no known volume format"):
        write_labels(tmp_path / "l.txt", written)
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, sys
import numpy as np
from preop.imaging.errors import DiskError
from preop.imaging.labelfile import write_volume
from preop.imaging.volume import Grid, ImageVolume
voxels = np.random.default_rng(0).normal(0, 300, (40, 40, 40)).astype(np.float32)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_volume(sys.argv[1], ImageVolume(voxels, Grid((40, 40, 40), np.eye(4))))
except DiskError as error:
    print(error.line())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of a file")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, suffix):
    """ITK's NIfTI writer does not notice. A limit on the size of files stands for the disk, in a process of its own."""
    file = tmp_path / f"v{suffix}"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, file], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.startswith(f"{file}: ")
    assert "the disk is full" in done.stdout or "cannot be written" in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_label_without_a_code_survives(tmp_path):
    odd = Segment("cyst_3", 1234, "", "cyst 3", (0.1, 0.2, 0.3), ("liver",))
    written = LabelMap(np.where(label_map().labels > 0, 1234, 0).astype(np.uint16), grid(), {1234: odd})
    write_labels(tmp_path / "l.nrrd", written)
    assert read_labels(tmp_path / "l.nrrd").segments[1234] == odd


@pytest.mark.shared_data
def test_manual_truth_lies_on_the_scan():
    """Tissue has known Hounsfield values: masks that are flipped or shifted would not show them."""
    volume = read_scan(shared("ct_abdomen_portal_dicom.zip"))
    masks = read_masks(shared("ct_abdomen_portal_truth"), like=volume.grid)
    mean = {
        name: float(volume.voxels[masks.mask(name)].mean()) for name in ("lungs", "liver", "kidneys", "bone", "aorta")
    }
    assert mean["lungs"] < -600
    assert 80 < mean["liver"] < 140
    assert 150 < mean["kidneys"] < 250
    assert 250 < mean["bone"] < 700
    # The data's README: aorta and portal vein about 170 HU.
    assert mean["aorta"] == pytest.approx(170, abs=15)
    left, right = (np.argwhere(masks.mask(f"kidney_{side}")).mean(axis=0) for side in ("left", "right"))
    assert volume.grid.points_from_index(left)[0] > volume.grid.points_from_index(right)[0] + 50
