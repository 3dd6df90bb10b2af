"""Which neighbours a picture shows: near ones whole, far ones not, long ones cut off."""

from __future__ import annotations

import numpy as np
import pytest
import pyvista as pv

from preop.scenes.neighbourhood import neighbourhood

SUBJECT = np.array([[-30.0, -30.0, -50.0], [30.0, 30.0, 50.0]])


def ball(x: float, radius: float = 20.0) -> pv.PolyData:
    return pv.Sphere(radius=radius, center=(x, 0.0, 0.0))


def test_of_a_pair_the_near_one_is_whole_and_the_far_one_is_left_out():
    pair = ball(65.0).append_polydata(ball(-200.0))
    found = neighbourhood(SUBJECT, {"kidneys": pair, "spleen": ball(300.0)})
    assert list(found) == ["kidneys"]
    assert found["kidneys"].bounds == pytest.approx(ball(65.0).bounds, abs=1e-4)
    assert found["kidneys"].n_open_edges == 0


def test_a_pair_wider_than_the_picture_stays_whole_where_both_are_near():
    """Together the two are longer than what is cut off; each of them is not."""
    pair = ball(65.0).append_polydata(ball(-65.0))
    found = neighbourhood(SUBJECT, {"kidneys": pair})["kidneys"]
    assert found.n_open_edges == 0
    assert found.bounds[0] == pytest.approx(-85.0, abs=0.5)
    assert found.bounds[1] == pytest.approx(85.0, abs=0.5)


def test_what_runs_through_is_cut_where_the_neighbours_end():
    tube = pv.Cylinder(radius=10.0, height=600.0, direction=(0, 0, 1), capping=True).triangulate().subdivide(3)
    alone = neighbourhood(SUBJECT, {"aorta": tube})["aorta"]
    assert alone.bounds[4:] == pytest.approx((-81.0, 81.0), abs=0.01)
    low = pv.Sphere(radius=30.0, center=(0.0, 40.0, -70.0))
    beside = neighbourhood(SUBJECT, {"aorta": tube, "kidneys": low})
    assert beside["aorta"].bounds[4:] == pytest.approx((-101.0, 81.0), abs=0.01)
    assert beside["kidneys"].n_cells == low.n_cells


def test_a_large_organ_beside_a_short_subject_is_whole_and_not_a_slice_of_it():
    """110 × 60 × 60 mm beside a stretch of vessel 40 mm long; a vessel as long as the organ is cut off."""
    stretch = np.array([[-10.0, -10.0, -20.0], [10.0, 10.0, 20.0]])
    kidney = pv.ParametricEllipsoid(30.0, 30.0, 55.0)
    kidney.points = np.asarray(kidney.points) + np.array([25.0, 0, 0])
    tube = pv.Cylinder(radius=8.0, height=220.0, direction=(0, 0, 1), capping=True).triangulate().subdivide(3)
    found = neighbourhood(stretch, {"kidneys": kidney, "aorta": tube})
    assert found["kidneys"].bounds == pytest.approx(kidney.bounds, abs=1e-4)
    assert found["aorta"].bounds[4:] == pytest.approx((-56.0, 56.0), abs=0.5)
