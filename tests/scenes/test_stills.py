"""Stills: cameras, proportions and colours say what the data say."""

from __future__ import annotations

import json

import numpy as np
import pytest
import pyvista as pv
from PIL import Image
from small_result import CENTRE, LIFT, ball_of_tetrahedra, numbers, step_of, write_small_result

from preop.imaging.anatomy import BY_LABEL
from preop.imaging.errors import GeometryError, SceneError
from preop.imaging.volume import Grid, ImageVolume, LabelMap
from preop.scenes.animation import animate
from preop.scenes.annotate import Lettering, blank
from preop.scenes.canvas import Canvas
from preop.scenes.field_limits import limit_of, named_value
from preop.scenes.field_shapes import boundary, magnification_of, moved, nodal, regions, tumour_centre, tumour_pieces
from preop.scenes.fitting_view import fit
from preop.scenes.gl import prepare_off_screen
from preop.scenes.held_patches import patches
from preop.scenes.pictures import stills_for_result
from preop.scenes.plots import line_names, render_curves, together
from preop.scenes.render_style import VIEWS, bar_length, colour_map_of, colour_scale, nice_ceiling
from preop.scenes.result_folder import ResultFolder
from preop.scenes.sheet import Sheet
from preop.scenes.shown_surfaces import shown, without_crumbs
from preop.scenes.slice_focus import focus_point, widest_point, window_of
from preop.scenes.slice_panel import body_extent, outlines
from preop.scenes.slice_planes import AXIAL, CORONAL, SAGITTAL, sample_plane
from preop.scenes.slices import legend_entries, render_slices
from preop.scenes.still_motion import render_field

prepare_off_screen()
SMALL = Sheet("test", size=(640, 480), supersample=1)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> ResultFolder:
    return ResultFolder.open(write_small_result(tmp_path_factory.mktemp("small") / "result"))


@pytest.mark.parametrize(
    ("view", "right", "up"),
    [("anterior", (1, 0, 0), (0, 0, 1)), ("posterior", (-1, 0, 0), (0, 0, 1)), ("right", (0, -1, 0), (0, 0, 1)),
     ("left", (0, 1, 0), (0, 0, 1)), ("inferior", (1, 0, 0), (0, -1, 0)), ("superior", (-1, 0, 0), (0, -1, 0))],
)  # fmt: skip
def test_view_follows_convention(view, right, up):
    # LPS: seen from the front or from the feet the patient's left (+x) is on the picture's right.
    got_right, got_up, _ = VIEWS[view].axes()
    np.testing.assert_allclose(got_right, right, atol=1e-12)
    np.testing.assert_allclose(got_up, up, atol=1e-12)


def test_a_point_is_drawn_where_the_canvas_says():
    """A red ball in a grey field: its pixels lie around `pixel(centre)`, and the scale bar's mm fit its size."""
    with Canvas(VIEWS["surgeon"], (640, 480), supersample=1) as canvas:
        canvas.add_solid(pv.Sphere(radius=10, center=(25, -10, 30)), (1, 0, 0))
        canvas.add_solid(pv.Sphere(radius=1, center=(-60, 40, -20)), (0, 0, 1))
        canvas.aim()
        picture = np.asarray(canvas.image(crevices=0)).astype(int)
        at = np.array(canvas.pixel((25, -10, 30))) * 640 / 1600
        mm_per_pixel = canvas.mm_per_pixel
    red = picture[..., 0] - picture[..., 1] > 50
    rows, columns = np.nonzero(red)
    assert abs((columns.min() + columns.max()) / 2 - at[0]) < 1.5
    assert abs((rows.min() + rows.max()) / 2 - at[1]) < 1.5
    assert (columns.max() - columns.min() + 1) * mm_per_pixel == pytest.approx(20, abs=2.5 * mm_per_pixel)


def test_shell_shows_what_is_inside():
    """Depth peeling: the inner ball's colour is seen through the shell, and a solid hides it."""
    seen = []
    for shell in (True, False):
        with Canvas(VIEWS["anterior"], (320, 240), supersample=1) as canvas:
            canvas.add_solid(pv.Sphere(radius=10), (0, 0, 1))
            add = canvas.add_shell if shell else canvas.add_solid
            add(pv.Sphere(radius=40), (0.9, 0.5, 0.3))
            canvas.aim()
            x, y = (round(value * 320 / 1600) for value in canvas.pixel((0, 0, 0)))
            pixel = np.asarray(canvas.image(crevices=0)).astype(int)[y, x]
            seen.append(pixel[2] - pixel[0])
    assert seen[0] > 40 > 0 > seen[1]


