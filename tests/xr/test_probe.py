"""The OpenXR runtime is looked for where the loader looks, and a broken one is told, not fatal."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from preop.scenes.gl import can_load
from preop.xr import probe

needs_openxr = pytest.mark.skipif(
    find_spec("OpenGL") is None or not can_load("libGL.so.1"),
    reason="pyopenxr or libGL.so.1 is not here: make setup EXTRAS=viewer,xr,dev",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for manifests: no runtime of this machine is seen."""
    for name in ("XR_RUNTIME_JSON", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'system'}:{tmp_path / 'other'}")
    return tmp_path


def write_manifest(folder: Path, library: str, name: str = "active_runtime.json") -> Path:
    """A runtime manifest as the loader reads it."""
    path = folder / "openxr" / "1" / name
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"file_format_version": "1.0.0", "runtime": {"library_path": library}}), "utf-8")
    return path


def test_manifest_of_the_user_wins_over_the_system(home: Path) -> None:
    system = write_manifest(home / "other", "./a.so")
    assert probe.find_manifest() == system
    user = write_manifest(home / "home" / ".config", "./b.so")
    assert probe.find_manifest() == user


def test_manifest_of_this_architecture_wins(home: Path) -> None:
    write_manifest(home / "home" / ".config", "./a.so")
    own = write_manifest(home / "system", "./b.so", f"active_runtime.{platform.machine()}.json")
    assert probe.find_manifest() == own


def test_variable_wins_even_if_its_file_is_absent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(home / "home" / ".config", "./a.so")
    monkeypatch.setenv("XR_RUNTIME_JSON", str(home / "absent.json"))
    assert probe.find_manifest() == home / "absent.json"


@pytest.mark.skipif(Path("/etc/openxr/1/active_runtime.json").exists(), reason="this machine has a system-wide runtime")
def test_no_runtime_is_told_with_a_next_step(home: Path) -> None:
    report = probe.runtime_report()
    assert not report.works
    assert report.manifest == ""
    assert report.reason
    assert report.advice
    assert "\n" not in report.reason + report.advice


@needs_openxr
def test_runtime_whose_library_is_absent_is_named(home: Path) -> None:
    manifest = write_manifest(home / "home" / ".config", str(home / "librt.so"))
    report = probe.runtime_report()
    assert report.loader
    assert report.manifest == str(manifest)
    assert report.library == str(home / "librt.so")
    assert report.reason.startswith(f"{manifest}: ")
    assert report.advice


@needs_openxr
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to build the stand-in for a runtime")
def test_runtime_that_answers_is_named(home: Path) -> None:
    """Through the real loader, to a shared library that speaks the loader's protocol."""
    source, library = Path(__file__).with_name("runtime_stand_in.c"), home / "libstand_in.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    write_manifest(home / "home" / ".config", str(library))
    report = probe.runtime_report()
    assert report.works, report.reason
    assert (report.name, report.version) == ("Stand-in", "7.8.9")
    # The loader adds extensions of its own.
    assert {"XR_KHR_opengl_enable", "XR_MND_headless"} <= set(report.extensions)
    assert report.advice == ""


def test_manifest_that_is_no_json_is_survived(home: Path) -> None:
    path = write_manifest(home / "home" / ".config", "./a.so")
    path.write_text("not json", encoding="utf-8")
    report = probe.runtime_report()
    assert report.library == ""
    assert not report.works


def test_process_that_crashes_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime may take its process with it: here a stand-in for Python that kills itself."""
    crash = home / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n", encoding="utf-8")
    crash.chmod(0o755)
    monkeypatch.setattr(probe.sys, "executable", str(crash))
    monkeypatch.setattr(probe, "_binding_version", lambda: "1.1")
    write_manifest(home / "home" / ".config", "./a.so")
    report = probe.runtime_report()
    assert "crashed (signal 11)" in report.reason


def test_report_is_plain_values(home: Path) -> None:
    assert json.loads(json.dumps(probe.runtime_report().to_dict()))["loader"] in (True, False)


def test_a_user_without_a_home_has_the_systems_runtime(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run a number that no user has: then there is no home to look in."""

    def none(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(Path, "home", none)
    system = write_manifest(home / "system", "./a.so")
    assert probe.find_manifest() == system
