"""What the pipeline makes of a scan before any work on it."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import even, write_series

from preop.imaging.errors import GeometryError, ScanError
from preop.scenes.pipeline import read_patient
from preop.scenes.scene_file import load_scene
from preop.scenes.session import Session


def session_of(scan: Path, *settings: str, scene: str = "liver-retraction") -> Session:
    return Session(load_scene(scene, [f"patient.scan={scan}", *settings]), scan.parent)


def test_a_tilted_scan_that_may_not_be_straightened_is_refused_at_once(tmp_path):
    tilt = np.radians(12)
    orientation = [f"{x:.10g}" for x in (1, 0, 0, 0, np.cos(tilt), -np.sin(tilt))]
    write_series(tmp_path / "ct", even(8), ImageOrientationPatient=orientation)
    with pytest.raises(GeometryError, match="sheared") as caught:
        read_patient(session_of(tmp_path / "ct", "patient.straighten_tilt=false"))
    assert "straighten_tilt=true" in caught.value.line()
    session = session_of(tmp_path / "ct")
    read_patient(session)
    assert session.volume is not None
    assert session.volume.grid.is_orthogonal


def phases(folder: Path) -> Path:
    for number, (name, count) in enumerate((("native", 21), ("arterial", 20), ("portal venous", 20))):
        tags = {"SeriesDescription": name, "SeriesInstanceUID": f"1.9.{number}", "SeriesNumber": str(number + 1)}
        write_series(folder / str(number), even(count), **tags)
    return folder


@pytest.mark.parametrize(
    ("scene", "settings", "key"),
    [
        ("liver-retraction", (), "3 (portal"),
        ("aneurysm-wall", (), "2 (arterial"),
        ("liver-retraction", ("segmentation.phase=arterial",), "2 (arterial"),
        ("liver-retraction", ("segmentation.phase=arterial", "patient.phases=[native]"), "1 (native"),
        ("aneurysm-wall", ("patient.phases=[]",), "1 (native"),
        ("aneurysm-wall", ("patient.series=3",), ""),
    ],
)
def test_each_operation_takes_the_phase_it_needs(tmp_path, scene, settings, key):
    session = session_of(phases(tmp_path / "ct"), *settings, scene=scene)
    read_patient(session)
    told = [note for note in session.notes if "of other phases" in note]
    assert [note.startswith(f"series {key}") for note in told] == ([True] if key else [])


def test_a_scan_without_a_place_is_refused_unless_the_scene_accepts_it(tmp_path, capsys):
    from preop.scenes.cli import main

    file = tmp_path / "v.nii"
    image = nibabel.Nifti1Image(np.full((20, 20, 20), -1000, np.int16), None)
    image.set_sform(np.eye(4), code=0)
    image.set_qform(np.eye(4), code=0)
    nibabel.save(image, file)
    with pytest.raises(ScanError, match="does not say how it lies in the patient") as caught:
        read_patient(session_of(file))
    advised = next(word for word in caught.value.line().split() if word.startswith("patient."))
    assert main(["inspect", str(file)]) == 1
    told = capsys.readouterr().out
    assert f"Not usable as it is: {caught.value.line()}" in told
    assert "would be used" not in told
    session = session_of(file, advised)
    read_patient(session)
    assert any("left and right may be the wrong way round" in note for note in session.notes)
