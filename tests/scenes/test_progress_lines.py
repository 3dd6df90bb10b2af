"""What a log shows of long work: each stage's beginning and end, and signs of life in words that can be followed."""

from __future__ import annotations

import pytest

from preop.meshing.tetrahedra import _of_try
from preop.scenes import progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    return now


def test_a_stage_is_named_once_in_each_line(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar.progress_bar("") as progress:
        for fraction, message in ((None, "tetrahedra"), (None, "tetrahedra: 60 s elapsed"), (0.4, "tetrahedra: try 2"),
                                  (0.5, "tetrahedra"), (1.0, "tetrahedra")):  # fmt: skip
            progress(fraction, message)
            clock[0] += 20
    assert capsys.readouterr().err.splitlines() == [
        "tetrahedra …", "tetrahedra: 60 s elapsed", "tetrahedra: 40 %, try 2", "tetrahedra: 50 %",
        "tetrahedra done in 80.0 s",
    ]  # fmt: skip


def test_seconds_that_count_anew_say_of_which_try() -> None:
    said: list[str] = []
    for number in (1, 2):
        _of_try(number, lambda _, message: said.append(message))(None, "9 s elapsed")
    assert said == ["9 s elapsed", "try 2, 9 s elapsed"]
