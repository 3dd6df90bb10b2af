"""Looks for the shared libraries that the wheels need and installs what is missing, where that is allowed.

Run by `make setup` with the environment's Python, after preop is installed:

    python scripts/system_libraries.py install|check|no [--viewer]

`install` uses the system's package manager only if something is missing and only as root or where sudo asks for no
password; `check` only tells; `no` does nothing. What stays missing is told in one line. Only a wheel that cannot be
imported is an error: all but pictures works without the rest.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from importlib.util import find_spec

from preop.scenes import system_libraries as system
from preop.scenes.gl import gl_report

_WHEELS = (
    "jax", "scipy.sparse.linalg", "pyamg", "SimpleITK", "skimage.measure", "vtkmodules.all", "pytetwild", "pydantic",
    "openjpeg", "jpeg_ls", "matplotlib.pyplot",
)  # fmt: skip


def main() -> int:
    """0 when every wheel can be imported, 1 when one cannot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("install", "check", "no"))
    parser.add_argument("--viewer", action="store_true", help="also what the Qt window needs")
    arguments = parser.parse_args()
    if arguments.mode == "no":
        return 0
    wanted = system.NEEDED + (system.VIEWER if arguments.viewer else ())
    lacking = _lacking(wanted)
    if lacking and arguments.mode == "install":
        _install(lacking)
        lacking = _lacking(wanted)
    if lacking:
        _tell(f"missing {_names(lacking)}, needed for {lacking[0].purpose}. {system.advice(lacking)}")
    if not arguments.viewer:
        _tell_about_viewer()
    if not lacking and (error := gl_report().error):
        _tell(f"pictures cannot be rendered here: {error}. Everything else works: use `preop run --no-pictures`")
    return _check_wheels()


def _lacking(wanted: tuple[system.SystemLibrary, ...]) -> list[system.SystemLibrary]:
    """The driver is loaded by EGL itself, so it is missing when EGL is there and starts no device."""
    lacking = system.missing(wanted)
    if sys.platform.startswith("linux") and not _egl_starts():
        lacking.append(system.DRIVER)
    return lacking


def _egl_starts() -> bool:
    # In a process of its own: libEGL remembers the drivers that it found, and another try here would not see new ones.
    code = "import sys; from preop.scenes.gl import egl_initialises; sys.exit(not egl_initialises())"
    environment = os.environ | {"EGL_LOG_LEVEL": "fatal"}
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def _install(lacking: list[system.SystemLibrary]) -> None:
    manager, privilege = system.package_manager(), system.privilege()
    if manager is None or privilege is None:
        return
    _tell(f"installing {' '.join(system.packages(lacking, manager))} with {manager} (missing: {_names(lacking)})")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in system.install_steps(lacking, manager):
        done = subprocess.run(
            [*privilege, *step], env=quiet, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode != 0:
            told = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            _tell(f"{manager} failed: {told[-1] if told else f'exit {done.returncode}'}")


def _check_wheels() -> int:
    """Import every wheel that holds compiled code, each in its own process, and name the library that one lacks."""
    failed = 0
    for wheel in _WHEELS:
        if find_spec(wheel.partition(".")[0]) is None:
            # Left out on this Python by its marker in pyproject.toml; `pip check` has seen to the rest.
            continue
        done = subprocess.run(
            [sys.executable, "-c", f"import {wheel}"], capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode == 0:
            continue
        failed = 1
        told = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
        library = re.search(r"(lib\S+\.so[.\d]*): cannot open", told)
        what = f"lacks the shared library {library.group(1)}" if library else f"cannot be imported: {told}"
        advice = "Install the system's package that holds it" if library else "Run `make distclean setup`"
        _tell(f"{wheel} {what}. {advice}")
    return failed


def _tell_about_viewer() -> None:
    """Only where there is a display: a server needs no window."""
    lacking = system.missing(system.VIEWER)
    if lacking and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        _tell(f"the Qt window lacks {_names(lacking)}; a plain window is used. To have it: make system-libraries")


def _names(libraries: list[system.SystemLibrary]) -> str:
    return ", ".join(library.name for library in libraries)


def _tell(line: str) -> None:
    print(f"preop: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
