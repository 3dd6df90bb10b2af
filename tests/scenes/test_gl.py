"""The off-screen window is chosen quietly, and a machine that cannot render is told so before VTK crashes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from preop.imaging.errors import MissingLibraryError
from preop.scenes import gl

RENDER = """
import sys
from preop.scenes.gl import prepare_off_screen
window = prepare_off_screen()
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(64, 48))
plotter.background_color = "black"
plotter.add_mesh(pyvista.Sphere(), color="red", lighting=False)
picture = plotter.screenshot(None, return_img=True)
assert picture.shape == (48, 64, 3), picture.shape
assert tuple(picture[24, 32]) == (255, 0, 0), picture[24, 32]
assert tuple(picture[0, 0]) == (0, 0, 0), picture[0, 0]
assert type(plotter.ren_win).__name__ == window or window == "native"
"""


def environment(**changes: str | None) -> dict[str, str]:
    """This process's environment, less the choice that the tests' conftest made."""
    left_out = {"VTK_DEFAULT_OPENGL_WINDOW", "EGL_LOG_LEVEL", *changes}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {name: value for name, value in changes.items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [{"DISPLAY": None}, {"DISPLAY": ":4242"}, {"DISPLAY": None, "VTK_DEFAULT_OPENGL_WINDOW": ""}],
    ids=["no display", "a display that does not answer", "an empty choice"],
)
def test_renders_without_a_word(off_screen: str, changes: dict[str, str | None]) -> None:
    command = [sys.executable, "-W", "error", "-c", RENDER]
    done = subprocess.run(command, env=environment(**changes), capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_report_names_the_renderer(off_screen: str) -> None:
    report = gl.gl_report()
    assert report.works, report.error
    assert report.renderer
    assert report.version
    assert report.window_class.startswith("vtk")


def test_choice_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gl.WINDOW_VARIABLE, "vtkOSOpenGLRenderWindow")
    assert gl.prepare_off_screen() == "vtkOSOpenGLRenderWindow"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the choice is made on Linux only")
@pytest.mark.parametrize(
    ("egl", "libraries", "display", "window"),
    [
        (True, {"libEGL.so.1"}, True, "vtkEGLRenderWindow"),
        (False, {"libEGL.so.1", "libOSMesa.so.8"}, True, "vtkOSOpenGLRenderWindow"),
        (False, set(), True, "vtkXOpenGLRenderWindow"),
    ],
    ids=["EGL", "OSMesa", "X"],
)
def test_order_of_choice(
    monkeypatch: pytest.MonkeyPatch, egl: bool, libraries: set[str], display: bool, window: str
) -> None:
    monkeypatch.setenv(gl.WINDOW_VARIABLE, "")
    _pretend(monkeypatch, egl, libraries, display)
    assert gl.prepare_off_screen() == window
    assert os.environ[gl.WINDOW_VARIABLE] == window


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the choice is made on Linux only")
@pytest.mark.parametrize(("libraries", "told"), [(set(), "is missing"), ({"libEGL.so.1"}, "no driver")])
def test_nothing_that_renders_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, libraries: set[str], told: str
) -> None:
    monkeypatch.setenv(gl.WINDOW_VARIABLE, "")
    _pretend(monkeypatch, False, libraries, False)
    with pytest.raises(MissingLibraryError, match=told) as caught:
        gl.prepare_off_screen()
    assert "\n" not in caught.value.line()
    assert caught.value.advice


def test_driver_that_crashes_is_survived(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n", encoding="utf-8")
    crash.chmod(0o755)
    monkeypatch.setattr(gl.sys, "executable", str(crash))
    report = gl.gl_report()
    assert not report.works
    assert "signal 11" in report.error


def _pretend(monkeypatch: pytest.MonkeyPatch, egl: bool, libraries: set[str], display: bool) -> None:
    monkeypatch.setattr(gl, "egl_initialises", lambda: egl)
    monkeypatch.setattr(gl, "can_load", lambda name: name in libraries)
    monkeypatch.setattr(gl, "display_answers", lambda: display)
