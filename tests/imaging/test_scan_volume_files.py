"""Volume files that are not whole, keep their voxels elsewhere, or hold what is no number."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import even, write_series

from preop.imaging.errors import ScanError
from preop.imaging.image_payload import volume_file_parts
from preop.imaging.inspect import inspect_scan
from preop.imaging.labelfile import label_source_files
from preop.imaging.scan import read_scan

SHAPE = (24, 30, 20)


def voxels(kind: type = np.int16) -> np.ndarray:
    """(I, J, K) values of a CT, with noise so that nothing is small when packed."""
    return np.random.default_rng(0).normal(-300, 400, SHAPE).astype(kind)


def write(file: Path, values: np.ndarray, *, packed: bool) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(values.T), str(file), useCompression=packed)
    return file


FORMATS = {
    # given file, file with the voxels, packed
    "nii": ("v.nii", "v.nii", False),
    "nii.gz": ("v.nii.gz", "v.nii.gz", True),
    "hdr": ("v.hdr", "v.img", False),
    "nrrd": ("v.nrrd", "v.nrrd", False),
    "packed nrrd": ("v.nrrd", "v.nrrd", True),
    "nhdr": ("v.nhdr", "v.raw", False),
    "packed nhdr": ("v.nhdr", "v.raw.gz", True),
    "mha": ("v.mha", "v.mha", False),
    "packed mha": ("v.mha", "v.mha", True),
    "mhd": ("v.mhd", "v.raw", False),
    "packed mhd": ("v.mhd", "v.zraw", True),
}


@pytest.mark.parametrize("kind", [np.int16, np.float32])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_whole_and_tells_its_files(tmp_path, name, kind):
    given, data, packed = FORMATS[name]
    file = write(tmp_path / given, voxels(kind), packed=packed)
    volume = read_scan(file)
    np.testing.assert_array_equal(volume.voxels, voxels(kind))
    assert {one.name for one in volume.source_files} == {given, data}
    assert inspect_scan(file).problem == ""


@pytest.mark.parametrize("left", [0.03, 0.5, 0.98])
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_volume_is_refused_and_foreseen(tmp_path, name, left, capfd):
    given, data, packed = FORMATS[name]
    file = write(tmp_path / given, voxels(), packed=packed)
    content = (tmp_path / data).read_bytes()
    (tmp_path / data).write_bytes(content[: max(int(left * len(content)), 600)])
    with pytest.raises(ScanError, match=r"truncated: it holds \d+ %") as caught:
        read_scan(file)
    found = inspect_scan(file)
    assert found.chosen is None
    assert found.problem == caught.value.line()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["nii.gz", "packed nrrd", "packed nhdr", "packed mha", "packed mhd"])
def test_a_wrong_checksum_is_refused(tmp_path, name):
    """One bit of the checksum that ends a compressed stream."""
    given, data, packed = FORMATS[name]
    file = write(tmp_path / given, voxels(), packed=packed)
    content = bytearray((tmp_path / data).read_bytes())
    content[-3 if name.startswith("packed m") else -7] ^= 0x10
    (tmp_path / data).write_bytes(content)
    with pytest.raises(ScanError, match="damaged"):
        read_scan(file)


@pytest.mark.parametrize("given", ["v.nii", "v.nii.gz", "v.hdr", "v.nrrd", "v.mha"])
def test_what_is_no_number_is_outside_of_the_scan_and_said(tmp_path, given):
    values = voxels(np.float32)
    values[0, :5, 3], values[7, 8, 9], values[1, 2, 3] = np.nan, np.inf, -np.inf
    volume = read_scan(write(tmp_path / given, values, packed=given.endswith("gz")))
    expected = np.where(np.isfinite(values), values, -1024)
    np.testing.assert_array_equal(volume.voxels, expected)
    assert any("hold no number (NaN or infinity) and were set to -1024" in note for note in volume.notes)


def test_a_volume_without_any_number_is_refused(tmp_path):
    file = write(tmp_path / "v.nii", np.full(SHAPE, np.nan, np.float32), packed=False)
    with pytest.raises(ScanError, match="no number at all"):
        read_scan(file)


def test_double_precision_and_big_endian(tmp_path):
    values = voxels(np.float64)
    values[2, 2, 2] = np.nan
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.float64)
    file = tmp_path / "v.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4), header), file)
    volume = read_scan(file)
    assert volume.voxels[2, 2, 2] == -1024
    np.testing.assert_array_equal(volume.voxels[3:], values[3:].astype(np.float32))
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-8]))
    with pytest.raises(ScanError, match="truncated: it holds 99 %"):
        read_scan(file)


def test_nifti_2_is_named(tmp_path):
    nibabel.save(nibabel.Nifti2Image(voxels(), np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(ScanError, match=r"v\.nii: is NIfTI-2, which is not read\. Convert"):
        read_scan(tmp_path / "v.nii")


def test_a_volume_of_the_same_name_beside_it_is_not_read_instead(tmp_path):
    """NIfTI's C library, asked for v.nii.gz, takes the voxels of v.nii."""
    write(tmp_path / "v.nii", voxels() - 1, packed=False)
    file = write(tmp_path / "v.nii.gz", voxels(), packed=True)
    np.testing.assert_array_equal(read_scan(file).voxels, voxels())


