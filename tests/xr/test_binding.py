"""pyopenxr is found beside our own `xr` folder, whatever the working directory puts on sys.path."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from preop.scenes.gl import can_load

ROOT = Path(__file__).resolve().parents[2]
needs_openxr = pytest.mark.skipif(
    find_spec("OpenGL") is None or not can_load("libGL.so.1"),
    reason="pyopenxr or libGL.so.1 is not here: make setup EXTRAS=viewer,xr,dev",
)


def run_at_root(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code with the repository's root as the working directory; `-c` puts that first on sys.path."""
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


def test_plain_import_finds_our_folder_at_the_root() -> None:
    """What the binding guards against is real."""
    done = run_at_root("import xr; print(xr.__file__)")
    assert Path(done.stdout.strip()) == ROOT / "xr" / "__init__.py"


LOAD = """
from preop.xr.binding import load_openxr
openxr = load_openxr()
assert openxr is load_openxr()
assert openxr.Version(1, 0, 0).major == 1
assert callable(openxr.create_instance)
print(openxr.__file__)
"""


@needs_openxr
@pytest.mark.parametrize("before", ["", "import xr\n"], ids=["first", "after our folder"])
def test_binding_loads_pyopenxr_at_the_root(before: str) -> None:
    done = run_at_root(before + LOAD)
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.strip())
    assert found.parts[-2:] == ("xr", "__init__.py")
    assert ROOT / "xr" not in found.parents


@needs_openxr
def test_binding_loads_pyopenxr_under_pytest_at_the_root(tmp_path: Path) -> None:
    """`python -m pytest` puts the root on sys.path, too."""
    test = tmp_path / "test_inner_binding.py"
    test.write_text("def test_inner():\n" + "".join(f"    {line}\n" for line in LOAD.strip().splitlines()), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@needs_openxr
def test_our_xr_stays_ours() -> None:
    done = run_at_root(LOAD + "import preop.xr.probe as probe; print(probe.__file__)")
    assert Path(done.stdout.splitlines()[-1]) == ROOT / "xr" / "probe.py"


HIDE = """
import importlib.metadata as metadata
found = metadata.Distribution.from_name
def hidden(name):
    if name == "pyopenxr":
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.Distribution.from_name = hidden
"""


def test_absent_binding_is_told_in_one_line() -> None:
    code = HIDE + (
        "from preop.imaging.errors import MissingLibraryError\n"
        "from preop.xr.binding import load_openxr\n"
        "try:\n    load_openxr()\n"
        "except MissingLibraryError as error:\n    print(error.line())\n"
    )
    done = run_at_root(code)
    assert done.stdout.startswith("pyopenxr is not installed."), done.stderr
    assert "make setup" in done.stdout


def test_binding_that_does_not_load_leaves_nothing_behind() -> None:
    """A shared library that is missing fails in the middle of pyopenxr's import."""
    code = (
        "import sys\n"
        "sys.modules['OpenGL'] = None\n"
        "from preop.imaging.errors import MissingLibraryError\n"
        "from preop.xr.binding import load_openxr\n"
        "try:\n    load_openxr()\n"
        "except MissingLibraryError as error:\n    print(error.line())\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'xr']\n"
    )
    done = run_at_root(code)
    assert done.returncode == 0, done.stderr
    assert "cannot be loaded" in done.stdout or "libGL.so.1 is missing" in done.stdout
    assert len(done.stdout.splitlines()) == 1
