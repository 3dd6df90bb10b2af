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
