"""Where a volume file's header puts its voxels: sform against qform, sheared ones, and headers that do not say."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from preop.imaging.errors import GeometryError, ScanError
from preop.imaging.file_checks import UNPLACED
from preop.imaging.inspect import inspect_scan
from preop.imaging.labelfile import read_labels, write_labels, write_volume
from preop.imaging.scan import read_scan
from preop.imaging.volume import LabelMap

SHAPE = (20, 24, 30)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
TILT = 15.0


def tilted(step: float = 2.5) -> np.ndarray:
    """RAS affine of a gantry tilted by `TILT` about the patient's x axis."""
    affine = np.diag([0.8, 0.8, step, 1.0])
    affine[1, 2] = step * np.tan(np.radians(TILT))
    affine[:3, 3] = (-5.0, 12.0, -40.0)
    return affine


def blob() -> tuple[np.ndarray, tuple[int, int, int]]:
    """A CT of air with one dense voxel near the far corner, and its index."""
    values = np.full(SHAPE, -1000.0, np.float32)
    at = (17, 4, 27)
    values[at] = 500.0
    return values, at


def write(file: Path, values: np.ndarray, affine: np.ndarray, *, sform: int, qform: int) -> Path:
    image = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform, strip_shears=True)
    nibabel.save(image, file)
    return file


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (1, 0), (2, 1)])
def test_a_sheared_sform_puts_every_voxel_where_it_says(tmp_path, sform, qform, suffix):
    values, _ = blob()
    volume = read_scan(write(tmp_path / f"tilt{suffix}", values, tilted(), sform=sform, qform=qform))
    np.testing.assert_allclose(volume.affine, RAS_TO_LPS @ tilted(), atol=1e-4)
    np.testing.assert_array_equal(volume.voxels, values)
    assert any("sheared by 15.0°" in note for note in volume.notes)
    assert any("sform and qform" in note for note in volume.notes) == (qform > 0)


def test_a_sheared_file_is_straightened_as_a_dicom_series_is(tmp_path):
    values, at = blob()
    file = write(tmp_path / "tilt.nii.gz", values, tilted(), sform=1, qform=1)
    volume = read_scan(file, straighten_tilt=True)
    assert volume.grid.is_orthogonal
    where = (RAS_TO_LPS @ tilted() @ [*at, 1.0])[:3]
    weight = np.where(volume.voxels > -999, volume.voxels + 1000, 0)
    centre = volume.grid.points_from_index((np.argwhere(weight) * weight[weight > 0][:, None]).sum(0) / weight.sum())
    np.testing.assert_allclose(centre, where, atol=0.01)
    told = " ".join(volume.notes)
    assert "the tilt of 15.0° was straightened" in told
    assert "so is the grid" not in told
    write_volume(tmp_path / "out.nii.gz", volume)


def test_slices_along_any_axis_and_in_a_left_handed_file(tmp_path):
    """Reordering tools put the slices first; the shear goes along, and is undone along the same axis."""
    values, at = blob()
    swapped = tilted()[:, [2, 0, 1, 3]]
    assert np.linalg.det(swapped[:3, :3]) * np.linalg.det(tilted()[:, [1, 0, 2, 3]][:3, :3]) < 0
    for name, order in (("cyclic", (2, 0, 1)), ("swapped", (1, 0, 2))):
        affine = tilted()[:, [*order, 3]]
        file = write(tmp_path / f"{name}.nii", values.transpose(order), affine, sform=1, qform=0)
        volume = read_scan(file, straighten_tilt=True)
        assert volume.grid.is_orthogonal
        assert any("the tilt of 15.0° was straightened" in note for note in volume.notes)
        weight = np.where(volume.voxels > -999, volume.voxels + 1000, 0)
        centre = (np.argwhere(weight) * weight[weight > 0][:, None]).sum(0) / weight.sum()
        expected = (RAS_TO_LPS @ tilted() @ [*at, 1.0])[:3]
        np.testing.assert_allclose(volume.grid.points_from_index(centre), expected, atol=0.01)


def sheared_in_plane(angle: float, *, keep_length: bool = False) -> np.ndarray:
    """RAS affine whose first two axes, the rows and columns of axial slices, miss a right angle by `angle`."""
    affine = np.diag([4.0, 4.0, 7.0, 1.0])
    affine[0, 1] = 4.0 * np.tan(np.radians(angle))
    if keep_length:
        affine[:3, 1] *= 4.0 / np.linalg.norm(affine[:3, 1])
    return affine


