"""An organ of which the scan holds a part only is not computed on as if it were whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from preop.imaging.errors import SegmentationError
from preop.imaging.segmentation.base import QualityNote
from preop.scenes.pipeline import require_whole
from preop.scenes.scene_file import load_scene
from preop.scenes.session import Session


def session_with(volume_ml: float, *, cut: bool, plausible: bool, accept: bool = False) -> Session:
    overrides = ["segmentation.accept_partial=true"] if accept else []
    session = Session(load_scene("liver-retraction", overrides), Path())
    note = QualityNote("liver", volume_ml, 1, 0, 0.0, cut, plausible, "warn" if cut else "ok", f"liver: {volume_ml} mL")
    session.segmentation = SimpleNamespace(notes=(note,))  # pyright: ignore[reportAttributeAccessIssue]
    return session


def test_a_slab_of_a_liver_is_refused_and_says_how_to_insist():
    with pytest.raises(SegmentationError, match=r"holds only a part.*538.*accept_partial"):
        require_whole(session_with(538, cut=True, plausible=False), ("liver",))
    insisted = session_with(538, cut=True, plausible=False, accept=True)
    require_whole(insisted, ("liver",))
    assert "doubtful" in insisted.notes[0]


def test_a_tip_cut_off_is_told_and_a_whole_liver_is_not():
    tip = session_with(1500, cut=True, plausible=True)
    require_whole(tip, ("liver",))
    assert len(tip.notes) == 1
    whole = session_with(1500, cut=False, plausible=True)
    require_whole(whole, ("liver",))
    assert whole.notes == []


def test_what_the_procedure_does_not_need_whole_may_be_cut():
    cut = session_with(100, cut=True, plausible=False)
    require_whole(cut, ("aorta",))
    assert cut.notes == []
