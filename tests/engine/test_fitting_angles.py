"""Angles of fibres from displacements: a rule's two angles, and one angle per region."""

from __future__ import annotations

from typing import Any

import bodies
import numpy as np
import pytest

from preop.engine.tissue.fibers import WallFrame, constant, helix
from preop.engine.tissue.fitting.displacements import NodeDisplacements
from preop.engine.tissue.fitting.fiber_angles import FiberAngles
from preop.engine.tissue.fitting.fit import fit
from preop.engine.tissue.laplace import laplace
from preop.engine.tissue.loads import Pressure
from preop.engine.tissue.materials import Guccione, HolzapfelGasserOgden, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

NOISE = 2e-6
"""2 μm on motions of some millimetres."""


def strip(inner: float, outer: float) -> tuple[Problem, WallFrame]:
    """A wall 6 mm thick along x, its long axis z, drawn out and twisted a little."""
    mesh = bodies.box((3, 3, 3), size=(6.0, 20.0, 20.0), jitter=0.1)
    wall = laplace(mesh, "x0", "x1")
    fiber, _ = helix(mesh, wall, axis=(0.0, 0.0, 1.0), inner=inner, outer=outer)
    model = Model.from_mesh(mesh, {"body": Guccione(2e3, 8.0, 2.0, 4.0, fiber, bulk_modulus=3e4)})
    problem = model.problem(
        loads=[Pressure("x0", 150.0)], supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.0, 0.001, 0.002))]
    )
    return problem, WallFrame.of(mesh, wall, (0.0, 0.0, 1.0))


def seen(problem: Problem, seed: int) -> np.ndarray:
    moved = np.asarray(solve(problem, tolerance=1e-10, load_steps=2).final.displacement)
    nodes = problem.model.nodes_of("x1")
    return moved[nodes] + NOISE * np.random.default_rng(seed).standard_normal((len(nodes), 3))


@pytest.mark.slow
def test_the_angles_of_a_rule_from_the_motion_of_the_outside() -> None:
    """From 30° and −10° to the true 55° and −35°, within their own intervals and a few degrees."""
    truth = (55.0, -35.0)
    problem, frame = strip(*truth)
    guess, _ = strip(30.0, -10.0)
    unknown = FiberAngles.helix(frame, inner=30.0, outer=-10.0)
    found = fit(guess, [unknown], [NodeDisplacements("x1", seen(problem, 1), noise=NOISE)], load_steps=2)
    for estimate, true in zip(found.estimates, truth, strict=True):
        low, high = estimate.interval_95
        assert estimate.unit == "°"
        assert low - 0.5 * (high - low) < true < high + 0.5 * (high - low)
        assert high - low < 6.0
        assert estimate.value == pytest.approx(true, abs=3.0)
    fibers = np.asarray(found.problem.model.blocks[0].material.fiber)
    assert np.linalg.norm(fibers, axis=1) == pytest.approx(np.ones(len(fibers)), abs=1e-12)


def two_regions(degrees: float) -> Problem:
    """A strip of artery beside one without fibres, sheared."""
    mesh = bodies.box((4, 2, 1), size=(40.0, 20.0, 5.0))
    mesh.region[:] = 1 + (mesh.points[mesh.tetrahedra].mean(axis=1)[:, 0] > 20.0)
    mesh.region_names[2] = "plain"
    law: Any = HolzapfelGasserOgden.in_wall(
        (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), np.full(len(mesh.cells), degrees), shear_modulus=3e3, fiber_modulus=2e4,
        fiber_exponent=0.84, dispersion=0.05, bulk_modulus=1e5,
    )  # fmt: skip
    model = Model.from_mesh(mesh, {"body": law, "plain": NeoHookean.from_young(1e4, 0.4)})
    return model.problem(supports=[Fixed("x0")], prescribed=[Prescribed("x1", (0.004, 0.002, 0.0))])


@pytest.mark.slow
def test_one_angle_of_two_families_in_a_region() -> None:
    problem = two_regions(38.0)
    moved = np.asarray(solve(problem, tolerance=1e-10).final.displacement)
    nodes = problem.model.nodes_of("z1")
    families = {"first_fiber": 1.0, "second_fiber": -1.0}
    unknown = FiberAngles.by_region(
        problem.model, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), {"body": 25.0}, spread=20.0, fields=families
    )
    found = fit(two_regions(25.0), [unknown], [NodeDisplacements("z1", moved[nodes], noise=NOISE)])
    assert found.estimates[0].name == "angle 'body'"
    assert found.estimates[0].value == pytest.approx(38.0, abs=0.05)


def test_bad_angles_are_named() -> None:
    mesh = bodies.box((1, 1, 1), size=(10.0, 10.0, 10.0))
    law = Guccione(2e3, 8.0, 2.0, 4.0, constant(mesh, (1.0, 0.0, 0.0)), bulk_modulus=3e4)
    model = Model.from_mesh(mesh, {"body": law})
    with pytest.raises(SolverError, match="no region 'wall'"):
        FiberAngles.by_region(model, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), {"wall": 30.0})
    with pytest.raises(SolverError, match="right angles"):
        FiberAngles.by_region(model, (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), {"body": 30.0})
    with pytest.raises(SolverError, match="angle 'body'"):
        FiberAngles.by_region(model, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), {"body": np.nan})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.0, 0.0, 0.001))])
    other = FiberAngles.by_region(model, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), {"body": 30.0}, fields={"first_fiber": 1.0})
    data = NodeDisplacements("z1", np.tile([0.0, 0.0, 0.001], (4, 1)), noise=NOISE)
    with pytest.raises(SolverError, match="no material"):
        fit(problem, [other], [data])
