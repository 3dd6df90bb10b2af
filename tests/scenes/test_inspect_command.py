"""`preop inspect` on the terminal: one line per series at any width, and an exit code that tells if it can be used."""

from __future__ import annotations

import io
import json

import pytest
from dicom_files import even, write_series

from preop.imaging.inspect import Inspection, SeriesSummary, StudySummary
from preop.scenes.cli import main
from preop.scenes.tables import print_inspection

LONG = "Abdomen und Becken mit KM, Dünnschicht 1.0 mm, Br40d, überlappend rekonstruiert"


def summary(key="3", description=LONG, **changes) -> SeriesSummary:
    values = {
        "key": key, "modality": "CT", "description": description, "kind": "CT Image", "size": (512, 512, 1204),
        "spacing_mm": (0.6618, 0.6618, 0.7), "thickness_mm": 1.25, "orientation": "axial", "date": "2024-02-29",
        "manufacturer": "", "transfer_syntax": "JPEG Lossless, Non-Hierarchical, First-Order Prediction",
        "kernel": "", "body_part": "", "phase": "portal venous", "oddities": (), "usable": True, "chosen": False,
        "why": "",
    }  # fmt: skip
    return SeriesSummary(**{**values, **changes})


def printed(width: int, *series: SeriesSummary) -> list[str]:
    from rich.console import Console

    studies = tuple(StudySummary("patient 1", "2024-02-29", "", (one,)) for one in series)
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    print_inspection(Inspection("there", studies, 0, (), ""), console=console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [70, 80, 100, 200])
def test_a_series_takes_one_line(width):
    lines = printed(width, summary(), summary("S16-2", "頭部単純" * 8, chosen=True, why="the axial one"))
    assert len(lines) == 2 * 3 + 2, "per study its name, the header and one line; the legend and the verdict"
    assert max(map(len, lines)) <= width
    for line, key in ((lines[2], "3"), (lines[5], "S16-2")):
        assert key in line.split()[:2]
        assert "512×512×1204" in line
        assert "0.662×0.662×0.7 (1.25 thick)" in line
        assert ", portal" in line or width == 70
    assert lines[5].startswith("▶")
    assert lines[-1] == "Series S16-2 would be used: it is the axial one."


def test_a_wide_terminal_shows_all_and_a_narrow_one_what_is_odd():
    oblique = summary(orientation="oblique (axial)")
    wide = printed(200, oblique)
    for words in (LONG, "portal venous", "oblique (axial)", "JPEG Lossless"):
        assert words in wide[2]
    narrow = printed(80, oblique)
    assert "JPEG" not in narrow[2]
    assert "CT Abdome" in narrow[2]
    assert "oblique" in narrow[2]


@pytest.mark.parametrize(
    ("modality", "description", "kind", "shown"),
    [("CT", "", "CT Image", "CT Image"), ("MR", "", "Enhanced MR Image", "Enhanced MR Image"),
     ("OT", "", "Secondary Capture Image", "OT Secondary Capture Image"), ("CT", "CTA aorta", "CT Image", "CTA aorta"),
     ("RTPLAN", "", "RT Plan", "RT Plan"), ("CT", "Liver\n[b] 5", "CT Image", "CT Liver [b] 5"),
     ("", "scan.nii.gz", "NIfTI", "scan.nii.gz")],
)  # fmt: skip
def test_the_modality_is_said_once_and_a_description_as_it_is(modality, description, kind, shown):
    line = printed(120, summary(description=description, modality=modality, kind=kind, phase=""))[2]
    assert " ".join(line.split()).startswith(f"3 {shown} 512×512×1204")


def test_the_columns_of_all_studies_lie_below_each_other():
    lines = printed(120, summary("3", "short"), summary("S16-2", "a longer description"))
    assert len({line.index("512×512") for line in lines if "512×512" in line}) == 1


def test_usable_series_come_first_and_the_others_take_a_line_each():
    bad = [
        summary(f"S{n}", "", modality="RTPLAN", kind="RT Plan", size=(0, 0, 1), usable=False, phase="",
                why="not a scan but an RT Plan object", oddities=("odd",))
        for n in range(30)
    ]  # fmt: skip
    lines = printed(80, *bad, summary("7", "abdomen"))
    assert "7" in lines[2].split()[0]
    assert lines[3] == "–  S0   RT Plan: not a scan (patient 1)"
    assert len([line for line in lines if line.startswith("–  S")]) == 30
    assert len(lines) == 3 + 30 + 2
    assert lines[-2] == "Signs: – cannot be used"


def test_an_only_series_that_is_not_usable_keeps_its_study():
    lines = printed(80, summary(usable=False, why="a single slice, not a volume"))
    assert lines[0] == "patient 1, 2024-02-29"
    assert lines[1].endswith("512×512×1204: a single slice, not a volume")


def test_a_scan_that_can_be_used(tmp_path, capsys):
    write_series(tmp_path / "scan", even(6))
    assert main(["inspect", str(tmp_path / "scan")]) == 0
    assert "would be used: it is the only volume." in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["a single slice", "a missing slice"])
def test_a_scan_that_cannot_be_used_is_listed_and_exits_with_1(tmp_path, capsys, fault):
    places = even(20)
    write_series(tmp_path / "scan", places[:1] if fault == "a single slice" else places[:9] + places[10:])
    assert main(["inspect", str(tmp_path / "scan")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("16×12×" in line for line in lines), "the table"
    told = [line for line in lines if line.startswith("Not usable as it is:")]
    assert len(told) == 1
    assert fault.removeprefix("a ").split()[0] in told[0]
    assert "." in told[0][:-1], "says what to do next"
    assert main(["inspect", str(tmp_path / "scan"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert f"Not usable as it is: {found['problem']}" == told[0]


def test_what_is_odd_about_many_series_is_said_once():
    masks = [
        summary(key=str(number), oddities=("no modality", *(["bent"] if number == 2 else []))) for number in range(5)
    ]
    lines = one_study(*masks)
    assert [line.split(":")[0].strip() for line in lines if "no modality" in line] == ["all"]
    assert [line.split(":")[0].strip() for line in lines if "bent" in line] == ["2"]
    few = one_study(*masks[:2])
    assert sum("no modality" in line for line in few) == 2


def one_study(*series: SeriesSummary) -> list[str]:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=120, legacy_windows=False)
    print_inspection(Inspection("there", (StudySummary("patient 1", "", "", series),), 0, (), ""), console=console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]
