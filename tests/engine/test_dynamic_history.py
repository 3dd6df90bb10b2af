"""Materials that remember, in slow and fast time: relaxation, creep, damage, restart."""

from __future__ import annotations

from functools import cache

import bodies
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf

from preop.engine.tissue import dynamic, fields
from preop.engine.tissue.derivatives import functionals
from preop.engine.tissue.forces import nodal_forces
from preop.engine.tissue.history import remembered
from preop.engine.tissue.integrators import GeneralizedAlpha
from preop.engine.tissue.loads import Traction
from preop.engine.tissue.materials import Damage, DecoupledNeoHookean, Mullins, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
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
    asked = sheared(amount, (0.0, fast))  # states bring their history to the problem as it was posed
    told = [shear_force(asked, state) for state in solution.states]
    summed = [nodal_forces(asked, state).sum("reaction", "z1").force[0] for state in solution.states]
    stress = [fields.cauchy_stress(model(), state)[0, 0, 2] * 4e-4 for state in solution.states]
    for read in (told, summed, stress):
        assert read == pytest.approx(exact, rel=1e-4)
    rows, past = solution.final.rows, remembered(asked, solution.final)
    assert float(functionals.reaction(rows, past, "z1")[0]) == pytest.approx(exact[-1], rel=1e-4)


def test_a_motion_tells_its_relaxed_stress() -> None:
    """The same shear by steps in time: the motion kept brings its history along; one without any is refused."""
    amount, ramp, end = 1e-3, 0.1, 1.0
    problem = sheared(amount, (0.0, ramp / end))
    path = dynamic.solve(problem, duration=end, steps=20, keep=[end])
    gain = TIME / ramp * (1 - np.exp(-ramp / TIME))
    exact = SHEAR * amount * (1 + STRENGTH * gain * np.exp(-(end - ramp) / TIME))
    assert fields.cauchy_stress(model(), path.final)[:, 0, 2] == pytest.approx(exact, rel=1e-4)
    assert shear_force(problem, path.final) == pytest.approx(exact * 4e-4, rel=1e-4)
    assert shear_force(path.problems[-1], path.final) == pytest.approx(exact * 4e-4, rel=1e-4)
    assert shear_force(problem, path.states[0]) == 0.0
    bare = State(1.0, path.final.displacement)
    for ask in (shear_force, nodal_forces, lambda p, s: fields.cauchy_stress(p.model, s)):
        with pytest.raises(SolverError, match=r"body.*: the material remembers, and the state carries no history"):
            ask(problem, bare)
    assert fields.volume_ratio(model(), bare) == pytest.approx(1.0)  # a matter of shape alone


def test_the_energy_is_what_a_body_gives_back_at_once() -> None:
    """Mullins, stretched to λ = 2 and released to 1.5: force and energy of ∫ η dW, by hand."""
    law = Mullins(BASE, 1.5, 500.0, 0.1)
    body = Model.from_mesh(bodies.box((1, 1, 1), size=(20.0,) * 3), {"body": law})
    there = Table.of((0.0, 0.5, 1.0), (0.0, 1.0, 0.5))
    shear = Prescribed("all", lambda x: 2.0 * x[:, [2]] * np.array([1.0, 0.0, 0.0]), during=there)
    problem = body.problem(prescribed=[shear])
    state = solve(problem, load_steps=4).final
    most, now, width = 0.5 * SHEAR * 2.0**2, 0.5 * SHEAR * 1.0**2, 500.0 + 0.1 * 0.5 * SHEAR * 2.0**2
    left = 1 - erf((most - now) / width) / 1.5
    assert fields.reaction(problem, state, "z1")[0] == pytest.approx(left * SHEAR * 1.0 * 4e-4, rel=1e-9)
    held = quad(lambda energy: 1 - erf((most - energy) / width) / 1.5, 0.0, now)[0]
    assert fields.strain_energy(body, state) == pytest.approx(held * 0.02**3, rel=1e-8)


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
    assert shear_force(problem, solution.final) == pytest.approx(again, rel=1e-9)


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