@pytest.mark.parametrize("name", ["mhd", "packed mhd", "nhdr", "hdr"])
def test_a_header_with_its_voxels_in_a_zip(tmp_path, name, capfd):
    given, data, packed = FORMATS[name]
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder / given, voxels(), packed=packed)
    whole, alone = tmp_path / "whole.zip", tmp_path / "alone.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.write(folder / given, f"case 1/{given}")
        archive.write(folder / data, f"case 1/{data}")
    volume = read_scan(whole)
    np.testing.assert_array_equal(volume.voxels, voxels())
    assert volume.source_files == (whole,)
    assert inspect_scan(whole).chosen is not None
    with zipfile.ZipFile(alone, "w") as archive:
        archive.write(folder / given, f"case 1/{given}")
    with pytest.raises(ScanError, match=rf"has its voxels in {data}, which is not there"):
        read_scan(alone)
    assert data in inspect_scan(alone).problem
    assert capfd.readouterr().err == ""


def test_a_header_that_points_out_of_its_zip_is_refused(tmp_path):
    write(tmp_path / "v.mhd", voxels(), packed=False)
    text = (tmp_path / "v.mhd").read_text().replace("v.raw", "../v.raw")
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as archive:
        archive.writestr("v.mhd", text)
    with pytest.raises(ScanError, match="not there"):
        read_scan(tmp_path / "v.zip")


def test_voxels_in_another_folder_and_one_file_per_slice(tmp_path):
    write(tmp_path / "v.mhd", voxels(), packed=False)
    (tmp_path / "deep").mkdir()
    raw = (tmp_path / "v.raw").read_bytes()
    text = (tmp_path / "v.mhd").read_text()
    elsewhere = tmp_path / "deep" / "w.mhd"
    elsewhere.write_text(text.replace("v.raw", "../v.raw"))
    np.testing.assert_array_equal(read_scan(elsewhere).voxels, voxels())
    size = len(raw) // SHAPE[2]
    for k in range(SHAPE[2]):
        (tmp_path / "deep" / f"{k:03d}.raw").write_bytes(raw[k * size : (k + 1) * size])
    listed = tmp_path / "deep" / "list.mhd"
    listed.write_text(text.replace("v.raw", "LIST\n" + "\n".join(f"{k:03d}.raw" for k in range(SHAPE[2]))))
    pattern = tmp_path / "deep" / "pattern.mhd"
    pattern.write_text(text.replace("v.raw", f"%03d.raw 0 {SHAPE[2] - 1} 1"))
    nrrd = tmp_path / "deep" / "list.nhdr"
    sizes = " ".join(map(str, SHAPE))
    head = f"NRRD0004\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\nendian: little\n"
    head += "encoding: raw\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\ndata file: LIST\n"
    nrrd.write_text(head + "\n".join(f"{k:03d}.raw" for k in range(SHAPE[2])) + "\n")
    for file in (listed, pattern, nrrd):
        volume = read_scan(file)
        np.testing.assert_array_equal(volume.voxels, voxels())
        assert len(volume.source_files) == 1 + SHAPE[2]
    (tmp_path / "deep" / "004.raw").unlink()
    with pytest.raises(ScanError, match=r"004\.raw, which is not there"):
        read_scan(pattern)


