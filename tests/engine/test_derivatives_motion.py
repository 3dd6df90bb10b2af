"""Derivatives through the motion of bodies that touch, rub, are tied or cannot be compressed; by new motions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact, Sphere, Tie, TissueContact
from preop.engine.tissue.derivatives.motion_steps import MotionSteps
from preop.engine.tissue.derivatives.parameters import direction_at
from preop.engine.tissue.dynamic import solve
from preop.engine.tissue.integrators import EnergyMomentum, GeneralizedAlpha, Integrator, Midpoint, Newmark
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import DecoupledNeoHookean, NeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import Damping
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

Pick = Callable[[Problem], Any]
Make = Callable[[Problem], MotionSteps]
MODULUS: Pick = lambda p: p.model.blocks[0].material.shear_modulus  # noqa: E731
POINTS: Pick = lambda p: p.model.points  # noqa: E731
DENSITY: Pick = lambda p: p.model.blocks[0].density  # noqa: E731


def measure(motion: Any, problem: Problem) -> Any:
    """Where it is and how fast, no two nodes weighed alike."""
    weight = jnp.linspace(0.5, 1.5, problem.model.nodes)[:, None] * jnp.asarray([1.0, 0.7, -0.4])
    return 1e2 * jnp.sum(weight * motion.displacement) + jnp.sum(weight * motion.velocity)


def values(make: Make, problem: Problem, measures: Mapping[int, Any]) -> float:
    """Σ J of the states of a new motion."""
    steps = make(problem)
    state, total = steps.start(), 0.0
    for index in range(steps.count):
        state = steps.advance(state, index)
        if index + 1 in measures:
            total += float(measures[index + 1](steps.motion(state, index + 1), problem))
    return total


def agrees(make: Make, problem: Problem, picks: Mapping[str, tuple[Pick, float]], *, forward: str) -> None:
    """Slopes in reverse, one of them forwards too, against central differences of new motions."""
    steps = make(problem)
    measures = {steps.count - 2: measure, steps.count: measure}
    slope = steps.gradient(measures, checkpoints=1)
    for name, (pick, share) in picks.items():
        base = np.asarray(pick(problem))
        way = np.random.default_rng(4).standard_normal(base.shape)
        step = share * max(float(np.abs(base).max()), 1e-3)

        def at(sign: float, pick: Pick = pick, base: Any = base, way: Any = way, step: float = step) -> float:
            return values(make, eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way)), measures)

        expected = (at(1) - at(-1)) / (2 * step)
        found = float(np.sum(np.asarray(pick(slope)) * way))
        assert found == pytest.approx(expected, rel=1e-5), name
        if name == forward:
            changes = steps.directional(direction_at(problem, pick, way))
            ends = [changes[index - 1] for index in measures]
            rates = [measure(end, problem) for end in ends]  # linear in the fields
            assert float(sum(rates)) == pytest.approx(expected, rel=1e-5), f"{name} forwards"


def laid(contacts: list[Any], *, density: float = 1000.0, element: str = "T4", law: Any = None, **more: Any) -> Problem:
    """A small block on a large one, whose base is held; 20 μm into it, and drawn over it by its top."""
    low = bodies.box((2, 2, 1), size=(40.0, 40.0, 12.0))
    size = np.array([16.0, 16.0, 10.0])
    up = bodies.box((1, 1, 1), place=lambda u: u * size + [9.0, 11.0, 11.98])
    mesh = bodies.two_bodies(low, up)
    law = NeoHookean.from_young(1e4, 0.3) if law is None else law
    model = Model.from_mesh(mesh, {"*": law}, density=density, element=element)
    return model.problem(supports=[Fixed("low_z0")], contacts=contacts, floating=True, **more)


def drawn(friction: float, **numbers: Any) -> Problem:
    """Drawn 2.4 mm along the other's facets within the motion, pressed on by 0.3 mm."""
    path = Prescribed("up_z1", (0.0024, 0.0016, -0.0003))
    return laid([TissueContact("up_z0", "low_z1", friction=friction, onset=2e-5, **numbers)], prescribed=[path])


RULES: dict[str, Integrator] = {
    "newmark": Newmark(0.3025, 0.6),
    "alpha": GeneralizedAlpha(0.6),
    "midpoint": Midpoint(),
    "energy-momentum": EnergyMomentum(),
}
TINY = 1e-5
"""Step of a difference over the largest value, a tenth of it for node positions: in sweeps from 1e-3 to 1e-7 the
differences agree to 1e-7 from here on down."""


