"""Real scans and real oddities, against SimpleITK and nibabel and against what their own tags say."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.encaps import generate_frames

from preop.imaging.errors import PreopError
from preop.imaging.inspect import inspect_scan
from preop.imaging.scan import read_scan
from preop.imaging.volume import ImageVolume
from shared_data import shared

pytestmark = pytest.mark.shared_data


def by_itk(folder: Path) -> ImageVolume:
    """The same series through ITK's own series reader (GDCM), which knows nothing of preop."""
    reader = sitk.ImageSeriesReader()
    names = reader.GetGDCMSeriesFileNames(str(folder), recursive=True)
    reader.SetFileNames(names)
    return as_volume(reader.Execute())


def as_volume(image: sitk.Image) -> ImageVolume:
    from preop.imaging.volume import Grid

    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    size = image.GetSize()
    return ImageVolume(sitk.GetArrayFromImage(image).T.astype(np.float32), Grid((size[0], size[1], size[2]), affine))


WHOLE = {
    "ct_abdomen_portal_dicom.zip": ((512, 512, 129), (0.57, 0.57, 1.6)),
    "cta_heart_dicom.zip": ((512, 512, 95), (0.644531, 0.644531, 0.8)),
    "ct_abdomen_20slices_dicom.zip": ((512, 512, 20), (0.9765625, 0.9765625, 2.0)),
    "cta_coronary_slab_dicom.zip": ((512, 512, 25), (0.3984375, 0.3984375, 0.33)),
}
"""Sizes and spacings as the data's README and the DICOM tags say."""


@pytest.mark.parametrize("name", WHOLE)
def test_series_agrees_with_itk(name, tmp_path):
    size, spacing = WHOLE[name]
    file = shared(name)
    volume = read_scan(file)
    assert volume.voxels.shape == size
    np.testing.assert_allclose(volume.spacing, spacing, atol=1e-5)
    assert (volume.modality, volume.unit) == ("CT", "HU")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path)
    expected = by_itk(next(one.parent for one in tmp_path.rglob("*") if one.is_file() and one.stat().st_size > 9000))
    expected.grid.require_same(volume.grid, tolerance_mm=1e-2)
    # What lies below -1024 HU is padding outside of the reconstruction.
    np.testing.assert_array_equal(volume.voxels, np.maximum(expected.voxels, -1024))


@pytest.mark.parametrize(
    "name",
    [
        "ct_pelvis_3mm/example_ct.nii.gz",
        "ct_pelvis_3mm/example_ct_sm.nii.gz",
        "cta_aortic_dissection/ct_cropped.nii.gz",
    ],
)
def test_nifti_agrees_with_nibabel(name):
    file = shared(name)
    volume, image = read_scan(file), nibabel.Nifti1Image.from_filename(file)
    np.testing.assert_allclose(volume.voxels, image.get_fdata(dtype=np.float32), atol=1e-3)
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ volume.affine, np.asarray(image.affine), atol=1e-3)


def test_metaimage_of_an_mr_angiogram_is_not_called_a_ct():
    volume = read_scan(shared("mra_aorta/aorta.mha"))
    assert volume.voxels.shape == (157, 393, 34)
    np.testing.assert_allclose(volume.spacing, (0.878906, 0.878906, 1.50009), atol=1e-5)
    assert (volume.modality, volume.unit) == ("", "")


@cache
def oddities() -> zipfile.ZipFile:
    return zipfile.ZipFile(shared("dicom_oddities.zip"))


@pytest.fixture
def oddity(tmp_path):
    """A function that unpacks members of the collection (a folder, or single files of one) into a folder."""

    def unpack(*prefixes: str) -> Path:
        for member in oddities().namelist():
            if member.startswith(prefixes) and not member.endswith("/"):
                target = tmp_path / member
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(oddities().read(member))
        return tmp_path

    return unpack


FILES = "pydicom_test_files/"

