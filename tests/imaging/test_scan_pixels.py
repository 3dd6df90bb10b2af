"""Stored values → HU: rescale, bits, padding, transfer syntaxes, and pixels that are damaged."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import even, make_slice, picture, save, write_series
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from preop.imaging.errors import ScanError
from preop.imaging.inspect import inspect_scan
from preop.imaging.scan import read_scan


def natural(k: int) -> np.ndarray:
    """(48, 64) int16, smooth with noise: what compression is made for."""
    random = np.random.default_rng(k)
    j, i = np.mgrid[0:48, 0:64]
    return (1000 + 200 * np.sin(i / 9) * np.cos(j / 7) + random.normal(0, 20, (48, 64))).astype(np.int16)


def test_every_slice_is_rescaled_by_its_own_numbers(tmp_path):
    for k, position in enumerate(even(4)):
        save(
            make_slice(position, picture(1), RescaleSlope=str(1 + k), RescaleIntercept=str(-100 * k)), tmp_path / str(k)
        )
    volume = read_scan(tmp_path)
    for k in range(4):
        np.testing.assert_allclose(volume.voxels[:, :, k], picture(1).T * (1.0 + k) - 100 * k)
    assert any("4 different rescale" in note for note in volume.notes)


def test_unsigned_twelve_bits_with_overlay_bits_above(tmp_path):
    values = (np.arange(192).reshape(12, 16) * 21).astype(np.uint16)
    overlay = values | np.uint16(0x1000)
    write_series(tmp_path, even(3), pixels=lambda k: overlay, RescaleIntercept="0", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels[:, :, 1], values.T)


def test_signed_twelve_bits_without_sign_extension(tmp_path):
    values = (np.arange(192).reshape(12, 16) - 96).astype(np.int16)
    stored = (values & 0x0FFF).astype(np.int16)
    write_series(tmp_path, even(3), pixels=lambda k: stored, RescaleIntercept="0", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels[:, :, 1], values.T)


def test_padding_becomes_air(tmp_path):
    stored = picture(1)
    stored[:3] = -2000
    write_series(tmp_path, even(3), pixels=lambda k: stored, PixelPaddingValue=-2000)
    volume = read_scan(tmp_path)
    assert (volume.voxels[:, :3] == -1024).all()
    np.testing.assert_array_equal(volume.voxels[:, 3:, 0], stored[3:].T - 1024.0)
    assert any("padding" in note for note in volume.notes)


def test_a_rescale_slope_that_no_ct_has_is_refused_and_foreseen(tmp_path):
    for slope, words in (
        ("0", "damaged: its rescale slope is 0, so that"),
        ("-1", "damaged: its rescale slope is -1, but the values of a CT rise"),
    ):
        write_series(tmp_path / slope, even(4), RescaleSlope=slope)
        with pytest.raises(ScanError, match=words) as caught:
            read_scan(tmp_path / slope)
        assert inspect_scan(tmp_path / slope).problem == caught.value.line()
        write_series(tmp_path / slope / "whole", even(3), SeriesInstanceUID="1.9", SeriesNumber="6")
        assert read_scan(tmp_path / slope).voxels.shape[2] == 3
    write_series(tmp_path / "mr", even(4), RescaleSlope="-1", Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    assert read_scan(tmp_path / "mr").voxels.max() == -picture(0).min() - 1024


def test_a_rescale_that_leaves_nothing_but_air_is_refused(tmp_path):
    write_series(tmp_path, even(3), RescaleIntercept="-6000")
    with pytest.raises(ScanError, match="values run from -6000 to -3765 HU: nothing in it is denser than lung"):
        read_scan(tmp_path)


def test_a_ct_without_rescale_is_in_hu_only_if_it_holds_air(tmp_path):
    without = {"RescaleSlope": None, "RescaleIntercept": None}
    write_series(tmp_path / "stored", even(3), **without)
    volume = read_scan(tmp_path / "stored")
    assert volume.unit == ""
    assert any("they are no HU, its slices do not say how" in note for note in volume.notes)
    write_series(tmp_path / "hu", even(3), pixels=lambda k: (picture(k) - 1000).astype(np.int16), **without)
    volume = read_scan(tmp_path / "hu")
    assert volume.unit == "HU"
    assert any("with air in them, taken for HU" in note for note in volume.notes)
    np.testing.assert_array_equal(volume.voxels[:, :, 1], picture(1).T - 1000)
    for k, position in enumerate(even(3)):
        save(make_slice(position, picture(k), **(without if k == 1 else {})), tmp_path / "mixed" / str(k))
    with pytest.raises(ScanError, match="1 of its 3 slices have no rescale"):
        read_scan(tmp_path / "mixed")


def test_twelve_bits_without_offset_are_no_hounsfield(tmp_path):
    """Unsigned values from 0 with intercept 0: a rescale that was lost."""
    write_series(tmp_path, even(3), pixels=lambda k: picture(k).astype(np.uint16), RescaleIntercept="0")
    volume = read_scan(tmp_path)
    assert volume.unit == ""
    assert any("no air and no fat: they are no HU, its rescale is wrong" in note for note in volume.notes)


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "1.2.840.10008.1.2.4.100"])
def test_an_unknown_encoding_is_no_damage(tmp_path, syntax):
    """GE's private implicit big endian, and MPEG-2."""
    for k, position in enumerate(even(4)):
        dataset = make_slice(position, picture(k))
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax.endswith("100"):
            dataset.PixelData = encapsulate([dataset.PixelData])
            dataset["PixelData"].is_undefined_length = True
        dataset.save_as(tmp_path / str(k), implicit_vr=False, little_endian=True, enforce_file_format=True)
    with pytest.raises(ScanError, match="in an encoding that is not read") as caught:
        read_scan(tmp_path)
    assert "damaged" not in caught.value.line()
    assert inspect_scan(tmp_path).problem == caught.value.line()
    assert not inspect_scan(tmp_path).studies[0].series[0].usable


