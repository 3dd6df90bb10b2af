"""Paths through limit points against a closed form and against displacement control."""

from __future__ import annotations

from functools import cache
from typing import Any

import bodies
import numpy as np
import pytest
from refusals import refused
from scipy.interpolate import CubicSpline

from preop.engine.tissue import arc_length_march, fields
from preop.engine.tissue.arc_length import trace
from preop.engine.tissue.arc_length_continuity import Trail
from preop.engine.tissue.arc_length_corrector import Point
from preop.engine.tissue.arc_length_system import ProportionalSystem
from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact, Sphere
from preop.engine.tissue.loads import Pressure, Traction
from preop.engine.tissue.materials import Damage, DecoupledNeoHookean, NeoHookean, SaintVenantKirchhoff
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp, Grip, Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.system import Timer
from preop.imaging.errors import SolverError

YOUNG = 1e4


def test_compressed_bar_of_saint_venant_kirchhoff() -> None:
    """P = E (s³ − s)/2 at the stretch s, on both sides of its limit at s = 1/√3, where the load is E/3√3."""
    model = Model.from_mesh(bodies.box((1, 1, 1)), {"body": SaintVenantKirchhoff.from_young(YOUNG, 0.0)})
    problem = model.problem(
        loads=[Traction("z1", (0.0, 0.0, -0.25 * YOUNG))], supports=[Fixed("z0"), Fixed("all", "xy")]
    )
    top = model.nodes_of("z1")

    def stretch(state) -> float:
        return 1.0 + float(np.asarray(state.displacement)[top, 2].mean())

    path = trace(problem, first=0.2, longest=1.0, stop=lambda state: stretch(state) < 0.3).require_converged()
    found = np.array([stretch(state) for state in path.states])
    assert path.load_fractions * 0.25 == pytest.approx((found - found**3) / 2, abs=1e-8)
    assert path.load_fractions.max() == pytest.approx(1 / (3 * np.sqrt(3)) / 0.25, rel=5e-3)
    assert len(path.limit_points) == 1
    assert found[-1] < 0.3 < 1 / np.sqrt(3) < found[0]
    told = {state.stability for state, s in zip(path.states, found, strict=True) if s < 1 / np.sqrt(3) - 1e-3}
    assert told == {"unstable"}
    assert all(state.stable for state, s in zip(path.states, found, strict=True) if s > 1 / np.sqrt(3) + 1e-3)


SPAN, RISE, THICK, DEEP = 100.0, 6.0, 3.0, 6.0


@cache
def arch() -> Model:
    """Half of a clamped shallow arch, mm: x0 is clamped, x1 the crown on the plane of symmetry."""

    def place(unit: np.ndarray) -> np.ndarray:
        x = SPAN * unit[:, 0]
        height = RISE * np.sin(0.5 * np.pi * unit[:, 0]) ** 2
        return np.stack([x, height + THICK * unit[:, 1], DEEP * unit[:, 2]], axis=1)

    return Model.from_mesh(bodies.box((8, 1, 1), place=place), {"body": NeoHookean.from_young(1e6, 0.0)}, element="T10")


SUPPORTS = [Fixed("x0"), Fixed("x1", "x"), Fixed("z0", "z"), Fixed("z1", "z")]
PRESS = 1.5e-2
"""Displacement of the crown, m: to beyond the mirror image."""


@cache
def pressed() -> tuple[np.ndarray, np.ndarray]:
    """Depth [m] and force [N] of the crown under displacement control."""
    problem = arch().problem(supports=SUPPORTS, prescribed=[Prescribed("x1", (0.0, -PRESS, 0.0), components="y")])
    solution = solve(problem, load_steps=20, check_stability=False).require_converged()
    force = [-fields.reaction(problem, state, "x1")[1] for state in solution.states]
    return np.array([0.0, *(PRESS * state.load_fraction for state in solution.states)]), np.array([0.0, *force])


def crown(state) -> float:
    return -float(np.asarray(state.displacement)[arch().nodes_of("x1"), 1].mean())


