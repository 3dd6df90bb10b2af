"""Places, directions and names in words, LPS: +x left, +y back, +z up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from preop.scenes.assumptions import place_words
from preop.scenes.plain_words import direction_words, name_words, part_words, path_words, position_words
from preop.scenes.procedures.retraction_measures import uncertain_outline
from preop.scenes.scene_file import load_scene
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


@pytest.mark.parametrize(
    ("point", "words"),
    [((-90, -50, -90), "the right, front, lower part"), ((0, 0, 90), "the upper part"), ((0, 0, 0), "the middle"),
     ((90, 50, 0), "the left, back part")],
)  # fmt: skip
def test_a_place_on_an_organ_is_told_by_its_sides(point, words):
    assert part_words(point, (-100, -60, -100), (100, 60, 100)) == words


def test_a_tumour_of_a_patient_is_called_uncertain_and_that_of_the_phantom_or_of_given_labels_is_not():
    mesh = SimpleNamespace(region_names={1: "liver", 2: "liver_tumor"})

    def told(*overrides, region="liver_tumor"):
        session = SimpleNamespace(scene=load_scene("liver-retraction", overrides))
        return uncertain_outline(session, mesh, region)  # pyright: ignore[reportArgumentType]

    (line,) = told("patient.scan=ct.zip")
    assert "not good to three figures" in line
    assert not any(one.isdigit() for one in line), "what one patient gave is no figure for another"
    assert told() == told("patient.scan=ct.zip", "segmentation.labels=mine.nii.gz") == []
    assert told("patient.scan=ct.zip", region="cyst") == []
