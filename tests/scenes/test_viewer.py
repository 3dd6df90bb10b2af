"""`preop view`: what the three ways of showing a result do. The Qt window is tried under a virtual display."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv
from small_result import CENTRE, LIFT, numbers, write_small_result

from preop.imaging.errors import NOT_A_MEDICAL_DEVICE, MissingLibraryError, SceneError
from preop.scenes import viewer
from preop.scenes.gl import prepare_off_screen
from preop.scenes.result_folder import ResultFolder
from preop.scenes.viewer_scene import FIELD_LAYER, REGION, ResultScene

prepare_off_screen()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_small_result(tmp_path_factory.mktemp("viewed") / "result")


@pytest.fixture
def scene(folder):
    plotter = pv.Plotter(off_screen=True, window_size=[400, 300])
    yield ResultScene(ResultFolder.open(folder), plotter)
    plotter.close()


def _top(scene: ResultScene) -> float:
    return float(scene.layers[FIELD_LAYER].mesh.points[:, 2].max())


def test_load_moves_the_organ(scene):
    full = _top(scene)
    scene.set_load(0.0)
    rest = _top(scene)
    scene.set_load(0.5)
    assert full - rest == pytest.approx(LIFT[2], rel=0.02)
    assert _top(scene) - rest == pytest.approx(LIFT[2] / 2, rel=0.02)
    scene.set_load(7.0)
    assert _top(scene) == pytest.approx(full)


def test_fields_are_shown_in_their_unit(scene):
    assert set(scene.fields) == {"displacement_magnitude", "strain", "von_mises_kPa", REGION}
    scene.set_field("strain")
    shown = np.asarray(scene.layers[FIELD_LAYER].mesh.point_data["shown"])
    assert shown == pytest.approx(np.full(len(shown), 20.0))  # 0.2 as stored, in percent; the tumour lies inside
    assert list(scene.plotter.scalar_bars.keys()) == ["Largest tensile strain (Green–Lagrange) [%]"]
    scene.set_field(REGION)
    assert list(scene.plotter.scalar_bars.keys()) == []


def test_cut_shows_the_tumour_inside(scene):
    scene.set_field("von_mises_kPa")
    scene.set_cut("coronal", scene.cut_at_target("coronal"))
    face = scene.plotter.actors["cut face"].mapper.dataset
    assert set(np.round(np.unique(face.cell_data["shown"]), 3)) == {2.0, 8.0}
    assert np.ptp(face.points[:, 1]) < 1e-6
    centre = CENTRE[1] + 0.5 * LIFT[1]
    assert face.points[0, 1] == pytest.approx(centre, abs=2)
    scene.set_cut(None)
    assert "cut face" not in scene.plotter.actors


def test_layers_are_hidden_faded_and_coloured(scene):
    scene.set_visible("liver_tumor", False)
    scene.set_opacity("liver_tumor", 0.25)
    scene.set_colour("liver_tumor", (0.0, 1.0, 0.0))
    actor = scene.layers["liver_tumor"].actor
    assert not actor.GetVisibility()
    assert actor.prop.opacity == 0.25
    assert actor.prop.color.float_rgb == (0.0, 1.0, 0.0)
    assert not scene.layers["liver"].actor.GetVisibility()  # the computed organ stands in for it


def test_translucent_layers_are_drawn(scene):
    for name in scene.layers:
        scene.set_visible(name, name == "liver")
    scene.set_opacity("liver", 0.4)
    scene.set_view("anterior")
    picture = np.asarray(scene.plotter.screenshot(return_img=True)).astype(int)
    middle = picture[150, 200]
    assert middle[0] - middle[2] > 20, middle


def test_without_a_display_stills_are_made_and_named(tmp_path, capsys):
    folder = tmp_path / "curves only"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(numbers()))
    assert viewer.view_result(folder, off_screen=True) == 0
    told = capsys.readouterr().out
    stills = sorted((folder / "stills").glob("*.png"))
    assert stills
    assert all(str(still) in told for still in stills)
    assert NOT_A_MEDICAL_DEVICE in told


def test_no_display_is_told(folder, monkeypatch):
    monkeypatch.setattr(viewer, "has_display", lambda: False)
    with pytest.raises(MissingLibraryError, match="no display"):
        viewer.view_result(folder, off_screen=False)
    with pytest.raises(SceneError, match="does not exist"):
        viewer.view_result(folder / "nothing")


def test_a_machine_without_qt_falls_back(folder, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(viewer, "has_display", lambda: True)
    monkeypatch.setattr(viewer.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(viewer, "plain_window", lambda result: shown.append(result.title))
    assert viewer.view_result(folder) == 0
    assert shown == [numbers()["scene"]["title"]]
    assert "PySide6 is not installed" in capsys.readouterr().err


_SCRIPT = """
import sys
from PySide6.QtWidgets import QApplication
from preop.scenes.viewer import missing_for_qt
lack = missing_for_qt()
if lack:
    print("LACK", lack); sys.exit(0)
from preop.scenes.result_folder import ResultFolder
from preop.scenes.viewer_window import ResultWindow
application = QApplication([])
window = ResultWindow(ResultFolder.open(sys.argv[1]))
window.show()
application.processEvents()
window.load_slider.setValue(40)
assert window.scene.load == 0.4, window.scene.load
window.field_box.setCurrentIndex(window.field_box.findData("strain"))
assert window.scene.field == "strain"
window.cut_box.setCurrentIndex(2)
assert window.scene.cut[0] == "coronal" and window.cut_slider.isEnabled()
window.layer_checks["liver_tumor"].setChecked(False)
assert not window.scene.layers["liver_tumor"].actor.GetVisibility()
assert window.number_table.item(0, 1).text() == "6.71 mm", window.number_table.item(0, 1).text()
window._advance()
assert window.load_slider.value() == 43
application.processEvents()
window.save_screenshot(sys.argv[2])
window.close()
print("DONE")
"""


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb-run is not installed: no virtual display")
def test_qt_window_under_a_virtual_display(folder, tmp_path):
    pytest.importorskip("PySide6", reason="PySide6 is not installed")
    pytest.importorskip("pyvistaqt", reason="pyvistaqt is not installed")
    hidden = ("QT_QPA_PLATFORM", "VTK_DEFAULT_OPENGL_WINDOW", "PYVISTA_OFF_SCREEN")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    shot = tmp_path / "window.png"
    command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", sys.executable, "-c", _SCRIPT, str(folder), str(shot)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=240, check=False)
    if "LACK" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr[-2000:]
    assert "DONE" in done.stdout
    from PIL import Image

    picture = np.asarray(Image.open(shot).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


@pytest.mark.parametrize("data", [{"scene": 3, "numbers": 4}, {"scene": {}, "numbers": []}, None])
def test_what_holds_nothing_to_show_is_refused_and_left_as_it_is(tmp_path, data):
    """A result.json of somebody else's, and a result without its fields."""
    text = json.dumps(data if data is not None else {**numbers(), "curves": []})
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(SceneError, match="not a result of preop" if data is not None else "nothing to show"):
        viewer.view_result(tmp_path, off_screen=True)
    assert os.listdir(tmp_path) == ["result.json"]
