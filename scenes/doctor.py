"""`preop doctor`: what this machine offers and what is missing, with the next step for each.

Whatever may crash, hang or take long (JAX, OpenGL, OpenXR) is asked in a process of its own.
Nothing heavy is imported here.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, Protocol

from ..imaging.errors import NOT_A_MEDICAL_DEVICE
from . import system_libraries
from .gl import GLReport, egl_initialises, gl_report
from .json_output import nothing_on_stdout, print_json
from .machine import graphics_card, machine_facts
from .requirements import dependencies

_JAX_SECONDS = 120
_SET_UP = "In preop's folder run: make setup"


class HeadsetReport(Protocol):
    """What the xr room tells (`RuntimeReport`); scenes may not import it, so the command line passes it in."""

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        ...


def run_doctor(as_json: bool, xr_report: Callable[[], HeadsetReport], *, every_package: bool = False) -> int:
    """Look at the machine and print what was found.

    Args:
        as_json: print one JSON object instead of tables.
        xr_report: asks for the OpenXR runtime.
        every_package: also list the packages with their versions.

    Returns:
        0 when `preop run` has all it needs, 1 when something that it needs is missing.
    """
    with nothing_on_stdout(as_json):
        found = examine(xr_report)
    if as_json:
        print_json(found)
    else:
        from .doctor_tables import print_findings

        print_findings(found, every_package=every_package)
    return 1 if found["problems"] else 0


def examine(xr_report: Callable[[], HeadsetReport]) -> dict[str, Any]:
    """Everything that the doctor tells, as plain values.

    Keys: preop, python, machine, jax, gl, openxr, packages, libraries (missing ones, with what each is for),
    problems (what `preop run` lacks), notes (what else is missing), not_a_medical_device.
    """
    with ThreadPoolExecutor() as pool:
        # Three processes that mostly wait for libraries to load.
        jax, gl, openxr = pool.submit(jax_report), pool.submit(gl_report), pool.submit(xr_report)
        found: dict[str, Any] = {
            "preop": version("preop"),
            "python": f"{platform.python_version()} ({sys.executable})",
            "machine": machine_facts(),
            "packages": [dependency.to_dict() for dependency in dependencies()],
            "jax": jax.result(),
            "gl": gl.result().to_dict(),
            "openxr": openxr.result().to_dict(),
        }
    lacking = lacking_libraries(GLReport(**found["gl"]))
    found["libraries"] = [{"name": library.name, "purpose": library.purpose} for library in lacking]
    found["problems"], found["notes"] = _problems(found, lacking), _notes(found, lacking)
    found["not_a_medical_device"] = NOT_A_MEDICAL_DEVICE
    return found


def jax_report() -> dict[str, Any]:
    """JAX's versions, backend and devices, or `error` with one line."""
    command = [sys.executable, "-m", "preop.engine.device_probe"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_JAX_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"JAX did not start within {_JAX_SECONDS} s"}
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    told = [line for line in done.stderr.splitlines() if line.strip()]
    return {"error": told[-1] if told else f"JAX ended with {done.returncode}"}


def lacking_libraries(gl: GLReport) -> list[system_libraries.SystemLibrary]:
    """Shared libraries of the system that are missing, the driver included."""
    lacking = system_libraries.missing(system_libraries.NEEDED)
    if not gl.works and sys.platform.startswith("linux") and not egl_initialises():
        lacking.append(system_libraries.DRIVER)
    return lacking + system_libraries.missing(system_libraries.VIEWER)


def _problems(found: dict[str, Any], lacking: list[system_libraries.SystemLibrary]) -> list[str]:
    """What `preop run` lacks, one line each."""
    problems = []
    absent = [p for p in found["packages"] if not p["extra"] and not p["fits"]]
    if absent:
        named = ", ".join(f"{p['name']}{p['wanted']} (here: {p['installed'] or 'none'})" for p in absent)
        problems.append(f"packages: {named}. {_SET_UP}")
    if "error" in found["jax"]:
        problems.append(f"JAX: {found['jax']['error']}. Install it again: pip install --force-reinstall jax jaxlib")
    if found["gl"]["error"]:
        wanted = [library for library in lacking if library.purpose == system_libraries.PICTURES]
        advice = system_libraries.advice(wanted) if wanted else "`preop run --no-pictures` does without"
        problems.append(f"pictures: {found['gl']['error'].rstrip('.')}. {advice}")
    return problems


def _notes(found: dict[str, Any], lacking: list[system_libraries.SystemLibrary]) -> list[str]:
    """What is missing for something other than `preop run`, and how to get it."""
    notes = []
    lacking = [library for library in lacking if library.purpose != system_libraries.PICTURES]
    if lacking:
        purposes = "; ".join(dict.fromkeys(library.purpose for library in lacking))
        names = ", ".join(library.name for library in lacking)
        notes.append(f"shared libraries: {names} (for {purposes}). {system_libraries.advice(lacking)}")
    plug_in_missing = any(p["extra"] == "gpu" and not p["installed"] for p in found["packages"])
    if graphics_card() and found["jax"].get("backend") == "cpu":
        notes.append(f"GPU: a graphics card is here but JAX computes on the CPU. {_SET_UP} EXTRAS=viewer,xr,dev,gpu")
    elif plug_in_missing:
        notes.append(f"no GPU plug-in. {_SET_UP} EXTRAS=viewer,xr,dev,gpu")
    if found["openxr"].get("reason"):
        notes.append(f"headset: {found['openxr']['reason']}. {found['openxr'].get('advice', '')}".rstrip(". ") + ".")
    for extra in ("viewer", "xr"):
        absent = [p["name"] for p in found["packages"] if p["extra"] == extra and not p["fits"]]
        if absent:
            notes.append(f"{extra}: {', '.join(absent)} not installed. {_SET_UP}")
    return notes