@pytest.mark.parametrize("keep_length", [False, True])
@pytest.mark.parametrize(
    ("order", "axes"),
    [((0, 1, 2), "first and the second"), ((2, 0, 1), "second and the third"), ((1, 2, 0), "first and the third")],
)
def test_slices_sheared_within_their_plane_are_refused(tmp_path, order, axes, keep_length):
    affine = sheared_in_plane(26.0, keep_length=keep_length)[:, [*order, 3]]
    file = write(tmp_path / "bent.nii", blob()[0].transpose(order), affine, sform=1, qform=0)
    with pytest.raises(GeometryError) as caught:
        read_scan(file, straighten_tilt=True)
    told = caught.value.line()
    assert told.startswith(f"bent.nii: the {axes} axis")
    assert "right angle by 26.0°" in told
    assert "tilt" not in told
    assert "Give the scan itself" in told
    found = inspect_scan(file)
    assert found.problem == told
    assert found.chosen is None
    assert not found.studies[0].series[0].usable


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_the_tilt_is_that_of_the_plane_that_is_sheared_whichever_axis_holds_the_slices(tmp_path, order):
    file = write(tmp_path / "tilt.nii", blob()[0].transpose(order), tilted()[:, [*order, 3]], sform=1, qform=0)
    assert any("sheared by 15.0° (a tilted gantry)" in note for note in read_scan(file).notes)
    straight = read_scan(file, straighten_tilt=True)
    grown = np.array(straight.voxels.shape) - np.array(SHAPE)[list(order)]
    # Whole slices are shifted against each other: their number stays, and only y, along which they move, grows.
    assert [axis for axis in range(3) if grown[axis]] == [order.index(1)]


def test_a_volume_sheared_along_several_axes_is_refused(tmp_path):
    affine = np.array([[1.0, 0.3, 0.2, 0], [0, 1, 0.4, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    file = write(tmp_path / "warped.nii", blob()[0], affine, sform=1, qform=0)
    with pytest.raises(GeometryError, match="sheared along several axes"):
        read_scan(file, straighten_tilt=True)


def test_labels_of_a_tilted_scan_lie_on_it(tmp_path):
    """The label map of the same converter has the same shear; straightening the scan must not move it."""
    values, at = blob()
    scan = write(tmp_path / "scan.nii.gz", values, tilted(), sform=1, qform=1)
    labels = np.zeros(SHAPE, np.uint8)
    labels[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2, at[2]] = 3
    file = write(tmp_path / "labels.nii.gz", labels, tilted(), sform=1, qform=1)
    volume = read_scan(scan, straighten_tilt=True)
    found = read_labels(file, like=volume.grid).labels == 3
    assert found[np.unravel_index(int(volume.voxels.argmax()), volume.grid.shape)]


def test_sform_and_qform_that_disagree_are_told_and_the_sform_counts(tmp_path):
    values, _ = blob()
    image = nibabel.Nifti1Image(values, np.eye(4))
    image.set_qform(np.eye(4), 1)
    moved = np.diag([-1.0, -1.0, 1.0, 1.0])
    moved[:3, 3] = (9.0, 0.0, 0.0)
    image.set_sform(moved, 1)
    nibabel.save(image, tmp_path / "two.nii")
    volume = read_scan(tmp_path / "two.nii")
    np.testing.assert_allclose(volume.affine, RAS_TO_LPS @ moved, atol=1e-5)
    # The farthest corner: (0, 0, 0) is 9 mm off, (19, 23, ·) by 2·19 - 9 and 2·23.
    expected = f"{np.hypot(2 * 19 - 9, 2 * 23):.1f} mm apart"
    assert any(expected in note for note in volume.notes)
    oddities = inspect_scan(tmp_path / "two.nii").studies[0].series[0].oddities
    assert any(expected in one for one in oddities)


def test_a_template_is_not_where_the_patient_lay(tmp_path):
    values, _ = blob()
    image = nibabel.Nifti1Image(values, np.eye(4))
    scanner, template = np.diag([0.8, 0.8, 2.0, 1.0]), np.diag([1.1, 1.0, 2.4, 1.0])
    image.set_qform(scanner, 1)
    image.set_sform(template, 4)
    nibabel.save(image, tmp_path / "mni.nii")
    volume = read_scan(tmp_path / "mni.nii")
    np.testing.assert_allclose(volume.affine, RAS_TO_LPS @ scanner, atol=1e-5)
    assert any("template" in note for note in volume.notes)
    alone = read_scan(write(tmp_path / "alone.nii", values, template, sform=4, qform=0))
    assert any("may not be those of the patient" in note for note in alone.notes)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1)])
def test_any_rotation_flip_and_unit_agrees_with_nibabel(tmp_path, seed, codes):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = rotation * rng.uniform(0.4, 4.0, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    unit, scale = (("mm", 1.0), ("meter", 1e-3), ("micron", 1e3))[seed % 3]
    stored = affine.copy()
    stored[:3] *= scale
    image = nibabel.Nifti1Image(blob()[0], stored)
    image.set_sform(stored, codes[0])
    image.set_qform(stored, codes[1])
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "v.nii")
    volume = read_scan(tmp_path / "v.nii")
    np.testing.assert_allclose(volume.affine, RAS_TO_LPS @ affine, atol=2e-3)
    assert not any("sform" in note for note in volume.notes)