def steps_with(rule: Integrator, **more: Any) -> Make:
    numbers: Any = {"duration": 0.02, "count": 4, "tolerance": 1e-12, **more}
    return lambda problem: MotionSteps(problem, integrator=rule, **numbers)


PATH: Pick = lambda p: p.prescribed[0].displacement  # noqa: E731
SLIDING: dict[str, dict[str, tuple[Pick, float]]] = {
    "alpha": {"friction": (lambda p: p.contacts[0].friction, TINY), "points": (POINTS, 0.1 * TINY)},
    "newmark": {"path": (PATH, TINY), "density": (DENSITY, TINY)},
    "midpoint": {"path": (PATH, TINY), "points": (POINTS, 0.1 * TINY)},
    "energy-momentum": {"path": (PATH, TINY)},
}


LONG = pytest.mark.long


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=LONG) for n in ("newmark", "alpha", "midpoint", "energy-momentum")]
)
def test_tissue_that_slides_with_friction(name: str) -> None:
    picks = SLIDING[name]
    damping = Damping(2.0, 1e-3) if name == "newmark" else None
    agrees(steps_with(RULES[name], damping=damping), drawn(0.3), picks, forward=list(picks)[-1])


@pytest.mark.slow
@pytest.mark.long
def test_tissue_that_sticks_on_softly() -> None:
    """All points stick, so softly that they come over other facets."""
    stick: Pick = lambda p: p.contacts[0].stick  # noqa: E731
    agrees(steps_with(GeneralizedAlpha(0.8)), drawn(5.0, stick=1e5), {"stick": (stick, TINY)}, forward="stick")


def facets(steps: MotionSteps) -> list[np.ndarray]:
    """Which facet each point of the first contact meets after each step."""
    state, found = steps.start(), []
    for index in range(steps.count):
        state = steps.advance(state, index)
        found.append(np.asarray(state.history.contacts[0].history[0].facet))
    return found


def test_steps_are_those_of_the_solver() -> None:
    """Friction, slip that is carried and points that change facets: displacement and velocity of `dynamic.solve`."""
    problem, rule = drawn(0.3), GeneralizedAlpha(0.6)
    steps = steps_with(rule)(problem)
    path = solve(problem, duration=0.02, steps=4, integrator=rule, tolerance=1e-12).require_converged()
    assert len(path.states) == 5
    state = steps.start()
    for index, motion in enumerate(path.states[1:]):
        state = steps.advance(state, index)
        for found, expected in ((state.displacement, motion.displacement), (state.velocity, motion.velocity)):
            assert np.abs(np.asarray(found) - np.asarray(expected)).max() < 1e-9 * np.abs(np.asarray(expected)).max()
    met = facets(steps)
    assert (met[-1] >= 0).any()
    assert (met[-1] != met[0]).any()


def test_what_cannot_be_differentiated_is_named() -> None:
    table = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    model = drawn(0.3).model
    hard = RigidContact("low_z0", table, penetration=1e-6)
    with pytest.raises(SolverError, match="multipliers hold where forces are taken"):
        MotionSteps(model.problem(contacts=[hard], floating=True), duration=0.1, count=1, integrator=EnergyMomentum())
    with pytest.raises(SolverError, match=r"measures at \[3\] of 2 steps"):
        MotionSteps(model.problem(floating=True), duration=0.1, count=2).gradient({3: measure})


def rubbed() -> Problem:
    """A block thrown along a wall that it is pressed on by its weight, which rubs; viscous."""
    mesh = bodies.box((1, 1, 1), size=(30.0, 20.0, 20.0))
    law = Viscoelastic(DecoupledNeoHookean(4e3, 4e4), (0.8,), (0.02,))
    model = Model.from_mesh(mesh, {"body": law}, density=1000.0)
    table = RigidBody(HalfSpace((0.0, 0.0, 0.00005), (0.0, 0.0, 1.0)))
    contact = RigidContact("z0", table, friction=0.4, onset=2e-5)
    return model.problem(loads=[Gravity((0.0, 0.0, -20.0), during=(0, 0))], contacts=[contact], floating=True)


