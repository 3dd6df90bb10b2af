"""Where a result came from: hashes, versions, device, times."""

from __future__ import annotations

import hashlib
import platform
import re
import shlex
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from .machine import processor_name, usable_cores

_PACKAGES = (
    "preop",
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "equinox",
    "pyamg",
    "pydicom",
    "SimpleITK",
    "scikit-image",
    "vtk",
    "pyvista",
    "trimesh",
    "pytetwild",
)


def input_record(name: str, files: Sequence[Path]) -> dict[str, Any]:
    """What was read, without its path or file names: these often hold a patient's or a user's name.

    Returns:
        `name` (what it was to the run), `files` (how many), `sha256`: of one file its own, as `sha256sum` gives it; of
        several that of their sums in sorted order, a line each, so that neither names nor places count:
        `sha256sum FILES | cut -c1-64 | sort | sha256sum`.
    """
    sums = sorted(_sum(file) for file in files)
    total = sums[0] if len(sums) == 1 else hashlib.sha256("".join(f"{one}\n" for one in sums).encode()).hexdigest()
    return {"name": name, "files": len(sums), "sha256": total}


def _sum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of preop and of what computed the numbers."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> dict[str, str | int]:
    """The machine in general terms; no host name and no user name."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": processor_name(),
        "cores": usable_cores(),
    }


def code_version() -> dict[str, str | bool]:
    """The version of preop's code: from a checkout also its commit, and whether files differ from it.

    Keys: `version`; `commit` and `changed` where preop runs from a git checkout and git is there to ask.
    """
    found: dict[str, str | bool] = {"version": metadata.version("preop")}
    room = Path(__file__).resolve().parent
    # The room lies at the top of the checkout: a repository further up is somebody else's.
    if not (room.parent / ".git").exists() or not (room.parent / "pyproject.toml").exists():
        return found
    commit = _git(room.parent, "rev-parse", "HEAD")
    if commit:
        found["commit"] = commit
        found["changed"] = bool(_git(room.parent, "status", "--porcelain", "--untracked-files=no"))
    return found


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder, capture_output=True, encoding="utf-8", errors="replace", timeout=20, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def command_line(arguments: Sequence[str]) -> str:
    """The command as it was given, with `PATH` for each path: names of folders are often names of people."""
    told: list[str] = []
    for argument in arguments:
        told.append("PATH" if told and _PATH_OPTION.fullmatch(told[-1]) else _without_path(argument))
    return shlex.join(["preop", *told])


_PATH_OPTION = re.compile(r"--di\w*|--out?")
"""--dicom and --out, also where argparse was given their first letters."""
_PATH_VALUE = re.compile(r"(--di\w*=|--out?=|.*(?:patient\.scan|segmentation\.labels)\s*=).*", re.DOTALL)


def _without_path(argument: str) -> str:
    named = _PATH_VALUE.fullmatch(argument)
    if named:
        return f"{named[1]}PATH"
    return "PATH" if re.search(r"[/\\]", argument) or argument.endswith((".yaml", ".yml")) else argument
