"""`preop view`: a result in a Qt window, in a plain window, or as stills, whichever this machine can do."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from ..imaging.errors import NOT_A_MEDICAL_DEVICE, MissingLibraryError
from ..imaging.progress import Progress, silent
from .result_folder import ResultFolder


def view_result(path: str | Path, *, off_screen: bool | None = None, progress: Progress = silent) -> int:
    """Show a result and return when the window is closed; without a display print where its pictures are.

    Args:
        path: a result folder.
        off_screen: True for stills even where there is a display, False to insist on a window, None to choose.

    Returns:
        0.

    Raises:
        SceneError: the folder is no result.
        MissingLibraryError: a window is insisted on and none can be opened.
    """
    result = ResultFolder.open(path)
    if off_screen is None:
        off_screen = not has_display()
    elif not off_screen and not has_display():
        raise MissingLibraryError("there is no display to open a window on", where="DISPLAY")
    if off_screen:
        show_stills(result, progress)
        return 0
    lack = missing_for_qt()
    if not lack:
        from .viewer_window import run_window

        return run_window(result)
    print(f"preop: {lack}; a plain window is opened instead", file=sys.stderr)
    plain_window(result)
    return 0


def has_display() -> bool:
    """Whether a window can be opened. VTK's windows need X on Linux, also under Wayland (through XWayland)."""
    if not sys.platform.startswith("linux"):
        return True
    from .gl import display_answers

    return display_answers()


def missing_for_qt() -> str:
    """Why the Qt window cannot be opened, in a few words; empty where it can.

    Qt ends the whole process when its platform plug-in cannot be loaded, so the plug-in
    is loaded here first, where a failure can be told and lived with.
    """
    for package in ("PySide6", "pyvistaqt"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed (in preop's folder run: make setup)"
    try:
        from PySide6 import QtGui, QtWidgets
    except ImportError as error:
        return f"Qt cannot start: {' '.join(str(error).split())}"
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return ""
    from PySide6.QtCore import QLibraryInfo

    del QtGui, QtWidgets
    plugin = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath)) / "platforms" / "libqxcb.so"
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return f"Qt cannot open windows here: {' '.join(str(error).split())}"
    return ""


def show_stills(result: ResultFolder, progress: Progress = silent) -> None:
    """Print where the pictures of a result are; make them first where there are none."""
    pictures = result.pictures
    if not pictures:
        from .pictures import stills_for_result

        pictures = tuple(stills_for_result(result, progress))
    print("No display: the pictures of this result are in")
    for picture in pictures:
        print(f"  {result.path / picture.path}  {picture.caption.split('. ')[0].rstrip('.')}")
    for extra in (result.animation, result.path / "report.html"):
        if extra is not None and extra.is_file():
            print(f"  {extra}")
    print(result.data.get("disclaimer") or NOT_A_MEDICAL_DEVICE)


def plain_window(result: ResultFolder, plotter: Any = None) -> None:
    """VTK's own window with a load slider, check boxes for the layers and keys for the views.

    Args:
        plotter: a plotter to fill and show; one with a window of its own without it.
    """
    import pyvista as pv

    from .orientation_cube import orientation_cube
    from .render_style import VIEWS
    from .viewer_scene import ResultScene

    plotter = plotter or pv.Plotter(window_size=[1400, 950], title=f"{result.title} – preop", lighting="none")
    scene = ResultScene(result, plotter)
    plotter.add_text(f"{result.title}", position="upper_edge", font_size=12, color="#1c242c")
    plotter.add_text(NOT_A_MEDICAL_DEVICE, position=(12, 8), font_size=8, color="#5c6874")
    plotter.add_text(_keys_help(), position="upper_right", font_size=7, color="#5c6874")
    if scene.steps > 1:
        plotter.add_slider_widget(
            scene.set_load, (0, 1), value=1, title="load", color="#1c242c", pointa=(0.3, 0.08), pointb=(0.7, 0.08)
        )
    for number, name in enumerate(scene.layers):
        layer, y = scene.layers[name], 40 + 34 * number
        shown = bool(layer.actor.GetVisibility())
        plotter.add_checkbox_button_widget(
            lambda state, name=name: scene.set_visible(name, state), value=shown, position=(12, y), size=22,
            color_on=layer.colour,
        )  # fmt: skip
        plotter.add_text(scene.layer_title(name), position=(42, y), font_size=8, color="#1c242c")
    for key, name in zip("123456", list(VIEWS)[:6], strict=True):
        plotter.add_key_event(key, lambda name=name: (scene.set_view(name), plotter.render()))
    if scene.fields:
        plotter.add_key_event("n", lambda: (_next_field(scene), plotter.render()))
    plotter.add_orientation_widget(orientation_cube(), interactive=False)
    plotter.show()


def _keys_help() -> str:
    from .render_style import VIEWS

    views = "\n".join(f"{key}  {VIEWS[name].title}" for key, name in zip("123456", list(VIEWS)[:6], strict=True))
    return f"{views}\nn  next field\nq  close"


def _next_field(scene: Any) -> None:
    fields = scene.fields
    scene.set_field(fields[(fields.index(scene.field) + 1) % len(fields)])