def test_a_perfusion_map_is_no_hounsfield(tmp_path):
    write_series(tmp_path, even(3), RescaleType="ML/100G/MIN")
    assert read_scan(tmp_path).unit == "ML/100G/MIN"


SYNTAXES = {
    "implicit little endian": ImplicitVRLittleEndian,
    "explicit big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG 2000 lossless": JPEG2000Lossless,
    "JPEG-LS lossless": JPEGLSLossless,
}


@pytest.mark.parametrize("name", SYNTAXES)
def test_lossless_transfer_syntaxes_give_the_same_values(tmp_path, name):
    for k, position in enumerate(even(3)):
        dataset = make_slice(position, natural(k))
        syntax = SYNTAXES[name]
        if name == "explicit big endian":
            elements, meta = dict(dataset.items()), dataset.file_meta
            dataset = FileDataset("", elements, file_meta=meta, is_implicit_VR=False, is_little_endian=False)
            dataset.PixelData = natural(k).astype(">i2").tobytes()
            dataset["PixelData"].VR = "OW"
            dataset.file_meta.TransferSyntaxUID = syntax
        elif syntax.is_encapsulated:
            dataset.compress(syntax, generate_instance_uid=False)
        else:
            dataset.file_meta.TransferSyntaxUID = syntax
        implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
        dataset.save_as(tmp_path / str(k), implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    volume = read_scan(tmp_path)
    for k in range(3):
        np.testing.assert_array_equal(volume.voxels[:, :, k], natural(k).T - 1024.0)


def test_lossless_jpeg_written_by_gdcm(tmp_path):
    """No permissive Python encoder exists; GDCM's own writes the file, and the values are those put in."""
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    for k, position in enumerate(even(3)):
        image = sitk.GetImageFromArray(natural(k)[None])
        image.SetSpacing((0.5, 0.75, 2.0))
        image.SetOrigin(position)
        for key, value in {
            "0008|0060": "CT", "0020|000e": "1.2.3.4", "0020|000d": "1.2.3", "0020|0052": "1.2.3.9",
            "0008|0018": generate_uid(), "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "1\\0\\0\\0\\1\\0", "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
        }.items():  # fmt: skip
            image.SetMetaData(key, value)
        writer.SetFileName(str(tmp_path / f"{k}.dcm"))
        writer.Execute(image)
    assert dcmread(tmp_path / "0.dcm").file_meta.TransferSyntaxUID == JPEGLosslessSV1
    volume = read_scan(tmp_path)
    for k in range(3):
        np.testing.assert_array_equal(volume.voxels[:, :, k], natural(k).T)


def test_truncated_slice_is_named_and_found_by_inspect(tmp_path):
    files = write_series(tmp_path, even(6))
    broken = files[3]
    broken.write_bytes(broken.read_bytes()[:-100])
    with pytest.raises(ScanError, match=rf"{broken.name}: the slice is truncated or damaged"):
        read_scan(tmp_path)
    files[3].write_bytes(files[3].read_bytes()[:-250])
    found = inspect_scan(tmp_path)
    assert any(broken.name in oddity for oddity in found.studies[0].series[0].oddities)
    assert broken.name in found.problem
    assert found.chosen is None


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_truncated_compressed_slice_is_named(tmp_path, syntax):
    for k, position in enumerate(even(4)):
        dataset = make_slice(position, natural(k))
        dataset.compress(syntax, generate_instance_uid=False)
        save(dataset, tmp_path / f"s{k}")
    content = (tmp_path / "s2").read_bytes()
    (tmp_path / "s2").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ScanError, match=r"s2: the slice is truncated or damaged"):
        read_scan(tmp_path)


