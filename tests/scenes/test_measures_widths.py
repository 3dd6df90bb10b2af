"""A vessel's widths on tubes and balls of known width, at grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from analytic_solids import aneurysm, centres, grid_of, sphere

from preop.scenes.procedures.vessel_widths import largest_axial_diameter, largest_inscribed

LEAN = np.radians(20)
DIRECTIONS = {
    "axial": np.eye(3),
    "left-handed": np.diag([1.0, -1.0, 1.0]),
    # K runs from right to left: a sagittal acquisition
    "sagittal": np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]),
    "oblique": np.array([[1, 0, 0], [0, np.cos(LEAN), -np.sin(LEAN)], [0, np.sin(LEAN), np.cos(LEAN)]]),
    "tilted gantry": np.array([[1, 0, 0], [0, 1, -np.sin(LEAN)], [0, 0, np.cos(LEAN)]]),
}


def tube(radius: float, spacing, direction, lean: float = 0.0):
    """A tube that leaves the grid at both ends, its axis leaning from S towards x, off every lattice place."""
    # the tube leaves a turned grid at the ends of its course and not at its sides
    grid = grid_of(spacing, (64, 76, 76), direction, origin=(0.13, 0.21, -0.17))
    x, y, z = np.moveaxis(centres(grid, (0.0, 0.0, 0.0)), -1, 0)
    return np.hypot(x * np.cos(lean) - z * np.sin(lean), y) <= radius, grid


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 3.0), (0.9, 0.9, 5.0)])
def test_a_tube_of_40_mm_is_40_mm_wide_both_ways_on_every_grid(spacing, direction):
    """To half a voxel, by its side across the tube: where thick slices do not lie across it, by their distance."""
    mask, grid = tube(20.0, spacing, DIRECTIONS[direction])
    half = 0.5 * (spacing[0] if direction in ("axial", "left-handed") else spacing[2])
    diameter, centre = largest_inscribed(mask, grid)
    assert diameter == pytest.approx(40, abs=half)
    np.testing.assert_allclose(centre[:2], 0, atol=half)
    assert largest_axial_diameter(mask, grid) == pytest.approx(40, abs=half)


@pytest.mark.parametrize("radius", [5.0, 12.0])
def test_narrow_tubes_keep_their_width(radius):
    mask, grid = tube(radius, (0.8, 0.8, 2.0), np.eye(3))
    assert largest_inscribed(mask, grid)[0] == pytest.approx(2 * radius, abs=0.4)
    assert largest_axial_diameter(mask, grid) == pytest.approx(2 * radius, abs=0.4)


def test_an_axial_plane_cuts_a_leaning_tube_in_an_ellipse_and_a_sphere_does_not_lean():
    mask, grid = tube(12.0, (1.0, 1.0, 1.0), np.eye(3), lean=np.radians(40))
    assert largest_inscribed(mask, grid)[0] == pytest.approx(24, abs=0.5)
    assert largest_axial_diameter(mask, grid) == pytest.approx(24 / np.cos(np.radians(40)), abs=0.5)


def test_a_sphere_may_be_asked_for_within_a_part_and_reaches_beyond_it():
    grid = grid_of((1, 1, 1), (60, 60, 120), origin=(0, 0, 0))
    x, y, z = np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)
    mask = np.hypot(x, y) < np.where(z > 10, 20.0, 10.0)
    within = mask & (np.abs(z + 30) < 4)
    diameter, centre = largest_inscribed(mask, grid, within=within)
    assert diameter == pytest.approx(20, abs=0.5)
    assert abs(centre[2] + 30) < 6
    assert largest_inscribed(mask, grid)[0] == pytest.approx(40, abs=0.5)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 2.0)])
def test_the_sphere_of_a_ball_is_the_ball_and_its_centre(spacing):
    grid = grid_of(spacing, (60, 60, 60), origin=(0.3, -0.2, 0.4))
    mask = sphere(22.0)(centres(grid, (0.0, 0.0, 0.0))) <= 0
    diameter, centre = largest_inscribed(mask, grid)
    assert diameter == pytest.approx(44, abs=0.5 * max(spacing))
    np.testing.assert_allclose(centre, 0, atol=0.5 * max(spacing))


def test_two_vessels_in_a_slice_are_not_one_wide_one():
    grid = grid_of((1, 1, 1), (80, 40, 30), origin=(0, 0, 0))
    x, y, _ = np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)
    assert largest_axial_diameter(np.hypot(np.abs(x) - 20, y) < 10, grid) == pytest.approx(20, abs=0.5)


def test_an_aneurysm_is_as_wide_as_its_bulge():
    labels = aneurysm((1.0, 1.0, 1.0))
    assert largest_axial_diameter(labels.labels > 0, labels.grid) == pytest.approx(32, abs=0.5)
