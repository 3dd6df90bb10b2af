"""Momentum, energy, impact on a wall, adaptive steps, restart and interruption."""

from __future__ import annotations

from functools import cache

import bodies
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import TissueContact
from preop.engine.tissue.dynamic import solve
from preop.engine.tissue.integrators import GeneralizedAlpha, Midpoint
from preop.engine.tissue.mass import mass_matrix
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import momentum
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.static import solve as solve_static
from preop.engine.tissue.supports import Fixed, PointSprings, Springs
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh


@cache
def flyer(element: str = "T4") -> Problem:
    mesh = bodies.box((2, 2, 2), size=(100.0, 60.0, 40.0), jitter=0.2)
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.3)}, density=1000.0, element=element)
    return model.problem(floating=True)


def tumble(points):
    """Flies, spins about no principal axis, and is being stretched."""
    spin, stretch = jnp.array([3.0, -8.0, 12.0]), jnp.array([[4.0, 1.0, 0.0], [1.0, -2.0, 0.0], [0.0, 0.0, -1.0]])
    return jnp.array([0.3, 0.1, -0.2]) + jnp.cross(spin, points) + points @ stretch


@pytest.mark.parametrize(
    ("element", "linear_solver", "steps"),
    [
        ("T4", "host", 20),
        ("T10", "host", 8),
        ("T4P1", "host", 6),
        ("T10P1", "host", 4),
        pytest.param("T4", "device", 4, marks=pytest.mark.slow),
    ],
)
def test_free_flight_keeps_momentum_and_angular_momentum(element: str, linear_solver: str, steps: int) -> None:
    """To round-off, at strains of tens of per cent and a turn of 1.4 rad (20 steps)."""
    problem = flyer(element)
    path = solve(
        problem,
        duration=0.005 * steps,
        steps=steps,
        integrator=Midpoint(),
        velocity=tumble,
        tolerance=1e-13,
        linear_solver=linear_solver,
    )
    path.require_converged()
    energy = path.energy
    for record in (np.array(energy.momentum), np.array(energy.angular_momentum)):
        assert np.abs(record - record[0]).max() < 2e-11 * np.abs(record[0]).max()
    flow, turn = momentum(problem, path.final)
    assert np.asarray(flow) == pytest.approx(energy.momentum[0], rel=1e-9)
    assert np.asarray(turn) == pytest.approx(energy.angular_momentum[0], rel=1e-9)
    assert max(energy.strain) > 0.02 * energy.total[0]


def test_energy_of_a_flight_swings_with_the_square_of_the_step() -> None:
    drift = [
        solve(flyer(), duration=0.08, steps=steps, integrator=Midpoint(), velocity=tumble).energy.largest_drift
        for steps in (16, 32)
    ]
    assert drift[0] < 0.02
    assert drift[0] / drift[1] == pytest.approx(4.0, rel=0.3)


def test_generalized_alpha_only_loses_energy() -> None:
    energy = solve(flyer(), duration=0.2, steps=40, integrator=GeneralizedAlpha(0.5), velocity=tumble).energy
    assert energy.drift[-1] < 0
    assert energy.drift.max() < 1e-3 * energy.total[0]
    assert np.array(energy.momentum)[-1] == pytest.approx(energy.momentum[0], rel=1e-6)


SPEED, YOUNG, DENSITY, LENGTH = 0.02, 1e5, 1000.0, 0.1
WAVE = np.sqrt(YOUNG / DENSITY)


def thrown(cells: int = 16) -> Problem:
    """A bar that touches a wall at z0 and may leave it; half of two equal bars in impact."""
    mesh = bodies.box((1, 1, cells), size=(4.0, 4.0, 1e3 * LENGTH))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(YOUNG, 0.0)}, density=DENSITY)
    wall = Springs("z0", 5 * YOUNG / (LENGTH / cells), one_sided=True, onset=1e-7)
    return model.problem(supports=[Fixed("all", "xy"), wall], floating=True)


def test_bar_on_a_wall() -> None:
    """Leaves after 2L/c with the velocity it came with: by symmetry, equal bars exchange their velocities."""
    problem, touch = thrown(), 2 * LENGTH / WAVE
    path = solve(
        problem,
        duration=1.5 * touch,
        steps=100,
        integrator=GeneralizedAlpha(0.5),
        velocity=(0.0, 0.0, -SPEED),
        mass="lumped",
    )
    path.require_converged()
    mass = DENSITY * 4e-3**2 * LENGTH
    flow = np.array(path.energy.momentum)[:, 2] / (mass * SPEED)
    times = np.array(path.energy.time)
    assert flow[0] == pytest.approx(-1.0)
    assert path.energy.largest_drift < 0.01
    assert flow[-1] == pytest.approx(1.0, abs=0.06)
    # While it touches, the wall's force is the constant ρ c v A: the momentum crosses zero half way and is straight.
    half = times[np.flatnonzero(flow > 0)[0]]
    assert half == pytest.approx(touch / 2, rel=0.03)
    inside = (times > 0.1 * touch) & (times < 0.9 * touch)
    slope = np.polyfit(times[inside], flow[inside], 1)[0]
    assert slope * touch == pytest.approx(2.0, rel=0.03)
    end = times[np.flatnonzero(flow > 0.93)[0]]
    assert end == pytest.approx(touch, rel=0.04)


