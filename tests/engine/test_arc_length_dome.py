"""Clamped shallow domes: the same path whatever the first step, against control by load and by displacement."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from preop.engine.tissue import fields
from preop.engine.tissue.arc_length import trace
from preop.engine.tissue.loads import NodalForces, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.path import Path, PathState
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.verification import meshes

RADIUS, YOUNG, POISSON = 0.1, 1e6, 0.3
SUPPORTS = [Fixed("rim"), Fixed("x0", "x"), Fixed("y0", "y")]


def sphere(rise: float) -> float:
    """Radius [m] of the sphere of which the dome is a cap."""
    return (RADIUS**2 + rise**2) / (2 * rise)


@cache
def dome(rings: int, rise: float, thick: float) -> Model:
    """A quarter of a spherical cap in T10; node set `apex` at the middle of the upper face."""
    disc, curvature = meshes.round_rod(RADIUS, 1.0), sphere(rise)

    def place(simple: np.ndarray) -> np.ndarray:
        flat = disc(simple)
        height = np.sqrt(curvature**2 - (flat[:, :2] ** 2).sum(axis=1))
        up = np.column_stack([flat[:, :2], height]) / curvature
        return np.column_stack([flat[:, :2], height - curvature + rise]) + (flat[:, 2:] - 0.5) * thick * up

    mesh = meshes.rod(rings, 1, 1)
    points = np.asarray(mesh.points)
    mesh.node_sets["apex"] = np.flatnonzero((points[:, :2] == 0).all(axis=1) & (points[:, 2] > 0)).astype(np.int32)
    law = NeoHookean.from_young(YOUNG, POISSON)
    return meshes.curved(Model.from_mesh(mesh, {"body": law}, element="T10"), place)


def depth(model: Model, state: State) -> float:
    """Of the apex [m]."""
    return -float(np.asarray(state.displacement)[model.nodes_of("apex"), 2].mean())


RISE, THICK = 0.01, 0.0015


def pressed(share: float = 1.0) -> Problem:
    """Under a uniform dead load, over the classical buckling pressure of the whole sphere."""
    classical = 2 * YOUNG / np.sqrt(3 * (1 - POISSON**2)) * (THICK / sphere(RISE)) ** 2
    return dome(6, RISE, THICK).problem(loads=[Traction("z1", (0.0, 0.0, -share * classical))], supports=SUPPORTS)


def limit(path: Path) -> float:
    """The first maximum of the load along the path."""
    moved = np.array([np.asarray(state.displacement).ravel() for state in path.states])
    along = np.cumsum(np.linalg.norm(np.diff(moved, axis=0, prepend=0 * moved[:1]), axis=1))
    curve = CubicSpline(along, path.load_fractions)
    tops = [root for root in curve.derivative().roots(extrapolate=False) if curve(root, 2) < 0]
    return float(curve(tops[0]))


@cache
def followed(first: float) -> Path:
    """Until the load has fallen by a tenth."""
    most = 0.0

    def fallen(state: PathState) -> bool:
        nonlocal most
        most = max(most, float(state.load_fraction))
        return bool(state.load_fraction < 0.9 * most)

    return trace(pressed(), first=first, until=3.0, stop=fallen).require_converged()


def test_a_dome_buckles_at_one_load_whatever_the_first_step() -> None:
    """Beside the limit point another stretch of path goes on rising: long steps must not go over to it."""
    coarse, fine = limit(followed(0.1)), limit(followed(0.04))
    assert coarse == pytest.approx(fine, rel=1e-3)
    assert {state.stability for state in followed(0.1).states} == {"stable", "unstable"}


@pytest.mark.slow
def test_control_by_load_finds_no_balance_beyond_the_limit() -> None:
    """Newton's method with small load steps, which knows nothing of paths: it leaves the dome where the path turns."""
    model, path = dome(6, RISE, THICK), followed(0.1)
    most = limit(path)
    below = solve(pressed(0.99 * most), load_steps=10).require_converged()
    rising = path.states[: path.limit_points[0]]
    curve = CubicSpline([s.load_fraction for s in rising], [depth(model, s) for s in rising])
    found = [depth(model, state) for state in below.states[:9]]
    expected = curve([0.99 * most * state.load_fraction for state in below.states[:9]])
    assert found == pytest.approx(expected, abs=1e-3 * max(found))
    beyond = solve(pressed(1.01 * most), start=below.final)
    assert not beyond.converged or depth(model, beyond.final) > RISE


def test_a_dome_under_a_point_load_follows_control_by_displacement() -> None:
    """Through both limit points; the reaction of the apex pressed down says what load belongs to each depth."""
    rise, thick = 0.02, 0.002
    model = dome(5, rise, thick)
    way = 1.8 * rise
    held = model.problem(supports=SUPPORTS, prescribed=[Prescribed("apex", (0.0, 0.0, -way), components="z")])
    control = solve(held, load_steps=60, check_stability=False).require_converged()
    force = np.array([0.0, *(-fields.reaction(held, state, "apex")[2] for state in control.states)])
    curve = CubicSpline([0.0, *(way * state.load_fraction for state in control.states)], force)
    load = 1.5 * force[:50].max()
    problem = model.problem(loads=[NodalForces("apex", (0.0, 0.0, -load))], supports=SUPPORTS)
    path = trace(problem, first=0.1, until=2.0, stop=lambda s: depth(model, s) > 0.95 * way).require_converged()
    found = np.array([depth(model, state) for state in path.states])
    assert load * path.load_fractions == pytest.approx(curve(found), abs=2e-3 * force.max())
    assert len(path.limit_points) == 2
