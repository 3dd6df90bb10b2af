"""Which series is read: grouping, splitting, choosing, and patients that are mixed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from dicom_files import even, make_slice, picture, save, write_series
from pydicom.uid import generate_uid

from preop.imaging.dicom_choice import is_sharp
from preop.imaging.errors import ScanError
from preop.imaging.inspect import inspect_scan
from preop.imaging.scan import read_scan

LOCALIZER = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
CORONAL = [1, 0, 0, 0, 0, -1]


def coronal(count: int) -> list[tuple[float, float, float]]:
    return [(-10.0, -20.0 + 2.0 * k, 50.0) for k in range(count)]


def test_localiser_inside_the_series_is_left_out(tmp_path):
    write_series(tmp_path, even(8))
    write_series(tmp_path, coronal(2), prefix="LOC", ImageOrientationPatient=CORONAL, ImageType=LOCALIZER)
    assert read_scan(tmp_path).voxels.shape == (16, 12, 8)


def test_localiser_only_is_told(tmp_path):
    write_series(tmp_path, coronal(3), ImageOrientationPatient=CORONAL, ImageType=LOCALIZER)
    with pytest.raises(ScanError, match=r"no volume here \(series 5 \(abdomen\) is a localiser"):
        read_scan(tmp_path)


def test_two_patients_stop_and_are_numbered_not_named(tmp_path):
    write_series(tmp_path / "a", even(5))
    write_series(tmp_path / "b", even(5), PatientID="P2", SeriesInstanceUID="1.9", SeriesNumber="6")
    with pytest.raises(ScanError, match=r"2 patients are mixed \(patient 1: series 5; patient 2: series 6\)") as caught:
        read_scan(tmp_path)
    assert "name a series with --set patient.series=KEY" in caught.value.line()
    told = caught.value.line() + json.dumps(inspect_scan(tmp_path).to_dict())
    assert not any(secret in told.replace(str(tmp_path), "") for secret in ("P1", "P2", "Doe"))
    assert read_scan(tmp_path, series="6").voxels.shape[2] == 5
    listing = inspect_scan(tmp_path)
    assert "2 patients" in listing.problem
    assert listing.chosen is None


def test_a_screenshot_of_another_patient_mixes_nobody_and_is_told(tmp_path):
    """Only scans can be taken for each other; what else lies there is left alone."""
    write_series(tmp_path / "a", even(5))
    elsewhere = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "Modality": "OT"}
    write_series(tmp_path / "b", even(1), PatientID="P2", SeriesInstanceUID="1.9", SeriesNumber="6", **elsewhere)
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 5
    assert any("another patient" in note and "series 6" in note for note in volume.notes)
    assert inspect_scan(tmp_path).problem == ""


def test_two_patients_in_one_series_are_still_two(tmp_path):
    """An anonymiser that gave two patients one series UID must not make one body of them."""
    write_series(tmp_path / "a", even(5))
    write_series(tmp_path / "b", even(5, start=3.0), PatientID="P2")
    with pytest.raises(ScanError, match="2 patients"):
        read_scan(tmp_path)


def test_two_patients_without_ids_are_not_named_either(tmp_path):
    write_series(tmp_path / "a", even(5), PatientID=None)
    write_series(tmp_path / "b", even(5), PatientID=None, PatientName="Roe^Richard", SeriesInstanceUID="1.9")
    listing = inspect_scan(tmp_path)
    assert "2 patients" in listing.problem
    assert "Roe" not in listing.problem
    assert "Roe" not in json.dumps(listing.to_dict())


def test_one_patient_of_whom_some_objects_lack_the_id(tmp_path):
    write_series(tmp_path / "a", even(5))
    write_series(tmp_path / "b", even(3), PatientID=None, SeriesInstanceUID="1.9", SeriesNumber="6")
    assert read_scan(tmp_path).voxels.shape[2] == 5


CANDIDATES = {
    "CT before MR": ({}, {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, 6, 30),
    "original before derived": ({}, {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, 12, 16),
    "long before short": ({}, {"ConvolutionKernel": "B30f"}, 20, 5),
    "soft kernel before lung kernel": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}, 12, 16),
    "more slices": ({}, {}, 20, 15),
}


@pytest.mark.parametrize("case", CANDIDATES)
def test_rule_of_choice(tmp_path, case):
    better, worse, better_count, worse_count = CANDIDATES[case]
    common = {"SeriesInstanceUID": "1.9", "SeriesNumber": "2"}
    write_series(tmp_path / "worse", even(worse_count), **{**common, "SeriesDescription": "worse", **worse})
    write_series(tmp_path / "better", even(better_count), **{"SeriesDescription": "better", **better})
    listing = inspect_scan(tmp_path)
    assert listing.chosen is not None
    assert listing.chosen.description == "better"
    assert read_scan(tmp_path).voxels.shape[2] == better_count


def test_axial_before_coronal_and_complete_before_gapped(tmp_path):
    write_series(
        tmp_path / "c", coronal(20), ImageOrientationPatient=CORONAL, SeriesInstanceUID="1.8", SeriesNumber="2"
    )
    gapped = [p for k, p in enumerate(even(40, step=1.0)) if k != 20]
    write_series(tmp_path / "g", gapped, SeriesInstanceUID="1.7", SeriesNumber="3")
    write_series(tmp_path / "a", even(15, step=3.0))
    assert read_scan(tmp_path).voxels.shape[2] == 15


def test_equal_series_are_chosen_by_number_with_a_note(tmp_path):
    write_series(tmp_path / "a", even(6), SeriesDescription="portal", SeriesNumber="7")
    write_series(tmp_path / "b", even(6), SeriesDescription="arterial", SeriesNumber="4", SeriesInstanceUID="1.9")
    volume = read_scan(tmp_path)
    assert any("series 4 (arterial) was used; series 7 (portal) would do as well" in note for note in volume.notes)


def test_phases_that_repeat_places_are_split_and_can_be_asked_for(tmp_path):
    for phase in (1, 2):
        write_series(
            tmp_path / str(phase),
            even(6),
            pixels=lambda k, phase=phase: picture(k) + phase,
            TemporalPositionIdentifier=str(phase),
        )
    first, second = read_scan(tmp_path, series="5-1"), read_scan(tmp_path, series="5-2")
    assert {float(v.voxels[0, 0, 0] + 1024) for v in (first, second)} == {1.0, 2.0}
    assert any("2 stacks at the same place" in note for note in first.notes)


def test_trigger_times_of_every_slice_do_not_tear_a_stack_apart(tmp_path):
    """Two acquisitions; the trigger time is new in each slice and says nothing about which stack it is in."""
    for phase in (1, 2):
        for k, position in enumerate(even(6)):
            dataset = make_slice(position, picture(k) + phase, AcquisitionNumber=phase, TriggerTime=100 * phase + k)
            save(dataset, tmp_path / f"{phase}-{k}")
    assert [one.slices for study in inspect_scan(tmp_path).studies for one in study.series] == [6, 6]


def interleaved(folder, odd, **tags):
    """20 + 20 slices, the second stack half a step beside the first and 300 HU brighter."""
    for k, position in enumerate(even(40, step=1.0)):
        own = odd if k % 2 else {}
        save(make_slice(position, picture(1) + 300 * (k % 2), **tags, **own), folder / str(k))


INTERLEAVING = {"AcquisitionNumber": 2, "AcquisitionTime": "120130.5", "ContentTime": "120130", "TriggerTime": "300"}


@pytest.mark.parametrize("element", INTERLEAVING)
def test_two_interleaved_acquisitions_are_two_stacks(tmp_path, element):
    interleaved(tmp_path, {element: INTERLEAVING[element]})
    first, second = read_scan(tmp_path, series="5-1"), read_scan(tmp_path, series="5-2")
    assert {float(v.voxels[0, 0, 7]) for v in (first, second)} == {-24.0, 276.0}
    for volume in (first, second):
        np.testing.assert_allclose(volume.voxels[:, :, 7] - volume.voxels[0, 0, 7], picture(0).T)
        np.testing.assert_allclose(volume.spacing, (0.5, 0.75, 2))
        assert any("2 interleaved stacks, one per" in note for note in volume.notes)
    assert any("5-2 (abdomen) would do as well" in note for note in read_scan(tmp_path).notes)


def test_interleaved_acquisitions_of_which_a_slice_is_missing_are_still_two(tmp_path):
    interleaved(tmp_path, {"AcquisitionNumber": 2})
    (tmp_path / "21").unlink()
    listed = {one.key: one for one in inspect_scan(tmp_path).studies[0].series}
    assert [listed[key].slices for key in ("5-1", "5-2")] == [20, 19]
    assert listed["5-1"].chosen
    with pytest.raises(ScanError, match="slice 11 is missing"):
        read_scan(tmp_path, series="5-2")


def test_odd_and_even_slices_of_an_mr_stay_together_with_a_note(tmp_path):
    interleaved(tmp_path, {"AcquisitionNumber": 2}, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 40
    assert any("could be 2 interleaved stacks, one per acquisition" in note for note in volume.notes)


def test_acquisitions_one_after_the_other_are_one_stack_with_a_note(tmp_path):
    """Table positions of one scan: the number changes once on the way."""
    for k, position in enumerate(even(40)):
        save(make_slice(position, picture(1), AcquisitionNumber=1 + k // 20, AcquisitionTime=f"12{k:02d}00"),
             tmp_path / str(k))  # fmt: skip
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 40
    assert any("2 acquisitions, one beside the other" in note for note in volume.notes)


@pytest.mark.parametrize("rotation", [1, 2, 4])
def test_rotations_that_count_as_acquisitions_are_one_stack(tmp_path, rotation):
    for k, position in enumerate(even(16)):
        save(make_slice(position, picture(1), AcquisitionNumber=1 + k // rotation, ContentTime=f"1200{k:02d}"),
             tmp_path / str(k))  # fmt: skip
    assert read_scan(tmp_path).voxels.shape[2] == 16


def test_direction_cosines_with_rounding_noise_stay_one_stack(tmp_path):
    """Noise of 1e-6 around a rounding boundary (x.xxx5) must not split the stack."""
    for k, position in enumerate(even(8)):
        angle = np.radians(10) + 1e-6 * (-1) ** k
        row = [np.cos(angle), np.sin(angle), 0, -np.sin(angle), np.cos(angle), 0]
        save(make_slice(position, picture(k), ImageOrientationPatient=row), tmp_path / str(k))
    assert read_scan(tmp_path).voxels.shape[2] == 8


@pytest.mark.parametrize("wanted", ["5", "abdomen", "1.2.3.4", "ABDOMEN"])
def test_series_is_found_by_number_description_or_uid(tmp_path, wanted):
    write_series(tmp_path / "a", even(6))
    write_series(tmp_path / "b", even(9), SeriesInstanceUID=generate_uid(), SeriesNumber="8", SeriesDescription="x")
    assert read_scan(tmp_path, series=wanted).voxels.shape[2] == 6


def test_unknown_series_lists_what_there_is(tmp_path):
    write_series(tmp_path, even(6))
    with pytest.raises(ScanError, match=r"no series '99'\. There are: 5"):
        read_scan(tmp_path, series="99")


def test_frames_of_reference_do_not_share_a_stack(tmp_path):
    write_series(tmp_path / "a", even(6))
    write_series(tmp_path / "b", even(4, start=5.0), FrameOfReferenceUID="1.2.3.10")
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 6
    assert volume.grid.frame_of_reference_uid == "1.2.3.9"


def test_emptied_uids_still_give_the_series(tmp_path):
    """Some anonymisers leave UIDs present but empty."""
    for k, position in enumerate(even(5)):
        dataset = make_slice(position, picture(k))
        dataset.SeriesInstanceUID = dataset.SOPInstanceUID = dataset.SOPClassUID = ""
        dataset.save_as(tmp_path / str(k), enforce_file_format=True)
    assert read_scan(tmp_path).voxels.shape[2] == 5


def test_a_segmentation_object_alone_is_no_scan(tmp_path):
    dataset = make_slice((0, 0, 0), picture(0), Modality="SEG", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    save(dataset, tmp_path / "seg.dcm")
    with pytest.raises(ScanError, match="Segmentation object"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [("B30f", False), ("B70f", True), ("Br40d\\3", False), ("Bl64f", True), ("LUNG", True), ("STANDARD", False)],
)
def test_sharp_kernels(kernel, sharp):
    assert is_sharp(kernel) is sharp


PHASES = {"native": ("nativ", 21), "portal": ("Abdomen portalvenös", 20), "arterial": ("Abdomen arteriell", 20)}


def three_phases(folder):
    for number, (description, count) in enumerate(PHASES.values()):
        tags = {"SeriesInstanceUID": f"1.9.{number}", "SeriesNumber": str(number + 1)}
        write_series(folder / str(number), even(count), SeriesDescription=description, **tags)


@pytest.mark.parametrize(("wanted", "key"), [(("portal",), "2"), (("arterial",), "3"), (("delayed", "native"), "1")])
def test_the_phase_that_is_wanted_counts_before_slices(tmp_path, wanted, key):
    three_phases(tmp_path)
    volume = read_scan(tmp_path, phases=wanted)
    assert volume.voxels.shape[2] == (21 if key == "1" else 20)
    told = next(note for note in volume.notes if "of other phases" in note)
    assert told.startswith(f"series {key} (")
    assert {f"series {one} (" in told.split(";")[1] for one in "123" if one != key} == {True}
    assert f"series {key} (" not in told.split(";")[1]


def test_without_a_wish_the_phases_left_are_told_and_foreseen(tmp_path):
    three_phases(tmp_path)
    volume, listing = read_scan(tmp_path), inspect_scan(tmp_path)
    assert volume.voxels.shape[2] == 21
    note = next(note for note in volume.notes if "of other phases" in note)
    assert "series 1 (native)" in note
    assert "series 2 (portal venous), series 3 (arterial)" in note
    assert note in listing.notes
    assert listing.chosen is not None
    assert listing.chosen.key == "1"


def test_a_series_of_no_stated_phase_comes_before_a_native_one(tmp_path):
    write_series(tmp_path / "a", even(21), SeriesDescription="native", SeriesInstanceUID="1.8", SeriesNumber="1")
    write_series(tmp_path / "b", even(20), ContrastBolusAgent="Iomeprol", SeriesInstanceUID="1.9", SeriesNumber="2")
    volume = read_scan(tmp_path, phases=("portal",))
    assert volume.voxels.shape[2] == 20
    assert any("series 1 (native)" in note for note in volume.notes)


def test_a_coarse_or_partial_series_is_not_taken_for_its_phase(tmp_path):
    write_series(tmp_path / "a", even(20), SeriesDescription="native", SeriesInstanceUID="1.8", SeriesNumber="1")
    write_series(tmp_path / "b", even(8, 5.0), SeriesDescription="portal", SeriesInstanceUID="1.9", SeriesNumber="2")
    write_series(tmp_path / "c", even(6), SeriesDescription="portal", SeriesInstanceUID="1.7", SeriesNumber="3")
    volume = read_scan(tmp_path, phases=("portal",))
    assert volume.voxels.shape[2] == 20
    assert any("series 2 (portal venous)" in note for note in volume.notes)


TORN = {
    "series UID": lambda k: {"SeriesInstanceUID": f"1.9.{k}"},
    "frame of reference": lambda k: {"FrameOfReferenceUID": f"1.9.{k}"},
    "series UID and frame of reference": lambda k: {
        "SeriesInstanceUID": f"1.9.{k}",
        "FrameOfReferenceUID": f"1.8.{k}",
    },
}


def torn(folder, positions, uids, **tags):
    for k, position in enumerate(positions):
        save(make_slice(position, picture(k), **uids(k), **tags), folder / f"{tags.get('PatientID', '')}{k}")


@pytest.mark.parametrize("what", TORN)
def test_slices_that_only_their_uids_tear_apart_are_joined_with_a_note(tmp_path, what):
    torn(tmp_path / "torn", even(8), TORN[what])
    write_series(tmp_path / "whole", even(8))
    volume, whole = read_scan(tmp_path / "torn"), read_scan(tmp_path / "whole")
    np.testing.assert_array_equal(volume.voxels, whole.voxels)
    np.testing.assert_array_equal(volume.affine, whole.affine)
    assert volume.grid.frame_of_reference_uid == ("" if "frame" in what else "1.2.3.9")
    assert any(f"has a {what} of its own" in note for note in volume.notes)
    listing = inspect_scan(tmp_path / "torn")
    assert listing.problem == ""
    assert listing.chosen is not None
    assert any("of its own" in one for one in listing.chosen.oddities)


@pytest.mark.parametrize("what", TORN)
def test_torn_slices_that_are_there_twice_are_joined(tmp_path, what):
    torn(tmp_path / "torn", even(8), TORN[what])
    shutil.copytree(tmp_path / "torn", tmp_path / "torn" / "copy")
    write_series(tmp_path / "whole", even(8))
    volume = read_scan(tmp_path / "torn")
    np.testing.assert_array_equal(volume.voxels, read_scan(tmp_path / "whole").voxels)
    assert any(f"each of its 8 slices has a {what} of its own" in note for note in volume.notes)


APART = {
    "a gap": ([p for k, p in enumerate(even(9)) if k != 4], {}),
    "two slices": (even(2), {}),
    "a repeat": ([*even(6), *even(6)[:3]], {}),
}


@pytest.mark.parametrize("case", APART)
def test_slices_that_are_no_even_stack_stay_apart(tmp_path, case):
    positions, tags = APART[case]
    torn(tmp_path, positions, TORN["series UID"], **tags)
    with pytest.raises(ScanError, match="single slice"):
        read_scan(tmp_path)


def test_slices_of_two_patients_are_never_joined(tmp_path):
    torn(tmp_path, even(8)[::2], TORN["series UID"], PatientID="A")
    torn(tmp_path, even(8)[1::2], lambda k: {"SeriesInstanceUID": f"1.7.{k}"}, PatientID="B")
    with pytest.raises(ScanError, match="2 patients"):
        read_scan(tmp_path)