def test_moved_leaves_the_original_and_magnifies():
    grid = step_of(ball_of_tetrahedra(), 1.0)
    before = np.array(grid.points)
    after = moved(grid, 3.0)
    np.testing.assert_array_equal(grid.points, before)
    np.testing.assert_allclose(after.points - before, 3 * np.asarray(grid.point_data["displacement"]), atol=1e-4)
    assert magnification_of(grid) == 1
    grid.point_data["displacement"] = np.asarray(grid.point_data["displacement"]) / 50
    assert magnification_of(grid) > 1


def test_nodal_mean_keeps_a_constant_and_the_integral():
    grid = ball_of_tetrahedra()
    assert np.allclose(nodal(grid, np.full(grid.n_cells, 3.5)), 3.5)
    values = np.random.default_rng(0).uniform(1, 2, grid.n_cells)
    means = nodal(grid, values)
    assert values.min() <= means.min() <= means.max() <= values.max()


def test_tumour_is_found_where_it_is():
    grid = ball_of_tetrahedra()
    assert set(regions(grid)) == {"liver", "liver_tumor"}
    assert np.linalg.norm(tumour_centre(grid) - CENTRE) < 1.5


def test_colour_scale_is_round_and_tells_what_lies_beyond():
    values = np.concatenate([np.linspace(0, 9.3, 1000), [500.0]])
    scale = colour_scale("von_mises_kPa", values)
    assert (scale.low, scale.high, scale.beyond) == (0, 10, True)
    assert colour_scale("strain", [0.0, 0.2]).high == 20  # shown in percent
    assert colour_scale("strain", np.zeros(4)).high > 0
    assert nice_ceiling(0.0301) == pytest.approx(0.035)
    # A displacement has no peaks to cut off: its largest is on the bar.
    scale = colour_scale("displacement_magnitude", np.concatenate([np.zeros(10_000), [26.8]]))
    assert (scale.high, scale.beyond) == (30, False)
    assert bar_length(400) == 100


def test_standard_set_from_the_folder_alone(result):
    made = stills_for_result(result, sheet=SMALL)
    keys = [picture.key for picture in made]
    assert {"anatomy", "before_after", "displacement", "strain", "stress_cut", "mesh", "curves"} <= set(keys)
    for picture in made:
        with Image.open(result.path / picture.path) as image:
            assert image.size == SMALL.size
            assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50, picture.key
        assert picture.caption.endswith(".")
    listed = json.loads((result.path / "stills" / "captions.json").read_text(encoding="utf-8"))
    assert [one["key"] for one in listed] == keys
    assert ResultFolder.open(result.path).pictures == tuple(made)


def test_field_colours_are_those_of_the_values(result, tmp_path):
    """The lifted top is the yellow end of viridis, the bottom its violet end."""
    path = tmp_path / "field.png"
    grid = result.grid(-1)
    render_field(grid, "displacement_magnitude", path, view="anterior", sheet=SMALL)
    with SMALL.canvas(VIEWS["anterior"], bar=True) as canvas:
        canvas.aim(np.vstack([boundary(moved(grid)).points, boundary(grid).points]))
        top = np.array(canvas.pixel(CENTRE + np.array([0, 0, 33]) + LIFT)) * 0.4
        bottom = np.array(canvas.pixel(CENTRE - np.array([0, 0, 33]))) * 0.4
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    high, low = (picture[round(at[1]), round(at[0])] for at in (top, bottom))
    assert high[1] > high[2] + 30, high
    assert low[2] > low[1] + 10, low


def test_lettering_covers_nothing():
    """An L of points beside a legend: as large as it goes, inside of the picture, none of it under a box."""
    rng = np.random.default_rng(1)
    points = np.vstack([rng.uniform((0, 0), (30, 100), (400, 2)), rng.uniform((0, 0), (160, 30), (400, 2))])
    points = np.vstack([points, [(0, 0), (160, 0), (0, 100)]])
    legend, cube = (0.0, 100.0, 420.0, 500.0), (1400.0, 950.0, 1600.0, 1150.0)
    scale, place = fit(points, (36, 120, 1564, 1120), [legend, cube])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    pixels = (points - middle) * (1, -1) / scale + place
    assert (pixels >= (35.9, 119.9)).all()
    assert (pixels <= (1564.1, 1120.1)).all()
    for left, top, right, bottom in (legend, cube):
        inside = (pixels[:, 0] > left) & (pixels[:, 0] < right) & (pixels[:, 1] > top) & (pixels[:, 1] < bottom)
        assert not inside.any()
    assert np.ptp(pixels, axis=0).max() > 900
    free, _ = fit(points, (36, 120, 1564, 1120))
    assert free == pytest.approx(max(160 / 1528, 100 / 1000))


