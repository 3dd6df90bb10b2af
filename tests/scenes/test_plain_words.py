"""Places, directions and names in words, LPS: +x left, +y back, +z up."""

from __future__ import annotations

import pytest

from preop.scenes.assumptions import place_words
from preop.scenes.plain_words import direction_words, name_words, path_words, position_words
from preop.scenes.schema import Place


def test_a_position_names_the_patients_sides():
    assert position_words((-12.4, 30.2, -5.0)) == "12 mm right, 30 mm back and 5 mm down from the scan's origin"
    assert position_words((12.4, -30.2, 5.0)) == "12 mm left, 30 mm forward and 5 mm up from the scan's origin"


def test_a_way_leaves_out_what_does_not_move():
    told = path_words(((0.0, -12.0, 5.0), (0.0, -22.0, 15.0)))
    assert told == "12 mm forward and 5 mm up, then to 22 mm forward and 15 mm up from the start"


@pytest.mark.parametrize(
    ("direction", "words"),
    [
        ((0, 9.81, 0), "towards the back"),
        ((-2, 0, 0), "towards the patient's right"),
        ((0, 1, 1.7320508), "up (towards the head), leaning 30° to the back"),
        ((0.5, -0.5, -0.5), "towards the patient's left, leaning 45° to the front and 45° to the feet"),
    ],
)
def test_a_direction_is_its_main_axis_and_how_far_it_leans(direction, words):
    assert direction_words(direction) == words


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"near": ["inferior_vena_cava", "kidney_left"], "within_mm": 4},
         "the surface within 4 mm of the inferior vena cava and the left kidney"),
        ({"point": [1, 2, 3], "radius_mm": 9},
         "the surface within 9 mm of the point 1 mm left, 2 mm back and 3 mm up from the scan's origin"),
        ({"facing": [0, 0, 1], "fraction": 0.3},
         "the surface that faces up (towards the head) (within 45°), its outermost 30 %"),
        ({"towards": [0, 0, -1], "radius_mm": 25},
         "the surface within 25 mm of what is outermost in one direction: down (towards the feet)"),
        ({"all": True}, "the whole surface"),
    ],
)  # fmt: skip
def test_every_kind_of_place_has_words(place, words):
    assert place_words(Place.model_validate(place)) == words


def test_names_have_one_spelling():
    assert [name_words(name) for name in ("liver_tumor", "iliac_artery_left", "hepatic_vein")] == [
        "liver tumour", "left iliac artery", "hepatic vein"
    ]  # fmt: skip
