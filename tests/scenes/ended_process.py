"""What is asked of every command that a signal ends, for the tests of whole commands and of waiting ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def as_from_a_terminal(command: list[str]) -> list[str]:
    """The command with no signal ignored, though what runs the tests may ignore some, as nohup does."""
    code = (
        "import os, signal, sys\n"
        "for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(one, signal.SIG_DFL)\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", code, *command]


def assert_ends_cleanly(process: subprocess.Popen, sent: signal.Signals, folder: Path) -> None:
    """Send a signal: exit code 130, one word about it, no traceback, and nothing left in the folder it worked in."""
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert os.listdir(folder) == []
