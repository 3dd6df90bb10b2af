"""Words of marks: beside the body where there is room, near their marks, off each other; and one way through."""

from __future__ import annotations

import numpy as np
import pyvista as pv

from preop.scenes.callout_places import Silhouette, line_end, place_words
from preop.scenes.callouts import Callout, aim_beside
from preop.scenes.canvas import Canvas
from preop.scenes.gl import prepare_off_screen
from preop.scenes.panels import whole_frame
from preop.scenes.render_style import VIEWS

prepare_off_screen()
FREE = (20.0, 110.0, 1580.0, 1130.0)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Two triangles (2, 3, 2)."""
    return np.array([[(left, top), (right, top), (right, bottom)], [(left, top), (right, bottom), (left, bottom)]])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))


def cross(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether a + s (b − a) = c + t (d − c) for s and t between 0 and 1."""
    matrix = np.column_stack([b - a, c - d])
    if abs(np.linalg.det(matrix)) < 1e-9:
        return False
    s, t = np.linalg.solve(matrix, c - a)
    return bool(0 < s < 1 and 0 < t < 1)


def test_how_much_of_a_box_a_body_covers():
    body = Silhouette(rectangle(400, 200, 800, 600), 1200)
    boxes = np.array([(500, 300, 600, 400), (900, 300, 1000, 400), (700, 300, 900, 400), (300, 100, 500, 300)])
    np.testing.assert_allclose(body.share(boxes.astype(float)), [1, 0, 0.5, 0.25], atol=0.03)


def test_words_of_a_far_mark_stand_beside_the_body_on_its_nearer_side():
    """A mark 40 px within the right border of a body 600 px wide: the nearest free place is to its right."""
    body = np.array([500, 200, 1100, 1000.0])
    boxes, beside = place_words(
        np.array([(1060.0, 600.0)]), np.array([(300.0, 40.0)]), Silhouette(rectangle(*body), 1200), FREE
    )
    assert beside
    assert overlap(boxes[0], body) == 0
    assert 1100 < boxes[0][0] <= 1130
    # Level with the mark, or it would not be the nearest.
    assert boxes[0][1] - 15 <= 600 <= boxes[0][3] + 15


def test_where_a_colour_bar_stands_on_the_nearer_side_words_go_elsewhere_and_not_onto_the_body():
    body, bar = np.array([500, 200, 1100, 1000.0]), (1130.0, 100.0, 1600.0, 1000.0)
    (box,), beside = place_words(
        np.array([(1060.0, 600.0)]), np.array([(300.0, 40.0)]), Silhouette(rectangle(*body), 1200), FREE, [bar]
    )
    assert beside
    assert overlap(box, body) == 0
    assert overlap(box, np.array(bar)) == 0


def test_without_room_beside_the_body_it_is_told_and_words_stay_in_the_picture():
    (box,), beside = place_words(
        np.array([(800.0, 600.0)]), np.array([(300.0, 40.0)]), Silhouette(rectangle(0, 0, 1600, 1200), 1200), FREE
    )
    assert not beside
    assert (box[:2] >= FREE[:2]).all()
    assert (box[2:] <= FREE[2:]).all()


def test_words_of_close_marks_keep_off_each_other_and_their_lines_do_not_cross():
    marks = np.array([(1000.0, 500.0), (1004.0, 560.0), (1010.0, 620.0), (990.0, 680.0)])
    sizes = np.full((4, 2), (260.0, 62.0))
    boxes, beside = place_words(marks, sizes, Silhouette(rectangle(600, 200, 1050, 1000), 1200), FREE)
    assert beside
    for i in range(4):
        for j in range(i):
            assert overlap(boxes[i], boxes[j]) == 0
            assert not cross(marks[i], line_end(marks[i], boxes[i]), marks[j], line_end(marks[j], boxes[j]))


def test_a_body_that_fills_the_picture_shrinks_to_make_room_for_words():
    """A plate of the picture's shape leaves 36 px at its sides; words of 250 px need the plate to be smaller."""
    square = np.array([(-76.4, 0, -50), (76.4, 0, -50), (76.4, 0, 50), (-76.4, 0, 50)])
    plate = pv.PolyData.from_regular_faces(square, np.array([(0, 1, 2), (0, 2, 3)]))
    corners = np.asarray(plate.points, dtype=float)[plate.regular_faces]
    with Canvas(VIEWS["anterior"], (640, 480), margins=(36, 122, 36, 78), supersample=1) as canvas:
        canvas.aim(plate.points)
        largest = canvas.mm_per_pixel
        frame = whole_frame(canvas)
        callouts = [Callout("Peak 183 kPa")]
        boxes = aim_beside(frame, plate.points, [corners], [(0.0, 0.0, 0.0)], callouts)
        shown = frame.pixels(plate.points)
    assert canvas.mm_per_pixel > largest
    assert overlap(boxes[0], np.array([*shown.min(axis=0), *shown.max(axis=0)])) == 0
    width, height = boxes[0][2:] - boxes[0][:2]
    np.testing.assert_allclose((width, height), callouts[0].size())


def test_a_place_on_the_far_side_is_told_in_a_line_of_its_own():
    near, far = Callout("Top 1 %: above 157 kPa"), Callout("Top 1 %: above 157 kPa", seen=False)
    assert (near.below, far.below) == ("", "on the far side")
    assert far.size()[0] == near.size()[0]
    assert far.size()[1] > near.size()[1]