@pytest.mark.slow
@pytest.mark.long
def test_a_block_thrown_along_a_wall() -> None:
    """Coulomb friction on a rigid body, overstress, and a start whose acceleration depends on everything."""
    picks = {
        "friction": (lambda p: p.contacts[0].friction, TINY),
        "relaxation": (lambda p: p.model.blocks[0].material.times[0], TINY),
        "points": (POINTS, 0.1 * TINY),
        "density": (DENSITY, TINY),
    }
    make = steps_with(GeneralizedAlpha(0.6), duration=0.008, velocity=(0.3, 0.1, 0.0), damping=Damping(3.0))
    agrees(make, rubbed(), picks, forward="density")


def knocked() -> Problem:
    mesh = bodies.box((2, 2, 1), size=(40.0, 40.0, 20.0), jitter=0.1)
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.3)}, density=1000.0)
    ball = RigidBody(Sphere((0.021, 0.019, 0.05), 0.0302), [(0.0, 0.0, -0.003)], label="ball")
    return model.problem(supports=[Fixed("z0")], contacts=[RigidContact("z1", ball, penetration=2e-5)])


def tied() -> Problem:
    return laid([Tie("up_z0", "low_z1", reach=1e-3)], prescribed=[Prescribed("up_z1", (0.001, 0.0005, 0.0008))])


def landed() -> Problem:
    """The coarse side looks, so that it has no more points than the fine one can follow."""
    path = Prescribed("up_z1", (0.0002, 0.0001, -0.0008))
    return laid([TissueContact("up_z0", "low_z1", penetration=1e-5, onset=2e-5)], prescribed=[path])


HELD: dict[str, tuple[Callable[[], Problem], Integrator, Damping | None, Pick]] = {
    "rigid": (knocked, Midpoint(), None, lambda p: p.contacts[0].body.path),
    "tie": (tied, GeneralizedAlpha(0.8), Damping(2.0, 1e-3), PATH),
    "tissue": (landed, GeneralizedAlpha(0.5), None, PATH),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rigid", *(pytest.param(n, marks=LONG) for n in ("tie", "tissue"))])
def test_multipliers_in_motion(name: str) -> None:
    """Where forces are taken no point is in the other, nor do tied surfaces part: whatever the penalty."""
    pose, rule, damping, path = HELD[name]
    picks = {"path": (path, TINY), "stiffness": (MODULUS, 10 * TINY), "points": (POINTS, 0.1 * TINY)}
    make, problem = steps_with(rule, damping=damping, count=3), pose()
    steps = make(problem)
    first = steps.advance(steps.start(), 0)
    held = steps.remembered.put(steps.rest, first.history).contacts[0].multipliers()
    assert np.abs(np.concatenate([np.ravel(part) for part in held])).max() > 10.0
    agrees(make, problem, picks, forward="stiffness")


def incompressible(element: str) -> Problem:
    mesh = bodies.box((1, 1, 2), size=(20.0, 20.0, 40.0), jitter=0.1)
    model = Model.from_mesh(mesh, {"body": DecoupledNeoHookean(4e3, 4e6)}, density=1000.0, element=element)
    wall = RigidContact("x1", RigidBody(HalfSpace((0.0199, 0.0, 0.0), (-1.0, 0.0, 0.0))), friction=0.2, onset=1e-4)
    return model.problem(supports=[Fixed("z0")], loads=[Gravity((6.0, 3.0, -9.81))], contacts=[wall])


MIXED: dict[str, tuple[str, Integrator, Damping | None]] = {
    "T4P1": ("T4P1", GeneralizedAlpha(0.7), None),
    "T10P1": ("T10P1", Midpoint(), Damping(1.0)),
    "T4P1 damped by stiffness": ("T4P1", GeneralizedAlpha(0.7), Damping(1.0, 1e-3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[LONG] * (name in ("T4P1", "T10P1"))) for name in MIXED])
def test_bodies_with_unknown_pressures(name: str) -> None:
    """Hardly compressible, swung against a wall on which they rub."""
    element, rule, damping = MIXED[name]
    problem = incompressible(element)
    picks = {"stiffness": (MODULUS, 10 * TINY), "points": (POINTS, 0.1 * TINY), "density": (DENSITY, TINY)}
    duration = 0.03 if damping is None or not damping.stiffness else 0.0075
    agrees(steps_with(rule, damping=damping, count=3, duration=duration), problem, picks, forward="points")
