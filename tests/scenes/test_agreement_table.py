"""`preop compare` on the terminal: no name wraps, what holds of all is said once, nothing is lost."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from rich.console import Console

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.compare import Agreement, compare_labels, most_miss
from preop.imaging.labelfile import write_labels
from preop.imaging.volume import Grid, LabelMap
from preop.scenes.agreement_table import print_agreement
from preop.scenes.cli import main
from preop.scenes.pipeline import wholly_missed

NOTE = "labels resampled to the nearest voxel of another grid"


def row(name, dice, volume, truth, note=NOTE):
    distance = 1.5 if volume and truth else math.nan
    return Agreement(name, dice, dice / (2 - dice), distance, distance, volume, truth, note)


def printed(*rows, width=80, alone=()):
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    print_agreement(rows, only_in_labels=alone, console=console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_row_takes_one_line_of_80_columns():
    rows = (row("liver", 0.95, 1500.1, 1510.2), row("portal_vein_intrahepatic", 0.71, 21.0, 20.0))
    told = printed(*rows)
    assert "portal vein intrahepatic" in told
    assert max(map(len, told.splitlines())) <= 80
    lines = [line for line in told.splitlines() if "liver" in line or "portal" in line]
    assert [line.split()[-1] for line in lines] == ["-0.7", "+5.0"]
    assert "Jaccard" not in told


def test_a_remark_on_all_is_said_once():
    told = " ".join(printed(row("liver", 0.9, 1.0, 1.0), row("spleen", 0.8, 1.0, 1.0)).split())
    assert told.count("resampled") == 1


def test_what_the_labels_lack_keeps_dice_0_and_what_the_truth_lacks_has_no_row():
    told = printed(
        row("liver", 0.9, 1.0, 1.0, ""), row("spleen", 0.0, 0.0, 2.0, "the labels have no spleen"),
        row("aorta", 0.0, 3.0, 0.0, "the truth has no aorta"), alone=("stomach",), width=200,
    )  # fmt: skip
    lines = told.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("spleen")] == ["0.000"]
    assert "-100" not in told
    assert not [line for line in lines if line.startswith("aorta")]
    assert "In the truth, but not in the labels (Dice 0): spleen." in lines
    assert "In the labels, but not in the truth (not compared): aorta, stomach." in lines


def test_segments_most_of_which_miss_their_counterpart_are_a_finding():
    apart = [row("liver", 0.0, 1.0, 1.0), row("spleen", 0.0, 1.0, 1.0)]
    assert most_miss(apart)
    assert "of the same scan?" in " ".join(printed(*apart).split())
    assert most_miss([*apart, row("body", 0.155, 1.0, 1.0)]), "skins meet by chance"
    assert not most_miss([*apart, row("aorta", 0.1, 1.0, 1.0), row("bone", 0.7, 1.0, 1.0)])
    assert not most_miss(apart[:1]), "one small tumour may be missed"


def blocks(*names):
    """Blocks of 4³ voxels in a row, an empty one between any two."""
    voxels = np.zeros((8 * len(names), 4, 4), dtype=np.uint16)
    for number, name in enumerate(names):
        voxels[8 * number : 8 * number + 4] = SEGMENTS[name].label
    return LabelMap(voxels, Grid(voxels.shape, np.eye(4)), BY_LABEL)


def test_wholes_have_no_say_in_whether_most_segments_miss(tmp_path, capsys: pytest.CaptureFixture[str]):
    """Left and right kidney are swapped: two of three segments miss, though the kidneys as a whole are right. The
    distances that are left out, the line below the table and the exit status follow from the same rule."""
    ours, truth = blocks("kidney_left", "kidney_right", "liver"), blocks("kidney_right", "kidney_left", "liver")
    found = {one.name: one for one in compare_labels(ours, truth)}
    assert {name for name, one in found.items() if one.whole} == {"kidneys"}
    assert [found[name].dice for name in ("kidney_left", "kidney_right", "kidneys", "liver")] == [0, 0, 1, 1]
    assert math.isnan(found["kidney_left"].hausdorff_95_mm), "not measured, as most miss"
    for name, labels in (("ours", ours), ("truth", truth)):
        write_labels(tmp_path / f"{name}.nii.gz", labels)
    assert main(["compare", str(tmp_path / "ours.nii.gz"), str(tmp_path / "truth.nii.gz")]) == 1
    assert "of the same scan?" in " ".join(capsys.readouterr().out.split())
    # With one side's own mask of both kidneys and nothing else in common it is a segment like any other.
    assert not most_miss([row("kidneys", 1.0, 1.0, 1.0), row("liver", 0.9, 1.0, 1.0)])


def test_a_missed_segment_does_not_count_again_as_the_whole_it_makes_up():
    """One of two misses; counted again as the kidneys it would be two of three."""
    ours, truth = blocks("kidney_left", "spleen", "aorta"), blocks("spleen", "kidney_left", "aorta")
    found = compare_labels(ours, truth, ["kidney_left", "kidneys", "aorta"])
    assert [one.dice for one in found] == [0, 0, 1]
    assert not most_miss(found)


def test_the_help_says_when_the_exit_status_is_1(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "exit status is 1" in told
    assert "A whole, such as the kidneys" in told


def test_a_per_cent_is_one_in_the_help(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    told = capsys.readouterr().out
    assert "95 % Hausdorff" in told
    assert "%%" not in told


def test_a_bare_command_shows_the_help(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    told = capsys.readouterr().out
    for command in ("doctor", "inspect", "phantom", "run", "view", "scenes", "compare"):
        assert f"  {command}" in told


def label_map(*names):
    """One voxel each."""
    voxels = np.zeros((len(names), 1, 1), dtype=np.uint16)
    voxels[:, 0, 0] = [SEGMENTS[name].label for name in names]
    return LabelMap(voxels, Grid(voxels.shape, np.eye(4)), BY_LABEL)


def test_what_was_missed_wholly_is_named_and_parts_of_a_whole_that_was_given_are_not():
    labels = label_map("liver", "liver_vessels", "bone")
    truth = label_map("liver", "liver_tumor", "hepatic_vein", "ribs", "gallbladder", "portal_vein", "bone")
    gives = ("liver", "liver_tumor", "liver_vessels", "bone")
    assert wholly_missed(labels, truth, gives) == ["liver_tumor", "portal_vein", "gallbladder"]
    assert wholly_missed(labels, label_map("liver", "bone"), gives) == []
