"""The still of what holds an organ: what a view shows of a patch, which views are taken, what the caption says."""

from __future__ import annotations

import numpy as np
import pytest
import pyvista as pv
from PIL import Image

from preop.meshing.tetwild import positive
from preop.scenes.field_shapes import boundary
from preop.scenes.gl import prepare_off_screen
from preop.scenes.held_patches import pieces
from preop.scenes.patch_views import HELD_VIEWS, Sight, best_views, pointed_at, sights
from preop.scenes.render_style import VIEWS
from preop.scenes.sheet import Sheet
from preop.scenes.still_held import render_held

prepare_off_screen()
SMALL = Sheet("test", size=(640, 480), supersample=1)


def block() -> pv.UnstructuredGrid:
    """60 × 40 × 100 mm of tetrahedra, LPS, at rest."""
    box = pv.RectilinearGrid(np.arange(0, 70, 10.0), np.arange(0, 50, 10.0), np.arange(0, 110, 10.0)).to_tetrahedra(5)
    points = np.asarray(box.points, dtype=float)
    grid = pv.UnstructuredGrid({10: positive(points, box.cells.reshape(-1, 5)[:, 1:])[1]}, points)
    grid.point_data["displacement"] = np.zeros((grid.n_points, 3))
    grid.cell_data["region"] = np.full(grid.n_cells, 10)
    return grid


def faces(grid: pv.UnstructuredGrid) -> dict[str, np.ndarray]:
    """Nodes of whole faces of the block."""
    x, y, z = np.asarray(grid.points).T
    return {"front": np.flatnonzero(y < 1), "back": np.flatnonzero(y > 39), "top": np.flatnonzero(z > 99),
            "bottom": np.flatnonzero(z < 1), "left": np.flatnonzero(x > 59)}  # fmt: skip


def test_a_face_shows_the_cosine_of_the_angle_at_which_it_is_seen():
    grid = block()
    surface = boundary(grid)
    held = pieces(surface, {name: faces(grid)[name] for name in ("front", "back", "top")})
    views = [VIEWS["anterior"], VIEWS["oblique"], VIEWS["posterior"]]
    shown = sights(surface, held, views)
    oblique = np.array([-0.55, -0.80, 0.22]) / np.linalg.norm([-0.55, -0.80, 0.22])
    for name, normal in (("front", (0, -1, 0)), ("back", (0, 1, 0)), ("top", (0, 0, 1))):
        got = [one[name].share for one in shown]
        wanted = [max(float(np.dot(normal, view)), 0) for view in ((0, -1, 0), oblique, (0, 1, 0))]
        np.testing.assert_allclose(got, wanted, atol=0.03)
    assert [one["front"].seen for one in shown] == [True, True, False]
    assert (shown[0]["front"].places[:, 1] < 1).all()


def test_what_lies_behind_another_part_is_not_seen():
    """Two blocks one behind the other: the front of the hinder one faces the camera and is hidden all the same."""
    near, far = block(), block()
    far.points = np.asarray(far.points) + np.array([0, 200, 0])
    both = near.merge(far, merge_points=False)
    surface = boundary(both)
    y = np.asarray(both.points)[:, 1]
    held = pieces(surface, {"near": np.flatnonzero(y < 1), "hidden": np.flatnonzero(np.abs(y - 200) < 1)})
    ahead, aside = sights(surface, held, [VIEWS["anterior"], VIEWS["oblique"]])
    assert ahead["near"].share == pytest.approx(1)
    assert ahead["hidden"].share == 0
    assert aside["hidden"].share > 0.3


def _shown(*rows: tuple[float, ...]) -> list[dict[str, Sight]]:
    return [{str(i): Sight(share, np.zeros((1, 3))) for i, share in enumerate(row)} for row in rows]


def test_one_view_if_it_shows_all_well_else_the_two_that_show_the_worst_seen_best():
    assert best_views(_shown((0.9, 0.0), (0.5, 0.4), (0.0, 0.9))) == (1,)
    assert best_views(_shown((0.9, 0.0), (0.1, 0.02), (0.0, 0.9))) == (0, 2)
    # The one that shows the first patch comes first.
    assert best_views(_shown((0.0, 0.9), (0.1, 0.02), (0.9, 0.0))) == (2, 0)
    # Equals: the more usual ones, which come first in the list.
    assert best_views(_shown((0.6, 0.0), (0.0, 0.5), (0.9, 0.0), (0.0, 0.9))) == (0, 1)
    # A second view that shows nothing new is not taken.
    assert best_views(_shown((0.6, 0.0), (0.5, 0.0))) == (0,)
    assert best_views([{}, {}]) == (0,)


