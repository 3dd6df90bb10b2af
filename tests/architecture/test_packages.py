"""pyproject.toml names every package: one that is forgotten works in place and is missing once installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("imaging", "meshing", "engine", "scenes", "xr")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def folders_with_code() -> set[Path]:
    """Folders of the rooms that hold Python files, relative to the root."""
    files = (file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    return {file.parent.relative_to(ROOT) for file in files if "__pycache__" not in file.parts}


def test_every_folder_with_code_is_a_package() -> None:
    assert not [folder for folder in folders_with_code() if not (ROOT / folder / "__init__.py").is_file()]


def test_every_package_is_listed_with_its_folder() -> None:
    on_disk = {"preop." + ".".join(folder.parts): folder.as_posix() for folder in folders_with_code()}
    tools = SETTINGS["tool"]["setuptools"]
    assert set(tools["packages"]) == set(on_disk)
    assert tools["package-dir"] == on_disk


def test_data_files_are_listed() -> None:
    """Files beside the code (YAML, HTML, CSS, …) are installed only if package-data names their pattern."""
    from fnmatch import fnmatch

    patterns = SETTINGS["tool"]["setuptools"]["package-data"]
    forgotten = [
        file.relative_to(ROOT)
        for folder in folders_with_code()
        for file in (ROOT / folder).iterdir()
        if file.is_file()
        and file.suffix not in (".py", ".pyc", ".pyi", ".md")
        and not any(fnmatch(file.name, pattern) for pattern in patterns.get("preop." + ".".join(folder.parts), ()))
    ]
    assert not forgotten


def test_wheel_holds_every_file(tmp_path: Path) -> None:
    """What is installed elsewhere is what is here: code, scene files, templates, and the licence."""
    source = tmp_path / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=source, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = (file for room in ROOMS for file in (source / room).rglob("*") if file.is_file() and file.suffix != ".md")
    assert {f"preop/{file.relative_to(source).as_posix()}" for file in files} <= held
    assert [name for name in held if name.endswith("/licenses/LICENSE")]


def test_constraints_are_plain_pins_of_every_dependency() -> None:
    """Names and versions only: no download address, no option; and every requirement is pinned to one that fits."""
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin)]
    pinned = {_canonical(pin.partition("==")[0]): pin.partition("==")[2] for pin in pins}
    project = SETTINGS["project"]
    extras = (project["optional-dependencies"][name] for name in ("viewer", "xr", "dev"))
    wanted = [
        *project["dependencies"],
        *SETTINGS["build-system"]["requires"],
        *(line for extra in extras for line in extra),
    ]
    for requirement in map(Requirement, wanted):
        version = pinned.get(_canonical(requirement.name))
        assert version, f"{requirement.name} is not pinned: run `make constraints`"
        assert requirement.specifier.contains(version), f"{requirement} against {version}: run `make constraints`"


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_licence_is_the_full_text() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")
    assert SETTINGS["project"]["license"] == "Apache-2.0"
