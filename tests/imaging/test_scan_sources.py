"""What a path may be: folders, archives, single files, volume files; and everything that is none of these."""

from __future__ import annotations

import os
import tarfile
import zipfile

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import even, make_slice, picture, save, write_series

from preop.imaging.errors import PreopError, ScanError
from preop.imaging.inspect import inspect_scan
from preop.imaging.labelfile import write_volume
from preop.imaging.scan import read_scan


@pytest.fixture
def series(tmp_path):
    """A folder of 6 slices, 2 levels deep, with files beside them that are no scan."""
    folder = tmp_path / "export" / "IMG" / "series 1"
    write_series(folder, even(6))
    (tmp_path / "export" / "README.txt").write_text("exported by a viewer\n")
    (tmp_path / "export" / "DICOMDIR.html").write_bytes(b"\x00" * 500)
    return tmp_path / "export"


def zipped(folder, file, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(file, "w", compression) as archive:
        for one in sorted(folder.rglob("*")):
            archive.write(one, one.relative_to(folder.parent))
    return file


def same_as_folder(found, folder):
    expected = read_scan(folder)
    np.testing.assert_array_equal(found.voxels, expected.voxels)
    found.grid.require_same(expected.grid)
    return True


def test_folder_is_searched_and_other_files_are_counted(series):
    assert read_scan(series).voxels.shape == (16, 12, 6)
    assert inspect_scan(series).ignored_files == 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_zip(series, tmp_path, compression):
    file = zipped(series, tmp_path / "scan.zip", compression)
    before = sorted(tmp_path.iterdir())
    assert same_as_folder(read_scan(file), series)
    assert sorted(tmp_path.iterdir()) == before


def test_zip_without_the_right_suffix_and_zip_inside_a_zip(series, tmp_path):
    inner = zipped(series, tmp_path / "inner.zip")
    outer = tmp_path / "download"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "patient/inner.zip")
    assert same_as_folder(read_scan(outer), series)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar(series, tmp_path, mode):
    file = tmp_path / f"scan.tar.{mode[2:]}".rstrip(".")
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        archive.add(series, "export")
    assert same_as_folder(read_scan(file), series)


def test_encrypted_zip_is_told(series, tmp_path):
    file = zipped(series, tmp_path / "scan.zip")
    content = bytearray(file.read_bytes())
    # Bit 0 of the general purpose flag says "encrypted" (APPNOTE 4.4.4): in each entry of the central directory.
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\x01\x02", at + 4)
    file.write_bytes(content)
    with pytest.raises(ScanError, match="encrypted"):
        read_scan(file)


@pytest.mark.parametrize("name", ["../../evil", "C:/evil", "a/../../evil", "..\\evil", "d:\\evil"])
def test_member_that_points_outside_is_refused(tmp_path, name):
    file = tmp_path / "scan.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ScanError, match="points outside"):
        read_scan(file)


