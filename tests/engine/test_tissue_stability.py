"""Equilibrium is told stable from unstable: a column below and above Euler's load."""

from __future__ import annotations

import bodies
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.loads import Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp, Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Ligament
from preop.imaging.errors import SolverError

SIDE, LENGTH = 0.02, 0.4
EULER = 4 * np.pi**2 * SIDE**2 / (12 * LENGTH**2)
"""Critical shortening of a column with both ends built in, 4π² I / (A L²)."""


def column(shortening: float, push: float = 0.0, element: str = "T10", poisson: float = 0.0) -> Problem:
    mesh = bodies.box((1, 1, 12), size=(1e3 * SIDE, 1e3 * SIDE, 1e3 * LENGTH))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, poisson)}, density=1000.0, element=element)
    side = [Traction("x0", (push, 0.0, 0.0))] if push else []
    return model.problem(
        loads=side, supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.0, 0.0, -shortening * LENGTH))]
    )


@pytest.mark.parametrize(
    ("linear_solver", "share"), [("host", 0.95), ("host", 1.02), ("host", 1.3), ("device", 0.9), ("device", 1.05)]
)
def test_straight_column_is_stable_below_and_unstable_above_eulers_load(linear_solver: str, share: float) -> None:
    """In one step, which takes one iteration from the state of rest, where the body is stable."""
    solution = solve(column(share * EULER), linear_solver=linear_solver)
    expected = ResultCode.converged if share < 1 else ResultCode.unstable
    assert solution.result is expected
    assert solution.statistics.stability == ("stable" if share < 1 else "unstable")
    assert len(solution.states) == (share < 1)


@pytest.mark.parametrize("share", [0.9, 1.1, 1.3])
def test_a_column_of_mixed_elements_too(share: float) -> None:
    """Its tangent is indefinite anyway; what decides is the softest mode that the pressures leave."""
    solution = solve(column(share * EULER, element="T10P1", poisson=0.2))
    assert solution.statistics.stability == ("stable" if share < 1 else "unstable")
    assert solution.converged == (share < 1)


def test_pressure_without_stiffness_is_told() -> None:
    with pytest.raises(SolverError, match="pressure of T10P1 undetermined"):
        column(EULER, element="T10P1", poisson=0.0)


def test_states_before_an_unstable_one_are_kept() -> None:
    above = solve(column(1.3 * EULER), load_steps=[0.5, 0.9, 1.0])
    assert above.result is ResultCode.unstable
    assert above.where == "at 90 % of the load"
    assert [state.load_fraction for state in above.states] == [0.5]
    with pytest.raises(SolverError, match="unstable"):
        _ = above.final


def test_an_imperfection_leads_to_the_buckled_shape() -> None:
    """Pushed a little, the column gives way sideways and carries less than the straight one would."""
    problem = column(2.0 * EULER, push=0.05)
    solution = solve(problem, load_steps=10)
    assert solution.result is ResultCode.converged
    sideways = np.abs(np.asarray(solution.final.displacement)[:, 0]).max()
    # Inextensible column: shortening δ = π² w² / (4 L) for a mid deflection w; about half of the shortening is bending.
    assert sideways == pytest.approx(np.sqrt(4 * LENGTH * EULER * LENGTH) / np.pi, rel=0.2)
    force = -fields.reaction(problem, solution.final, "z1")[2]
    assert force < 1.1 * 1e4 * SIDE**2 * EULER


def test_typing_mistakes_are_told() -> None:
    model = column(0.0).model
    with pytest.raises(SolverError, match="not of x, y, z"):
        model.problem(supports=[Fixed("z0", components="XYZ")])
    with pytest.raises(SolverError, match="within 0 to 1"):
        Grasp("z1", (0.0, 0.0, 0.01), during=(0.5, 2.0))
    held = tuple(float(x) for x in np.asarray(model.points)[model.nodes_of("z1")[0]])
    with pytest.raises(SolverError, match="anchor"):
        model.problem(supports=[Fixed("z0"), Ligament("z1", 200.0, anchor=held)])
