"""What the pipeline makes of a scan before any work on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import even, write_series

from preop.imaging.errors import GeometryError
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
