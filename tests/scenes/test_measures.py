"""What the procedures measure, on shapes whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_places import box as box_fixture

from preop.engine.tissue.anderson import Anderson
from preop.imaging.errors import SolverError
from preop.imaging.volume import Grid
from preop.meshing.mesh import TetMesh
from preop.scenes.procedures.load_free import load_free_shape
from preop.scenes.procedures.region_pieces import pieces_of
from preop.scenes.procedures.vessel_widths import largest_axial_diameter
from preop.scenes.procedures.wall_measures import away_from_ends
from preop.scenes.schema import SolverOptions

box = box_fixture


def test_the_axial_diameter_is_the_long_axis_of_an_oblique_cut():
    x, y = np.meshgrid(np.arange(100) * 0.5, np.arange(100) * 0.5, indexing="ij")
    turned = ((x - 25) + (y - 25)) / np.sqrt(2), ((x - 25) - (y - 25)) / np.sqrt(2)
    mask = ((turned[0] / 20) ** 2 + (turned[1] / 8) ** 2 <= 1)[:, :, None]
    assert largest_axial_diameter(mask, Grid(mask.shape, np.diag([0.5, 0.5, 1, 1]))) == pytest.approx(40, abs=0.25)


def test_two_separate_tumours_are_two_pieces_largest_first(box):
    centres = box.points[box.tetrahedra].mean(axis=1)
    region = np.full(len(centres), 10)
    region[(centres < 20).all(axis=1)] = 11
    region[(centres > 30).all(axis=1)] = 11
    mesh = TetMesh(box.points, box.tetrahedra, region, {10: "liver", 11: "liver_tumor"}, box.facet_sets)
    pieces = pieces_of(mesh, "liver_tumor")
    volumes = [mesh.volumes[piece].sum() for piece in pieces]
    np.testing.assert_allclose(volumes, [20.0**3, 10.0**3])
    assert pieces_of(mesh, "spleen") == []


def test_elements_near_held_ends_do_not_count(box):
    held = np.flatnonzero(box.points[:, 2] == 0).astype(np.int32)
    mesh = TetMesh(box.points, box.tetrahedra, box.region, box.region_names, box.facet_sets, {"end_0": held})
    counted = away_from_ends(mesh, 15.0)
    height = mesh.points[mesh.tetrahedra].mean(axis=1)[:, 2]
    assert counted[height > 16].all()
    assert not counted[height < 10].any()


def test_anderson_solves_a_linear_problem_in_as_many_steps_as_it_has_directions():
    rng = np.random.default_rng(3)
    matrix = np.diag([0.9, 0.5, -0.8])
    goal = rng.normal(size=3)
    point, mixing = np.zeros(3), Anderson(depth=3)
    for _ in range(5):
        point = mixing.next(point, matrix @ (goal - point))
    np.testing.assert_allclose(point, goal, atol=1e-8)


def hanging_box(box, stiffness):
    """The cube as soft tissue on an elastic floor under its weight, at any reference shape."""
    from preop.engine.tissue.loads import Gravity
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.supports import Springs

    surface = box.facet_sets["surface"]
    floor = surface[(box.points[surface][:, :, 1] == 40).all(axis=1)]
    mesh = replace(box, facet_sets={**box.facet_sets, "floor": floor})

    def problem(points):
        model = Model.from_mesh(
            replace(mesh, points=points), {"liver": NeoHookean.from_young(1500.0, 0.4)}, density=1060.0
        )
        return model.problem(loads=[Gravity((0.0, 9.81, 0.0))], supports=[Springs("floor", stiffness)])

    return problem


def test_gravity_brings_the_load_free_shape_back_to_the_scan(box):
    """The equilibrium is solved again from the shape that was found, without its help."""
    from preop.engine.tissue.static import solve

    problem = hanging_box(box, 4e5)
    found = load_free_shape(problem(box.points), SolverOptions(), lambda fraction, text: None)
    assert found.sag_mm > 2
    again = solve(problem(box.points + found.gap_mm), tolerance=1e-9).final
    shape = box.points + found.gap_mm + 1e3 * np.asarray(again.displacement)
    assert np.linalg.norm(shape - box.points, axis=1).max() < 0.1
    # The floor's springs, on the area of the load-free shape, carry the whole weight.
    free = replace(box, points=box.points + found.gap_mm)
    floor = box.facet_sets["surface"][(box.points[box.facet_sets["surface"]][:, :, 1] == 40).all(axis=1)]
    corners = free.points[floor]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    sunk = -found.gap_mm[floor][:, :, 1].mean(axis=1)
    carried = 4e5 * (areas * sunk).sum() * 1e-9
    assert carried == pytest.approx(1060 * 9.81 * free.volumes.sum() * 1e-9, rel=0.02)


def test_supports_too_soft_for_the_weight_are_told(box):
    with pytest.raises(SolverError):
        load_free_shape(hanging_box(box, 300.0)(box.points), SolverOptions(), lambda fraction, text: None)