def test_shallow_arch_snaps_through() -> None:
    """Loaded by a force, the path runs over both limit points along what displacement control finds."""
    depth, force = pressed()
    peak = int(np.argmax(force[: len(force) // 2]))
    assert peak > 0
    assert force[peak:].min() < 0.8 * force[peak]
    load = 1.2 * force[peak]
    area = THICK * DEEP * 1e-6
    problem = arch().problem(loads=[Traction("x1", (0.0, -load / area, 0.0))], supports=SUPPORTS)
    path = trace(problem, first=0.25, longest=1.0, stop=lambda state: crown(state) > 0.95 * PRESS).require_converged()
    found = np.array([crown(state) for state in path.states])
    assert CubicSpline(depth, force)(found) == pytest.approx(path.load_fractions * load, abs=2e-3 * force[peak])
    assert len(path.limit_points) == 2
    top, bottom = path.limit_points
    told = [state.stability for state in path.states]
    assert set(told[:top] + told[bottom + 1 :]) == {"stable"}
    assert set(told[top + 1 : bottom]) == {"unstable"}


def test_a_soft_grip_makes_the_arch_snap_back() -> None:
    """Through a layer softer than the arch is unstable, the jaws' own path turns round: d = w + F(w)/k."""
    depth, force = pressed()
    slope = np.diff(force) / np.diff(depth)
    soft = 0.5 * abs(slope.min())
    area = THICK * DEEP * 1e-6
    jaws = depth + force / soft
    assert np.diff(jaws).min() < 0
    way = 1.02 * jaws.max()
    grip = Grip("x1", soft / area, path=(0.0, -way, 0.0))
    path = trace(
        arch().problem(supports=SUPPORTS, prescribed=[grip]),
        first=0.1,
        longest=2.0,
        stop=lambda s: crown(s) > 0.9 * PRESS,
    ).require_converged()
    found = np.array([crown(state) for state in path.states])
    expected = found + CubicSpline(depth, force)(found) / soft
    assert path.load_fractions * way == pytest.approx(expected, abs=5e-3 * jaws.max())
    assert len(path.limit_points) >= 2


def test_slips_and_breaks_are_named() -> None:
    model = Model.from_mesh(bodies.box((1, 1, 1)), {"body": NeoHookean.from_young(YOUNG, 0.0)})
    held = model.problem(supports=[Fixed("z0")])
    with pytest.raises(SolverError, match="no load"):
        trace(held)
    with pytest.raises(SolverError, match="first step of 2 is not possible"):
        trace(held, first=2.0)
    with pytest.raises(SolverError, match="Hold it"):
        trace(model.problem(floating=True))


def test_what_is_no_path_of_loads_in_proportion_is_refused() -> None:
    model = Model.from_mesh(bodies.box((1, 1, 1)), {"body": NeoHookean.from_young(YOUNG, 0.0)})
    load, top = Traction("z1", (0.0, 0.0, 500.0)), [Fixed("z0")]

    def attempt(words: str, **parts: Any) -> None:
        refused(lambda: trace(model.problem(supports=top, **parts)), words)

    ball = Sphere((0.0, 0.0, 0.1), 0.01)
    attempt("loads do not grow in proportion", loads=[Traction("z1", (0.0, 0.0, 500.0), during=(0.0, 0.5))])
    attempt("motions do not grow", prescribed=[Grasp("z1", path=[(0.001, 0.0, 0.0), (0.0, 0.001, 0.0)])])
    moving = RigidBody(ball, path=[(0.0, 0.0, -0.01)], label="tool")
    attempt("'tool': forces of a body that moves", loads=[load], contacts=[RigidContact("z1", moving)])
    rubbing = RigidContact("z1", RigidBody(ball), friction=0.2)
    attempt("friction depends on the way", loads=[load], contacts=[rubbing])
    law = Damage(DecoupledNeoHookean(4e3, 1e5), 50.0, 100.0, 0.6)
    worn = Model.from_mesh(bodies.box((1, 1, 1)), {"body": law}).problem(supports=top, loads=[load])
    refused(lambda: trace(worn), "a material with a history")


def test_steps_that_run_out_are_no_end() -> None:
    model = Model.from_mesh(bodies.box((1, 1, 1)), {"body": NeoHookean.from_young(YOUNG, 0.0)})
    problem = model.problem(loads=[Traction("z1", (0.0, 0.0, 500.0))], supports=[Fixed("z0")])
    path = trace(problem, first=0.1, longest=1.0, steps=2)
    assert path.result is ResultCode.steps_ran_out
    assert len(path.states) == 2


def test_multipliers_are_moved_on_along_a_path() -> None:
    """Pressed on a wall that rests, the body is as close to it as asked, and as static.solve finds it."""
    model = Model.from_mesh(bodies.box((2, 2, 2), size=(20.0, 20.0, 20.0)), {"body": NeoHookean.from_young(YOUNG, 0.3)})
    wall = RigidContact("x1", RigidBody(HalfSpace((0.0201, 0.0, 0.0), (-1.0, 0.0, 0.0))), penetration=1e-8)
    problem = model.problem(loads=[Traction("z1", (2000.0, 0.0, 0.0))], supports=[Fixed("z0")], contacts=[wall])
    path = trace(problem, first=0.5).require_converged()
    gap = wall.points(model, np.asarray(path.final.displacement), 1.0).gap
    assert -1e-8 <= gap.min() < 1e-7
    other = solve(problem, tolerance=1e-10).final
    assert np.abs(np.asarray(path.final.displacement - other.displacement)).max() < 1e-7


def test_a_path_that_only_rises_ends_at_full_load() -> None:
    """There the arc-length method gives the state that load control gives."""
    model = Model.from_mesh(bodies.box((2, 2, 2)), {"body": NeoHookean.from_young(YOUNG, 0.3)})
    problem = model.problem(loads=[Traction("z1", (300.0, 0.0, 2000.0))], supports=[Fixed("z0")])
    path = trace(problem, first=0.3).require_converged()
    assert path.load_fractions[-1] == 1.0
    other = solve(problem).final
    assert np.abs(np.asarray(path.states[-1].displacement - other.displacement)).max() < 1e-6
    assert all(state.stable for state in path.states)


@pytest.mark.parametrize(("place", "load", "until"), [(0.0203, 300.0, 1.0), (0.022, 1000.0, 1.0), (0.022, 500.0, 2.0)])
def test_a_path_ends_at_its_load_behind_a_stiff_wall(place: float, load: float, until: float) -> None:
    """The first step goes from no contact to beyond that load; Newton's method finds no balance between at once."""
    model = Model.from_mesh(bodies.box((2, 2, 2), size=(20.0, 20.0, 20.0)), {"body": NeoHookean.from_young(YOUNG, 0.3)})
    wall = RigidContact("x1", RigidBody(HalfSpace((place, 0.0, 0.0), (-1.0, 0.0, 0.0))), penalty=1e10)

    def pushed(most: float) -> Problem:
        return model.problem(loads=[Traction("z1", (most, 0.0, 0.0))], supports=[Fixed("z0")], contacts=[wall])

    path = trace(pushed(load), first=0.5, until=until).require_converged()
    assert path.load_fractions[-1] == pytest.approx(until, rel=1e-8)
    other = solve(pushed(until * load), load_steps=10).final
    assert np.abs(np.asarray(path.final.displacement - other.displacement)).max() < 1e-9
    face = model.nodes_of("x1")
    reached = np.asarray(model.points)[face, 0] + np.asarray(path.final.displacement)[face, 0]
    assert reached.max() > place  # it leans on the wall there


def test_an_end_that_is_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arc_length_march, "at_load", lambda *given: None)
    path = trace(suction(1500.0), first=0.8)
    assert path.result is ResultCode.path_lost
    assert "at 100 % of the load" in path.where
    assert path.load_fractions[-1] > 1.0  # kept, and in balance


@cache
def sucked() -> Model:
    return Model.from_mesh(bodies.box((2, 2, 2)), {"body": NeoHookean.from_young(YOUNG, 0.3)})


def suction(most: float) -> Problem:
    return sucked().problem(loads=[Pressure("z1", -most)], supports=[Fixed("z0")])


@pytest.mark.parametrize("fraction", [-0.6, 1.8])
def test_the_tangent_outside_the_load_is_that_of_the_residual_there(fraction: float) -> None:
    """A pressure that follows the surface has a stiffness, which goes on growing with it."""
    system, draw = ProportionalSystem(suction(1500.0), Timer()), np.random.default_rng(1)
    field, way = (scale * draw.standard_normal(system.points.shape) for scale in (1e-4, 1.0))
    step = 1e-6
    ends = [system.evaluate(field + sign * step * way, fraction).residual for sign in (-1.0, 1.0)]
    expected = (ends[1] - ends[0]) / (2 * step)
    found = system.linearize(field, fraction).product(way)
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()
    clipped = system.linearize(field, min(max(fraction, 0.0), 1.0)).product(way)
    assert np.abs(clipped - expected).max() > 1e-3 * np.abs(expected).max()


def test_a_pressure_that_follows_goes_on_beyond_full_load() -> None:
    """To the state of the larger pressure at its own full load, in as many iterations a step as before."""
    path = trace(suction(1500.0), until=1.8, first=0.2, longest=2.0, tolerance=1e-10).require_converged()
    assert path.load_fractions[-1] == 1.8
    assert max(step.newton_iterations for step in path.statistics.steps) <= 3
    other = solve(suction(1.8 * 1500.0), tolerance=1e-11).final
    assert np.abs(np.asarray(path.final.displacement - other.displacement)).max() < 1e-9


def test_short_steps_after_a_long_one_do_not_come_back() -> None:
    """What lies beyond the end of a step is its continuation, however near; what lies beside it is not."""

    class Plane:
        dot = staticmethod(lambda left, right: float((left * right).sum()))
        norm = staticmethod(lambda field: float(np.linalg.norm(field)))

    def at(*place: float) -> Point:
        return Point(np.array(place), 0.0, *([np.zeros(2)] * 2), 1.0, 0.0, 0.0, 1.0, 0)

    trail = Trail(Plane(), at(0.0, 0.0))  # pyright: ignore[reportArgumentType]
    for place in ((1.0, 0.0), (1.02, 0.0)):
        trail.add(at(*place))
    assert not trail._gone_over(at(1.04, 0.0))
    assert trail._gone_over(at(0.98, 0.02))
