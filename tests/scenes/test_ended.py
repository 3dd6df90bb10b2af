"""A command that is ended, in whatever way, leaves nothing behind for longer than until the next one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from ended_process import SIGNALS, as_from_a_terminal, assert_ends_cleanly

from preop.scenes import leftovers


def waiting_command(tmp_path: Path) -> subprocess.Popen:
    """A command in the middle of its work: a scratch file written, a worker started."""
    code = (
        "import subprocess, sys, tempfile, time\n"
        "from preop.scenes import cli, run_command\n"
        "def work(arguments):\n"
        "    from preop.scenes.leftovers import temporary_files_together\n"
        "    with temporary_files_together(), tempfile.TemporaryDirectory() as folder:\n"
        "        open(folder + '/x', 'w').write('patient')\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "run_command.run_command = work\n"
        "sys.exit(cli.main(['run', 'liver-retraction']))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        as_from_a_terminal([sys.executable, "-c", code]),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert [name for name in os.listdir(tmp_path) if name.startswith(leftovers.SCRATCH)]
    return process


@pytest.mark.parametrize("sent", SIGNALS)
def test_a_signal_cleans_up(tmp_path, sent):
    assert_ends_cleanly(waiting_command(tmp_path), sent, tmp_path)


def test_what_a_killed_command_left_goes_with_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(leftovers, "_GRACE_SECONDS", 0.0)
    process = waiting_command(tmp_path)
    with leftovers.temporary_files_together() as mine:
        assert len(os.listdir(tmp_path)) == 2, "a running command's folder is not touched"
        with tempfile.NamedTemporaryFile() as file:
            assert Path(file.name).parent == mine
    process.kill()
    process.communicate()
    assert len(os.listdir(tmp_path)) == 1
    with leftovers.temporary_files_together():
        pass
    assert os.listdir(tmp_path) == []


def test_the_mesher_does_not_outlive_who_asked_for_it(tmp_path):
    """As after `kill -9` of preop: its worker would run on for minutes, for nobody."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs prctl")
    # The worker's reading blocks on the pipe, as fTetWild blocks in its loops.
    os.mkfifo(tmp_path / "in.npz")
    code = (
        "import os, subprocess, sys, time\n"
        "from preop.meshing._tetwild_worker import PARENT\n"
        "child = subprocess.Popen([sys.executable, '-m', 'preop.meshing._tetwild_worker', 'in.npz', 'out.npz'],"
        " env={**os.environ, PARENT: str(os.getpid())})\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8")
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    # Opening for writing waits until the worker has opened for reading: it is at work then.
    with open(tmp_path / "in.npz", "wb"):
        assert alive(worker)
        parent.kill()
        parent.wait()
        until = time.monotonic() + 20
        while alive(worker) and time.monotonic() < until:
            time.sleep(0.05)
        assert not alive(worker)


def alive(number: int) -> bool:
    """Running, that is neither gone nor waiting to be buried."""
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