REFUSED = {
    # what is unpacked: words of the one line, from what the headers of these files say.
    "missing_slices_20/": ("uneven: gaps from 1.00 to 119.00 mm",),
    "gantry_tilt_ge/": ("uneven: gaps of 1 × 1.08 mm, 13 × 4.00 mm, 13 × 7.00 mm",),
    "rtstruct/": ("no volume here", "a single slice", "RT Structure Set", "RT Plan"),
    "seg/liver.dcm": ("Segmentation object",),
    "pydicom_charset/": ("no volume here",),
    "codecs_wg04/": ("2 patients are mixed", "patient 1: series S1, S2; patient 2: series S3, S4"),
    "codecs_wg04/CT1_J": ("two different slices are at the same place",),
    FILES + "CT_small.dcm": ("a single slice",),
    FILES + "MR_small.dcm": ("a single slice",),
    FILES + "MR_truncated.dcm": ("a single slice",),
    FILES + "image_dfl.dcm": ("do not say where they are",),
    FILES + "JPEG2000.dcm": ("do not say where they are",),
    FILES + "rtdose.dcm": ("RT Dose",),
    FILES + "rtplan.dcm": ("RT Plan",),
    FILES + "no_meta_group_length.dcm": ("no DICOM object",),
    "multiframe/emri_small.dcm": ("do not say where they are",),
    "pydicom_charset/chrSQEncoding.dcm": ("damaged or empty",),
    "pydicom_charset/chrKoreanMulti.dcm": ("modality CR",),
}


@pytest.mark.parametrize("name", REFUSED)
def test_oddity_is_refused_in_one_line(oddity, name):
    folder = oddity(name)
    with pytest.raises(PreopError) as caught:
        read_scan(folder)
    line = caught.value.line()
    assert "\n" not in line
    for words in REFUSED[name]:
        assert words in line
    # Only pixels can tell that two slices at one place differ; everything else inspect foresees from the headers.
    if "no DICOM object" not in line and "damaged" not in line and "same place" not in line:
        assert inspect_scan(folder).problem == line


def test_gantry_tilt_and_changing_spacing_are_both_noted_when_resampled(oddity):
    """The README: gantry tilt 18.5°, spacing changing from 4 to 7 mm. z of the positions runs from 5.84 to 157.78."""
    volume = read_scan(oddity("gantry_tilt_ge/"), resample_uneven=True)
    notes = " ".join(volume.notes)
    assert "tilted by 18.5°" in notes
    assert "resampled linearly" in notes
    assert not volume.grid.is_orthogonal
    np.testing.assert_allclose(volume.grid.origin, (-125.0, -123.5404569, 5.8360586), atol=1e-6)
    top = volume.grid.points_from_index((0, 0, volume.voxels.shape[2] - 1))
    assert 157.7760586 - volume.affine[2, 2] < top[2] <= 157.7760586 + 1e-6
    straight = read_scan(oddity("gantry_tilt_ge/"), resample_uneven=True, straighten_tilt=True)
    assert straight.grid.is_orthogonal


def test_tilted_part_alone_is_even_and_sheared(oddity):
    folder = oddity(*(f"gantry_tilt_ge/{k:02d}.dcm" for k in range(1, 15)))
    volume = read_scan(folder)
    assert volume.voxels.shape == (512, 512, 14)
    np.testing.assert_allclose(volume.affine[:3, 2], (0, 0, 4.22), atol=1e-4)
    for k in (0, 5, 13):
        slice_ = dcmread(folder / "gantry_tilt_ge" / f"{k + 1:02d}.dcm")
        expected = slice_.pixel_array.T * float(slice_.RescaleSlope) + float(slice_.RescaleIntercept)
        inside = slice_.get("PixelPaddingValue", -(10**6)) != slice_.pixel_array.T
        np.testing.assert_array_equal(volume.voxels[:, :, k][inside], expected[inside])
        np.testing.assert_allclose(volume.grid.points_from_index((0, 0, k)), slice_.ImagePositionPatient, atol=1e-4)


def test_missing_slices_resampled_on_request_keep_their_places(oddity):
    """ITK reads this set as evenly spaced. Here an original slice that falls on the new grid must be where it was."""
    folder = oddity("missing_slices_20/")
    volume = read_scan(folder, resample_uneven=True)
    z = volume.grid.points_from_index(np.array([[0, 0, k] for k in range(volume.voxels.shape[2])]))[:, 2]
    checked = 0
    for file in (folder / "missing_slices_20").iterdir():
        slice_ = dcmread(file)
        hits = np.flatnonzero(np.abs(z - float(slice_.ImagePositionPatient[2])) < 1e-3)
        if hits.size:
            expected = slice_.pixel_array.T.astype(float) + float(slice_.RescaleIntercept)
            kept = slice_.get("PixelPaddingValue", -(10**6)) != slice_.pixel_array.T
            np.testing.assert_allclose(volume.voxels[:, :, hits[0]][kept], expected[kept], atol=0.5)
            checked += 1
    assert checked >= 1


