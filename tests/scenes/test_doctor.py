"""The doctor tells what is there, and what is missing with the command that brings it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from preop.imaging.errors import NOT_A_MEDICAL_DEVICE
from preop.scenes import doctor, machine, requirements, system_libraries
from preop.scenes.gl import GLReport


@dataclass(frozen=True)
class Headset:
    """Stands for what the xr room tells."""

    reason: str = ""

    def to_dict(self) -> dict[str, object]:
        return {"binding": "1.1", "name": "Test runtime", "version": "1.2.3", "extensions": ["XR_KHR_opengl_enable"],
                "reason": self.reason, "advice": "Start it"}  # fmt: skip


GOOD_GL = GLReport("llvmpipe", "Mesa", "4.5", "vtkEGLRenderWindow")


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with everything: each test takes one thing away."""
    monkeypatch.setattr(doctor, "gl_report", lambda: GOOD_GL)
    jax = {"jax": "0.6", "jaxlib": "0.6", "backend": "cpu", "devices": [{"platform": "cpu", "kind": "cpu"}]}
    monkeypatch.setattr(doctor, "jax_report", lambda: jax)
    monkeypatch.setattr(doctor, "lacking_libraries", lambda gl: [])
    monkeypatch.setattr(doctor, "graphics_card", lambda: False)
    return monkeypatch


def test_healthy_machine(healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run_doctor(False, Headset) == 0
    told = capsys.readouterr().out
    assert f"preop {version('preop')}" in told
    assert "Test runtime 1.2.3" in told
    assert "all it needs" in told
    assert NOT_A_MEDICAL_DEVICE in told


def test_verdicts_come_first_and_packages_only_on_demand(
    healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = [requirements.Dependency("jax", ">=0.6", "0.10.2", extra, True) for extra in ("", "gpu")]
    plug_in = requirements.Dependency("jax-cuda13-plugin", ">=0.10", "", "gpu", False)
    healthy.setattr(doctor, "dependencies", lambda: [*twice, plug_in])
    assert doctor.run_doctor(False, Headset) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert "has all it needs" in lines[1]
    assert lines[2] == "optional  no GPU plug-in. In preop's folder run: make setup EXTRAS=viewer,xr,dev,gpu"
    assert "jax-cuda13-plugin" not in told
    assert doctor.run_doctor(False, Headset, every_package=True) == 0
    words = capsys.readouterr().out.split()
    assert words.count("jax") == words.count("jax-cuda13-plugin") == 1


def test_json_holds_the_same(healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run_doctor(True, Headset) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["gl"]["renderer"] == "llvmpipe"
    assert found["openxr"]["name"] == "Test runtime"
    assert found["not_a_medical_device"] == NOT_A_MEDICAL_DEVICE
    assert {p["name"]: p["installed"] for p in found["packages"]}["numpy"] == version("numpy")


def test_no_headset_is_no_problem(healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run_doctor(False, lambda: Headset("no runtime")) == 0
    assert "headset: no runtime. Start it." in capsys.readouterr().out


def test_no_pictures_is_a_problem_with_its_package(
    healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy.setattr(doctor, "gl_report", lambda: GLReport(error="EGL is missing"))
    healthy.setattr(doctor, "lacking_libraries", lambda gl: [system_libraries.DRIVER])
    healthy.setattr(system_libraries, "package_manager", lambda: "dnf")
    assert doctor.run_doctor(False, Headset) == 1
    told = capsys.readouterr().out
    assert "EGL is missing" in told
    assert "dnf install -y mesa-dri-drivers" in told


def test_jax_that_does_not_start_is_a_problem(healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    healthy.setattr(doctor, "jax_report", lambda: {"error": "no backend"})
    assert doctor.run_doctor(False, Headset) == 1
    assert "JAX: no backend" in capsys.readouterr().out


def test_package_that_is_too_old_is_a_problem(healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    old = requirements.Dependency("numpy", ">=2.0", "1.26", "", False)
    healthy.setattr(doctor, "dependencies", lambda: [old])
    assert doctor.run_doctor(False, Headset) == 1
    assert "numpy>=2.0 (here: 1.26)" in capsys.readouterr().out


def test_missing_extra_is_no_problem(healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    absent = requirements.Dependency("pyvistaqt", ">=0.11", "", "viewer", False)
    healthy.setattr(doctor, "dependencies", lambda: [absent])
    assert doctor.run_doctor(False, Headset) == 0
    assert "viewer: pyvistaqt not installed" in capsys.readouterr().out


def test_graphics_card_that_jax_does_not_use_is_noted(
    healthy: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy.setattr(doctor, "graphics_card", lambda: True)
    assert doctor.run_doctor(False, Headset) == 0
    assert "JAX computes on the CPU" in capsys.readouterr().out


def test_jax_is_asked_for_real() -> None:
    found = doctor.jax_report()
    assert found["jax"] == version("jax")
    assert found["devices"]


def test_jax_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "no_such_platform")
    assert "no_such_platform" in doctor.jax_report()["error"]


def test_command_gives_json_alone() -> None:
    """Nothing else may stand on stdout, or a script cannot read it."""
    command = [sys.executable, "-m", "preop.scenes.cli", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found["problems"] else 0)
    assert done.stderr == ""


def test_requirements_follow_the_metadata() -> None:
    found = {(d.extra, d.name): d for d in requirements.dependencies()}
    assert found["", "numpy"].fits
    assert found["", "numpy"].installed == version("numpy")
    assert ("dev", "pytest") in found
    if sys.platform.startswith("linux"):
        # `jax[cuda13]`: what is asked for is the plugin, not only jax.
        assert ("gpu", "jax-cuda13-plugin") in found


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="the kernel tells its memory in /proc/meminfo on Linux")
def test_machine_facts_agree_with_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_container_limit_gib", lambda: None)
    total, available = machine.memory_gib()
    kernel = Path("/proc/meminfo").read_text(encoding="ascii")
    in_all = int(re.search(r"^MemTotal: +(\d+) kB$", kernel, re.MULTILINE)[1])  # type: ignore[index]
    assert total == pytest.approx(in_all * 1024 / 2**30, abs=0.051)
    assert available is not None
    assert 0 < available <= in_all * 1024 / 2**30


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are bound on Linux only")
def test_cores_are_those_that_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    assert machine.usable_cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.machine_facts()["cores"] == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_memory_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_container_limit_gib", lambda: 0.25)
    if Path("/proc/meminfo").exists():
        assert machine.memory_gib()[0] == 0.2  # 0.25 to one decimal, ties to even
