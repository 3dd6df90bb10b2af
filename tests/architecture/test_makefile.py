"""`make` mends an environment whose Python is gone, and leaves one that works alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


@pytest.mark.parametrize("state", ["works", "dead", "never made"])
def test_an_environment_is_made_anew_only_if_its_python_is_dead(tmp_path: Path, state: str) -> None:
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "scripts").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "scripts/find_python.sh", "scripts/system_libraries.py"):
        (tmp_path / name).write_text("", encoding="utf-8")
    # In place of the set-up: a Python that works, and a line that says so.
    setup = f'mkdir -p .venv/bin && ln -sf "{sys.executable}" .venv/bin/python && echo made\n'
    (tmp_path / "scripts" / "setup.sh").write_text(setup, encoding="utf-8")
    environment = {"PATH": "/usr/bin:/bin", "SYSTEM_LIBRARIES": "no"}

    def make() -> list[str]:
        done = subprocess.run(
            ["make", "setup"], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        return [line for line in done.stdout.splitlines() if line == "made"]

    if state == "never made":
        assert make() == ["made"]
        return
    make()
    if state == "dead":
        (tmp_path / ".venv" / "bin" / "python").unlink()
        (tmp_path / ".venv" / "bin" / "python").symlink_to(tmp_path / "gone")
    assert make() == (["made"] if state == "dead" else [])
    assert make() == []