@pytest.mark.parametrize("name", ["CT 12:30 abdomen/", "patient/CT 12:30/", "/export/", "a..b/"])
def test_member_with_an_unusual_name_is_ordinary(series, tmp_path, name):
    """Nothing is unpacked by name: a time in a folder's name or a slash in front does no harm."""
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for file in series.rglob("IM[0-9]*"):
            info = zipfile.ZipInfo("x")
            info.filename = f"{name}{file.name}"
            archive.writestr(info, file.read_bytes())
    assert same_as_folder(read_scan(tmp_path / "scan.zip"), series)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_told_in_one_line_however_it_is_packed(series, tmp_path, packing):
    file = zipped(series, tmp_path / "scan.zip", packing)
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        member = archive.infolist()[2]
    start = member.header_offset + 30 + len(member.filename) + member.compress_size // 3
    for at in range(start, start + 30):
        content[at] ^= 0x77
    file.write_bytes(content)
    for look in (read_scan, inspect_scan):
        with pytest.raises(ScanError) as caught:
            look(file)
        assert "\n" not in caught.value.line()


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_damaged_tar_is_told_in_one_line_however_it_is_packed(series, tmp_path, mode):
    file = tmp_path / f"scan.tar.{mode[2:]}"
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        archive.add(series, "export")
    content = bytearray(file.read_bytes())
    for at in range(len(content) // 2, len(content) // 2 + 40):
        content[at] ^= 0x5A
    file.write_bytes(content)
    with pytest.raises(ScanError, match="broken tar"):
        read_scan(file)


def test_a_folder_that_holds_nothing_but_archives(series, tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    zipped(series, folder / "Patient.ZIP")
    (folder / "readme.txt").write_text("open me")
    volume = read_scan(folder)
    assert same_as_folder(volume, series)
    assert volume.source_files == (folder / "Patient.ZIP",)
    assert inspect_scan(folder).problem == ""


def test_a_zip_beside_what_was_unpacked_from_it_is_left_alone(series, tmp_path):
    zipped(series, series / "all.zip")
    volume = read_scan(series)
    assert not any("left out" in note for note in volume.notes)
    assert series / "all.zip" not in volume.source_files


def test_a_broken_zip_in_a_folder_is_named(series, tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    file = zipped(series, folder / "scan.zip")
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ScanError, match=r"scan\.zip: is a broken zip"):
        read_scan(folder)


def test_a_broken_zip_beside_a_whole_one_is_left_out_and_told(series, tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    zipped(series, folder / "whole.zip")
    (folder / "broken.zip").write_bytes((folder / "whole.zip").read_bytes()[:-200])
    volume = read_scan(folder)
    assert same_as_folder(volume, series)
    assert any("1 file left out: damaged or empty" in note for note in volume.notes)
    assert inspect_scan(folder).problem == ""


def test_links_are_followed_and_none_of_them_for_ever(series, tmp_path):
    folder = tmp_path / "links"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "ct").symlink_to(series, target_is_directory=True)
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    (series / "again").symlink_to(series, target_is_directory=True)
    (folder / "nowhere").symlink_to(tmp_path / "gone")
    volume = read_scan(folder)
    assert same_as_folder(volume, series)
    assert not any("left out" in note for note in volume.notes)


def test_broken_zip(series, tmp_path):
    file = zipped(series, tmp_path / "scan.zip")
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ScanError, match="broken zip"):
        read_scan(file)


def test_zip_member_with_a_wrong_checksum_is_named(series, tmp_path):
    file = zipped(series, tmp_path / "scan.zip", zipfile.ZIP_STORED)
    content = bytearray(file.read_bytes())
    wanted = picture(3).tobytes()
    content[content.find(wanted) + 50] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(ScanError, match=r"IM\d+: .*(CRC|damaged)"):
        read_scan(file)


@pytest.mark.parametrize("kind", ["zip", "folder", "tar"])
def test_nothing_in_it(tmp_path, kind):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in"
    if kind == "zip":
        path = tmp_path / "a.zip"
        zipfile.ZipFile(path, "w").close()
    if kind == "tar":
        path = tmp_path / "a.tar"
        tarfile.open(path, "w").close()
    with pytest.raises(ScanError, match=r"there are no files in it\. Give a DICOM folder"):
        read_scan(path)
    with pytest.raises(ScanError, match="there are no files in it"):
        inspect_scan(path)


def test_path_that_is_not_there(tmp_path):
    with pytest.raises(ScanError, match="nothing at this path"):
        read_scan(tmp_path / "no such folder")


@pytest.mark.parametrize("content", [b"hello\n", b"", b"%PDF-1.7\n" + bytes(300), bytes(1000)])
def test_file_that_is_no_scan(tmp_path, content):
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    for function in (read_scan, inspect_scan):
        with pytest.raises(ScanError) as caught:
            function(file)
        assert "notes.txt" in caught.value.line()
        assert "\n" not in caught.value.line()


def test_folder_of_text_files(tmp_path):
    for k in range(3):
        (tmp_path / f"{k}.txt").write_text("no scan")
    with pytest.raises(ScanError, match="no DICOM object among 3 files"):
        read_scan(tmp_path)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="there is no /proc")
