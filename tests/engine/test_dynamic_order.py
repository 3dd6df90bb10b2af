"""Implicit steps in time against closed forms: orders, numerical damping, damping ratios, the pure residual."""

from __future__ import annotations

from functools import cache

import bodies
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import eigh

from preop.engine.tissue.device_system import DeviceSystem
from preop.engine.tissue.dynamic import solve
from preop.engine.tissue.host_system import HostSystem
from preop.engine.tissue.integrators import INTEGRATORS, GeneralizedAlpha, Midpoint, Newmark
from preop.engine.tissue.loads import Gravity, Traction
from preop.engine.tissue.mass import mass_matrix
from preop.engine.tissue.materials import DecoupledNeoHookean, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import Clock, Damping, Motion, kinetic_energy, step_residual
from preop.engine.tissue.prescribed import Grasp
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.system import Timer
from preop.engine.tissue.terms import Table
from preop.engine.tissue.time_step import StepSystem
from preop.imaging.errors import SolverError

YOUNG, DENSITY, LENGTH = 1e4, 1000.0, 0.1
WAVE = np.sqrt(YOUNG / DENSITY)
FIRST = 0.5 * np.pi * WAVE / LENGTH
"""rad/s: longitudinal vibration of a bar fixed at one end, ω = π c / 2L."""
SMALL = 1e-7


@cache
def bar(cells: int = 4) -> Problem:
    """A bar along z that can only move along itself; ν = 0."""
    mesh = bodies.box((1, 1, cells), size=(20.0, 20.0, 1e3 * LENGTH))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(YOUNG, 0.0)}, density=DENSITY)
    return model.problem(supports=[Fixed("z0"), Fixed("all", "xy")])


@cache
def modes(cells: int, mass: str = "consistent") -> tuple[np.ndarray, np.ndarray]:
    """ω (k,) rad/s and shapes (k, nodes, 3) of the discrete bar, by a dense eigenvalue solver."""
    problem = bar(cells)
    system = HostSystem(problem, Timer())
    free = system.free.ravel() > 0
    stiffness = system.linearize(system.zeros(), 0.0).matrix.toarray()[np.ix_(free, free)]
    inertia = np.kron(mass_matrix(problem.model, mass).matrix.toarray(), np.eye(3))[np.ix_(free, free)]
    square, vectors = eigh(stiffness, inertia)
    shapes = np.zeros((len(square), free.size))
    shapes[:, free] = vectors.T
    shapes /= np.abs(shapes).max(axis=1)[:, None]
    return np.sqrt(square), shapes.reshape(len(square), -1, 3)


@pytest.mark.parametrize("mass", ["consistent", "lumped"])
def test_frequency_of_the_bar(mass: str) -> None:
    """ω = π c / 2L, to second order in the element: a quarter of the miss with twice the elements."""
    miss = [abs(modes(cells, mass)[0][0] / FIRST - 1.0) for cells in (4, 8)]
    assert miss[1] < 0.01
    assert miss[0] / miss[1] == pytest.approx(4.0, rel=0.15)


def swing(rule, steps: int, periods: float = 1.0) -> float:
    """Largest miss of displacement, over the amplitude, against sin ωt of the discrete mode."""
    omega, shape = modes(4)[0][0], modes(4)[1][0]
    end = periods * 2 * np.pi / omega
    path = solve(bar(), duration=end, steps=steps, integrator=rule, velocity=SMALL * omega * shape, tolerance=1e-9)
    exact = SMALL * np.sin(omega * path.times)[:, None, None] * shape
    found = np.stack([np.asarray(state.displacement) for state in path.require_converged().states])
    return float(np.abs(found - exact).max()) / SMALL


@pytest.mark.parametrize("name", INTEGRATORS)
def test_second_order_in_the_step(name: str) -> None:
    """Half the step, a quarter of the error: every registered integrator, by its defaults."""
    errors = [swing(INTEGRATORS[name](), steps) for steps in (16, 32)]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.12)
    assert errors[1] < 0.06


