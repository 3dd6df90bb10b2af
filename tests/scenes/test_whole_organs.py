"""An organ of which the scan holds a part only is not computed on as if it were whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.errors import SegmentationError
from preop.imaging.segmentation.base import Segmentation
from preop.imaging.segmentation.quality import assess_all, summary
from preop.imaging.volume import Grid, ImageVolume, LabelMap
from preop.scenes.cli import main
from preop.scenes.scene_file import load_scene
from preop.scenes.session import Session
from preop.scenes.whole_organs import note_missing, require_whole
from shared_data import shared

STEP = 4.0


def session_with(low_mm: float, high_mm: float, *, accept: bool = False, name: str = "liver") -> Session:
    """A scan between two heights of a body with an ellipsoid organ of 1.57 L from -75 to 75 mm, judged as any other."""
    overrides = ["segmentation.accept_partial=true"] if accept else []
    session = Session(load_scene("liver-retraction", overrides), Path())
    x, y, z = np.arange(-110, 111, STEP), np.arange(-60, 61, STEP), np.arange(low_mm, high_mm + 1, STEP)
    away = (x[:, None, None] / 100) ** 2 + (y[None, :, None] / 50) ** 2 + (z[None, None, :] / 75) ** 2
    grid = Grid(away.shape, np.diag([STEP, STEP, STEP, 1.0]))
    voxels = np.where(away < 1, SEGMENTS[name].label, 0).astype(np.uint16)
    labels = LabelMap(voxels, grid, BY_LABEL)
    session.volume = ImageVolume(np.full(grid.shape, 100.0, np.float32), grid)
    notes = assess_all(labels, session.volume)
    assert all(note.level != "bad" for note in notes)
    session.segmentation = Segmentation(labels, notes, True, "portal", summary(notes, "portal"))
    return session


@pytest.mark.parametrize("ends", [(-20, 20), (-20, 90), (-90, 30)], ids=["slab", "no lower part", "no dome"])
def test_a_slab_of_a_liver_is_refused_and_says_how_to_insist(ends):
    with pytest.raises(SegmentationError, match=r"holds only a part.*accept_partial"):
        require_whole(session_with(*ends), ("liver",))


def test_whoever_insists_gets_a_result_that_is_not_to_be_trusted():
    session = session_with(-20, 20, accept=True)
    require_whole(session, ("liver",))
    assert session.segmentation is not None
    assert not session.segmentation.trusted
    note = session.segmentation.note("liver")
    assert note is not None
    assert note.level == "bad"
    assert "do not trust what is computed on it" in note.text
    assert "doubtful" in session.notes[0]


def test_a_tip_cut_off_is_told_and_a_whole_liver_is_not():
    tip = session_with(-90, 69)
    require_whole(tip, ("liver",))
    assert len(tip.notes) == 1
    whole = session_with(-90, 90)
    require_whole(whole, ("liver",))
    assert whole.notes == []


def test_what_the_procedure_does_not_need_whole_may_be_cut():
    cut = session_with(-20, 20)
    require_whole(cut, ("aorta",))
    assert cut.notes == []


def test_what_the_scene_shows_and_nobody_found_is_told():
    session = session_with(-90, 90)
    kind = load_scene("liver-retraction")
    from preop.scenes.procedures import procedure

    note_missing(session, procedure(kind.procedure).parse(kind))
    (told,) = session.notes
    for name in ("portal vein", "gallbladder", "left kidney", "right kidney", "inferior vena cava", "liver tumour"):
        assert name in told
    assert "liver," not in told
    assert "_" not in told


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_slab_of_a_real_liver_is_refused(tmp_path, capsys):
    """Twenty slices of 2 mm: a third of the liver, well segmented as far as it goes."""
    scan = shared("ct_abdomen_20slices_dicom.zip")
    out = tmp_path / "out"
    assert main(["run", "liver-retraction", "--dicom", str(scan), "--out", str(out)]) != 0
    told = " ".join(capsys.readouterr().err.split())
    assert "holds only a part" in told
    assert "accept_partial" in told
    assert not out.exists()
