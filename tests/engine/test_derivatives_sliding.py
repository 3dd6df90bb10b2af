"""Derivatives through tissues that slide over facets of each other, against central differences of new solves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import TissueContact, contact_state
from preop.engine.tissue.derivatives.first import directional, gradient
from preop.engine.tissue.derivatives.functionals import reaction
from preop.engine.tissue.derivatives.linearization import Linearization
from preop.engine.tissue.derivatives.load_steps import LoadSteps
from preop.engine.tissue.derivatives.parameters import direction_at
from preop.engine.tissue.derivatives.second import hessian_product
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import Solution
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.meshing.mesh import TetMesh

EXACT = 1e-12
TRACK = [0.25, 0.5, 0.75, 1.0]
Pick = Callable[[Problem], Any]
PICKS: dict[str, tuple[Pick, float]] = {
    "stiffness": (lambda p: p.model.blocks[0].material.shear_modulus, 1e-4),
    "points": (lambda p: p.model.points, 1e-6),
    "push": (lambda p: p.prescribed[0].displacement, 1e-4),
    "path": (lambda p: p.prescribed[1].displacement, 1e-4),
    "friction": (lambda p: p.contacts[0].friction, 1e-4),
    "stick": (lambda p: p.contacts[0].stick, 1e-4),
}


def slider(friction: float, *, stick: float | None = None) -> Problem:
    """A small block pressed on a large one, then drawn 9 mm over its facets of 15 mm; meshes do not match."""
    low = bodies.box((4, 4, 1), size=(60.0, 60.0, 20.0))
    size = np.array([24.0, 24.0, 16.0])
    up = bodies.box((2, 2, 1), place=lambda u: u * size + [14.0, 15.0, 20.0])
    mesh = bodies.two_bodies(low, up)
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(1e4, 0.3)})
    return model.problem(
        supports=[Fixed("low_z0")],
        prescribed=[
            Prescribed("up_z1", (0.0, 0.0, -0.0005), components="z", during=(0.0, 0.25)),
            Prescribed("up_z1", (0.009, 0.006, 0.0), components="xy", during=(0.25, 1.0)),
        ],
        contacts=[TissueContact("up_z0", "low_z1", friction=friction, stick=stick, onset=1e-6)],
    )


def changes(solution: Solution) -> list[int]:
    """How many points meet another facet than the load step before."""
    met = [
        dict(zip(pairs.met.point.tolist(), pairs.met.facet.tolist(), strict=True))
        for pairs in (solved.pairings[0] for solved in solution.problems)
    ]
    return [sum(now[k] != facet for k, facet in old.items() if k in now) for old, now in pairwise(met)]


def shift(u: Any, problem: Problem) -> Any:
    """Where the lower surface has gone, and what drags at its base."""
    top = problem.model.nodes_of("low_z1")
    return jnp.sum(u[top, 0] * jnp.arange(1.0, len(top) + 1)) + 0.1 * reaction(u, problem, "low_z0")[0]


def slope_of(problem: Problem, name: str, way: np.ndarray, ends: tuple[int, ...]) -> tuple[float, np.ndarray]:
    """Fourth-order central differences: of the sum of `shift` over the load steps `ends`, and of the last state."""
    pick, share = PICKS[name]
    base = np.asarray(pick(problem))
    step = share * max(float(np.abs(base).max()), 1e-3)

    def at(sign: float) -> np.ndarray:
        posed = eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way))
        found = solve(posed, load_steps=TRACK, tolerance=EXACT).require_converged()
        assert found.statistics.cutbacks == 0
        total = sum(float(shift(found.states[k - 1].rows, found.problems[k - 1])) for k in ends)
        return np.append(np.asarray(found.final.rows).ravel(), total)

    slope = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
    return float(slope[-1]), slope[:-1].reshape(-1, 3)


def way_of(problem: Problem, name: str) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(np.shape(PICKS[name][0](problem)))


def along(found: Any, name: str, way: np.ndarray) -> float:
    return float(np.sum(np.asarray(PICKS[name][0](found)) * way))


@pytest.mark.slow
def test_tissue_that_slides_freely() -> None:
    """Without friction the last state alone counts, over whatever facets its points came."""
    problem = slider(0.0)
    solution = solve(problem, load_steps=TRACK, tolerance=EXACT).require_converged()
    assert min(changes(solution)) > 0
    solved, state = solution.problems[-1], solution.final
    near = Linearization(solved, state)
    found = gradient(shift, solved, state, linearization=near)
    for name in ("stiffness", "points", "push"):
        way = way_of(problem, name)
        expected, rows = slope_of(problem, name, way, (len(TRACK),))
        assert along(found, name, way) == pytest.approx(expected, rel=1e-5), name
        moved = directional(solved, state, direction_at(solved, PICKS[name][0], way), linearization=near)
        assert moved == pytest.approx(rows, abs=1e-5 * np.abs(rows).max()), name


@pytest.mark.slow
def test_second_order_of_tissue_that_slides() -> None:
    """A Hessian product against central differences of gradients of new solves."""
    problem, push = slider(0.0), PICKS["push"][0]

    def measured(u: Any, p: Problem) -> Any:
        return 1e3 * jnp.sum(u[p.model.nodes_of("low_z1"), 2] ** 2)

    def solved(posed: Problem) -> tuple[Problem, Any]:
        found = solve(posed, load_steps=TRACK, tolerance=EXACT).require_converged()
        return found.problems[-1], found.final

    way, step = np.asarray([0.0, 0.0, 1.0]), 2e-7
    product = hessian_product(measured, *(end := solved(problem)), direction_at(end[0], push, way))
    sides = []
    for sign in (-2, -1, 1, 2):
        posed = eqx.tree_at(push, problem, push(problem) + sign * step * way)
        sides.append(gradient(measured, *solved(posed)))
    for name in ("push", "path", "points", "stiffness"):
        values = [np.asarray(PICKS[name][0](side)) for side in sides]
        slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * step)
        miss = np.linalg.norm(np.asarray(PICKS[name][0](product)) - slope)
        assert miss <= 1e-5 * np.linalg.norm(slope), name


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("stick", [None, 2e4], ids=["slides", "sticks"])
def test_tissue_that_drags_over_facets(stick: float | None) -> None:
    """Coulomb slip, and sticking so soft that points come over other facets while they stick: reverse and forward."""
    friction = 0.2 if stick is None else 5.0
    problem = slider(friction, stick=stick)
    solution = solve(problem, load_steps=TRACK, tolerance=EXACT).require_converged()
    (found,) = contact_state(solution.problems[-1], solution.final, solution.problems[-1].contacts[0])
    pressed = found.pressure > 0
    drag = np.sqrt(np.maximum((found.traction**2).sum(axis=1) - found.pressure**2, 0.0))[pressed]
    ratio = drag / (friction * found.pressure[pressed])
    assert changes(solution)[0] > 0
    assert changes(solution)[-1] > 0
    assert np.isclose(ratio, 1.0, atol=1e-6).all() if stick is None else (ratio < 0.99).mean() > 0.5
    steps, ends = LoadSteps(problem, TRACK), (3, len(TRACK))
    slope = steps.gradient(dict.fromkeys(ends, shift))
    for name in ("friction", "points", "path") if stick is None else ("stick", "stiffness", "path"):
        way = way_of(problem, name)
        expected, rows = slope_of(problem, name, way, ends)
        assert along(slope, name, way) == pytest.approx(expected, rel=1e-5), name
        if name == "path":
            moved = steps.directional(direction_at(problem, PICKS[name][0], way))[-1]
            assert np.asarray(moved) == pytest.approx(rows, abs=1e-5 * np.abs(rows).max())


@pytest.mark.parametrize("penetration", [None, 1e-6])
def test_a_contact_that_meets_nothing_takes_no_part(penetration: float | None) -> None:
    """Before tissues touch: the slope is that of the body alone, and load steps go through such states."""
    parts = [bodies.box((1, 1, 1), size=(10.0,) * 3), bodies.box((1, 1, 1), place=lambda u: 10.0 * u + [0, 0, 60.0])]
    mesh = TetMesh(
        np.vstack([part.points for part in parts]),
        np.vstack([parts[0].tetrahedra, parts[1].tetrahedra + len(parts[0].points)]),
        np.concatenate([part.region for part in parts]),
        {1: "body"},
        facet_sets={
            f"{name}_{key}": value + shift
            for name, part, shift in (("low", parts[0], 0), ("up", parts[1], len(parts[0].points)))
            for key, value in part.facet_sets.items()
        },
    )
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(1e4, 0.3)})

    def problem(contacts: list) -> Problem:
        pulled = Prescribed("low_z1", (1e-3, 0.0, 0.0))
        return model.problem(supports=[Fixed("low_z0"), Fixed("up_z1")], prescribed=[pulled], contacts=contacts)

    def pull(displacement: Any, solved: Problem) -> Any:
        return reaction(displacement, solved, "low_z1")[0]

    slopes = []
    for contacts in ([], [TissueContact("up_z0", "low_z1", penetration=penetration, onset=1e-6)]):
        solution = solve(problem(contacts), tolerance=EXACT)
        slope = gradient(pull, solution.problems[-1], solution.final)
        slopes.append(np.asarray(slope.model.blocks[0].material.shear_modulus))
        if contacts:
            LoadSteps(problem(contacts), [0.5, 1.0]).end()
    assert np.abs(slopes[0]).max() > 0
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-9, atol=1e-12 * np.abs(slopes[0]).max())