@pytest.mark.parametrize("name", ["viridis", "plasma", "inferno"])
def test_colour_maps_rise_in_lightness_from_where_shading_is_seen(name):
    colours = colour_map_of(name)(np.linspace(0, 1, 64))[:, :3]
    linear = np.where(colours > 0.04045, ((colours + 0.055) / 1.055) ** 2.4, colours / 12.92)
    lightness = 116 * np.cbrt(linear @ (0.2126, 0.7152, 0.0722)) - 16
    assert lightness[0] > 33
    assert (np.diff(lightness) > 0).all()


def test_a_limit_is_on_the_bar():
    scale = colour_scale("strain", np.append(np.linspace(0, 0.25, 999), 0.61), 0.3)
    assert (scale.limit, scale.high, scale.beyond) == (30, 40, True)
    assert "30 %" in scale.beyond_sentence()
    told = {"assumptions": [{"key": "options.strain_limit", "value": 30.0, "unit": "%"}]}
    assert limit_of(told, "strain") == 0.3
    assert limit_of(told, "von_mises_kPa") is None
    assert limit_of({"assumptions": []}, "strain") is None


def test_a_percentile_told_in_words_lies_on_the_bar():
    """The 99th percentile of elements is above what averages at the nodes reach: the bar goes there all the same."""
    marked = {"name": "Wall stress, 99th percentile", "value": 107.0, "field": "wall_stress_kPa", "place_mm": [0, 0, 0]}
    data = {"numbers": [marked, {"name": "Wall stress, peak", "value": 135.0, "field": "wall_stress_kPa"}]}
    assert named_value(data, "wall_stress_kPa") == 107
    assert named_value(data, "strain") is None
    assert named_value({"numbers": [{**marked, "place_mm": None}]}, "wall_stress_kPa") is None
    percent = {**marked, "name": "Strain, 99th percentile", "value": 25.0, "field": "strain"}
    assert named_value({"numbers": [percent]}, "strain") == 0.25
    values = np.append(np.linspace(0, 88, 1000), 130)
    assert colour_scale("wall_stress_kPa", values).high == 90
    scale = colour_scale("wall_stress_kPa", values, named=107.0)
    assert (scale.high, scale.beyond) == (120, True)
    assert colour_scale("wall_stress_kPa", values, named=20.0).high == 90


def test_crumbs_are_left_out_of_pictures_and_findings_stay():
    """An organ of 270 mL with a crumb of 33 mm³, and a tumour of that size which is no crumb."""
    organ, crumb = pv.Sphere(radius=40), pv.Sphere(radius=2, center=(70, 0, 0))
    both = organ.merge(crumb).extract_surface(algorithm="dataset_surface")
    assert without_crumbs(both).n_cells == organ.n_cells
    assert without_crumbs(both, one_organ=False).n_cells == both.n_cells
    assert without_crumbs(crumb).n_cells == crumb.n_cells
    assert shown(organ, "liver", clear=True).volume == pytest.approx(organ.volume, rel=0.03)


def test_animation_goes_there_and_back(result, tmp_path):
    grids = [result.grid(step) for step in range(len(result.step_files))]
    messages = []
    path = animate(
        grids, tmp_path / "a", size=(320, 240), seconds=1, frames_per_second=8,
        progress=lambda fraction, text: messages.append(fraction),
    )  # fmt: skip
    with Image.open(path) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")).astype(int)[40:200])
    assert len(frames) == 8
    assert np.abs(frames[0] - frames[4]).mean() > 5 * np.abs(frames[1] - frames[7]).mean()
    assert messages == sorted(messages)
    assert messages[-1] == 1


def _oblique_volume() -> tuple[ImageVolume, np.ndarray]:
    """Values that are a linear function of the place, on a turned, stretched grid."""
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, 1.3, 2.5])
    affine[:3, 3] = (-30, -40, 100)
    grid = Grid((50, 50, 20), affine)
    slope = np.array([2.0, -3.0, 5.0])
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return ImageVolume((grid.points_from_index(index) @ slope).astype(np.float32), grid), slope


