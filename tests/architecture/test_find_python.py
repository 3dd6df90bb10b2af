"""The Python that `make` sets up with: the first that is new enough and whole, or one line on what to install."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "find_python.sh"
SHELL = shutil.which("sh")
pytestmark = pytest.mark.skipif(SHELL is None, reason="no POSIX shell")

# Stand-ins: a version manager's shim for a version not chosen, Debian's Python without venv, a whole one, an old one.
SHIM = "exit 127"
WITHOUT_VENV = f'case "$2" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac'
WHOLE = f'exec {sys.executable} "$@"'
OLD = "exit 1"


def find(folder: Path, pythons: dict[str, str], wanted: str = "") -> subprocess.CompletedProcess[str]:
    """Run the script where only these Pythons are on the path."""
    for name, body in pythons.items():
        (folder / name).write_text(f"#!{SHELL}\n{body}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    environment = {"PATH": str(folder)} | ({"PYTHON": wanted} if wanted else {})
    return subprocess.run(
        [str(SHELL), str(SCRIPT)], env=environment, capture_output=True, encoding="utf-8", check=False
    )


def test_newest_whole_one_is_taken(tmp_path: Path) -> None:
    done = find(tmp_path, {"python3.13": SHIM, "python3.12": WITHOUT_VENV, "python3.11": WHOLE, "python3": WHOLE})
    assert (done.returncode, done.stdout) == (0, "python3.11\n")


def test_choice_of_the_user_is_taken(tmp_path: Path) -> None:
    done = find(tmp_path, {"python3.13": WHOLE, "mine": WHOLE}, wanted="mine")
    assert done.stdout == "mine\n"


def test_choice_that_is_too_old_is_told(tmp_path: Path) -> None:
    done = find(tmp_path, {"python3.13": WHOLE, "mine": OLD}, wanted="mine")
    assert done.returncode == 1
    assert "PYTHON=mine" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_python_without_venv_names_the_package(tmp_path: Path) -> None:
    done = find(tmp_path, {"python3": WITHOUT_VENV})
    assert done.returncode == 1
    assert f"python{sys.version_info[0]}.{sys.version_info[1]}-venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_python_is_told(tmp_path: Path) -> None:
    done = find(tmp_path, {"python3": OLD})
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert done.stdout == ""
