"""What scanners, archives and converters are known to write, made small."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import even, make_slice, picture, save, write_series
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from preop.imaging.errors import ScanError
from preop.imaging.inspect import inspect_scan
from preop.imaging.scan import read_scan

MR = {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}


def test_monochrome_1_is_a_matter_of_display(tmp_path):
    write_series(tmp_path, even(3), PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_scan(tmp_path).voxels[:, :, 2], picture(2).T - 1024.0)


@pytest.mark.parametrize("high_bit", [11, 7, 0])
def test_a_high_bit_below_the_stored_bits_is_not_believed(tmp_path, high_bit):
    values = (np.arange(192).reshape(12, 16) * 10 - 1000).astype(np.int16)
    stored = (values & 0x0FFF).astype(np.int16)
    write_series(tmp_path, even(3), pixels=lambda k: stored, RescaleIntercept="0", BitsStored=12, HighBit=high_bit)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels[:, :, 1], values.T)


def test_values_in_the_upper_bits(tmp_path):
    """12 bits stored with high bit 15, as of some old scanners."""
    values = (np.arange(192).reshape(12, 16) * 10 - 1000).astype(np.int16)
    write_series(
        tmp_path, even(3), pixels=lambda k: (values << 4).astype(np.int16), RescaleIntercept="0", BitsStored=12,
        HighBit=15,
    )  # fmt: skip
    np.testing.assert_array_equal(read_scan(tmp_path).voxels[:, :, 1], values.T)


def test_padding_written_as_unsigned_in_signed_pixels(tmp_path):
    """63536 is -2000 in 16 bits. With intercept 2000 only the padding value itself can tell that it is no water."""
    for k, position in enumerate(even(3)):
        stored = (picture(1) - 3000).astype(np.int16)
        stored[:2] = -2000
        dataset = make_slice(position, stored, RescaleIntercept="2000")
        dataset.add_new("PixelPaddingValue", "US", 63536)
        save(dataset, tmp_path / str(k))
    volume = read_scan(tmp_path)
    assert (volume.voxels[:, :2] == -1024).all()
    assert (volume.voxels[:, 2:] == picture(1).T[:, 2:, None] - 1000.0).all()


def test_a_range_of_padding(tmp_path):
    stored = picture(1)
    stored[0], stored[1] = 5, 9
    write_series(tmp_path, even(3), pixels=lambda k: stored, RescaleIntercept="-200", PixelPaddingValue=10,
                 PixelPaddingRangeLimit=4)  # fmt: skip
    volume = read_scan(tmp_path)
    assert (volume.voxels[:, :2] == -1024).all()
    assert (volume.voxels[:, 2:] == picture(1).T[:, 2:, None] - 200.0).all()


def test_reversed_rows_columns_and_feet_first(tmp_path):
    """A patient who lies feet first and prone: the directions say it all, whatever the position's code."""
    write_series(tmp_path, even(4), ImageOrientationPatient=[-1, 0, 0, 0, 1, 0], PatientPosition="FFP")
    volume = read_scan(tmp_path)
    assert volume.affine[0, 0] < 0
    # row x column is (0, 0, -1): K runs towards the feet, from the slice at z = -1 to that at z = -7.
    np.testing.assert_allclose(volume.grid.points_from_index((0, 0, 0)), (-10, -20, -1))
    np.testing.assert_array_equal(volume.voxels[:, :, 0], picture(3).T - 1024.0)
    np.testing.assert_allclose(volume.affine[:3, 2], (0, 0, -2))


def test_no_slice_thickness(tmp_path):
    write_series(tmp_path, even(4), SliceThickness=None)
    assert read_scan(tmp_path).spacing[2] == 2
    assert inspect_scan(tmp_path).studies[0].series[0].thickness_mm is None


def test_a_missing_slice_shows_in_the_headers_though_another_is_twice(tmp_path):
    """The copy has an instance UID of its own, so that only its place tells."""
    write_series(tmp_path, [p for k, p in enumerate(even(12)) if k != 6])
    save(make_slice(even(12)[2], picture(2)), tmp_path / "again")
    with pytest.raises(ScanError, match="slice 7 is missing") as caught:
        read_scan(tmp_path)
    found = inspect_scan(tmp_path)
    assert found.problem == caught.value.line()
    assert any("1 slice is at the place of another" in one for one in found.studies[0].series[0].oddities)


def test_copies_with_other_uids_are_used_once(tmp_path):
    write_series(tmp_path / "a", even(6))
    write_series(tmp_path / "b", even(6)[1:4], pixels=lambda k: picture(k + 1))
    volume = read_scan(tmp_path)
    assert any("3 slices are in the series twice" in note for note in volume.notes)
    for k in range(6):
        np.testing.assert_array_equal(volume.voxels[:, :, k], picture(k).T - 1024.0)


def test_derived_slabs_at_the_places_of_some_slices_are_apart(tmp_path):
    write_series(tmp_path / "a", even(12))
    slabs = ["DERIVED", "SECONDARY", "AXIAL", "MIP"]
    write_series(tmp_path / "b", even(4, step=6.0), pixels=lambda k: picture(k + 20), ImageType=slabs)
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 12
    np.testing.assert_array_equal(volume.voxels[:, :, 3], picture(3).T - 1024.0)


def test_pet_is_rescaled_slice_by_slice_and_tells_its_unit(tmp_path):
    for k, position in enumerate(even(4)):
        dataset = make_slice(
            position, picture(1).astype(np.uint16), Modality="PT", SOPClassUID="1.2.840.10008.5.1.4.1.1.128",
            RescaleSlope=f"{0.5 + k}", RescaleIntercept="0", Units="BQML",
        )  # fmt: skip
        save(dataset, tmp_path / str(k))
    volume = read_scan(tmp_path)
    assert (volume.modality, volume.unit) == ("PT", "BQML")
    for k in range(4):
        np.testing.assert_allclose(volume.voxels[:, :, k], picture(1).T * (0.5 + k))


