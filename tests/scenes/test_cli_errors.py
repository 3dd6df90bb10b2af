"""Bad input at the command line: one clear line, a non-zero exit, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from preop.imaging.dicom_write import write_ct_series
from preop.imaging.volume import Grid, ImageVolume

TINY = (24, 20, 12)


def preop(*arguments, cwd, **options):
    command = [sys.executable, "-m", "preop.scenes.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=300, check=False, **options)


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
    assert_one_line(run(tmp_path / "empty", tmp_path), "empty")


def test_a_path_that_is_not_there(tmp_path):
    assert_one_line(run(tmp_path / "nowhere", tmp_path), "nowhere")


def test_a_text_file(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear colleague,\nthank you for the patient.\n")
    assert_one_line(run(tmp_path / "letter.txt", tmp_path), "letter.txt")


def test_a_zip_without_a_scan(tmp_path):
    with zipfile.ZipFile(tmp_path / "letters.zip", "w") as archive:
        archive.writestr("letter.txt", "Dear colleague")
    assert_one_line(run(tmp_path / "letters.zip", tmp_path), "letters.zip")


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


def test_noise_holds_no_organ(scan, tmp_path):
    """A readable series in which there is no patient must not end in numbers."""
    assert_one_line(run(scan, tmp_path))


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


def test_a_full_disk(tmp_path):
    """Files may grow to 200 kB only, as on a disk that fills up while the phantom is written."""
    done = preop(
        "phantom", "--out", tmp_path / "p", "--shape", 128, 128, 128, cwd=tmp_path, preexec_fn=_small_files
    )  # fmt: skip
    assert_one_line(done, "file too large")
    assert os.listdir(tmp_path) == []


def _small_files():
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_folder_that_is_not_ours(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    done = preop("phantom", "--out", tmp_path / "out", "--overwrite", cwd=tmp_path)
    assert_one_line(done, "did not write")
    assert (tmp_path / "out" / "mine.txt").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_leaves_nothing(tmp_path, sent):
    command = [sys.executable, "-m", "preop.scenes.cli", "run", "liver-retraction", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stderr is not None
    # Wait for the first stage to speak, so that the signal meets work in progress.
    first = process.stderr.readline()
    assert first
    time.sleep(2)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert os.listdir(tmp_path) == []


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