@pytest.mark.parametrize("plane", [AXIAL, CORONAL, SAGITTAL])
def test_slices_are_sampled_in_the_patients_axes(plane):
    volume, slope = _oblique_volume()
    point = volume.grid.points_from_index([25, 25, 10])
    picture, (left, right, bottom, top) = sample_plane(
        volume.voxels, volume.grid, plane, point, order=1, outside=np.nan
    )
    rows, columns = picture.shape
    x = np.linspace(left, right, 2 * columns + 1)[1::2]
    y = np.linspace(top, bottom, 2 * rows + 1)[1::2]
    normal = np.eye(3)[plane.axis]
    places = x[None, :, None] * np.array(plane.right) + y[:, None, None] * np.array(plane.down)
    places = places + (point @ normal) * normal
    inside = np.isfinite(picture)
    assert inside.sum() > 300
    np.testing.assert_allclose(picture[inside], (places @ slope)[inside], atol=1e-2)


def test_slices_are_cropped_to_the_body_and_not_to_its_table():
    picture = np.full((200, 300), -1000.0)
    picture[60:120, 80:220] = 40
    picture[150:151, 10:290] = 200
    left, right, bottom, top = body_extent(picture, (-150.0, 150.0, 200.0, 0.0), -160.0)
    assert (left, right, bottom, top) == pytest.approx((-76, 76, 126, 54))
    empty = np.full((20, 30), -1000.0)
    assert body_extent(empty, (0.0, 30.0, 20.0, 0.0), -160.0) == (0.0, 30.0, 20.0, 0.0)


def test_patients_right_is_on_the_left_and_another_grid_is_refused(tmp_path):
    volume, _ = _oblique_volume()
    labels = LabelMap(np.zeros(volume.grid.shape, np.uint16), volume.grid, BY_LABEL)
    labels.labels[5:12, 20:30, 5:12] = 10
    labels.labels[40, 40, 10] = 10
    focus = focus_point(volume, labels)
    assert np.linalg.norm(focus - volume.grid.points_from_index([8, 24.5, 8])) < 2
    caption = render_slices(volume, labels, tmp_path / "s.png", sheet=SMALL)
    assert "liver" in caption
    assert focus[0] < 0 < focus[2]
    assert f"sagittal at {-focus[0]:.1f} mm right" in caption
    assert f"axial at {focus[2]:.1f} mm up" in caption
    assert AXIAL.letters[:2] == ("R", "L")
    assert AXIAL.right == (1, 0, 0)
    elsewhere = LabelMap(labels.labels, Grid(volume.grid.shape, np.eye(4)), BY_LABEL)
    with pytest.raises(GeometryError):
        render_slices(volume, elsewhere, tmp_path / "t.png")


def test_held_patches_are_disjoint_and_numbered_sets_are_one():
    grid = ball_of_tetrahedra()
    surface = boundary(grid)
    height = np.asarray(grid.points)[:, 2] - CENTRE[2]
    sets = {"end_0": np.flatnonzero(height < -20), "end_1": np.flatnonzero(height > 20),
            "grasp": np.flatnonzero(height > 30)}  # fmt: skip
    found = patches(surface, sets)
    assert set(found) == {"grasp", "end"}
    assert not np.intersect1d(found["grasp"], found["end"]).size
    heights = surface.cell_centers().points[:, 2] - CENTRE[2]
    assert heights[found["grasp"]].min() > 30
    assert (np.abs(heights[found["end"]]) > 20).all()
    assert (heights[found["end"]] > 20).any()
    assert (heights[found["end"]] < -20).any()


def test_tumours_are_counted_from_the_largest():
    """Three separate tumours, one too small for the report, in the order of their volumes."""
    grid = pv.UnstructuredGrid(pv.ImageData(dimensions=(31, 11, 11)).to_tetrahedra())
    x, y, z = np.asarray(grid.cell_centers().points).T
    tumour = ((x < 6) & (y < 6)) | (x > 20) | ((x > 10) & (x < 12) & (y < 2) & (z < 2))
    grid.cell_data["region"] = np.where(tumour, 11, 10)
    volumes = [piece.compute_cell_sizes().cell_data["Volume"].sum() for piece in tumour_pieces(grid)]
    np.testing.assert_allclose(np.abs(volumes), [1000, 360], rtol=1e-6)


def test_the_outline_is_the_border_of_what_is_covered():
    letters = Lettering(blank((800, 600)))
    square = np.array([[(400, 400), (800, 400), (800, 800)], [(400, 400), (800, 800), (400, 800)]], float)
    letters.outline(square, (1, 0, 0), width=4)
    red = np.asarray(letters.image).astype(int)
    red = red[..., 0] - red[..., 1] > 100
    rows, columns = np.nonzero(red)
    for places in (rows, columns):
        assert abs(places.min() - 200) <= 2
        assert abs(places.max() - 400) <= 2
    assert not red[210:390, 210:390].any(), "the diagonal that both triangles share is no border"