def enhanced_mr(repeats: int, places: int, content: str) -> Dataset:
    """Frames at the same places, told apart by a b-value or a stack; each with an acquisition number of its own."""
    count = repeats * places
    dataset = make_slice((0, 0, 0), np.stack([picture(n % 20) for n in range(count)]), Modality="MR", RescaleSlope=None,
                         RescaleIntercept=None, ImagePositionPatient=None)  # fmt: skip
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = count
    shared = Dataset()
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for n in range(count):
        frame, place, of_frame, diffusion, values = (Dataset() for _ in range(5))
        place.ImagePositionPatient = list(even(places)[n % places])
        of_frame.FrameAcquisitionNumber = n + 1
        if content == "b-value":
            diffusion.DiffusionBValue = 800.0 * (n // places)
            frame.MRDiffusionSequence = [diffusion]
        else:
            of_frame.StackID = str(n // places + 1)
        values.RescaleSlope, values.RescaleIntercept = 1 + n // places, 0
        frame.PlanePositionSequence, frame.FrameContentSequence = [place], [of_frame]
        frame.PixelValueTransformationSequence = [values]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


@pytest.mark.parametrize("content", ["b-value", "stack"])
def test_enhanced_multi_frame_with_several_volumes(tmp_path, content):
    file = save(enhanced_mr(2, 6, content), tmp_path / "mr.dcm")
    for part in (1, 2):
        volume = read_scan(file, series=f"5-{part}")
        assert volume.voxels.shape[2] == 6
        for k in range(6):
            np.testing.assert_array_equal(volume.voxels[:, :, k], picture((part - 1) * 6 + k).T * part)


def test_echoes_of_which_every_slice_has_a_trigger_time(tmp_path):
    for echo in (1, 2):
        for k, position in enumerate(even(6)):
            tags = {"EchoNumbers": str(echo), "TriggerTime": str(100 * echo + k)}
            save(make_slice(position, picture(k), **tags, **MR), tmp_path / f"{echo}-{k}")
    assert [one.slices for study in inspect_scan(tmp_path).studies for one in study.series] == [6, 6]


def test_a_mosaic_is_no_slice(tmp_path):
    write_series(tmp_path, even(4), ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], **MR)
    with pytest.raises(ScanError, match="mosaics"):
        read_scan(tmp_path)


def test_a_description_that_two_patients_share_names_neither(tmp_path):
    write_series(tmp_path / "a", even(5))
    write_series(tmp_path / "b", even(6), PatientID="P2", SeriesInstanceUID="1.9", SeriesNumber="6")
    with pytest.raises(ScanError, match=r"'abdomen' is of 2 patients \(patient 1: series 5; patient 2: series 6"):
        read_scan(tmp_path, series="abdomen")
    assert read_scan(tmp_path, series="6").voxels.shape[2] == 6


def test_equals_among_what_was_asked_for_are_told(tmp_path):
    write_series(tmp_path / "a", even(6))
    write_series(tmp_path / "b", even(6), SeriesInstanceUID="1.9", SeriesNumber="6")
    assert any("series 6 (abdomen) would do as well" in note for note in read_scan(tmp_path, series="abdomen").notes)


def test_a_volume_file_that_does_not_say_how_it_lies(tmp_path):
    values = np.full((4, 5, 6), -500, np.int16)
    image = nibabel.Nifti1Image(values, None)
    image.set_sform(np.eye(4), code=0)
    image.set_qform(np.eye(4), code=0)
    nibabel.save(image, tmp_path / "v.nii.gz")
    (tmp_path / "v.nrrd").write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 5 6\nendian: little\nencoding: raw\n\n" + values.T.tobytes()
    )
    for name in ("v.nii.gz", "v.nrrd"):
        with pytest.raises(ScanError, match=r"does not say how it lies.*accept_unplaced=true") as caught:
            read_scan(tmp_path / name)
        assert inspect_scan(tmp_path / name).problem == caught.value.line()
        notes = read_scan(tmp_path / name, accept_unplaced=True).notes
        assert any("left and right may be" in note for note in notes)
        assert any(
            "left and right may be" in one for one in inspect_scan(tmp_path / name).studies[0].series[0].oddities
        )
    sitk.WriteImage(sitk.GetImageFromArray(values.T), str(tmp_path / "w.nii.gz"))
    assert not any("left and right" in note for note in read_scan(tmp_path / "w.nii.gz").notes)


def test_a_secondary_capture_in_grey_is_not_in_hu(tmp_path):
    """8-bit screenshots that kept their places: a window's grey values."""
    write_series(
        tmp_path, even(4), pixels=lambda k: (picture(k) % 256).astype(np.uint16), Modality="CT", RescaleSlope=None,
        RescaleIntercept=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", ImageType=["DERIVED", "SECONDARY"],
    )  # fmt: skip
    assert read_scan(tmp_path).unit == ""


def test_padding_outside_of_the_stored_bits(tmp_path):
    """-3024 does not fit 12 bits; read as 12 bits it would be 1072, dense bone all around the patient."""
    stored = (picture(1) - 1000).astype(np.int16)
    stored[:3] = -3024
    write_series(tmp_path, even(3), pixels=lambda k: stored, RescaleIntercept="0", BitsStored=12, HighBit=11,
                 PixelPaddingValue=-3024)  # fmt: skip
    volume = read_scan(tmp_path)
    assert (volume.voxels[:, :3] == -1024).all()
    assert (volume.voxels[:, 3:] == stored.T[:, 3:, None]).all()
