"""The written series is a valid CT series that other readers place and read as we meant it."""

import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from ct_iod import faults

from preop.imaging.dicom_write import write_ct_series
from preop.imaging.errors import DiskError, GeometryError, PreopError, ScanError
from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.scan import read_scan
from preop.imaging.volume import Grid, ImageVolume

HALF = 0.5 + 1e-3
"""HU: rounding to whole numbers, and float32."""


def rotation(seed):
    """(3, 3) a random rotation."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def oblique_volume(seed=4, shape=(20, 16, 9)):
    affine = np.eye(4)
    affine[:3, :3] = rotation(seed) * (0.71234567, 1.1, 2.3456789)
    affine[:3, 3] = (-123.456789, 87.654321, -1011.12131415)
    voxels = np.random.default_rng(seed).uniform(-1024, 3000, shape).astype(np.float32)
    return ImageVolume(voxels, Grid(shape, affine, "2.25.77"))


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomParameters(shape=(64, 48, 20)))


def test_it_reads_back_as_it_was(tmp_path, phantom):
    files = write_ct_series(phantom.volume, tmp_path / "ct", phase="portal")
    assert [f.exists() for f in files] == [True] * 20
    back = read_scan(tmp_path / "ct")
    assert np.abs(back.affine - phantom.volume.affine).max() < 1e-6
    assert np.abs(back.voxels - phantom.volume.voxels).max() < HALF
    assert back.grid.frame_of_reference_uid == phantom.volume.grid.frame_of_reference_uid


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_oblique_grid_keeps_its_place(tmp_path, seed):
    volume = oblique_volume(seed)
    write_ct_series(volume, tmp_path / "ct")
    back = read_scan(tmp_path / "ct")
    assert np.abs(back.affine - volume.affine).max() < 1e-6
    assert np.abs(back.voxels - volume.voxels).max() < HALF


@pytest.mark.parametrize("make", [oblique_volume, lambda: make_phantom(PhantomParameters(shape=(32, 40, 16))).volume])
def test_gdcm_places_it_as_we_do(tmp_path, make):
    """SimpleITK's GDCM reader: origin, spacing, direction and voxels."""
    volume = make()
    write_ct_series(volume, tmp_path / "ct")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "ct")))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    assert np.abs(affine - volume.affine).max() < 1e-5
    assert np.abs(sitk.GetArrayFromImage(image).transpose(2, 1, 0) - volume.voxels).max() < HALF


@pytest.mark.parametrize("phase", ["native", "arterial", "portal", ""])
def test_it_keeps_to_the_tables_of_the_standard(tmp_path, phantom, phase):
    """Every attribute of every module of the CT Image object; needs no program and no network."""
    pytest.importorskip("highdicom")
    files = write_ct_series(phantom.volume, tmp_path / "ct", phase=phase)
    for file in (files[0], files[-1]):
        assert faults(pydicom.dcmread(file)) == []