def test_a_fragment_cut_inside_a_whole_file_is_named(tmp_path):
    """The file is complete, the JPEG 2000 stream in it is not: decoders that fill the rest with grey must not pass."""
    for k, position in enumerate(even(4)):
        dataset = make_slice(position, natural(k))
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        if k == 1:
            stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
            dataset.PixelData = encapsulate([stream[: len(stream) // 2]])
        save(dataset, tmp_path / f"s{k}")
    with pytest.raises(ScanError, match="s1: the slice is truncated or damaged"):
        read_scan(tmp_path)


def test_slice_cut_inside_its_header_is_left_out_with_a_note_or_missed(tmp_path):
    files = write_series(tmp_path, even(6))
    top = files[5]
    top.write_bytes(top.read_bytes()[:300])
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 5
    assert any("damaged or empty" in note for note in volume.notes)
    assert any("damaged or empty" in note and top.name in note for note in inspect_scan(tmp_path).notes)
    middle = files[2]
    middle.write_bytes(b"")
    with pytest.raises(ScanError, match="slice 3 is missing"):
        read_scan(tmp_path)


def test_file_without_preamble_and_meta_information(tmp_path):
    for k, position in enumerate(even(4)):
        dataset = make_slice(position, picture(k))
        bare = Dataset({element.tag: element for element in dataset})
        bare.save_as(tmp_path / str(k), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels[:, :, 2], picture(2).T - 1024.0)


def enhanced_ct(positions: list[tuple[float, float, float]]) -> Dataset:
    """One enhanced multi-frame CT whose frames are stored in a shuffled order, with a rescale of each frame."""
    dataset = make_slice((0, 0, 0), np.stack([picture(k) for k in range(len(positions))]))
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames = len(positions)
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.75, 0.5], 2
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for k, position in enumerate(positions):
        frame, place, values = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = list(position)
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1000 - k, "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [values]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


def test_enhanced_multi_frame_ct(tmp_path):
    order = [3, 0, 4, 1, 2]
    positions = [even(5)[k] for k in order]
    file = save(enhanced_ct(positions), tmp_path / "enhanced.dcm")
    volume = read_scan(file)
    np.testing.assert_allclose(volume.affine[:, 2], (0, 0, 2, 0))
    for frame, k in enumerate(order):
        np.testing.assert_array_equal(volume.voxels[:, :, k], picture(frame).T - 1000.0 - frame)


def test_colour_pictures_are_no_scan(tmp_path):
    for k, position in enumerate(even(3)):
        dataset = make_slice(
            position, picture(k), SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
        )
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.PixelData = bytes(12 * 16 * 3)
        save(dataset, tmp_path / str(k))
    with pytest.raises(ScanError, match="colour pictures"):
        read_scan(tmp_path)
