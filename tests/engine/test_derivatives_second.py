"""Second-order products against central differences of gradients; through contact; on mixed elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import RigidBody, RigidContact, Sphere
from preop.engine.tissue.derivatives.first import gradient
from preop.engine.tissue.derivatives.linearization import Linearization
from preop.engine.tissue.derivatives.parameters import direction_at, inner
from preop.engine.tissue.derivatives.second import gauss_newton_product, hessian_product
from preop.engine.tissue.loads import Gravity, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Springs

EXACT = 1e-12


def box(cells: int = 2, element: str = "T4", nu: float = 0.4) -> Model:
    mesh = bodies.box((cells,) * 3, size=(100.0,) * 3, jitter=0.2)
    return Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, nu)}, density=1000.0, element=element)


def held_body() -> Problem:
    return box().problem(
        loads=[Gravity((1.0, 0.0, -9.81)), Traction("x1", (30.0, 0.0, 10.0))],
        supports=[Springs("z0", 1e5, 3e4)],
        prescribed=[Grasp("z1", (0.0, 0.01, 0.01), rotation=(0.05, 0.0, 0.1))],
    )


def functional(displacement: Any, problem: Problem) -> Any:
    law = problem.model.blocks[0].material
    return 1e3 * jnp.sum(displacement[:9, 0] ** 2 * displacement[:9, 2]) + 1e-9 * jnp.sum(law.shear_modulus**2)


PICKS: dict[str, Callable[[Problem], Any]] = {
    "stiffness": lambda p: p.model.blocks[0].material.shear_modulus,
    "points": lambda p: p.model.points,
    "density": lambda p: p.model.blocks[0].density,
    "traction": lambda p: p.loads[1].traction,
    "bed": lambda p: p.supports[0].stiffness,
    "path": lambda p: p.prescribed[0].path,
    "turn": lambda p: p.prescribed[0].rotation,
}


def way_at(problem: Problem, pick: Callable, seed: int) -> np.ndarray:
    base = np.asarray(pick(problem))
    size = 1e-3 if pick is PICKS["points"] else 0.1 * np.abs(base).max()
    return size * np.random.default_rng(seed).standard_normal(base.shape)


@pytest.fixture(scope="module")
def solved() -> tuple[Problem, State, Linearization]:
    problem = held_body()
    state = solve(problem, tolerance=EXACT).final
    return problem, state, Linearization(problem, state, tolerance=1e-12)


@pytest.fixture(scope="module")
def products(solved: tuple[Problem, State, Linearization]) -> dict[str, Any]:
    problem, state, near = solved
    found = {}
    for seed, (name, pick) in enumerate(PICKS.items()):
        way = direction_at(problem, pick, way_at(problem, pick, seed))
        found[name] = (way, hessian_product(functional, problem, state, way, linearization=near))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stiffness", "points", "path"])
def test_hessian_products(name: str, solved: tuple, products: dict[str, Any]) -> None:
    """Every array of the product against differences of gradients of solved neighbours."""
    problem, state, _ = solved
    way, found = products[name]
    step, pick = 1e-3, PICKS[name]
    sides = []
    for sign in (-2, -1, 1, 2):
        moved = eqx.tree_at(pick, problem, pick(problem) + sign * step * pick(way))
        sides.append(gradient(functional, moved, solve(moved, tolerance=EXACT, start=state).final, tolerance=1e-12))
    for other, place in PICKS.items():
        values = [np.asarray(place(side)) for side in sides]
        slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * step)
        miss = np.linalg.norm(np.asarray(place(found)) - slope)
        assert miss <= 1e-5 * np.linalg.norm(slope), (name, other)


@pytest.mark.slow
def test_the_hessian_is_symmetric(products: dict[str, Any]) -> None:
    """v·H w = w·H v between every two kinds of parameters."""
    names = list(products)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            (v, hv), (w, hw) = products[first], products[second]
            scale = max(abs(inner(w, hv)), 1e-12)
            assert inner(v, hw) == pytest.approx(inner(w, hv), abs=1e-7 * scale), (first, second)


def test_gauss_newton_products(solved: tuple) -> None:
    """(dr/dp)ᵀ W (dr/dp) ṗ from two gradients, and never negative."""
    problem, state, near = solved

    def observed(displacement: Any, p: Problem) -> Any:
        return jnp.stack([displacement[4, 0] + 0.0 * p.model.points[0, 0], jnp.sum(displacement[:9, 2] ** 2) * 30.0])

    way = direction_at(problem, PICKS["stiffness"], way_at(problem, PICKS["stiffness"], 9))
    weight = np.asarray([2.0, 0.5])
    found = gauss_newton_product(observed, problem, state, way, weight=weight, linearization=near)
    rows = [gradient(lambda u, p, k=k: observed(u, p)[k], problem, state, linearization=near) for k in (0, 1)]
    rates = [inner(row, way) for row in rows]
    for pick in PICKS.values():
        expected = sum(w * r * np.asarray(pick(row)) for w, r, row in zip(weight, rates, rows, strict=True))
        assert np.asarray(pick(found)) == pytest.approx(expected, rel=1e-6, abs=1e-9 * np.abs(expected).max())
    assert inner(way, found) > 0


def against_differences(problem: Problem, pick: Callable, value: Callable, load_steps: int = 1) -> None:
    """The gradient at one place against central differences of the real solver."""
    solution = solve(problem, tolerance=EXACT, load_steps=load_steps).require_converged()
    found = gradient(value, solution.problems[-1], solution.final)
    base = np.asarray(pick(problem))
    way = np.random.default_rng(4).standard_normal(base.shape)
    step = 1e-5 * max(float(np.abs(base).max()), 1e-3)
    ends = []
    for sign in (1, -1):
        moved = eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way))
        state = solve(moved, tolerance=EXACT, load_steps=load_steps).final
        ends.append(float(value(state.rows, moved)))
    slope = (ends[0] - ends[1]) / (2 * step)
    assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(slope, rel=1e-5)


def pressed() -> Problem:
    """A ball pressed into a block."""
    tool = RigidBody(Sphere((0.05, 0.05, 0.13), 0.03), path=(0.004, 0.0, -0.012))
    contact = RigidContact("z1", tool, penalty=2e6, onset=2e-3)
    return box(3).problem(supports=[Fixed("z0")], contacts=[contact])


CONTACT = {
    "stiffness": lambda p: p.model.blocks[0].material.shear_modulus,
    "path": lambda p: p.contacts[0].body.path,
    "points": lambda p: p.model.points,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTACT)
def test_through_contact(name: str) -> None:
    against_differences(pressed(), CONTACT[name], lambda u, p: 1e3 * jnp.sum(u[:, 2] ** 2))


@pytest.mark.slow
@pytest.mark.long
def test_mixed_elements() -> None:
    """Displacements and pressures, nearly incompressible: the tangent is a saddle point of scaled rows."""
    problem = box(2, "T10P1", 0.4999).problem(loads=[Traction("x1", (30.0, 0.0, 10.0))], supports=[Fixed("z0")])
    count = problem.model.nodes

    def value(u: Any, p: Problem) -> Any:
        return 1e3 * jnp.sum(u[:count, 0] ** 2) + 1e-9 * jnp.sum(u[count:, 0] ** 2)

    against_differences(problem, lambda p: p.model.blocks[0].material.shear_modulus, value)
    against_differences(problem, lambda p: p.model.points, value)
