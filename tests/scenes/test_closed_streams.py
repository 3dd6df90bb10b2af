"""`preop … 2>&-` and `>&-`: what would be told there is lost, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dicom_files import even, write_series


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
@pytest.mark.parametrize("there", [True, False])
def test_a_closed_stream_is_no_fault(tmp_path: Path, closed: str, there: bool) -> None:
    if there:
        write_series(tmp_path / "ct", even(5))
    command = f'"$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-m", "preop.scenes.cli", "inspect", str(tmp_path / "ct")],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == (0 if there else 2)
    assert "fault" not in done.stdout + done.stderr
    assert bool(done.stdout) == (there and ">&-" not in closed.replace("2>&-", ""))
