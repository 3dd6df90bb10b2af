"""Gravity follows how the patient lay in the scanner, unless the scene says otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import even, write_series
from small_result import small_session

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.scan import read_scan
from preop.imaging.segmentation.base import Segmentation
from preop.imaging.volume import Grid, ImageVolume, LabelMap
from preop.scenes.procedures import retraction
from preop.scenes.procedures.gravity import pull_of, told
from preop.scenes.results import result_dict
from preop.scenes.scene_file import load_scene
from preop.scenes.session import Session

LYING = {
    "HFS": (0, 1, 0), "FFS": (0, 1, 0), "HFP": (0, -1, 0), "FFP": (0, -1, 0), "HFDR": (-1, 0, 0), "FFDR": (-1, 0, 0),
    "HFDL": (1, 0, 0), "FFDL": (1, 0, 0), "hfp": (0, -1, 0),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("code", LYING)
def test_gravity_pulls_towards_what_the_patient_lay_on(tmp_path, code):
    """In the patient's own axes, so that feet first is as head first."""
    write_series(tmp_path, even(4), PatientPosition=code)
    volume = read_scan(tmp_path)
    assert volume.patient_position == code.upper()
    pull = pull_of(volume)
    np.testing.assert_allclose(pull.vector, 9.81 * np.array(LYING[code]), atol=1e-12)
    assert bool(pull.note) == ("S" not in code)


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("code", [None, "SITTING", "?/x"])
def test_a_scan_that_does_not_say_is_taken_for_supine_with_a_note(tmp_path, code):
    write_series(tmp_path, even(4), PatientPosition=code)
    pull = pull_of(read_scan(tmp_path))
    assert pull.vector == (0, 9.81, 0)
    assert "towards the back" in pull.note
    assert "/" not in pull.note


class Reached(Exception):
    """The body is made; what follows is physics."""


@pytest.mark.parametrize(
    ("settings", "expected"), [((), (0, -9.81, 0)), (("options.gravity=[0, 9.81, 0]",), (0, 9.81, 0))]
)
def test_the_body_hangs_as_the_patient_lay_unless_the_scene_says_otherwise(monkeypatch, settings, expected):
    shape, affine = (30, 30, 30), np.diag([3.0, 3.0, 3.0, 1.0])
    away = np.linalg.norm(np.argwhere(np.ones(shape)) * 3.0 - 45, axis=1).reshape(shape)
    labels = np.where(away < 35, SEGMENTS["liver"].label, 0).astype(np.uint16)
    grid = Grid(shape, affine)
    session = Session(load_scene("liver-retraction", ["options.tetrahedra=600", *settings]), Path())
    session.volume = ImageVolume(np.zeros(shape, np.float32), grid, patient_position="HFP")
    session.segmentation = Segmentation(LabelMap(labels, grid, BY_LABEL), (), True, "portal", "")

    def caught(problem, *_):
        (load,) = problem.loads
        np.testing.assert_allclose(np.asarray(load.acceleration), expected)
        raise Reached

    monkeypatch.setattr(retraction, "load_free_shape", caught)
    with pytest.raises(Reached):
        retraction.Retraction().run(session)


def test_the_report_says_which_way_gravity_pulled_and_who_says_so():
    session = small_session()
    volume = ImageVolume(np.zeros((2, 2, 2), np.float32), Grid((2, 2, 2), np.eye(4)), patient_position="HFDL")
    assert session.outcome is not None
    session.outcome = told(replace(session.outcome, assumptions=()), session.scene, pull_of(volume))
    data = result_dict(session)
    (row,) = [one for one in data["assumptions"] if one["name"].startswith("gravity")]
    assert row["name"] == "gravity, towards the patient's left"
    assert row["value"] == pytest.approx(9.81)
    assert "HFDL" in row["source"]
    assert any("on the left side" in note for note in data["notes"])
