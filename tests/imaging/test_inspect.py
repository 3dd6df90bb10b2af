"""What `inspect_scan` lists, hides and prints."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import even, make_slice, picture, save, write_series

from preop.imaging.errors import ScanError, SegmentationError
from preop.imaging.inspect import inspect_scan, phase_hint
from preop.imaging.scan import read_scan
from preop.imaging.segmentation.registry import segmenter


@pytest.fixture
def export(tmp_path):
    """One study as a hospital exports it: scout, thick and thin series, a report, a viewer."""
    write_series(
        tmp_path / "scout",
        [(-10.0, -20.0, 50.0)],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        SeriesInstanceUID="1.1",
        SeriesNumber="1",
        SeriesDescription="Topogramm",
    )
    write_series(
        tmp_path / "thick", even(6, step=5.0), SeriesInstanceUID="1.2", SeriesNumber="2", SliceThickness="5",
        SeriesDescription="Abd. portal-venös 5.0",
    )  # fmt: skip
    write_series(
        tmp_path / "thin", even(21, step=1.5), SeriesInstanceUID="1.3", SeriesNumber="3",
        SeriesDescription="Abd. ven 1.5", Manufacturer="SIEMENS", ConvolutionKernel="Br40d",
    )  # fmt: skip
    report = make_slice((0, 0, 0), picture(0), SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Modality="SR",
                        SeriesInstanceUID="1.4", SeriesNumber="99")  # fmt: skip
    for keyword in ("Rows", "Columns", "PixelData", "ImagePositionPatient"):
        delattr(report, keyword)
    save(report, tmp_path / "report")
    (tmp_path / "autorun.inf").write_text("viewer")
    return tmp_path


def test_listing(export):
    found = inspect_scan(export)
    (study,) = found.studies
    assert [one.key for one in study.series] == ["1", "2", "3", "99"]
    scout, thick, thin, report = study.series
    assert not scout.usable
    assert "localiser" in scout.why
    assert not report.usable
    assert report.why == "not a scan but an Enhanced SR object"
    assert (thick.usable, thick.chosen) == (True, False)
    assert thin.chosen
    assert thin.size == (16, 12, 21)
    assert thin.spacing_mm == pytest.approx((0.5, 0.75, 1.5))
    assert (thin.orientation, thin.phase, thin.kernel) == ("axial", "portal venous", "Br40d")
    assert thick.thickness_mm == 5.0
    assert study.date == "2024-02-29"
    assert found.ignored_files == 1
    assert found.problem == ""
    assert found.chosen is thin
    assert (thin.why, thick.why) == ("the one with slices close enough", "")


def test_what_is_chosen_is_what_is_read(export):
    chosen = inspect_scan(export).chosen
    assert chosen is not None
    volume = read_scan(export)
    assert volume.voxels.shape == chosen.size
    assert read_scan(export, series=chosen.key).voxels.shape == chosen.size


def test_patients_are_numbered_unless_asked_for(export):
    found = inspect_scan(export)
    hidden = json.dumps(found.to_dict())
    for secret in ("Doe", "P1", "1.2.3", "1.3"):
        assert f'"{secret}' not in hidden
    shown = json.dumps(found.to_dict(identify=True))
    assert "Doe^Jane" in shown
    assert '"P1"' in shown


def test_no_pixel_is_read(export, monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("pixels were read")

    monkeypatch.setattr("preop.imaging.dicom_pixels.read_pixels", never)
    monkeypatch.setattr("preop.imaging.dicom_read.read_pixels", never)
    assert inspect_scan(export).chosen is not None


def test_faults_are_foreseen(tmp_path):
    write_series(tmp_path, [p for k, p in enumerate(even(20)) if k != 9])
    found = inspect_scan(tmp_path)
    assert "slice 10 is missing" in found.problem
    with pytest.raises(ScanError) as caught:
        read_scan(tmp_path)
    assert caught.value.line() == found.problem


def test_volume_files_that_cannot_be_read_are_told_in_a_sentence(tmp_path):
    """Lines that the terminal completes to "not usable, it is …"."""
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 4), np.int16)), str(tmp_path / "flat.nii"))
    (tmp_path / "text.nrrd").write_text("no volume")
    for name, words in (("flat.nii", "it has 2 dimensions (4 × 5), not 3"), ("text.nrrd", "it cannot be read")):
        found = inspect_scan(tmp_path / name)
        assert found.studies[0].series[0].why.startswith(f"not a readable volume: {words}")
        assert found.chosen is None
        with pytest.raises(ScanError) as caught:
            read_scan(tmp_path / name)
        assert caught.value.line() == found.problem


def test_a_file_name_that_is_no_text_is_told(tmp_path):
    """As an archive packed on another system leaves it; ITK ends the process over it."""
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 4, 3), np.int16)), str(tmp_path / "scan.nii"))
    try:
        (tmp_path / "scan.nii").rename(tmp_path / os.fsdecode(b"sch\xe4del.nii"))
    except OSError:
        pytest.skip("this file system takes no such name")
    found = inspect_scan(tmp_path)
    assert found.problem == r"sch\udce4del.nii: has a name that is not UTF-8 text. Rename the file"
    with pytest.raises(ScanError, match="not UTF-8"):
        read_scan(tmp_path)


def test_counts_of_one_are_singular(tmp_path):
    files = write_series(tmp_path, even(5))
    (tmp_path / "copy").write_bytes(files[0].read_bytes())
    (tmp_path / "empty").write_bytes(b"")
    found = inspect_scan(tmp_path)
    told = " ".join((*found.notes, *found.studies[0].series[0].oddities))
    assert "1 file left out: damaged or empty" in told
    assert "1 file left out: the same SOP instance" in told


def given_file(folder, values, name="v.mha"):
    image = sitk.GetImageFromArray(np.asarray(values, np.int16).T)
    image.SetSpacing((2.0, 2.0, 4.0))
    sitk.WriteImage(image, str(folder / name))
    return folder / name


@pytest.mark.parametrize(
    ("slices", "low", "oddity"),
    [(8, -1000, ""), (7, -1000, "it covers 28 mm of the body's length, and 30 mm are needed"),
     (8, 0, "not a CT in HU, which the built-in segmenter needs")],
)  # fmt: skip
def test_what_the_built_in_segmenter_would_refuse_is_told_of_a_volume_file(tmp_path, slices, low, oddity):
    """`low` is the least value: a CT holds air. The segmenter itself is asked as well."""
    values = np.full((30, 30, slices), 40)
    values[0] = low
    file = given_file(tmp_path, values)
    found = inspect_scan(file)
    chosen = found.chosen
    assert chosen is not None
    assert chosen.segmentable == (not oddity)
    assert not oddity or any(oddity in one for one in chosen.oddities)
    assert ("It needs labels made elsewhere" in printed(found)) == bool(oddity)
    volume = read_scan(file)
    if oddity:
        with pytest.raises(SegmentationError):
            segmenter().check(volume)
    else:
        segmenter().check(volume)


@pytest.mark.parametrize(
    ("tags", "count", "step", "told"),
    [({}, 31, 1.0, ""), ({}, 6, 5.0, ""), ({}, 25, 0.33, "it covers 8 mm of the body's length"),
     ({"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, 31, 1.0, "not a CT in HU"),
     ({}, 6, 9.0, "9.0 mm apart, and it works to 8 mm")],
)  # fmt: skip
def test_what_the_built_in_segmenter_would_refuse_is_told_of_a_series(tmp_path, tags, count, step, told):
    write_series(tmp_path, even(count, step=step), **tags)
    chosen = inspect_scan(tmp_path).chosen
    assert chosen is not None
    assert chosen.segmentable == (not told)
    assert [one for one in chosen.oddities if "built-in" in one and told in one] or not told
    assert told or not any("built-in" in one for one in chosen.oddities)


def test_values_that_are_no_scan_are_foreseen(tmp_path):
    image = sitk.GetImageFromArray(np.full((5, 6, 7), np.nan, np.float32))
    sitk.WriteImage(image, str(tmp_path / "v.mha"))
    found = inspect_scan(tmp_path / "v.mha")
    assert found.chosen is None
    with pytest.raises(ScanError, match="no number at all") as caught:
        read_scan(tmp_path / "v.mha")
    assert caught.value.line() == found.problem


def printed(found, **options) -> str:
    from rich.console import Console

    from preop.scenes.tables import print_inspection

    console = Console(file=io.StringIO(), width=80, legacy_windows=False)
    print_inspection(found, console=console, **options)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_printed_within_80_columns_and_without_names(export):
    text = printed(inspect_scan(export))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "Series 3 would be used" in text
    assert "Doe" not in text
    assert "Doe^Jane" in printed(inspect_scan(export), identify=True)


@pytest.mark.parametrize(
    ("description", "contrast", "phase"),
    [
        ("Abdomen nativ", "", "native"),
        ("LIVER W/O", "", "native"),
        ("CTA aorta 1.0", "ja", "arterial"),
        ("Abd art. 1mm", "", "arterial"),
        ("PORTAL VENOUS", "", "portal venous"),
        ("Abdomen_venous_1.5", "", "portal venous"),
        ("Spät", "", "delayed"),
        ("Abdomen", "Iomeron", "contrast, phase not stated"),
        ("Heart", "", ""),
        ("Ventral cut", "", ""),
        ("CT ABD w/o and with contrast portal", "", "portal venous"),
        ("Abdomen WITHOUT & WITH 5.0", "", "contrast, phase not stated"),
        ("abdomen w/o + w/ contrast arterial", "", "arterial"),
        ("late arterial 1.0", "", "arterial"),
        ("Aorta nativ", "", "native"),
        ("CTA venous", "", "portal venous"),
        ("Abd nativ/art/pv", "", "phase not clear: native or arterial or portal venous"),
        ("Portable", "", ""),
    ],
)
def test_phase_hints(description, contrast, phase):
    assert phase_hint(description, contrast) == phase


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("aorta", ""), ("renal_arteries", ""), ("portal_vein", ""), ("iliac_artery_left", ""),
        ("scan_arterial", "arterial"), ("aorta_cta", "arterial"), ("abdomen_portal", "portal venous"),
        ("venacava_venous", ""), ("vena_cava_inferior", ""), ("VenaPortae", ""), ("veine_cave", ""),
        ("veine_porte", ""), ("Vene_venös", ""), ("Lebervenen", ""), ("pfortader_portal", ""), ("Arterien", ""),
        ("arteria_hepatica", ""),
        ("artère_rénale_artérielle", ""), ("aorte", ""), ("aorte_native", "native"), ("ivc_ven", ""),
        ("portal_vein_arterial_phase", "arterial"), ("hepatic_vessels_venous_phase", "portal venous"),
        ("angio_arteria_iliaca", "arterial"), ("arterial-phase", "arterial"), ("abdomen_ven", "portal venous"),
    ],
)  # fmt: skip
def test_a_mask_named_after_a_vessel_is_in_no_phase(tmp_path, name, phase):
    file = tmp_path / f"{name}.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), np.int16)), str(file))
    (study,) = inspect_scan(file).studies
    assert study.series[0].phase == phase