def test_enhanced_ct_has_two_slices_at_the_places_of_its_functional_groups(oddity):
    folder = oddity("multiframe/eCT_Supplemental.dcm")
    volume = read_scan(folder / "multiframe" / "eCT_Supplemental.dcm")
    dataset = dcmread(folder / "multiframe" / "eCT_Supplemental.dcm")
    assert volume.voxels.shape == (512, 512, 2)
    # A map of blood flow (ImageType RCBF): no Hounsfield units, though the modality is CT.
    assert volume.unit != "HU"
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        place = [float(x) for x in frame.PlanePositionSequence[0].ImagePositionPatient]
        distance = [np.linalg.norm(volume.grid.points_from_index((0, 0, k)) - place) for k in range(2)]
        k = int(np.argmin(distance))
        assert distance[k] < 1e-6
        shared_groups = dataset.SharedFunctionalGroupsSequence[0]
        transform = (
            frame if "PixelValueTransformationSequence" in frame else shared_groups
        ).PixelValueTransformationSequence[0]
        expected = dataset.pixel_array[number].T * float(transform.RescaleSlope) + float(transform.RescaleIntercept)
        np.testing.assert_allclose(volume.voxels[:, :, k], expected, atol=1e-3)


def test_segmentation_beside_its_ct_is_listed_and_ignored(oddity):
    folder = oddity("seg/")
    volume = read_scan(folder)
    np.testing.assert_allclose(volume.grid.origin, (-235.199997, -226.800003, -128.690002))
    assert volume.voxels.shape == (512, 512, 3)
    kinds = [one.modality for study in inspect_scan(folder).studies for one in study.series]
    assert sorted(kinds) == ["CT", "SEG", "SEG"]


def slices_at_two_places(members: dict[str, bytes], folder: Path) -> None:
    """One slice becomes a stack of two: the same pixels 5 mm higher, so that a single test image is a volume."""
    for name, content in members.items():
        dataset = dcmread(io.BytesIO(content))
        x, y, z = dataset.ImagePositionPatient
        for k in range(2):
            dataset.ImagePositionPatient = [x, y, str(float(z) + 5 * k)]
            dataset.SOPInstanceUID = f"1.2.3.{k}"
            folder.mkdir(exist_ok=True)
            dataset.save_as(folder / f"{Path(name).name}.{k}")


LOSSLESS = ("JLSL", "JPLL", "RLE", "J2KR")


@pytest.mark.parametrize("image", ["CT1", "MR1"])
def test_every_lossless_codec_of_working_group_4_gives_the_same_picture(image, tmp_path):
    """One picture was compressed by several codecs without loss: what comes out must be one picture."""
    found = {}
    for codec in LOSSLESS:
        name = f"codecs_wg04/{image}_{codec}"
        slices_at_two_places({name: oddities().read(name)}, tmp_path / codec)
        found[codec] = read_scan(tmp_path / codec).voxels
    for codec in LOSSLESS[1:]:
        np.testing.assert_array_equal(found[codec], found[LOSSLESS[0]])


def near_of(name: str) -> int:
    """The largest error that a near-lossless JPEG-LS stream allows: NEAR of its scan header (ISO 14495-1, C.2.3)."""
    stream = next(generate_frames(dcmread(io.BytesIO(oddities().read(name))).PixelData, number_of_frames=1))
    at = stream.index(b"\xff\xda")
    components = stream[at + 4]
    return stream[at + 5 + 2 * components]


@pytest.mark.parametrize("name", ["CT1_JLSN", "MR1_JLSN", "CT1_J2KI", "MR1_JPLY"])
def test_lossy_codecs_come_close_and_say_so(name, tmp_path):
    for one in (name, f"{name[:3]}_RLE"):
        slices_at_two_places({one: oddities().read(f"codecs_wg04/{one}")}, tmp_path / one)
    lossy, exact = read_scan(tmp_path / name), read_scan(tmp_path / f"{name[:3]}_RLE")
    if name.endswith("JLSN"):
        assert 0 < np.abs(lossy.voxels - exact.voxels).max() <= near_of(f"codecs_wg04/{name}")
    else:
        # No bound is known for these: the picture must be the same one.
        assert np.corrcoef(lossy.voxels.ravel(), exact.voxels.ravel())[0, 1] > 0.98
    assert any("compressed with loss" in note for note in lossy.notes)
    assert not any("compressed with loss" in note for note in exact.notes)


@pytest.mark.parametrize("codec", ["RLE", "JLSL", "JPLL", "J2KR", "JPLY"])
def test_cut_file_of_each_codec_is_refused(codec, tmp_path):
    name = f"codecs_wg04/MR1_{codec}"
    slices_at_two_places({name: oddities().read(name)}, tmp_path / codec)
    broken = tmp_path / codec / f"MR1_{codec}.1"
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(PreopError, match=rf"MR1_{codec}\.1: the slice is truncated or damaged"):
        read_scan(tmp_path / codec)