def test_a_flat_sform_is_of_no_use(tmp_path):
    image = nibabel.Nifti1Image(blob()[0], np.diag([2.0, 2.0, 3.0, 1.0]))
    image.set_qform(np.diag([2.0, 2.0, 3.0, 1.0]), 1)
    nibabel.save(image, tmp_path / "v.nii")
    content = bytearray((tmp_path / "v.nii").read_bytes())
    content[254:256], content[280:328] = (1).to_bytes(2, "little"), bytes(48)
    (tmp_path / "v.nii").write_bytes(content)
    np.testing.assert_allclose(read_scan(tmp_path / "v.nii").spacing, (2, 2, 3), atol=1e-5)


def headers(tmp_path: Path, suffix: str) -> tuple[Path, bytes]:
    file = tmp_path / f"v{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(blob()[0].T), str(file))
    return file, file.read_bytes()


def test_a_metaimage_without_directions_does_not_say_how_it_lies(tmp_path):
    file, content = headers(tmp_path, ".mha")
    assert UNPLACED not in read_scan(file).notes
    lines = [line for line in content.split(b"\n", 12) if not line.startswith(b"TransformMatrix")]
    file.write_bytes(b"\n".join(lines))
    assert UNPLACED in read_scan(file, accept_unplaced=True).notes
    assert UNPLACED in inspect_scan(file).studies[0].series[0].oddities


@pytest.mark.parametrize("space", [b"3D-right-handed", b"scanner-xyz"])
def test_an_nrrd_in_no_anatomical_space_does_not_say_how_it_lies(tmp_path, space):
    file, content = headers(tmp_path, ".nrrd")
    assert UNPLACED not in read_scan(file).notes
    file.write_bytes(content.replace(b"left-posterior-superior", b"RAS", 1))
    assert UNPLACED not in read_scan(file).notes
    file.write_bytes(content.replace(b"left-posterior-superior", space, 1))
    assert UNPLACED in read_scan(file, accept_unplaced=True).notes


def test_a_broken_metaimage_is_told_in_one_line_and_nothing_else(tmp_path, capfd):
    file, content = headers(tmp_path, ".mha")
    file.write_bytes(content.replace(b"NDims = 3", b"NDims = x", 1))
    with pytest.raises(ScanError) as caught:
        read_scan(file)
    told = caught.value.line()
    assert "v.mha" in told
    assert "No such file" not in told
    assert "\n" not in told
    assert capfd.readouterr().err == ""


def test_metadata_that_is_no_text_is_left_out(tmp_path):
    file, content = headers(tmp_path, ".mha")
    file.write_bytes(content.replace(b"NDims = 3", b"NDims = 3\nA\xff\xfeB = 1", 1))
    assert read_scan(file).voxels.shape == SHAPE


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_no_volume(tmp_path, axis):
    file = write(tmp_path / "one.nii", blob()[0].take([3], axis), np.eye(4), sform=1, qform=1)
    with pytest.raises(ScanError, match=r"one\.nii: it is a single slice, not a volume") as caught:
        read_scan(file)
    found = inspect_scan(file)
    assert found.problem == caught.value.line()
    (series,) = found.studies[0].series
    assert (series.usable, series.chosen, series.why) == (False, False, "a single slice, not a volume")
    assert series.size[axis] == 1


def test_rounded_axes_are_squared_and_can_be_written(tmp_path):
    affine = np.diag([0.7, 0.7, 1.0, 1.0])
    affine[0, 2] = 0.0006
    volume = read_scan(write(tmp_path / "v.nii", blob()[0], affine, sform=1, qform=0))
    assert volume.grid.is_orthogonal
    corners = np.array([[0, 0, 0], np.array(SHAPE) - 1])
    true = np.c_[corners, [1, 1]] @ (RAS_TO_LPS @ affine).T
    assert np.abs(volume.grid.points_from_index(corners) - true[:, :3]).max() < 0.07
    write_labels(tmp_path / "l.nii.gz", LabelMap(np.ones(SHAPE, np.uint16), volume.grid, {}))


@pytest.mark.parametrize(
    ("sform", "qform", "told"), [(4, 4, True), (4, 3, True), (0, 4, True), (1, 1, False), (1, 4, False)]
)
def test_a_templates_space_is_told_whichever_form_leads_there(tmp_path, sform, qform, told):
    volume = read_scan(write(tmp_path / "v.nii", blob()[0], np.diag([0.8, 0.8, 2.5, 1.0]), sform=sform, qform=qform))
    assert any("in a template's space" in note for note in volume.notes) == told
