"""What `preop run` prints when it is done: the numbers, and every doubt about what the model is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_result import small_session

from preop.imaging.segmentation.base import Level, QualityNote
from preop.scenes.results import result_dict
from preop.scenes.run_command import _print_summary, doubts

SHORT = "Liver: followed over 35 of the 105 mm that the scan holds: a part of it is missing"


def result(**levels: Level) -> dict:
    session = small_session()
    assert session.segmentation is not None
    notes = tuple(
        QualityNote(name, 40.0, 1, 0, 0.0, False, True, level, SHORT.replace("Liver", name.capitalize()))
        for name, level in levels.items()
    )
    session.segmentation = replace(session.segmentation, notes=notes)
    return result_dict(session)


def test_doubts_about_the_model_are_printed_and_those_beside_it_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    data = result(liver="warn", spleen="warn", scan="warn")
    assert doubts(data) == [SHORT, SHORT.replace("Liver", "Scan")]
    _print_summary(data, Path("out"))
    told = " ".join(capsys.readouterr().out.split())
    assert f"Note: {SHORT}" in told
    assert "Spleen: followed" not in told
    assert "look at liver, of which the model is made" in told
    assert told.count("not a medical device") == 1


def test_what_a_warning_says_already_is_not_said_twice() -> None:
    data = result(liver="bad")
    data["warnings"] = [f"The computation is on a doubtful organ. {SHORT}."]
    assert doubts(data) == []


def test_numbers_have_the_digits_of_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    data = result(liver="ok")
    data["numbers"] = [{**data["numbers"][0], "value": 6.70820393, "unit": "mm"}]
    _print_summary(data, Path("out"))
    told = capsys.readouterr().out
    assert "6.71" in told
    assert "6.708" not in told
