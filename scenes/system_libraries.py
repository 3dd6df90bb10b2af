"""Shared libraries of the system that the wheels do not bring, and the packages that hold them.

Measured on bare Debian 12: the whole stack imports without any of them; pictures need EGL and
a driver; a window and the headset's binding need libGL; Qt needs the rest. Imports nothing heavy.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from .gl import can_load

APT, DNF, ZYPPER, PACMAN = "apt-get", "dnf", "zypper", "pacman"
_INSTALL = {
    APT: ("apt-get", "install", "-y", "--no-install-recommends"),
    DNF: ("dnf", "install", "-y"),
    ZYPPER: ("zypper", "--non-interactive", "install"),
    PACMAN: ("pacman", "-S", "--noconfirm", "--needed"),
}

# A fresh machine's list of packages is empty, and apt installs nothing then.
_REFRESH = {APT: (["apt-get", "update", "-q"],)}


@dataclass(frozen=True)
class SystemLibrary:
    """A shared library, or a driver, that comes from the system.

    Attributes:
        name: what the dynamic loader is asked for; a driver's plain name where it is found by other means.
        purpose: what a person loses without it.
        packages: package manager → package.
    """

    name: str
    purpose: str
    packages: dict[str, str]

    @property
    def present(self) -> bool:
        """Whether the dynamic loader finds it. A driver is found by rendering (see `gl.gl_report`)."""
        return can_load(self.name)


def _library(name: str, purpose: str, apt: str, dnf: str, zypper: str, pacman: str) -> SystemLibrary:
    return SystemLibrary(name, purpose, {APT: apt, DNF: dnf, ZYPPER: zypper, PACMAN: pacman})


PICTURES, _WINDOW, _QT = (
    "pictures without a display",
    "a window on a display, headsets",
    "the Qt window of `preop view`",
)

NEEDED = (
    _library("libEGL.so.1", PICTURES, "libegl1", "mesa-libEGL", "Mesa-libEGL1", "mesa"),
    _library("libGL.so.1", _WINDOW, "libgl1", "mesa-libGL", "Mesa-libGL1", "libglvnd"),
)
"""What `make setup` installs."""

DRIVER = _library("OpenGL driver", PICTURES, "libgl1-mesa-dri", "mesa-dri-drivers", "Mesa-dri", "mesa")
"""Renders in software where there is no graphics card; loaded by EGL, so no name to ask the loader for."""

VIEWER = (
    _library("libglib-2.0.so.0", _QT, "libglib2.0-0", "glib2", "libglib-2_0-0", "glib2"),
    _library("libdbus-1.so.3", _QT, "libdbus-1-3", "dbus-libs", "libdbus-1-3", "dbus"),
    _library("libfontconfig.so.1", _QT, "libfontconfig1", "fontconfig", "libfontconfig1", "fontconfig"),
    _library("libfreetype.so.6", _QT, "libfreetype6", "freetype", "libfreetype6", "freetype2"),
    _library("libxkbcommon.so.0", _QT, "libxkbcommon0", "libxkbcommon", "libxkbcommon0", "libxkbcommon"),
    _library(
        "libxkbcommon-x11.so.0", _QT, "libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11-0", "libxkbcommon-x11"
    ),
    _library("libxcb-cursor.so.0", _QT, "libxcb-cursor0", "xcb-util-cursor", "libxcb-cursor0", "xcb-util-cursor"),
    _library("libxcb-icccm.so.4", _QT, "libxcb-icccm4", "xcb-util-wm", "libxcb-icccm4", "xcb-util-wm"),
    _library("libxcb-image.so.0", _QT, "libxcb-image0", "xcb-util-image", "libxcb-image0", "xcb-util-image"),
    _library("libxcb-keysyms.so.1", _QT, "libxcb-keysyms1", "xcb-util-keysyms", "libxcb-keysyms1", "xcb-util-keysyms"),
    _library(
        "libxcb-render-util.so.0",
        _QT,
        "libxcb-render-util0",
        "xcb-util-renderutil",
        "libxcb-render-util0",
        "xcb-util-renderutil",
    ),
    _library("libxcb-shape.so.0", _QT, "libxcb-shape0", "libxcb", "libxcb-shape0", "libxcb"),
    _library("libxcb-xkb.so.1", _QT, "libxcb-xkb1", "libxcb", "libxcb-xkb1", "libxcb"),
    _library("libXcursor.so.1", _WINDOW, "libxcursor1", "libXcursor", "libXcursor1", "libxcursor"),
)
"""For a window only: without them pictures are still made. `make system-libraries` installs them."""


def missing(libraries: Iterable[SystemLibrary]) -> list[SystemLibrary]:
    """Those that the dynamic loader does not find. Nothing is ever missing outside Linux: the wheels bring it all."""
    if not sys.platform.startswith("linux"):
        return []
    return [library for library in libraries if not library.present]


def package_manager() -> str | None:
    """The system's package manager, or None for one that preop does not know."""
    return next((name for name in _INSTALL if shutil.which(name)), None)


def packages(libraries: Iterable[SystemLibrary], manager: str) -> list[str]:
    """The packages that hold these libraries, each once, in order."""
    return list(dict.fromkeys(library.packages[manager] for library in libraries))


def install_steps(libraries: Iterable[SystemLibrary], manager: str) -> list[list[str]]:
    """Every command that installing them takes, in order, without sudo."""
    return [*_REFRESH.get(manager, ()), [*_INSTALL[manager], *packages(libraries, manager)]]


def advice(libraries: Iterable[SystemLibrary]) -> str:
    """What a person can type to get these libraries, on one line."""
    libraries, manager = list(libraries), package_manager()
    if manager is None:
        return f"Install the packages of your system that hold {', '.join(library.name for library in libraries)}"
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    steps = (shlex.join([*sudo, *step]) for step in install_steps(libraries, manager))
    return f"Run: {' && '.join(steps)}"


def privilege() -> list[str] | None:
    """What to put before a command that installs packages: nothing as root, `sudo -n` where it asks for no password.

    Returns:
        None where there is no right to install packages.
    """
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        sudo = ["sudo", "-n"]
        if subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0:
            return sudo
    return None
