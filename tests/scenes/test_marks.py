"""Marks of a number's place in stills and viewer, and that both colour a field by one scale."""

from __future__ import annotations

import numpy as np
import pytest
import pyvista as pv
from PIL import Image
from small_result import CENTRE, LIFT, numbers, write_small_result

from preop.meshing.mesh import TetMesh
from preop.meshing.tetwild import positive
from preop.scenes.canvas import Canvas
from preop.scenes.field_shapes import boundary, moved
from preop.scenes.gl import prepare_off_screen
from preop.scenes.marks import is_seen, marks_of, seen_from
from preop.scenes.procedures.wall_measures import hot_spot
from preop.scenes.render_style import VIEWS
from preop.scenes.result_folder import ResultFolder
from preop.scenes.sheet import Sheet
from preop.scenes.still_motion import render_field
from preop.scenes.viewer_scene import ResultScene

prepare_off_screen()

LEFT = CENTRE + np.array([39.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> ResultFolder:
    return ResultFolder.open(write_small_result(tmp_path_factory.mktemp("marked") / "result"))


def marked() -> dict:
    """The small result with a stress peak at the patient's left side of the ball."""
    data = numbers()
    peak = {"key": "peak", "name": "Stress, peak", "value": 8.1234, "unit": "kPa", "meaning": ""}
    data["numbers"].append({**peak, "place_mm": LEFT.tolist(), "field": "von_mises_kPa"})
    return data


def test_a_mark_lies_in_the_nearest_element_and_moves_with_it(result):
    grid = result.grid(-1)
    (mark,) = marks_of(marked(), "von_mises_kPa", grid)
    assert mark.words == "Peak 8.12 kPa"
    at = mark.place(np.asarray(grid.points))
    nearest = np.linalg.norm(np.asarray(grid.cell_centers().points) - LEFT, axis=1).min()
    assert np.linalg.norm(at - LEFT) == pytest.approx(nearest)
    height = (at[2] - CENTRE[2] + 40) / 80
    np.testing.assert_allclose(mark.place(np.asarray(moved(grid).points)), at + height * LIFT, atol=1e-6)
    assert marks_of(marked(), "strain", grid) == []
    assert marks_of(numbers(), "von_mises_kPa", grid) == []


def test_a_mark_is_looked_at_from_the_side_on_which_it_lies(result):
    surface = boundary(result.grid(-1))
    assert is_seen(LEFT, surface, VIEWS["left"])
    assert not is_seen(LEFT, surface, VIEWS["right"])
    views = [VIEWS[name] for name in ("right", "oblique", "left")]
    assert seen_from([LEFT], surface, views).name == "left"
    assert seen_from([], surface, views).name == "right"


def test_the_still_rings_the_place(result, tmp_path):
    grid, sheet = result.grid(-1), Sheet(size=(640, 480), supersample=1)
    marks = marks_of(marked(), "von_mises_kPa", grid)
    pictures = []
    for name, some in (("plain", ()), ("ringed", marks)):
        caption = render_field(grid, "von_mises_kPa", tmp_path / f"{name}.png", view="left", marked=some, sheet=sheet)
        pictures.append(np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")).astype(int))
    assert "peak 8.12 kPa" in caption
    with sheet.canvas(VIEWS["left"], bar=True) as canvas:
        canvas.aim(np.vstack([boundary(moved(grid)).points, boundary(grid).points]))
        x, y = (0.4 * value for value in canvas.pixel(marks[0].place(np.asarray(moved(grid).points))))
    rows, columns = np.nonzero(np.abs(pictures[1] - pictures[0]).max(axis=2) > 60)
    away = np.hypot(columns - x, rows - y)
    assert ((away > 4) & (away < 9)).sum() > 20, "a ring of 15 design pixels"
    assert not (away < 2).any(), "what is ringed stays to be seen"


def test_the_viewer_marks_the_field_that_is_shown_and_moves_the_mark(result):
    plotter = pv.Plotter(off_screen=True, window_size=[300, 200])
    result.data["numbers"] = marked()["numbers"]
    scene = ResultScene(result, plotter)
    assert scene.marks is not None
    scene.set_field("strain")
    assert scene.marks.shown == []
    scene.set_field("von_mises_kPa")
    assert [mark.words for mark in scene.marks.shown] == ["Peak 8.12 kPa"]
    full = scene.marks.places.copy()
    scene.set_load(0.0)
    rise = full[0, 2] - scene.marks.places[0, 2]
    assert rise == pytest.approx(LIFT[2] * (scene.marks.places[0, 2] - CENTRE[2] + 40) / 80)
    scene.set_visible("computed organ", False)
    assert scene.marks.shown == []
    plotter.close()


def test_stills_and_viewer_colour_a_field_by_one_scale(result, tmp_path, monkeypatch):
    """One element's peak is in the element values, but not in what is shown at the nodes."""
    drawn = []
    kept = Canvas.add_field

    def watched(self, mesh, values, scale, **more):
        drawn.append(scale)
        return kept(self, mesh, values, scale, **more)

    monkeypatch.setattr(Canvas, "add_field", watched)
    plotter = pv.Plotter(off_screen=True, window_size=[300, 200])
    scene = ResultScene(result, plotter)
    organ, grid = scene.organ, result.grid(-1)
    assert organ is not None
    spiky = np.asarray(grid.cell_data["von_mises_kPa"]).copy()
    spiky[:: len(spiky) // 20] = 400.0
    grid.cell_data["von_mises_kPa"] = spiky
    organ.grids[-1].cell_data["von_mises_kPa"] = spiky
    render_field(grid, "von_mises_kPa", tmp_path / "x.png", sheet=Sheet(size=(320, 240), supersample=1))
    assert drawn[0] == organ.scale("von_mises_kPa")
    assert drawn[0].high < 400
    plotter.close()


def test_a_hot_spot_is_the_middle_of_the_largest_patch():
    """Two rows of boxes of tetrahedra, three and one long: the middle of the longer one."""
    block = pv.RectilinearGrid(range(8), range(2), range(2)).to_tetrahedra(5)
    points, nodes = np.asarray(block.points, dtype=float), block.cells.reshape(-1, 5)[:, 1:]
    nodes = positive(points, nodes)[1]
    mesh = TetMesh(points, nodes, np.full(len(nodes), 40), {40: "aortic_wall"})
    x = points[nodes].mean(axis=1)[:, 0]
    place, share = hot_spot(mesh, np.flatnonzero((x < 3) | (x > 6)))
    assert share == pytest.approx(3 / 4)
    assert place[0] == pytest.approx(1.5, abs=0.3)