def amplification(rule, omega_step: float) -> np.ndarray:
    """(u, Δt v, Δt² a) → the same a step on, of an undamped oscillator: the equations of Chung and Hulbert, solved."""
    square, am, af, beta, gamma = omega_step**2, rule.inertia_lag, rule.force_lag, rule.beta, rule.gamma
    left = np.array([[1.0, 0.0, -beta], [0.0, 1.0, -gamma], [square * (1 - af), 0.0, 1 - am]])
    right = np.array([[1.0, 1.0, 0.5 - beta], [0.0, 1.0, 1 - gamma], [-square * af, 0.0, -am]])
    return np.linalg.solve(left, right)


@pytest.mark.parametrize("radius", [0.0, 0.5, 0.8, 1.0])
def test_numerical_damping_of_generalized_alpha(radius: float) -> None:
    """What is left of a vibration per step tends to ρ, is 1 − O(Ω³) for slow ones, and the solver follows it."""
    rule = GeneralizedAlpha(radius)
    fast, slow = (np.abs(np.linalg.eigvals(amplification(rule, size))).max() for size in (1e5, 0.05))
    assert fast == pytest.approx(radius, abs=2e-3)
    assert 1 - 2e-4 < slow <= 1 + 1e-12
    omega, shape = modes(4)[0][-1], modes(4)[1][-1]
    step, steps = 3.0 / omega, 6
    path = solve(
        bar(), duration=steps * step, steps=steps, integrator=rule, velocity=SMALL / step * shape, tolerance=1e-10
    )
    state, size = np.array([0.0, 1.0, 0.0]), np.abs(shape).max()
    node = np.unravel_index(np.abs(shape).argmax(), shape.shape)
    for motion in path.require_converged().states[1:]:
        state = amplification(rule, 3.0) @ state
        found = np.asarray(motion.displacement)[node] / (SMALL * shape[node])
        assert found == pytest.approx(state[0], abs=1e-4 * size)


def test_rayleigh_damping_ratio() -> None:
    """Over one period a mode keeps exp(−2πζ/√(1 − ζ²)), ζ = a/2ω + bω/2; the account knows where the energy went."""
    omega, shape = modes(4)[0][0], modes(4)[1][0]
    damping = Damping(mass=0.06 * omega, stiffness=0.04 / omega)
    ratio = 0.03 + 0.02
    turn = 2 * np.pi / (omega * np.sqrt(1 - ratio**2))
    # Ten times the others' amplitude: the share of the energy that round-off takes goes with its inverse square.
    speed = 10 * SMALL * omega * shape
    path = solve(bar(), duration=turn, steps=60, integrator=Midpoint(), damping=damping, velocity=speed)
    kept = [kinetic_energy(bar(), state) for state in (path.states[0], path.final)]
    assert kept[1] / kept[0] == pytest.approx(np.exp(-4 * np.pi * ratio / np.sqrt(1 - ratio**2)), rel=0.01)
    assert path.energy.largest_drift < 1e-5
    assert path.energy.damped[-1] == pytest.approx(path.energy.total[0] - path.energy.total[-1], rel=1e-3)


def test_converged_steps_are_zeros_of_the_pure_residual() -> None:
    """With damping, loads in time and a moving grasp at finite strain, to the solver's tolerance."""
    model = Model.from_mesh(
        bodies.box((1, 1, 3), size=(20.0, 20.0, 60.0)), {"body": NeoHookean.from_young(YOUNG, 0.3)}, density=DENSITY
    )
    problem = model.problem(
        loads=[
            Gravity((1.0, 0.0, -9.81), during=(0.0, 0.0)),
            Traction("z1", (0, 40.0, 0), during=Table.of((0, 0.5, 1), (0, 1, 0))),
        ],
        prescribed=[Grasp("z0", path=(0.004, 0.0, 0.002), rotation=(0.0, 0.0, 0.4))],
    )
    damping = Damping(2.0, 1e-3)
    rule, duration, steps = GeneralizedAlpha(0.6), 0.05, 3
    path = solve(problem, duration=duration, steps=steps, integrator=rule, damping=damping, tolerance=1e-10)
    scale = 9.81 * DENSITY * 0.02 * 0.02 * 0.06
    for old, new in zip(path.states[:-1], path.require_converged().states[1:], strict=True):
        clock = Clock(float(old.time), float(new.time) - float(old.time), duration)
        rows = step_residual(new.displacement, old, problem, clock, rule, damping)
        assert np.abs(np.asarray(rows)).max() < 1e-8 * scale
    assert np.abs(np.asarray(path.final.displacement)).max() > 1e-3


