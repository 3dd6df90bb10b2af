"""What importing a module pulls in, seen from a fresh process.

`preop --help` must not wait for a library that it does not use, and a bare GPU node has only
JAX, its libraries, numpy, scipy, pyamg and numba.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("imaging", "meshing", "engine", "scenes", "xr")
HEAVY = {
    "vtk", "vtkmodules", "pyvista", "jax", "jaxlib", "SimpleITK", "skimage", "scipy", "pydantic", "pydicom", "numpy",
    "matplotlib", "trimesh", "pytetwild", "numba", "PySide6", "OpenGL", "yaml", "jinja2",
}  # fmt: skip
# Distributions that a bare GPU node has for engine; with the standard library and preop itself nothing else may load.
ENGINE_NEEDS = {"jax", "jaxlib", "equinox", "jaxtyping", "wadler_lindig", "numpy", "scipy", "pyamg", "ml_dtypes",
                "numba", "llvmlite", "opt_einsum", "typing_extensions", "lineax", "optimistix", "diffrax"}  # fmt: skip


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process, away from the repository's root."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=Path(sys.executable).parent, capture_output=True, encoding="utf-8", check=False)


def loaded_by(module: str) -> set[str]:
    """Top-level names in sys.modules after importing one module."""
    code = (
        "import importlib, json, sys; importlib.import_module(sys.argv[1]);"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = run(code, module)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def modules_of(room: str) -> list[str]:
    """Every module of a room by its import name."""
    files = sorted((ROOT / room).rglob("*.py"))
    parts = (file.relative_to(ROOT).with_suffix("").parts for file in files if "__pycache__" not in file.parts)
    return [".".join(("preop", *(p for p in part if p != "__init__"))) for part in parts]


def test_command_line_imports_nothing_heavy() -> None:
    heavy = loaded_by("preop.scenes.cli") & (HEAVY | {"rich"})
    assert not heavy


def test_command_line_reaches_xr_only_when_asked() -> None:
    """The contract lets `scenes.cli` import `xr.probe`; here is that it does so lazily."""
    done = run("import sys, preop.scenes.cli; print('preop.xr' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


def test_help_imports_nothing_heavy() -> None:
    """Not only the import: building the parser and printing its help too."""
    code = (
        "import json, sys\n"
        "from preop.scenes.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout
    assert not set(json.loads(done.stdout.splitlines()[-1])) & (HEAVY | {"rich"})


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_nothing_heavy(room: str) -> None:
    """An `__init__` that imports VTK makes every module under it wait for VTK."""
    assert not loaded_by(f"preop.{room}") & HEAVY


_IMPORT_WITH_THE_REST_HIDDEN = """
import importlib, sys
allowed = set(sys.argv[1].split(",")) | set(sys.stdlib_module_names) | {"preop"}

class Hiding:
    # A finder that does not find: to a library that looks whether an optional one is there, it is just not there.
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        # Compiled helpers and the editable install's finder start with an underscore.
        if top not in allowed and not top.startswith("_"):
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def test_engine_imports_on_a_bare_gpu_node() -> None:
    """Every module of engine imports with everything hidden but JAX, its libraries, numpy, scipy, pyamg and numba."""
    done = run(_IMPORT_WITH_THE_REST_HIDDEN, ",".join(sorted(ENGINE_NEEDS)), *modules_of("engine"))
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]


def test_hiding_hides() -> None:
    """The test above could not fail if everything were found."""
    done = run(_IMPORT_WITH_THE_REST_HIDDEN, ",".join(sorted(ENGINE_NEEDS)), "preop.scenes.schema")
    assert done.returncode != 0
    assert "No module named 'pydantic'" in done.stderr


def test_xr_probe_and_doctor_import_nothing_heavy() -> None:
    for module in ("preop.xr.probe", "preop.xr.binding", "preop.scenes.doctor", "preop.scenes.gl"):
        assert not loaded_by(module) & HEAVY, module