def test_source_files_of_a_dicom_folder_are_the_slices_that_were_read(tmp_path):
    read = write_series(tmp_path / "a", even(6))
    write_series(tmp_path / "b", even(3), SeriesInstanceUID="1.9", SeriesNumber="6")
    (tmp_path / "a" / "notes.txt").write_text("no scan")
    assert set(read_scan(tmp_path).source_files) == set(read)


def test_source_files_of_labels(tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 3:9, 3:9] = 1
    write(tmp_path / "labels.mhd", labels, packed=False)
    (tmp_path / "labels.json").write_text('{"1": "liver"}')
    names = {one.name for one in label_source_files(tmp_path / "labels.mhd")}
    assert names == {"labels.mhd", "labels.raw", "labels.json"}
    (tmp_path / "masks").mkdir()
    for organ in ("liver", "spleen"):
        write(tmp_path / "masks" / f"{organ}.nii.gz", labels, packed=True)
    assert {one.name for one in label_source_files(tmp_path / "masks")} == {"liver.nii.gz", "spleen.nii.gz"}
    assert len(volume_file_parts(tmp_path / "labels.mhd")) == 2


def test_source_files_of_what_a_dicomdir_stands_for(tmp_path):
    from pydicom.fileset import FileSet

    read = write_series(tmp_path / "in", even(4), StudyID="1", StudyTime="120000")
    files = FileSet()
    for file in read:
        files.add(file)
    files.write(tmp_path / "medium")
    (tmp_path / "medium" / "VIEWER.EXE").write_bytes(b"MZ")
    volume = read_scan(tmp_path / "medium" / "DICOMDIR")
    assert volume.voxels.shape[2] == 4
    assert len(volume.source_files) == 4
    assert all(file.is_file() and file.name not in ("DICOMDIR", "VIEWER.EXE") for file in volume.source_files)


@pytest.mark.parametrize("name", ["mhd", "packed mhd", "nhdr", "hdr"])
def test_the_file_with_the_voxels_stands_for_its_header(tmp_path, name):
    given, data, packed = FORMATS[name]
    write(tmp_path / given, voxels(), packed=packed)
    volume = read_scan(tmp_path / data)
    np.testing.assert_array_equal(volume.voxels, voxels())
    np.testing.assert_allclose(volume.affine, read_scan(tmp_path / given).affine)
    assert {one.name for one in volume.source_files} == {given, data}
    chosen = inspect_scan(tmp_path / data).chosen
    assert chosen is not None
    assert chosen.description == given


@pytest.mark.parametrize(("data", "header"), [("v.img", "v.hdr"), ("v.IMG.gz", "v.hdr"), ("v.raw", "v.mhd or v.nhdr")])
def test_voxels_without_their_header_name_it(tmp_path, data, header):
    (tmp_path / data).write_bytes(bytes(4000))
    (tmp_path / "other.hdr").write_bytes(bytes(348))
    for look in (read_scan, inspect_scan):
        with pytest.raises(ScanError) as caught:
            look(tmp_path / data)
        assert "this file is no scan" in caught.value.line()
        assert f"its header {header} beside it" in caught.value.line()
