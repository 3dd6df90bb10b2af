"""Quantities of a scene: what lies outside is refused with its unit, and the slip of unit is named."""

from __future__ import annotations

import math
import re

import pytest

from preop.imaging.errors import SceneError
from preop.scenes.quantities import BED_SLIPS, LENGTH_SLIPS, MODULUS_SLIPS, PRESSURE_SLIPS, out_of_range, travel_problem
from preop.scenes.scene_file import load_scene


def refused(scene: str, override: str) -> str:
    with pytest.raises(SceneError) as caught:
        load_scene(
            scene, ["options.wall={tissue: aneurysm_wall}", override] if scene == "aneurysm-wall" else [override]
        )
    line = caught.value.line()
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("slips", "other", "one_is"),
    [
        # 760 mmHg are 101 325 Pa; 1 kPa/mm is 1000 Pa over 0.001 m.
        (PRESSURE_SLIPS, "Pa", 760 / 101_325),
        (PRESSURE_SLIPS, "kPa", 760 / 101.325),
        (PRESSURE_SLIPS, "cmHg", 10),
        (LENGTH_SLIPS, "m", 1e3),
        (LENGTH_SLIPS, "cm", 1e1),
        (LENGTH_SLIPS, "µm", 1e-3),
        (MODULUS_SLIPS, "Pa", 1e-3),
        (MODULUS_SLIPS, "MPa", 1e3),
        (MODULUS_SLIPS, "GPa", 1e6),
        (BED_SLIPS, "N/m³", 1 / (1000 / 0.001)),
        (BED_SLIPS, "kPa/m", 1 / 1000),
        (BED_SLIPS, "kPa/cm", 1 / 10),
        (BED_SLIPS, "Pa/mm", 1 / 1000),
    ],
)
def test_slips_are_worth_what_the_units_say(slips, other, one_is):
    assert slips[other] == pytest.approx(one_is, rel=1e-6)


def test_the_bounds_themselves_are_inside_and_what_lies_beyond_is_told_with_its_slip():
    assert out_of_range(30, 30, 300, "mmHg", PRESSURE_SLIPS) == ""
    assert out_of_range(300, 30, 300, "mmHg", PRESSURE_SLIPS) == ""
    told = out_of_range(16_000, 30, 300, "mmHg", PRESSURE_SLIPS)
    assert told == "must be 30 to 300 mmHg (was Pa meant? 16000 Pa is 120 mmHg)"
    # 301 of nothing else is a blood pressure either: no guess.
    assert out_of_range(301, 30, 300, "mmHg", {"kPa": PRESSURE_SLIPS["kPa"]}) == "must be 30 to 300 mmHg"