def test_both_ends_of_a_block_need_two_views_and_the_caption_says_so(tmp_path):
    grid = block()
    ends = {"end_0": faces(grid)["top"], "end_1": faces(grid)["bottom"]}
    shown = sights(boundary(grid), pieces(boundary(grid), ends))
    assert not any(all(one[name].seen for name in ends) for one in shown)
    caption = render_held(grid, tmp_path / "held.png", node_sets=ends, sheet=SMALL)
    assert "2 ends" in caption
    assert "Both are seen from these two sides." in caption
    with Image.open(tmp_path / "held.png") as image:
        assert image.size == SMALL.size
        # Both panels carry the patches' green.
        green = np.asarray(image.convert("RGB")).astype(int)
    hit = (green[..., 1] - green[..., 0] > 60) & (green[..., 1] - green[..., 2] > 15)
    assert hit[:, :320].sum() > 300
    assert hit[:, 320:].sum() > 300


def test_one_view_suffices_for_neighbouring_faces(tmp_path):
    grid = block()
    sets = {"grasp": faces(grid)["front"], "ligament": faces(grid)["left"]}
    caption = render_held(grid, tmp_path / "held.png", node_sets=sets, sheet=SMALL)
    assert "grasped patch and ligament" in caption
    assert "Both are seen from here." in caption
    assert "right" not in caption, "its left face is not seen from the right"


def test_a_patch_that_no_view_shows_is_counted_as_not_seen(tmp_path):
    """A ball in a hollow block: no view reaches it."""
    outer = block()
    centre = np.asarray(outer.cell_centers().points)
    hollow = np.abs(centre - (30, 20, 50)).max(axis=1) < 11
    shell = pv.UnstructuredGrid(outer.extract_cells(np.flatnonzero(~hollow)))
    points = np.asarray(shell.points)
    inner = np.flatnonzero(np.abs(points - (30, 20, 50)).max(axis=1) < 11)
    sets = {"end_0": np.flatnonzero(points[:, 2] > 99), "end_1": inner}
    assert not any(one["end_1"].seen for one in sights(boundary(shell), pieces(boundary(shell), sets)))
    caption = render_held(shell, tmp_path / "held.png", node_sets=sets, sheet=SMALL)
    assert "1 of 2 are seen from here." in caption


def test_lines_end_well_within_a_patch_and_on_a_ring_not_in_its_hole():
    x, y = np.meshgrid(np.arange(0, 101, 10.0), np.arange(0, 41, 10.0))
    flat = np.stack([x.ravel(), y.ravel()], axis=1)
    places = np.column_stack([flat, np.zeros(len(flat))])
    around = np.array([(-10.0, y) for y in range(0, 50, 10)])
    end = flat[pointed_at(places, flat, around, (-500, 500))]
    assert 10 < end[0] < 90
    assert 10 <= end[1] <= 30
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.column_stack([50 * np.cos(turn), np.zeros(24), 50 * np.sin(turn)])
    seen = np.column_stack([100 + ring[:, 0], 0.3 * ring[:, 2]])
    assert seen[pointed_at(ring, seen, np.zeros((0, 2)), (0, 900))][0] == pytest.approx(150)
    assert seen[pointed_at(ring, seen, np.zeros((0, 2)), (-900, 200))][0] == pytest.approx(50)
    # A neighbour on the roomier side: the line comes from the other one.
    neighbour = np.array([(300.0, 0.0), (320.0, 5.0)])
    assert seen[pointed_at(ring, seen, neighbour, (0, 900))][0] == pytest.approx(50)


def test_the_views_are_told_apart():
    assert len({view.title for view in HELD_VIEWS}) == len(HELD_VIEWS)
    for view in HELD_VIEWS:
        right, up, back = view.axes()
        assert ("below" in view.title or view.name == "inferior") == (back[2] < -0.3)
        assert ("above" in view.title or view.name == "superior") == (back[2] > 0.3)
        assert "posterior" not in view.title or back[1] > 0.5
        assert np.linalg.det(np.stack([right, up, back])) == pytest.approx(1)
