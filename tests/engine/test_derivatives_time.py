"""Gradients through time: the reverse sweep against closed forms, and through the steps of a moving body."""

from __future__ import annotations

from collections.abc import Callable

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact
from preop.engine.tissue.derivatives.marching import repeats, reverse_sweep
from preop.engine.tissue.derivatives.motion_steps import MotionSteps
from preop.engine.tissue.integrators import EnergyMomentum, GeneralizedAlpha
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import DecoupledNeoHookean, NeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import Damping
from preop.engine.tissue.prescribed import Grasp
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.supports import Fixed, Springs
from preop.imaging.errors import SolverError


class Decay:
    """Implicit Euler of x' = −p x: (1 + p h) x⁺ = x, so that x_n = (1 + p h)⁻ⁿ x₀."""

    def __init__(self, rate: float, step: float) -> None:
        self.rate, self.step = rate, step
        self.taken: list[int] = []

    def advance(self, before: np.ndarray, index: int) -> np.ndarray:
        self.taken.append(index)
        return before / (1 + self.rate * self.step)

    def pull(self, before: np.ndarray, after: np.ndarray, index: int, cotangent: np.ndarray) -> tuple:
        multiplier = cotangent / (1 + self.rate * self.step)
        return multiplier, -multiplier * self.step * after


@pytest.mark.parametrize("checkpoints", [None, 0, 1, 2, 3, 5])
def test_the_sweep_is_the_derivative_of_the_march(checkpoints: int | None) -> None:
    """J = x_N + ½ x_4²: both slopes in closed form, whatever is kept in between."""
    count, rate, step, x0 = 20, 0.7, 0.1, 1.5
    march = Decay(rate, step)

    def seed(index: int, state: np.ndarray) -> tuple:
        return {count: (np.ones(()), None), 4: (state, None)}.get(index, (None, None))

    by_start, by_rate = reverse_sweep(march, np.asarray(x0), count, seed, checkpoints=checkpoints)
    factor = 1 / (1 + rate * step)
    assert by_start == pytest.approx(factor**count + x0 * factor**8, rel=1e-13)
    slope = -step * factor
    assert by_rate == pytest.approx(slope * (count * x0 * factor**count + 4 * x0**2 * factor**8), rel=1e-13)
    if checkpoints is not None:
        most = max(march.taken.count(index) for index in range(count))
        assert most <= repeats(count, checkpoints) + 1


def test_bad_sweeps_are_named() -> None:
    with pytest.raises(SolverError, match="0 steps"):
        reverse_sweep(Decay(1.0, 0.1), np.ones(()), 0, lambda index, state: (None, None))
    with pytest.raises(SolverError, match="nothing is measured"):
        reverse_sweep(Decay(1.0, 0.1), np.ones(()), 3, lambda index, state: (None, None))


COUNT = 6


def swinging() -> Problem:
    mesh = bodies.box((1, 1, 2), size=(40.0, 40.0, 80.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(2e4, 0.3)}, density=1000.0)
    return model.problem(
        loads=[Gravity((3.0, 0.0, -9.81))],
        supports=[Springs("z1", 2e4)],
        prescribed=[Grasp("z0", [(0.0, 0.002, 0.0), (0.004, 0.002, 0.0)])],
    )


def measure(index: int, state: tuple):
    weight = 1.0 if index in (3, COUNT) else 0.0
    return weight * (1e3 * jnp.sum(state[0][-4:, 0] ** 2) + jnp.sum(state[1][-4:, 2]))


def marching(problem: Problem) -> MotionSteps:
    return MotionSteps(problem, duration=0.06, count=COUNT, damping=Damping(2.0, 1e-3), tolerance=1e-12)


PICKS: dict[str, Callable] = {
    "stiffness": lambda p: p.model.blocks[0].material.shear_modulus,
    "density": lambda p: p.model.blocks[0].density,
    "points": lambda p: p.model.points,
    "path": lambda p: p.prescribed[0].path,
    "bed": lambda p: p.supports[0].stiffness,
}