@pytest.mark.parametrize(
    ("scene", "key", "given", "told"),
    [
        ("aneurysm-wall", "patient.systolic_mmHg", 16_000, "30 to 300 mmHg (was Pa meant? 16000 Pa is 120 mmHg)"),
        ("aneurysm-wall", "patient.systolic_mmHg", 16, "(was kPa meant? 16 kPa is 120 mmHg)"),
        ("aneurysm-wall", "patient.diastolic_mmHg", 8, "20 to 200 mmHg (was kPa meant? 8 kPa is 60 mmHg)"),
        ("aneurysm-wall", "options.scan_pressure_mmHg", 12_000, "(was Pa meant? 12000 Pa is 90.01 mmHg)"),
        ("aneurysm-wall", "options.wall_thickness_mm", 0.0019, "0.2 to 10 mm (was m meant? 0.0019 m is 1.9 mm)"),
        ("aneurysm-wall", "options.wall_thickness_mm", 1900, "(was µm meant? 1900 µm is 1.9 mm)"),
        ("aneurysm-wall", "options.edge_length_mm", 0.25, "0.5 to 10 mm (was cm meant? 0.25 cm is 2.5 mm)"),
        ("aneurysm-wall", "options.exclude_from_ends_mm", 0.01, "(was m meant? 0.01 m is 10 mm)"),
        ("aneurysm-wall", "options.outer_support_kPa_per_mm", 20_000, "(was N/m³ meant? 20000 N/m³ is 0.02 kPa/mm)"),
        ("aneurysm-wall", "options.wall.young_kPa", 1e9, "0.01 to 1e+08 kPa (was Pa meant? 1e+09 Pa is 1e+06 kPa)"),
        ("aneurysm-wall", "options.wall.density", 1.1, "(was g/cm³ meant? 1.1 g/cm³ is 1100 kg/m³)"),
        ("liver-retraction", "options.supports.0.stiffness_kPa_per_mm", 2e5, "0.0001 to 100 kPa/mm (was N/m³ meant?"),
        ("liver-retraction", "options.supports.1.tangential_kPa_per_mm", 1e4, "(was N/m³ meant? 10000 N/m³ is 0.01"),
        ("liver-retraction", "options.grasp.grip_kPa_per_mm", 1e6, "(was N/m³ meant? 1e+06 N/m³ is 1 kPa/mm)"),
        ("liver-retraction", "options.grasp.where.radius_mm", 0.025, "0.5 to 300 mm (was m meant? 0.025 m is 25 mm)"),
        ("liver-retraction", "options.supports.2.where.within_mm", 0.004, "(was m meant? 0.004 m is 4 mm)"),
        ("liver-retraction", "options.strain_limit", 30, "0.001 to 5 (was % meant? 30 % is 0.3)"),
        ("liver-retraction", "options.gravity", [0, 9810, 0], "must be in m/s² (9.81 on Earth, 30 at most)"),
        ("liver-retraction", "options.regions.liver.poisson", 0.4999, "must be 0 to 0.49; nearer to 0.5 elements lock"),
    ],
)  # fmt: skip
def test_a_slip_of_unit_is_refused_before_any_work(scene, key, given, told):
    line = refused(scene, f"{key}={given}")
    assert f"{key}: " in line
    assert told in line
    assert f", not {given!r}" in line


@pytest.mark.parametrize(
    ("scene", "override"),
    [
        ("aneurysm-wall", "options.scan_pressure_mmHg=0"),
        ("aneurysm-wall", "options.outer_support_kPa_per_mm=0"),
        ("aneurysm-wall", "options.exclude_from_ends_mm=0"),
        ("aneurysm-wall", "patient.systolic_mmHg=300"),
        ("liver-retraction", "options.supports.0.tangential_kPa_per_mm=0"),
        ("liver-retraction", "options.regions.liver.poisson=0.49"),
        ("liver-retraction", "options.grasp.path_mm=[[0, -180, 240]]"),
    ],
)
def test_none_and_the_bounds_are_accepted(scene, override):
    load_scene(scene, [override])


def test_true_is_no_number():
    assert "must be a number" in refused("liver-retraction", "options.grasp.grip_kPa_per_mm=true")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        # 316.2 = √(300² + 100²)
        ("[[0, -300, 100]]", "within 300 mm of where the tool took hold; corner 0 lies 316.2 mm away"),
        ("[[0, -20, 0], [1e9, 2, 3]]", "corner 1 lies 1e+09 mm away"),
        ("[[0, -0.03, 0.04]]", "leads 0.05 mm (was m meant? 0.05 m is 50 mm)"),
        ("[[0, 0, 0]]", "must lead somewhere"),
    ],
)
def test_a_path_that_no_hand_goes_is_refused(path, told):
    line = refused("liver-retraction", f"options.grasp.path_mm={path}")
    assert "options.grasp.path_mm: must " in line
    assert told in line


def test_a_path_is_measured_from_its_start_and_not_from_corner_to_corner():
    assert travel_problem([(0, 0, 300), (0, 0, -300)]) == ""
    assert re.search(r"corner 1 lies 424\.3 mm", travel_problem([(0, 0, 1), (0, 300, 300)]))
    assert math.hypot(300, 300) == pytest.approx(424.264, abs=1e-3)
