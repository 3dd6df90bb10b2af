"""Which OpenGL window VTK renders into when nobody looks, chosen before VTK is used.

Left alone, VTK tries X first, warns about it on a machine without a display, and ends
the process with a segmentation fault where no path works. Choosing here keeps that from
people. VTK reads the choice from the environment (VTK ≥ 9.4, "Runtime settings").
Imports nothing heavy.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

from ..imaging.errors import MissingLibraryError

WINDOW_VARIABLE = "VTK_DEFAULT_OPENGL_WINDOW"
NATIVE = "native"
"""What the operating system offers: on macOS and Windows VTK needs no help."""

_EGL_PLATFORM_DEVICE = 0x313F  # EGL_EXT_platform_device
_MOST_DEVICES = 16
_PROBE_SECONDS = 120


def prepare_off_screen() -> str:
    """Choose how VTK renders without a window; call it before the first VTK window is made.

    EGL comes first, also on a desktop: pictures then need no X server and open no window.
    A choice already in `VTK_DEFAULT_OPENGL_WINDOW` is kept.

    Returns:
        The VTK window class that will be used, or "native" where VTK needs no help.

    Raises:
        MissingLibraryError: nothing here can render off screen.
    """
    chosen = os.environ.get(WINDOW_VARIABLE, "")
    if chosen:
        return chosen
    # VTK takes an empty value for the name of a class and fails.
    os.environ.pop(WINDOW_VARIABLE, None)
    if not sys.platform.startswith("linux"):
        return NATIVE
    # Mesa tells on stderr of every device it may not open before it takes the next.
    os.environ.setdefault("EGL_LOG_LEVEL", "fatal")
    window = _first_that_works()
    os.environ[WINDOW_VARIABLE] = window
    return window


def _first_that_works() -> str:
    if egl_initialises():
        return "vtkEGLRenderWindow"
    if can_load("libOSMesa.so.8") or can_load("libOSMesa.so"):
        return "vtkOSOpenGLRenderWindow"
    if display_answers():
        return "vtkXOpenGLRenderWindow"
    what = "has no driver that renders off screen" if can_load("libEGL.so.1") else "is missing"
    raise MissingLibraryError(
        f"nothing here renders pictures: EGL (libEGL.so.1) {what}",
        advice="`preop doctor` names the package to install; `preop run --no-pictures` does without",
    )


def can_load(library: str) -> bool:
    """Whether the dynamic loader finds a shared library and all that it needs."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def egl_initialises() -> bool:
    """Whether EGL has at least one device, hardware or software, that starts: what VTK's EGL window asks of it."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    address = egl.eglGetProcAddress
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    query, get_display = address(b"eglQueryDevicesEXT"), address(b"eglGetPlatformDisplayEXT")
    if not query or not get_display:
        return False
    devices, count = (ctypes.c_void_p * _MOST_DEVICES)(), ctypes.c_int(0)
    query_devices = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int)
    )(query)
    if not query_devices(_MOST_DEVICES, devices, ctypes.byref(count)):
        return False
    platform_display = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(get_display)
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    egl.eglTerminate.argtypes = [ctypes.c_void_p]
    for device in devices[: count.value]:
        display = platform_display(_EGL_PLATFORM_DEVICE, device, None)
        if display and egl.eglInitialize(display, None, None):
            egl.eglTerminate(display)
            return True
    return False


def display_answers() -> bool:
    """Whether an X server answers at DISPLAY. A name that is set but dead does not count."""
    if not os.environ.get("DISPLAY"):
        return False
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    x11.XOpenDisplay.restype, x11.XOpenDisplay.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(None)
    if not display:
        return False
    x11.XCloseDisplay(display)
    return True


@dataclass(frozen=True)
class GLReport:
    """What renders off screen here.

    Attributes:
        renderer: such as "llvmpipe (LLVM 15.0.6, 256 bits)" (software) or a graphics card.
        vendor: who made it.
        version: the OpenGL version string.
        window_class: the VTK window class.
        error: one line, where a picture could not be made; else "".
    """

    renderer: str = ""
    vendor: str = ""
    version: str = ""
    window_class: str = ""
    error: str = ""

    @property
    def works(self) -> bool:
        """Whether a picture was rendered and held what was drawn."""
        return not self.error

    def to_dict(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return asdict(self)


def gl_report() -> GLReport:
    """Render one small picture in a process of its own, so that a driver that crashes does no harm here."""
    command = [sys.executable, "-m", "preop.scenes.gl_probe"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return GLReport(error=f"rendering did not end within {_PROBE_SECONDS} s")
    if done.returncode == 0:
        return GLReport(**json.loads(done.stdout.splitlines()[-1]))
    if done.returncode < 0:
        return GLReport(error=f"rendering ended in a crash (signal {-done.returncode})")
    told = [line for line in done.stderr.splitlines() if line.strip()]
    return GLReport(error=told[-1] if told else f"rendering failed (exit {done.returncode})")
