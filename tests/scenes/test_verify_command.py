"""`preop verify`: options, exit codes, the table, JSON, and what is printed of an interrupted run."""

from __future__ import annotations

import io
import json

import pytest

from preop.engine.tissue.verification import registry
from preop.engine.tissue.verification.case import Case, Computed, Quantity
from preop.engine.tissue.verification.limits import Limit
from preop.engine.tissue.verification.run import verify
from preop.imaging.errors import NOT_A_MEDICAL_DEVICE
from preop.scenes.cli import INTERRUPTED, main
from preop.scenes.verification_table import print_outcomes

LIMIT = Limit(0.01, "for a test")


def case(name: str, value: float, *, quick: bool = True, missing: str = "") -> Case:
    quantities = (Quantity("size", 2.0, LIMIT, "m"), Quantity("order", 1.0, LIMIT, measure="at least"))
    return Case(
        name, f"book of {name}", quantities, lambda _: Computed({"size": value, "order": 1.5}, "3 T4"),
        quick=quick, missing=lambda: missing,
    )  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of cases that compute nothing."""
    cases = (
        case("good", 2.01),
        case("bad", 2.1),
        case("long", 2.0, quick=False),
        case("absent", 2.0, missing="no data"),
    )
    monkeypatch.setattr(registry, "CASES", cases)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("options", "code"), [([], 1), (["--case", "good"], 0), (["--case", "absent"], 0)])
def test_exit_code_tells_whether_all_pass(options: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "tissue", *options]) == code
    out = capsys.readouterr().out
    assert out.rstrip().endswith(NOT_A_MEDICAL_DEVICE)
    assert ("1 of 1 cases pass" in out) == (options[-1:] == ["good"])


@pytest.mark.usefixtures("few")
def test_table_has_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    main(["verify", "tissue"])
    out = capsys.readouterr().out
    assert "2 of 3 cases pass, 1 left out; not within limits: bad." in out
    assert "absent was left out: no data" in out
    (row,) = [line for line in out.splitlines() if "2.1 " in line]
    assert row.split() == ["size", "2", "m", "2.1", "5", "%", "1", "%", "✗"]
    assert "≥ 1" in out
    assert "[2] book of bad" in out
    assert "3 T4, [2]" in out


@pytest.mark.usefixtures("few")
def test_json_is_all_there_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "tissue", "--json", "--case", "[gba]*"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["disclaimer"] == NOT_A_MEDICAL_DEVICE
    assert document["passed"] is False
    assert [one["name"] for one in document["cases"]] == ["good", "bad", "absent"]
    good, bad, absent = document["cases"]
    assert (good["passed"], bad["passed"], absent["passed"]) == (True, False, False)
    assert absent["skipped"] == "no data"
    size = bad["quantities"][0]
    assert size["error"] == pytest.approx(0.05)
    assert {key: size[key] for key in ("name", "unit", "reference", "computed", "limit", "limit_reason", "passed")} == {
        "name": "size", "unit": "m", "reference": 2.0, "computed": 2.1, "limit": 0.01, "limit_reason": "for a test",
        "passed": False,
    }  # fmt: skip


@pytest.mark.usefixtures("few")
def test_list_and_quick(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "tissue", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("good", "bad", "long", "absent"))
    assert main(["verify", "tissue", "--list", "--quick", "--json"]) == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)["cases"]]
    assert names == ["good", "bad", "absent"]


@pytest.mark.usefixtures("few")
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "tissue", "--case", "unheard"]) == 2
    assert capsys.readouterr().err.splitlines() == ["preop: verify: no case matches 'unheard'. --list shows all"]
    with pytest.raises(SystemExit) as stop:
        main(["verify", "bones"])
    assert stop.value.code == 2


def test_what_is_there_is_printed_when_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: object) -> Computed:
        raise KeyboardInterrupt

    endless = Case("endless", "a test", (Quantity("size", 1.0, LIMIT),), stop)
    monkeypatch.setattr(registry, "CASES", (case("good", 2.0), endless))
    assert main(["verify", "tissue"]) == INTERRUPTED
    captured = capsys.readouterr()
    assert "good" in captured.out
    assert "interrupted" in captured.err


@pytest.mark.parametrize("width", [100, 160])
def test_terminal_rows_keep_to_the_width(width: int) -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    print_outcomes(list(verify([case("good", 2.0), case("bad", 3.0)])), console=console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width


@pytest.mark.usefixtures("few")
def test_page_is_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "tissue", "--markdown"]) == 1
    page = capsys.readouterr().out
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert "| `good` q | size | 2 m | 2.01 | 0.5 % | 1 % | yes |" in page
    assert "| `long` | size |" in page
    assert "**no**" in page
    assert "left out: no data" in page
    assert "* `bad`: book of bad. Mesh: 3 T4. Limit: for a test." in page
    assert page.rstrip().endswith(NOT_A_MEDICAL_DEVICE)