@pytest.mark.parametrize(("device", "element"), [("cpu", "T4"), ("jax", "T4"), ("cpu", "T4P1")])
def test_damping_by_stiffness_is_all_in_the_tangent(device: str, element: str) -> None:
    """The stiffness that damps is that of the step's start: the slope of the balance against central differences."""
    law = DecoupledNeoHookean(YOUNG / 3, 10 * YOUNG) if element == "T4P1" else NeoHookean.from_young(YOUNG, 0.4)
    model = Model.from_mesh(bodies.box((2, 2, 3)), {"body": law}, density=DENSITY, element=element)
    problem = model.problem(loads=[Gravity((0.0, 2.0, -9.81))], supports=[Fixed("z0")])
    base = {"cpu": HostSystem, "jax": DeviceSystem}[device](problem, Timer())
    system = StepSystem(base, problem, mass_matrix(model), GeneralizedAlpha(0.8), Damping(3.0, 0.02), 1.0)
    random = np.random.default_rng(4)
    still = np.zeros_like(np.asarray(base.points))
    first, moved, way = (1e-3 * random.standard_normal(still.shape) * np.asarray(base.free) for _ in range(3))
    system.begin(Motion(0.0, first, time=0.0, velocity=still, acceleration=still), 0.05)

    def balance(field: np.ndarray) -> np.ndarray:
        now = system.evaluate(base.array(field), 0.05)
        return np.asarray(now.internal - now.external) * np.asarray(base.free)

    slope = (balance(moved + 1e-3 * way) - balance(moved - 1e-3 * way)) / 2e-3
    tangent = system.linearize(base.array(moved), 0.05)
    found = np.asarray(tangent.product(base.array(way))) * np.asarray(base.free)
    assert found == pytest.approx(slope, rel=1e-5, abs=1e-6 * np.abs(slope).max())
    back = tangent.solve(base.array(found), 1e-12)
    assert np.asarray(back.solution) == pytest.approx(way, abs=1e-7 * np.abs(way).max())


@pytest.mark.parametrize("place", ["prescribed", "supports"])
def test_a_prescribed_motion_has_its_own_velocity(place: str) -> None:
    """A free fall would not know it: the held side's velocity and acceleration are the path's derivatives."""
    model, sides = bar().model, Fixed("all", "xy")
    grasp = Grasp("z0", path=(0.0, 0.0, 0.01), components="z", rotation=(0, 0, 0))
    apart = place == "prescribed"
    problem = model.problem(supports=[sides] if apart else [sides, grasp], prescribed=[grasp] if apart else [])
    path = solve(problem, duration=0.02, steps=4)
    held = model.nodes_of("z0")
    for state in path.require_converged().states:
        assert np.asarray(state.velocity)[held, 2] == pytest.approx(0.5, rel=1e-9)
        assert np.asarray(state.acceleration)[held, 2] == pytest.approx(0.0, abs=1e-9)


def test_slips_are_named() -> None:
    for arguments, words in (
        ({"steps": 0}, "0 steps"), ({"steps": 2, "mass": "heavy"}, "no mass"),
        ({"steps": 2, "accuracy": -1.0}, "accuracy"),
        ({"steps": 2, "velocity": np.zeros((2, 3))}, "shape"), ({"steps": 2, "velocity": (0, np.nan, 0)}, "not finite"),
        ({"steps": 2, "keep": [3.0]}, "within"), ({"steps": 2, "damping": Damping(-1.0)}, "damping of -1"),
    ):  # fmt: skip
        with pytest.raises(SolverError, match=words):
            solve(bar(), duration=1.0, **arguments)
    with pytest.raises(SolverError, match="stable"):
        Newmark(0.1, 0.5)
    with pytest.raises(SolverError, match="radius"):
        GeneralizedAlpha(1.5)
    weightless = Model.from_mesh(bodies.box(), {"body": NeoHookean.from_young(YOUNG, 0.0)}, density=0.0)
    with pytest.raises(SolverError, match="no mass"):
        solve(weightless.problem(supports=[Fixed("z0")]), duration=1.0, steps=2)
    with pytest.raises(SolverError, match="rise"):
        Table.of((0, 1, 1), (0, 1, 2))
    assert float(Table.of((0, 0.5, 1), (0, 2, 1))(jnp.asarray(0.75))) == pytest.approx(1.5)
