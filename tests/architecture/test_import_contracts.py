"""The import contracts hold, and each of them bites: a file that breaks one makes the check fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("imaging", "meshing", "engine", "scenes", "xr")

# contract → the file that breaks it and what the file says.
VIOLATIONS = {
    "one-way": ("imaging/broken.py", "from ..meshing import mesh"),
    "xr-on-top": ("scenes/broken.py", "def later():\n    from ..xr import probe"),
    "jax-in-engine": ("meshing/broken.py", "def later():\n    import jax.numpy as jnp"),
    "pydicom-in-imaging": ("scenes/broken.py", "from pydicom.uid import UID"),
    "pydantic-in-scenes": ("imaging/broken.py", "from pydantic import BaseModel"),
    "openxr-in-xr": ("scenes/broken.py", "from OpenGL import GL"),
    "openxr-by-path": ("xr/broken.py", "def later():\n    import xr"),
    "bare-engine": ("engine/broken.py", "import yaml"),
    "plain-types": ("engine/broken.py", "from ..imaging import volume"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms and their contracts, laid out so that the copy is what `preop` means."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / "preop" / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lint(folder: Path, contract: str = "") -> subprocess.CompletedProcess[str]:
    """lint-imports in a process where `preop` is the copy: an editable install's finder comes after sys.path."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", code, "--no-cache", "--no-logo", *(("--contract", contract) if contract else ())]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_contracts_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_contract_has_a_violation_here() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]} == set(VIOLATIONS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_contract_bites(copy: Path, contract: str) -> None:
    name, text = VIOLATIONS[contract]
    broken = copy / "preop" / name
    broken.write_text(f"{text}\n", encoding="utf-8")
    try:
        done = lint(copy, contract)
    finally:
        broken.unlink()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
    assert f"preop.{name.split('/')[0]}.broken -> " in done.stdout


def test_indirect_way_into_engine_is_seen(copy: Path) -> None:
    """engine may import meshing's plain types, so these must not pull in a mesh library either."""
    mesh = copy / "preop" / "meshing" / "mesh.py"
    text = mesh.read_text(encoding="utf-8")
    (copy / "preop" / "engine" / "user.py").write_text("from ..meshing import mesh\n", encoding="utf-8")
    mesh.write_text(f"{text}\n\ndef later():\n    import pyvista\n", encoding="utf-8")
    try:
        done = lint(copy, "bare-engine")
    finally:
        mesh.write_text(text, encoding="utf-8")
        (copy / "preop" / "engine" / "user.py").unlink()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "preop.meshing.mesh -> pyvista" in done.stdout