def test_a_file_that_cannot_be_read_from_its_start(tmp_path):
    for function in (read_scan, inspect_scan):
        with pytest.raises(ScanError, match=r"/proc/self/mem: cannot be read \(Input/output error\)"):
            function("/proc/self/mem")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_permission_denied(series):
    closed = series / "IMG"
    closed.chmod(0)
    try:
        with pytest.raises(ScanError, match="permission denied"):
            read_scan(series)
    finally:
        closed.chmod(0o755)


def test_permission_denied_while_walking_is_one_line(series, monkeypatch):
    """What a file of another user does, for test runs of the superuser too."""

    def refuse(self, *_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(PreopError, match=r"permission denied|cannot be read \(Permission denied\)") as caught:
        read_scan(series)
    assert "Ask its owner" in caught.value.line()


def test_single_slice_file_says_what_to_give(tmp_path):
    file = save(make_slice((0, 0, 0), picture(0)), tmp_path / "one.dcm")
    with pytest.raises(ScanError, match=r"one\.dcm: this file is a single slice.*Give the folder"):
        read_scan(file)


def nifti(tmp_path, affine, values, name="v.nii.gz"):
    file = tmp_path / name
    image = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nibabel.save(image, file)
    return file


def test_nifti_is_turned_from_ras_to_lps(tmp_path):
    values = (np.arange(5 * 6 * 7).reshape(5, 6, 7) - 1000).astype(np.int16)
    turn = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * [0.5, 0.75, 2.0]
    affine[:3, 3] = (12, -30, 100)
    volume = read_scan(nifti(tmp_path, affine, values))
    np.testing.assert_array_equal(volume.voxels, values)
    ras = affine @ [2, 3, 4, 1]
    np.testing.assert_allclose(volume.grid.points_from_index((2, 3, 4)), (-ras[0], -ras[1], ras[2]), atol=1e-5)
    assert (volume.modality, volume.unit) == ("CT", "HU")


def test_volume_without_negative_values_is_not_called_a_ct(tmp_path):
    volume = read_scan(nifti(tmp_path, np.diag([-1, -1, 1, 1.0]), np.ones((4, 4, 4), np.int16)))
    assert (volume.modality, volume.unit) == ("", "")
    assert "not those of a CT" in volume.notes[0]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_written_volume_comes_back(series, tmp_path, suffix):
    volume = read_scan(series)
    file = tmp_path / f"copy{suffix}"
    write_volume(file, volume)
    again = read_scan(file)
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    again.grid.require_same(volume.grid, tolerance_mm=1e-4)
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


def test_the_one_volume_file_in_a_zip_is_read_and_two_are_not_guessed_at(tmp_path):
    values = np.full((4, 5, 6), -500, np.int16)
    file = nifti(tmp_path, np.diag([-1, -1, 2, 1.0]), values)
    archive = tmp_path / "v.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(file, "case/v.nii.gz")
    assert read_scan(archive).voxels.shape == (4, 5, 6)
    with zipfile.ZipFile(archive, "a") as out:
        out.write(file, "case/w.nii.gz")
    with pytest.raises(ScanError, match="2 volume files"):
        read_scan(archive)
    assert read_scan(archive, series="case/w.nii.gz").voxels.shape == (4, 5, 6)


def test_four_dimensions_and_vectors_are_refused(tmp_path):
    with pytest.raises(ScanError, match="4 dimensions"):
        read_scan(nifti(tmp_path, np.eye(4), np.zeros((3, 3, 3, 5), np.float32)))
    vectors = sitk.GetImageFromArray(np.zeros((3, 3, 3, 3), np.float32), isVector=True)
    sitk.WriteImage(vectors, str(tmp_path / "v.mha"))
    with pytest.raises(ScanError, match="several values per voxel"):
        read_scan(tmp_path / "v.mha")


def test_broken_volume_file(tmp_path):
    file = nifti(tmp_path, np.eye(4), np.zeros((9, 9, 9), np.float32), "v.nii")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ScanError, match=r"v\.nii: cannot be read as a volume"):
        read_scan(file)


def test_progress_rises_from_0_to_1(series):
    said: list[float] = []
    read_scan(series, progress=lambda fraction, _: said.append(fraction or 0.0))
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_interruption_goes_through(series):
    def stop(_fraction, message):
        if message.startswith("reading"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_scan(series, progress=stop)