BROKEN = {
    # what is done to a written slice: what must be found. Types are those of the tables in PS3.3, annex C.
    "patient: PatientBirthDate (type 2) is missing": {"PatientBirthDate": None},
    "general-study: StudyInstanceUID (type 1) is missing": {"StudyInstanceUID": None},
    "general-study: StudyID (type 2) is missing": {"StudyID": None},
    "general-series: Modality (type 1) is empty": {"Modality": ""},
    "frame-of-reference: FrameOfReferenceUID (type 1) is missing": {"FrameOfReferenceUID": None},
    "frame-of-reference: PositionReferenceIndicator (type 2) is missing": {"PositionReferenceIndicator": None},
    "general-equipment: Manufacturer (type 2) is missing": {"Manufacturer": None},
    "image-plane: PixelSpacing (type 1) is missing": {"PixelSpacing": None},
    "image-plane: ImagePositionPatient (type 1) is empty": {"ImagePositionPatient": ""},
    "image-pixel: Rows (type 1) is missing": {"Rows": None},
    "ct-image: KVP (type 2) is missing": {"KVP": None},
    "ct-image: RescaleSlope (type 1) is missing": {"RescaleSlope": None},
    "sop-common: SOPInstanceUID (type 1) is missing": {"SOPInstanceUID": None},
    "contrast-bolus: ContrastBolusAgent (type 2) is missing": {"ContrastBolusAgent": None, "ContrastBolusRoute": "IV"},
    "EchoTime: not in this object": {"EchoTime": "90"},
    "PixelSpacing: 1 values, not 2": {"PixelSpacing": "0.7"},
    "ImageOrientationPatient: 3 values, not 6": {"ImageOrientationPatient": [1, 0, 0]},
    "HighBit is BitsStored - 1": {"HighBit": 14},
    "ImageType value 3 is AXIAL or LOCALIZER": {"ImageType": ["ORIGINAL", "PRIMARY", "OTHER"]},
    "PatientPosition is there": {"PatientPosition": None},
    "directions are orthonormal": {"ImageOrientationPatient": [1, 0, 0, 0, 1.1, 0]},
    "PixelData holds every pixel": {"PixelData": bytes(10)},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_the_tables_find_what_is_wrong(tmp_path, phantom, fault):
    pytest.importorskip("highdicom")
    image = pydicom.dcmread(write_ct_series(phantom.volume, tmp_path / "ct")[0])
    for keyword, value in BROKEN[fault].items():
        if value is None and keyword in image:
            delattr(image, keyword)
        elif value is not None:
            setattr(image, keyword, value)
    assert any(fault in one for one in faults(image)), faults(image)


@pytest.mark.parametrize("phase", ["native", "arterial", "portal", ""])
def test_dciodvfy_finds_no_fault(tmp_path, phantom, phase):
    """David Clunie's validator (Debian package dicom3tools), single files and the series as a whole."""
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    files = write_ct_series(phantom.volume, tmp_path / "ct", phase=phase)
    for file in (files[0], files[-1]):
        said = subprocess.run(["dciodvfy", "-new", file], capture_output=True, encoding="utf-8", check=False)
        text = said.stdout + said.stderr
        assert "CTImage" in text
        assert "Error" not in text
        assert "Warning" not in text
    if shutil.which("dcentvfy"):
        said = subprocess.run(["dcentvfy", *files], capture_output=True, encoding="utf-8", check=False)
        assert "Error" not in said.stdout + said.stderr


def test_dicom_validator_finds_no_fault(tmp_path, phantom):
    """pydicom's validator; it needs a copy of the standard in its cache (it downloads one where it can)."""
    pytest.importorskip("dicom_validator")
    cache = Path.home() / "dicom-validator"
    if not any(cache.glob("*/docbook/part03.xml")):
        pytest.skip(f"dicom-validator has no copy of the standard in {cache.name}; run validate_iods once online")
    file = write_ct_series(phantom.volume, tmp_path / "ct", phase="portal")[0]
    said = subprocess.run(
        [sys.executable, "-m", "dicom_validator.validate_iods", "-e", "local", file],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_it_says_what_it_is(tmp_path, phantom):
    file = write_ct_series(phantom.volume, tmp_path / "ct", phase="arterial", patient_name="Doe^Jo", patient_id="P1")[3]
    image = pydicom.dcmread(file)
    assert image.file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"
    assert image.SOPClassUID.name == "CT Image Storage"
    assert "phantom" in image.ImageComments
    assert "not a medical device" in image.ImageComments
    assert "phantom" in image.SeriesDescription
    assert image.QualityControlImage == "YES"
    assert (str(image.PatientName), image.PatientID) == ("Doe^Jo", "P1")
    assert image.ContrastBolusAgent
    assert (image.BitsStored, image.PixelRepresentation) == (16, 1)
    assert (image.InstanceNumber, image.Columns, image.Rows) == (4, 64, 48)
    assert float(image.SliceThickness) == pytest.approx(450 / 20)
    native = pydicom.dcmread(write_ct_series(phantom.volume, tmp_path / "native", phase="native")[0])
    assert "ContrastBolusAgent" not in native


def test_uids_follow_the_seed_and_the_voxels(tmp_path, phantom):
    def written(name, volume, **options):
        files = write_ct_series(volume, tmp_path / name, **options)
        images = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
        instances = [i.SOPInstanceUID for i in images]
        assert len(set(instances)) == len(images)
        assert all(len(uid) <= 64 and uid.is_valid for uid in instances)
        return files, images[0].StudyInstanceUID, images[0].SeriesInstanceUID, set(instances)

    first, again = written("a", phantom.volume, seed=1), written("b", phantom.volume, seed=1)
    assert [f.read_bytes() for f in first[0]] == [f.read_bytes() for f in again[0]]
    other = written("c", phantom.volume, seed=2)
    assert other[1] != first[1]
    assert not other[3] & first[3]
    changed = written("d", replace(phantom.volume, voxels=phantom.volume.voxels + 3), seed=1)
    assert changed[1] == first[1]
    assert changed[2] != first[2]


def test_nothing_half_written_stays(tmp_path, phantom, monkeypatch):
    real, calls = pydicom.Dataset.save_as, []

    def full_disk(self, *args, **options):
        calls.append(1)
        if len(calls) > 5:
            raise OSError(28, "No space left on device")
        return real(self, *args, **options)

    monkeypatch.setattr(pydicom.Dataset, "save_as", full_disk)
    with pytest.raises(DiskError, match=r"ct: the disk is full\. Free some space") as caught:
        write_ct_series(phantom.volume, tmp_path / "ct")
    # Whoever asked for it knows the final place, and finds the system's number in it.
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path, phantom):
    def interrupt(fraction, message):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ct_series(phantom.volume, tmp_path / "ct", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_not_touched(tmp_path, phantom):
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "notes.txt").write_text("mine")
    with pytest.raises(PreopError, match="already holds files"):
        write_ct_series(phantom.volume, tmp_path / "ct")
    assert [p.name for p in (tmp_path / "ct").iterdir()] == ["notes.txt"]


def test_what_a_ct_series_cannot_say_is_refused(tmp_path):
    volume = oblique_volume()
    sheared = volume.affine.copy()
    sheared[:3, 2] += 0.4 * sheared[:3, 1]
    with pytest.raises(GeometryError, match="sheared"):
        write_ct_series(ImageVolume(volume.voxels, Grid(volume.grid.shape, sheared)), tmp_path / "a")
    with pytest.raises(ScanError, match="HU"):
        write_ct_series(ImageVolume(volume.voxels, volume.grid, modality="MR", unit=""), tmp_path / "b")
    with pytest.raises(ScanError, match="16 bits"):
        write_ct_series(ImageVolume(volume.voxels + 50_000, volume.grid), tmp_path / "c")
    broken = volume.voxels.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(ScanError, match="finite"):
        write_ct_series(ImageVolume(broken, volume.grid), tmp_path / "d")
    assert list(tmp_path.iterdir()) == []
