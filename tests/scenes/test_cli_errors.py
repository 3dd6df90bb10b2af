"""Bad input at the command line: one clear line, a non-zero exit, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ended_process import SIGNALS, as_from_a_terminal, assert_ends_cleanly

from preop.imaging.dicom_write import write_ct_series
from preop.imaging.errors import PreopError
from preop.imaging.volume import Grid, ImageVolume
from preop.scenes import pipeline
from preop.scenes.scene_file import load_scene

TINY = (24, 20, 12)


def preop(*arguments, cwd):
    command = [sys.executable, "-m", "preop.scenes.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=300, check=False)


def assert_one_line(done, *words, code=2):
    """The last line on stderr is the error; no traceback; every word in it."""
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("preop:")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word.lower() in lines[0].lower(), lines[0]


def series(folder: Path, *, seed=0, patient="Alpha") -> list[Path]:
    rng = np.random.default_rng(seed)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    volume = ImageVolume(rng.normal(0, 20, TINY).astype(np.float32), Grid(TINY, affine, f"2.25.{seed + 1}"))
    return write_ct_series(volume, folder, seed=seed, patient_name=patient, patient_id=patient)


@pytest.fixture
def scan(tmp_path):
    series(tmp_path / "scan")
    return tmp_path / "scan"


def run(path, tmp_path):
    """`preop run` on a scan; whatever goes wrong, no result folder and no litter may stay."""
    done = preop("run", "liver-retraction", "--dicom", path, "--out", tmp_path / "out", cwd=tmp_path)
    assert not (tmp_path / "out").exists()
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".partial")]
    return done


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    assert_one_line(run(tmp_path / "empty", tmp_path), "there are no files in it", "Give a DICOM folder")


def test_a_path_that_is_not_there(tmp_path):
    assert_one_line(run(tmp_path / "nowhere", tmp_path), "nothing at this path", "spelling")


def test_a_text_file(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear colleague,\nthank you for the patient.\n")
    assert_one_line(run(tmp_path / "letter.txt", tmp_path), "this file is no scan", "Give a DICOM folder")


def test_a_zip_without_a_scan(tmp_path):
    with zipfile.ZipFile(tmp_path / "letters.zip", "w") as archive:
        archive.writestr("letter.txt", "Dear colleague")
    assert_one_line(run(tmp_path / "letters.zip", tmp_path), "no DICOM object")


def test_a_truncated_slice(scan, tmp_path):
    victim = sorted(scan.iterdir())[5]
    victim.write_bytes(victim.read_bytes()[:-400])
    assert_one_line(run(scan, tmp_path), victim.name)


def test_a_missing_slice(scan, tmp_path):
    sorted(scan.iterdir())[5].unlink()
    assert_one_line(run(scan, tmp_path), "missing")


def test_two_patients_mixed(scan, tmp_path):
    series(tmp_path / "other", seed=7, patient="Beta")
    for file in (tmp_path / "other").iterdir():
        file.rename(scan / f"b_{file.name}")
    assert_one_line(run(scan, tmp_path), "patient")


def test_a_localiser_only(scan, tmp_path):
    import pydicom

    for file in scan.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.save_as(file)
    assert_one_line(run(scan, tmp_path), "locali")


def test_a_scan_that_is_too_short_is_told_before_it_is_segmented(scan, tmp_path):
    done = run(scan, tmp_path)
    assert_one_line(done, "24 mm", "it needs 30 mm")
    assert "segmentation done" not in done.stderr


def test_noise_holds_no_organ(tmp_path):
    """A readable series, long enough, in which there is no patient: segmented, and not a number comes of it."""
    rng = np.random.default_rng(3)
    grid = Grid((64, 64, 60), np.diag([5.0, 5.0, 5.0, 1.0]), "2.25.9")
    noise = ImageVolume(rng.normal(-500, 400, grid.shape).clip(-1024, 3000).astype(np.float32), grid)
    write_ct_series(noise, tmp_path / "noise", seed=9)
    done = run(tmp_path / "noise", tmp_path)
    assert "read scan done" in done.stderr
    assert_one_line(done, "body")


def test_a_label_that_is_absent(scan, tmp_path):
    """A label map without the liver: named, with the labels that are there."""
    from preop.imaging.anatomy import BY_LABEL, SEGMENTS
    from preop.imaging.labelfile import write_labels
    from preop.imaging.volume import LabelMap

    voxels = np.full(TINY, SEGMENTS["spleen"].label, dtype=np.uint16)
    write_labels(tmp_path / "labels.nii.gz", LabelMap(voxels, Grid(TINY, np.diag([1.0, 1.0, 2.0, 1.0])), BY_LABEL))
    done = preop(
        "run", "liver-retraction", "--dicom", scan, "--out", tmp_path / "out",
        "--set", f"segmentation.labels={tmp_path / 'labels.nii.gz'}", cwd=tmp_path,
    )  # fmt: skip
    assert_one_line(done, "no voxel is labelled liver", "spleen")
    assert not (tmp_path / "out").exists()


def test_an_unknown_key_and_an_unknown_scene(tmp_path):
    assert_one_line(
        preop("run", "liver-retraction", "--set", "optoins.tetrahedra=9", cwd=tmp_path), "optoins", "options"
    )
    assert_one_line(preop("run", "no-such-scene", cwd=tmp_path), "no-such-scene", "liver-retraction")
    assert os.listdir(tmp_path) == []


def test_a_key_without_its_part_is_told_with_it(tmp_path):
    with pytest.raises(PreopError, match=r"unknown key tetrahedra; did you mean options\.tetrahedra\?"):
        load_scene("liver-retraction", ["tetrahedra=5"])
    with pytest.raises(PreopError, match=r"did you mean segmentation\.phase\?"):
        load_scene("liver-retraction", ["phase=portal"])


@pytest.mark.parametrize(
    ("said", "meant"), [("venous", "portal"), ("plain", "native"), ("late arterial", "arterial"), ("portl", "portal")]
)
def test_another_name_of_a_phase_is_understood_well_enough_to_help(said, meant):
    with pytest.raises(PreopError, match=rf"not '{said}'; did you mean {meant}\?"):
        load_scene("liver-retraction", [f"segmentation.phase={said}"])


def test_a_result_is_no_scan_and_a_phantom_no_result(tmp_path):
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "result.json").write_text('{"layout": 1, "scene": {"name": "x"}, "numbers": []}')
    assert_one_line(run(tmp_path / "result", tmp_path), "result folder", "a scan is wanted", "preop view")
    assert_one_line(preop("inspect", tmp_path / "result", cwd=tmp_path), "result folder", "a scan is wanted")
    done = preop("phantom", "--out", tmp_path / "p", "--shape", 32, 32, 32, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_one_line(preop("view", tmp_path / "p", cwd=tmp_path), "this is a phantom", "--dicom")
    assert preop("inspect", tmp_path / "p", cwd=tmp_path).returncode == 0


def test_a_full_disk(tmp_path):
    """A file system of one megabyte, in a mount namespace of its own."""
    (tmp_path / "disk").mkdir()
    small = 'mount -t tmpfs -o size=1m none disk && "$@"; code=$?; ls -A disk; exit $code'
    if subprocess.run(["unshare", "-rm", "sh", "-c", small, "sh", "true"], cwd=tmp_path, check=False).returncode:
        pytest.skip("no file system can be mounted here, not even for one process")
    command = [sys.executable, "-m", "preop.scenes.cli", "phantom", "--out", "disk/p", "--shape", "128", "128", "128"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", small, "sh", *command],
        cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert_one_line(done, "disk/p", "the disk is full", "free some space")
    assert done.stdout == "", "the listing of the disk afterwards"


def test_a_file_that_may_not_grow(tmp_path):
    """Files of at most 40 blocks of 512 bytes, as a limit on a person's files has it."""
    out = str(tmp_path / "p")
    command = [sys.executable, "-m", "preop.scenes.cli", "phantom", "--out", out, "--shape", "128", "128", "128"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 40 && exec "$@"', "sh", *command],
        cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert_one_line(done, "file too large", out)
    assert os.listdir(tmp_path) == []


def test_a_file_that_may_not_be_read_is_not_told_as_a_place_that_may_not_be_written(tmp_path, monkeypatch):
    def forbidden(session):
        raise PermissionError(errno.EACCES, "Permission denied", "/scans/0001.dcm")

    monkeypatch.setattr(pipeline, "read_patient", forbidden)
    with pytest.raises(PreopError) as caught:
        pipeline.run_scene(load_scene("liver-retraction"), tmp_path / "out")
    assert caught.value.line().startswith("/scans/0001.dcm: permission denied")
    assert "write" not in caught.value.line()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_ours(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    done = preop("phantom", "--out", tmp_path / "out", "--overwrite", cwd=tmp_path)
    assert_one_line(done, "did not write")
    assert (tmp_path / "out" / "mine.txt").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("sent", SIGNALS)
def test_interrupting_leaves_nothing(tmp_path, sent):
    command = [sys.executable, "-m", "preop.scenes.cli", "run", "liver-retraction", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(as_from_a_terminal(command), cwd=tmp_path, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stderr is not None
    # Wait for the first stage to speak, so that the signal meets work in progress.
    first = process.stderr.readline()
    assert first
    time.sleep(2)
    assert_ends_cleanly(process, sent, tmp_path)


def test_compare_prints_a_table_and_json(tmp_path):
    done = preop("phantom", "--out", tmp_path / "p", "--shape", 128, 128, 128, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = preop("compare", tmp_path / "p", tmp_path / "p", "--json", "--names", "liver", "spleen", cwd=tmp_path)
    rows = json.loads(again.stdout)["segments"]
    assert {row["name"] for row in rows} == {"liver", "spleen"}
    assert all(row["dice"] == 1.0 and row["hausdorff_95_mm"] == 0.0 for row in rows)
    table = preop("compare", tmp_path / "p", tmp_path / "p", cwd=tmp_path)
    assert "liver" in table.stdout
    assert "not a medical device" in " ".join(table.stdout.split())