@pytest.mark.slow
@pytest.mark.long
def test_gradients_through_the_motion_of_a_body() -> None:
    """Displacements and velocities at two steps, against central differences of the march from one start."""
    problem = swinging()
    steps = marching(problem)
    start = steps.start()

    def seed(index: int, state: tuple) -> tuple:
        slope = eqx.filter_grad(lambda s: measure(index, s))(state)
        return (slope, None) if index in (3, COUNT) else (None, None)

    _, found = reverse_sweep(steps, start, COUNT, seed, checkpoints=2)
    rng = np.random.default_rng(2)
    for name, pick in PICKS.items():
        base = np.asarray(pick(problem))
        way = rng.standard_normal(base.shape)
        step = 1e-4 * max(float(np.abs(base).max()), 1e-3)

        def value(sign: float, pick=pick, base=base, way=way, step=step) -> float:
            moved = eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way))
            steps = marching(moved)
            state, total = start, 0.0
            for index in range(COUNT):
                state = steps.advance(state, index)
                total += float(measure(index + 1, state))
            return total

        slope = (value(1) - value(-1)) / (2 * step)
        assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(slope, rel=1e-5), name


RULES = [
    pytest.param(GeneralizedAlpha(0.8), id="viscous", marks=pytest.mark.long),
    pytest.param(EnergyMomentum(), id="energy-momentum", marks=pytest.mark.long),
]


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_gradients_through_viscous_and_conserving_steps(rule) -> None:
    """A Prony series in time on a table that it touches; and the forces that conserve energy: as above."""
    mesh = bodies.box((1, 1, 1), size=(40.0, 40.0, 60.0), jitter=0.1)
    base = DecoupledNeoHookean(4e3, 4e4)
    law = base if rule.conserving else Viscoelastic(base, (0.8,), (0.02,))
    model = Model.from_mesh(mesh, {"body": law}, density=1000.0)
    wall = RigidContact("x1", RigidBody(HalfSpace((0.0402, 0.0, 0.0), (-1.0, 0.0, 0.0))), penalty=1e5, onset=1e-4)
    problem = model.problem(
        loads=[Gravity((9.0, 0.0, -9.81))], supports=[Fixed("z0")], contacts=[] if rule.conserving else [wall]
    )

    duration, tolerance = (0.016, 1e-12) if rule.conserving else (0.05, 1e-13)

    def steps_of(posed: Problem) -> MotionSteps:
        return MotionSteps(
            posed, duration=duration, count=4, integrator=rule, velocity=(0.1, 0.0, 0.0), tolerance=tolerance
        )

    start = steps_of(problem).start()

    def height(state) -> float:
        return 1e3 * jnp.sum(state.displacement[-4:, 0] ** 2) + jnp.sum(state.velocity[-4:, 2])

    def seed(index: int, state: tuple) -> tuple:
        return (eqx.filter_grad(height)(state), None) if index in (2, 4) else (None, None)

    _, found = reverse_sweep(steps_of(problem), start, 4, seed, checkpoints=1)
    picks: list[Callable] = [lambda p: p.model.points]
    if rule.conserving:
        picks += [lambda p: p.model.blocks[0].material.bulk_modulus]
    else:
        picks += [lambda p: p.model.blocks[0].material.times[0], lambda p: p.contacts[0].penalty]
    for pick in picks:
        given = np.asarray(pick(problem))
        way = np.random.default_rng(3).standard_normal(given.shape)
        step = 1e-4 * max(float(np.abs(given).max()), 1e-3)

        def value(sign: float, pick=pick, given=given, way=way, step=step) -> float:
            steps = steps_of(eqx.tree_at(pick, problem, jnp.asarray(given + sign * step * way)))
            state, total = start, 0.0
            for index in range(4):
                state = steps.advance(state, index)
                total += float(height(state)) if index + 1 in (2, 4) else 0.0
            return total

        slope = (value(1) - value(-1)) / (2 * step)
        assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(slope, rel=1e-5)
