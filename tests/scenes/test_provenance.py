"""Where a result came from: sums of what was read, and no name of a folder or a person."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from preop.imaging.dicom_write import write_ct_series
from preop.imaging.image_files import write_image_file
from preop.imaging.inspect import inspect_scan
from preop.imaging.volume import Grid, ImageVolume
from preop.scenes import provenance
from preop.scenes.pipeline import read_patient
from preop.scenes.provenance import command_line, input_record
from preop.scenes.results import scene_text
from preop.scenes.scene_file import load_scene
from preop.scenes.session import Session

SHAPE = (20, 20, 12)
GRID = Grid(SHAPE, np.diag([1.0, 1.0, 2.0, 1.0]))


def voxels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-300, 300, SHAPE).astype(np.float32)


def told(scan: Path, tmp_path: Path) -> dict:
    """What is recorded of a scan when a scene reads it."""
    session = Session(load_scene("liver-retraction", [f"patient.scan={scan}"]), tmp_path)
    read_patient(session)
    (record,) = session.inputs
    return record


def test_the_sum_of_one_file_is_its_own(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    record = input_record("scan", [tmp_path / "a"])
    # FIPS 180-2, example B.1
    assert record["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert record["files"] == 1


def test_the_sum_of_several_is_what_its_recipe_gives(tmp_path):
    for name, text in (("b", b"2"), ("a", b"1"), ("c", b"3")):
        (tmp_path / name).write_bytes(text)
    sums = sorted(hashlib.sha256(text).hexdigest() for text in (b"1", b"2", b"3"))
    expected = hashlib.sha256("".join(f"{one}\n" for one in sums).encode()).hexdigest()
    files = [tmp_path / name for name in "cab"]
    assert input_record("scan", files) == {"name": "scan", "files": 3, "sha256": expected}


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_detached_header_counts_with_its_voxels(tmp_path, suffix):
    import SimpleITK as sitk

    file = tmp_path / f"scan{suffix}"
    sums = []
    for seed in (0, 1):
        sitk.WriteImage(sitk.GetImageFromArray(voxels(seed).T), str(file))
        record = told(file, tmp_path)
        assert record["files"] == 2
        sums.append(record["sha256"])
    assert sums[0] != sums[1], "the header is the same, the voxels are not"


def test_of_a_folder_the_slices_count_and_nothing_else(tmp_path):
    scan = tmp_path / "Smith_John"
    write_ct_series(ImageVolume(voxels(), GRID), scan, seed=1)
    before = told(scan, tmp_path)
    (scan / "letter.txt").write_text("Dear colleague")
    assert told(scan, tmp_path) == before
    assert before["files"] == SHAPE[2]
    assert "Smith" not in str(before)
    # The index of a medium stands for the slices, which are what was read.
    (scan / "DICOMDIR").write_bytes(b"index")
    assert told(scan / "DICOMDIR", tmp_path)["sha256"] == before["sha256"]
    victim = max(scan.glob("*.dcm"))
    data = victim.read_bytes()
    victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert told(scan, tmp_path)["sha256"] != before["sha256"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_counted_and_not_named(tmp_path, packed):
    """Hospitals name files and folders by patients; the listing of `preop inspect` is where to look."""
    scan = tmp_path / "Smith_John"
    write_ct_series(ImageVolume(voxels(), GRID), scan, seed=1)
    (scan / "Smith_John_1.dcm").write_bytes(b"")
    (scan / "Smith_John_2.dcm").write_bytes(b"")
    if packed:
        import shutil

        scan = Path(shutil.make_archive(str(tmp_path / "Smith"), "zip", tmp_path, "Smith_John"))
    session = Session(load_scene("liver-retraction", [f"patient.scan={scan}"]), tmp_path)
    read_patient(session)
    (note,) = [one for one in session.notes if "damaged or empty" in one]
    assert note.startswith("2 files left out")
    assert "Smith" not in " ".join([*session.notes, str(session.inputs), scene_text(session)])
    assert any("Smith_John_1.dcm" in one for one in inspect_scan(scan).notes)


def test_the_scene_as_run_tells_no_path_and_asks_for_the_scan(tmp_path):
    write_image_file(tmp_path / "Smith_John.nrrd", voxels(), GRID)
    scene = load_scene("liver-retraction", [f"patient.scan={tmp_path / 'Smith_John.nrrd'}"])
    session = Session(scene, tmp_path)
    read_patient(session)
    text = scene_text(session)
    assert "Smith" not in text
    assert str(tmp_path) not in text
    assert session.inputs[0]["sha256"] in text
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "scene.yaml").write_text(text, encoding="utf-8")
    again = load_scene(str(tmp_path / "again" / "scene.yaml"))
    assert again.patient.scan is None
    assert again.model_dump(exclude={"patient"}) == scene.model_dump(exclude={"patient"})


def test_labels_that_were_given_are_read_from_the_result(tmp_path):
    session = Session(load_scene("liver-retraction", ["segmentation.labels=../Smith/labels.nii.gz"]), tmp_path)
    assert yaml.safe_load(scene_text(session))["segmentation"]["labels"] == "labels.nii.gz"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["run", "liver-retraction", "--device", "cpu"], "preop run liver-retraction --device cpu"),
        (["run", "x", "--dicom", "Smith", "--out", "Smith-2"], "preop run x --dicom PATH --out PATH"),
        (["run", "x", "--dico", "Smith", "--out=Smith"], "preop run x --dico PATH --out=PATH"),
        (["run", "/home/smith/my.yaml"], "preop run PATH"),
        (["run", "smith.yaml", "--set", "patient.scan=Smith"], "preop run PATH --set patient.scan=PATH"),
        (["run", "x", "--set=segmentation.labels=Smith"], "preop run x --set=segmentation.labels=PATH"),
        (["run", "x", "--set", "options.tetrahedra=9"], "preop run x --set options.tetrahedra=9"),
    ],
)
def test_the_command_is_told_without_paths(given, expected):
    assert command_line(given) == expected


def test_the_commit_is_told_only_of_preops_own_checkout(tmp_path, monkeypatch):
    """Installed into an environment inside somebody else's repository, preop is not of their commit."""
    done = subprocess.run(["git", "init", "-q", str(tmp_path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no git here")
    site = tmp_path / "venv" / "preop" / "scenes"
    site.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(site / "provenance.py"))
    assert set(provenance.code_version()) == {"version"}
    (tmp_path / "venv" / "preop" / "pyproject.toml").write_text("")
    folder = tmp_path / "venv" / "preop"
    subprocess.run(["git", "init", "-q", str(folder)], check=True, capture_output=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, "commit", "-qm", "x", "--allow-empty"], check=True, cwd=folder)
    told_of = provenance.code_version()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()
    assert told_of["commit"] == head
    assert told_of["changed"] is False


@pytest.mark.parametrize("arguments", [["inspect", ""], ["run", "liver-retraction", "--dicom", ""], ["view", " "]])
def test_an_empty_path_is_not_this_folder(tmp_path, arguments):
    """As an unset variable of the shell gives it."""
    write_ct_series(ImageVolume(voxels(), GRID), tmp_path / "scan", seed=1)
    assert_refused(arguments, tmp_path, "is empty")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--seed", "-1"], "--seed: must be a whole number, 0 or more, not '-1'"), (["--seed", "x"], "--seed: must be"),
     (["--variation", "5"], "--variation: must be a number from 0 to 1, not '5'"),
     (["--variation", "nan"], "--variation: must be"), (["--shape", "1", "1", "1"], "cannot have (1, 1, 1) voxels")],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_at_the_option(tmp_path, arguments, said):
    assert_refused(["phantom", "--out", "p", *arguments], tmp_path, said)


def assert_refused(arguments: list[str], folder: Path, said: str) -> None:
    before = sorted(folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "preop.scenes.cli", *arguments],
        cwd=folder, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert sorted(folder.iterdir()) == before