def test_steps_follow_the_accuracy() -> None:
    """Steps of an oscillator obey Δt³ = 12 e / (A ω³) on average, so an eighth of the error takes twice the steps."""
    model = Model.from_mesh(
        bodies.box((1, 1, 1), size=(10.0, 10.0, 10.0)), {"body": NeoHookean.from_young(1e4, 0.0)}, density=1000.0
    )
    problem = model.problem(supports=[Fixed("all", "xy"), PointSprings("all", 0.1)])
    omega, size = np.sqrt(0.1 / 1e-3), 1e-4  # the block of 1 g shifts as one on its springs
    turn = 2 * np.pi / omega
    counts, misses = [], []
    for accuracy in (4e-7, 5e-8):
        path = solve(
            problem,
            duration=turn,
            steps=4,
            velocity=(0.0, 0.0, size * omega),
            accuracy=accuracy,
            keep=[0.25 * turn, turn],
        )
        counts.append(len(path.energy.time) - 1)
        misses.append(abs(float(path.require_converged().states[1].displacement[0, 2]) - size))
        assert len(path.states) == 3
        assert float(path.states[1].time) == 0.25 * turn
        mean = (np.abs(np.cos(np.linspace(0, 2 * np.pi, 100))) ** (1 / 3)).mean()
        by_error = turn * mean * (size * omega**3 / (12 * accuracy)) ** (1 / 3)
        assert by_error < counts[-1] < 1.6 * by_error
    assert misses[1] < 0.4 * misses[0]
    assert counts[1] < 60


def test_a_motion_goes_on_from_where_it_stopped() -> None:
    """In one run or in two, bit for bit nearly: a motion holds all there is to know."""
    at_once = solve(flyer(), duration=0.02, steps=8, velocity=tumble, tolerance=1e-12).final
    half = solve(flyer(), duration=0.02, steps=8, until=0.01, velocity=tumble, tolerance=1e-12).final
    rest = solve(flyer(), duration=0.02, steps=8, start=half, tolerance=1e-12).final
    assert float(rest.time) == 0.02
    assert np.abs(np.asarray(rest.displacement - at_once.displacement)).max() < 1e-12


def test_failures_and_interruption() -> None:
    """A body torn apart ends with a code, a time and a place, keeps what went before, and listens to its progress."""
    path = solve(flyer(), duration=0.05, steps=2, velocity=lambda x: -400.0 * x, max_iterations=4)
    assert path.result in (ResultCode.inverted_element, ResultCode.newton_diverged)
    assert " s" in path.where
    with pytest.raises(SolverError, match="between"):
        _ = path.final
    with pytest.raises(SolverError, match="Hold it"):
        solve_static(flyer())

    def interrupt(fraction: float | None, message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve(flyer(), duration=0.1, steps=2, velocity=tumble, progress=interrupt)


def two_bars(cells: int = 10) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Two equal bars end to end, free along themselves; nodes of the first; velocities (nodes, 3): the first flies."""
    left = bodies.box((1, 1, cells), size=(4.0, 4.0, 1e3 * LENGTH))
    right = bodies.box((1, 1, cells), size=(4.0, 4.0, 1e3 * LENGTH))
    count = len(left.points)
    mesh = TetMesh(
        np.concatenate([left.points, right.points + np.array([0.0, 0.0, 1e3 * LENGTH + 1e-6])]),
        np.concatenate([left.tetrahedra, right.tetrahedra + count]),
        np.repeat([1, 2], len(left.tetrahedra)).astype(np.int32),
        {1: "left", 2: "right"},
        facet_sets={"front": left.facet_sets["z1"], "back": right.facet_sets["z0"] + count},
        node_sets={"all": np.arange(2 * count)},
    )
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.0)}, density=DENSITY)
    meet = TissueContact("front", "back", penalty=5 * YOUNG / (LENGTH / cells), onset=1e-7)
    problem = model.problem(supports=[Fixed("all", "xy")], contacts=[meet], floating=True)
    first = model.nodes_of("left")
    flying = np.zeros((len(model.points), 3))
    flying[first, 2] = SPEED
    return problem, first, flying


def exchanged(path, problem: Problem, first: np.ndarray) -> None:
    """They touch for 2L/c, then the first rests and the second flies; momentum is kept and moves over evenly."""
    touch, mass = 2 * LENGTH / WAVE, DENSITY * 4e-3**2 * LENGTH * SPEED
    inertia = mass_matrix(problem.model, "lumped").diagonal
    flow = np.array([(inertia[first] * np.asarray(s.velocity)[first, 2]).sum() for s in path.states]) / mass
    total = np.array(path.energy.momentum)[:, 2] / mass
    assert total == pytest.approx(np.ones(len(total)), abs=1e-6)
    assert flow[0] == pytest.approx(1.0)
    assert flow[-1] == pytest.approx(0.0, abs=0.04)
    assert path.times[np.flatnonzero(flow < 0.5)[0]] == pytest.approx(touch / 2, rel=0.04)
    assert path.times[np.flatnonzero(flow < 0.05)[0]] == pytest.approx(touch, rel=0.06)
    inside = (path.times > 0.1 * touch) & (path.times < 0.9 * touch)
    assert np.polyfit(path.times[inside], flow[inside], 1)[0] * touch == pytest.approx(-1.0, rel=0.04)


def test_equal_bars_exchange_their_velocities() -> None:
    problem, first, flying = two_bars()
    path = solve(
        problem,
        duration=2.6 * LENGTH / WAVE,
        steps=70,
        integrator=GeneralizedAlpha(0.5),
        velocity=flying,
        mass="lumped",
    )
    exchanged(path.require_converged(), problem, first)
