"""Materials that remember, in slow and fast time: relaxation, creep, damage, restart."""

from __future__ import annotations

from functools import cache

import bodies
import numpy as np
import pytest

from preop.engine.tissue import dynamic, fields
from preop.engine.tissue.integrators import GeneralizedAlpha
from preop.engine.tissue.loads import Traction
from preop.engine.tissue.materials import Damage, DecoupledNeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.terms import Table
from preop.imaging.errors import SolverError

STRENGTH, TIME, SHEAR = 0.8, 0.5, 4e3
BASE = DecoupledNeoHookean(SHEAR, 1e5)


@cache
def model(viscous: bool = True) -> Model:
    law = Viscoelastic(BASE, (STRENGTH,), (TIME,)) if viscous else Damage(BASE, 50.0, 100.0, 0.6)
    return Model.from_mesh(bodies.box((1, 1, 1), size=(20.0,) * 3), {"body": law}, density=1000.0)


def sheared(amount: float, during, viscous: bool = True) -> Problem:
    """Simple shear of the whole boundary; volume is kept, so only the shape answers."""
    field = Prescribed("all", lambda x: amount * x[:, [2]] * np.array([1.0, 0.0, 0.0]), during=during)
    return model(viscous).problem(prescribed=[field])


def shear_force(problem: Problem, state) -> float:
    return float(fields.reaction(problem, state, "z1")[0])


def test_stress_relaxes_as_its_series() -> None:
    """A small shear in a hundredth of τ, then held: 1 + γ e^(−t/τ) of the relaxed stress."""
    amount, duration, ramp = 1e-3, 2.0, 0.005
    fast = ramp / duration
    marks = [fast, 0.1, 0.25, 0.5, 1.0]
    solution = solve(sheared(amount, (0.0, fast)), load_steps=marks, duration=duration).require_converged()
    times = np.array(marks) * duration
    gain = TIME / ramp * (1 - np.exp(-ramp / TIME))
    exact = SHEAR * amount * 4e-4 * (1 + STRENGTH * gain * np.exp(-(times - ramp) / TIME))
    found = [shear_force(problem, state) for problem, state in zip(solution.problems, solution.states, strict=True)]
    assert found == pytest.approx(exact, rel=1e-4)


def test_a_solve_goes_on_with_its_history() -> None:
    """Stopped half way and resumed, the answer is that of one run."""
    problem = sheared(0.3, Table.of((0.0, 0.3, 1.0), (0.0, 1.0, 0.2)))
    once = solve(problem, load_steps=8, duration=1.0).require_converged()
    half = once.states[3]
    assert half.materials
    rest = solve(problem, load_steps=4, duration=1.0, resume=half).require_converged()
    assert [state.load_fraction for state in rest.states] == pytest.approx([0.625, 0.75, 0.875, 1.0])
    whole, parts = (shear_force(s.problems[-1], s.final) for s in (once, rest))
    assert parts == pytest.approx(whole, rel=1e-8)
    forgotten = solve(problem, load_steps=[0.625, 0.75, 0.875, 1.0], duration=1.0)
    assert shear_force(forgotten.problems[-1], forgotten.final) != pytest.approx(whole, rel=1e-2)


def test_what_was_damaged_stays_so() -> None:
    """Loaded, released and loaded again by half: softer than the first time at the same shear."""
    problem = sheared(0.6, Table.of((0.0, 0.4, 0.7, 1.0), (0.0, 1.0, 0.0, 0.5)), viscous=False)
    solution = solve(problem, load_steps=[0.2, 0.4, 0.7, 1.0]).require_converged()
    first, _, released, again = (shear_force(p, s) for p, s in zip(solution.problems, solution.states, strict=True))
    assert abs(released) < 1e-9 * first
    largest = 0.5 * SHEAR * 0.6**2
    assert again == pytest.approx(SHEAR * 0.3 * 4e-4 * (1 - 0.6 * (1 - np.exp(-(largest - 50.0) / 100.0))), rel=1e-6)
    assert again < 0.8 * first


def test_viscous_steps_in_time_are_of_second_order() -> None:
    """A block sways under a growing load; half the step, a quarter of the error; a motion goes on with its history."""
    problem = model().problem(loads=[Traction("z1", (200.0, 0.0, 0.0))], supports=[Fixed("z0")])

    rule = GeneralizedAlpha(0.5)

    def go(steps: int, **more):
        return dynamic.solve(problem, duration=0.06, steps=steps, integrator=rule, tolerance=1e-10, **more)

    paths = [go(steps) for steps in (20, 40, 160)]
    top = model().nodes_of("z1")
    ends = [float(np.asarray(path.final.displacement)[top, 0].mean()) for path in paths]
    assert (ends[0] - ends[2]) / (ends[1] - ends[2]) == pytest.approx(4.2, rel=0.25)
    half = go(40, until=0.03).final
    assert half.materials
    rest = go(40, start=half).final
    assert float(np.asarray(rest.displacement)[top, 0].mean()) == pytest.approx(ends[1], rel=1e-8)


def test_slips_are_named() -> None:
    problem = sheared(0.1, (0.0, 1.0))
    with pytest.raises(SolverError, match="duration"):
        solve(problem, duration=-1.0)
    state = solve(problem, load_steps=[0.5, 1.0], duration=1.0).states[0]
    with pytest.raises(SolverError, match=r"rise from above 0\.5"):
        solve(problem, load_steps=[0.4, 1.0], duration=1.0, resume=state)
    with pytest.raises(SolverError, match="other materials"):
        solve(sheared(0.1, (0.0, 1.0), viscous=False), resume=state)