def _curve(name, y_name, unit, x_name="travel of the grasper"):
    return {"name": name, "x_name": x_name, "x_unit": "mm", "y_name": y_name, "y_unit": unit,
            "x": [0.0, 1.0, 2.0], "y": [0.0, 2.0, 3.0]}  # fmt: skip


def test_curves_of_one_quantity_share_a_plot_and_captions_say_nothing_twice(tmp_path):
    curves = [_curve("Grasper force over its travel", "force", "N")]
    curves += [_curve(f"Displacement of liver tumor {n}", "displacement", "mm") for n in (1, 2)]
    panels = together(curves)
    assert [len(panel) for panel in panels] == [1, 2]
    assert line_names(panels[1]) == ["Liver tumour 1", "Liver tumour 2"]
    assert render_curves(curves, tmp_path / "c.png", sheet=SMALL) == (
        "Grasper force over its travel; displacement over travel of the grasper: liver tumour 1, liver tumour 2."
    )
    turning = {**curves[0], "turns": [1.25]}
    assert "Dotted at 1.25 mm: the path takes a new direction" in render_curves(
        [turning], tmp_path / "t.png", sheet=SMALL
    )
    pressure = _curve("Wall stress over pressure", "99th percentile of wall stress", "kPa", "pressure")
    assert render_curves([pressure], tmp_path / "p.png", sheet=SMALL) == "Wall stress over pressure."


def test_a_lumen_is_outlined_inside_its_thrombus():
    sampled = np.zeros((20, 20), int)
    sampled[3:17, 3:17] = 33
    sampled[8:12, 8:12] = 30
    sampled[14, 14] = 0
    order = outlines(sampled, {30: "aorta", 33: "aortic_thrombus"})
    assert [name for name, _ in order] == ["aortic_thrombus", "aorta"]
    sac = order[0][1]
    assert sac[10, 10], "the lumen is no hole of the thrombus"
    assert not sac[14, 14], "a hole that nothing fills stays one"


def test_the_legend_tells_only_what_shares_a_colour_as_one():
    assert [name for name, _ in legend_entries(["kidney_left", "kidney_right", "liver"])] == ["Kidneys", "Liver"]
    assert [name for name, _ in legend_entries(["kidney_left", "aorta"])] == ["Left kidney", "Aorta"]
    arteries = ["aorta", "iliac_artery_left", "iliac_artery_right"]
    assert len({name for name, _ in legend_entries(arteries)}) == 3


def test_the_widest_place_of_an_aorta_and_its_window():
    """A tube of radius 6 mm with a ball of 14 mm at z = 45 mm and another of 18 mm outside of what was computed."""
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    grid = Grid((30, 30, 40), affine)
    points = grid.points_from_index(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    tube = np.linalg.norm(points[..., :2] - 30, axis=-1) < 6
    balls = [np.linalg.norm(points - (30, 30, z), axis=-1) < r for z, r in ((45, 14), (90, 18))]
    labels = LabelMap(np.where(balls[0] | balls[1], 33, 0).astype(np.uint16), grid, BY_LABEL)
    labels.labels[tube] = 30
    assert np.linalg.norm(widest_point(labels) - (30, 30, 90)) < 4
    assert np.linalg.norm(widest_point(labels, [(0, 0, 0), (60, 60, 66)]) - (30, 30, 45)) < 4
    volume = ImageVolume(np.where(tube, 350, 40).astype(np.float32), grid, unit="HU")
    assert window_of(volume, labels, arteries=True) == (200, 700)
    assert window_of(volume, labels) == (40, 400)


def test_reading_what_is_no_result(tmp_path, result):
    for path, words in ((tmp_path / "none", "does not exist"), (tmp_path, "no result.json")):
        with pytest.raises(SceneError, match=words):
            ResultFolder.open(path)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(SceneError, match="cannot be read"):
        ResultFolder.open(tmp_path)
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(SceneError, match="not a result"):
        ResultFolder.open(tmp_path)
    with pytest.raises(SceneError, match="no surface spleen"):
        result.surface("spleen")
    with pytest.raises(SceneError, match="2 load steps"):
        result.grid(7)
    damaged = tmp_path / "fields"
    damaged.mkdir()
    (damaged / "step_000.vtu").write_text("<VTKFile")
    (tmp_path / "result.json").write_text(json.dumps(numbers()))
    with pytest.raises(SceneError, match=r"damaged or empty|cannot be read"):
        ResultFolder.open(tmp_path).grid(0)
