"""Derivatives of augmented contacts and ties, whose multipliers go with the parameters; by new solves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from test_contact_tie_kinds import block, joined
from test_contact_tissue import two_blocks

from preop.engine.tissue.contact import RigidBody, RigidContact, Sphere, Tie, TissueContact
from preop.engine.tissue.derivatives.first import directional, gradient
from preop.engine.tissue.derivatives.linearization import Linearization
from preop.engine.tissue.derivatives.load_steps import LoadSteps
from preop.engine.tissue.derivatives.parameters import direction_at, inner
from preop.engine.tissue.derivatives.second import hessian_product
from preop.engine.tissue.derivatives.settling import settled
from preop.engine.tissue.loads import Traction
from preop.engine.tissue.materials import DecoupledNeoHookean, NeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

EXACT = 1e-12
Pick = Callable[[Problem], Any]


def pressed(law: Any = None, depth: float = 0.002) -> Problem:
    """A ball pressed into a block, until no point is deeper than 20 μm: some that press are still to let go."""
    mesh = bodies.box((3, 3, 2), size=(40.0, 40.0, 20.0), jitter=0.1)
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.3) if law is None else law})
    ball = RigidBody(Sphere((0.021, 0.019, 0.05), 0.03), [(0.0, 0.0, -depth)], label="ball")
    return model.problem(supports=[Fixed("z0")], contacts=[RigidContact("z1", ball, penetration=2e-5)])


def tied() -> Problem:
    model = two_blocks((2, 2, 1), (3, 3, 1), "T4", poisson=0.3)
    pull = Traction("up_z1", (200.0, 100.0, -300.0))
    return model.problem(supports=[Fixed("low_z0")], loads=[pull], contacts=[Tie("up_z0", "low_z1")])


def tied_at(held: str) -> Problem:
    """Meshes that are not nested, where a support holds an edge of one side of the tie, or of both."""
    model = two_blocks((2, 2, 1), (3, 3, 1), "T4", poisson=0.3)
    pull, edges = Traction("up_z1", (200.0, 100.0, -300.0)), [Fixed(name) for name in held.split()]
    return model.problem(supports=[Fixed("low_z0"), *edges], loads=[pull], contacts=[Tie("up_z0", "low_z1")])


def across_a_gap() -> Problem:
    """Tetrahedra on hexahedra, 0.5 mm apart, which the solids behind carry."""
    low, high = (0.0, 0.0, 20.5), (40.0, 40.0, 40.0)
    model = joined({
        "low": block("H8", (1, 1, 1), (0.0, 0.0, 0.0), (40.0, 40.0, 20.0)), "up": block("T4", (2, 2, 1), low, high)
    })  # fmt: skip
    pull = Traction("up_z1", (200.0, 100.0, -300.0))
    return model.problem(supports=[Fixed("low_z0")], loads=[pull], contacts=[Tie("up_z0", "low_z1")])


def facing() -> Problem:
    """The coarse side looks, so that it has no more points than the fine one can follow."""
    model = two_blocks((4, 4, 1), (1, 1, 1), "T4", poisson=0.3)
    push = Traction("up_z1", (0.0, 0.0, -300.0))
    contact = TissueContact("up_z0", "low_z1", penetration=1e-5)
    return model.problem(supports=[Fixed("low_z0"), Fixed("up_z1", "xy")], loads=[push], contacts=[contact])


def sag(u: Any, problem: Problem) -> Any:
    return jnp.sum(u[:, 0] * jnp.linspace(0.0, 1.0, len(u))) + 10.0 * jnp.sum(u[:, 2] ** 2)


def at_limit(problem: Problem) -> tuple[Problem, State]:
    found = solve(problem, tolerance=EXACT, load_steps=2).require_converged()
    return settled(found.problems[-1], found.final)


def slope_of(value: Callable[[Problem], Any], problem: Problem, pick: Pick, way: np.ndarray, share: float) -> Any:
    """The fourth-order central difference."""
    base = np.asarray(pick(problem))
    step = share * max(float(np.abs(base).max()), 1e-3)

    def at(sign: float) -> Any:
        return value(eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way)))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


MODULUS: Pick = lambda p: p.model.blocks[0].material.shear_modulus  # noqa: E731
POINTS: Pick = lambda p: p.model.points  # noqa: E731
CASES: dict[str, tuple[Callable[[], Problem], Pick]] = {
    "rigid": (pressed, lambda p: p.contacts[0].body.path),
    "tie": (tied, lambda p: p.loads[0].traction),
    "tie, first side held": (lambda: tied_at("up_x0"), lambda p: p.loads[0].traction),
    "tie, second side held": (lambda: tied_at("low_x0"), lambda p: p.loads[0].traction),
    "tie, both sides held": (lambda: tied_at("up_x0 low_x0"), lambda p: p.loads[0].traction),
    "tie across a gap": (across_a_gap, lambda p: p.loads[0].traction),
    "tissue": (facing, lambda p: p.loads[0].traction),
}

LONG = [name for name in CASES if name not in ("rigid", "tissue")]


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in CASES])
def test_gradient_with_multipliers(name: str) -> None:
    """Modulus, node positions, load or path: reverse and forward; the penalty, on which the limit does not depend."""
    make, load = CASES[name]
    problem = make()
    solved, state = at_limit(problem)
    near = Linearization(solved, state)
    found = gradient(sag, solved, state, linearization=near)

    def value(posed: Problem) -> float:
        end, final = at_limit(posed)
        return float(sag(final.rows, end))

    by_u = np.asarray(eqx.filter_grad(lambda u: sag(u, solved))(jnp.asarray(state.rows)))
    for pick, share in ((MODULUS, 1e-4), (POINTS, 1e-5), (load, 1e-3)):
        way = np.random.default_rng(1).standard_normal(np.shape(pick(problem)))
        expected = slope_of(value, problem, pick, way, share)
        assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(expected, rel=1e-5)
        moved = directional(solved, state, direction_at(solved, pick, way), linearization=near)
        assert float(np.sum(by_u * moved)) == pytest.approx(expected, rel=1e-5)
    penalty = np.asarray(found.contacts[0].penalty) * np.asarray(problem.contacts[0].penalty)
    by_modulus = np.asarray(MODULUS(found)) * np.asarray(MODULUS(problem))
    assert name.startswith("tie") or np.abs(penalty).max() < 1e-6 * np.abs(by_modulus).max()


@pytest.mark.slow
def test_second_order_with_multipliers() -> None:
    """Every array of a Hessian product against differences of gradients at the limit."""
    problem = pressed()
    solved, state = at_limit(problem)
    path: Pick = lambda p: p.contacts[0].body.path  # noqa: E731
    way = np.asarray([[0.3, -0.2, 1.0]])
    product = hessian_product(sag, solved, state, direction_at(solved, path, way))

    def slopes(posed: Problem) -> np.ndarray:
        found = gradient(sag, *at_limit(posed))
        return np.concatenate([np.asarray(pick(found)).ravel() for pick in (MODULUS, POINTS, path)])

    expected = slope_of(slopes, problem, path, way, 1e-3)
    parts = np.cumsum([np.size(pick(problem)) for pick in (MODULUS, POINTS)])
    for pick, part in zip((MODULUS, POINTS, path), np.split(expected, parts), strict=True):
        miss = np.linalg.norm(np.asarray(pick(product)).ravel() - part)
        assert miss <= 1e-5 * np.linalg.norm(part)


def test_multipliers_that_have_not_settled_are_named() -> None:
    problem = pressed()
    found = solve(problem, tolerance=EXACT, load_steps=2)
    with pytest.raises(SolverError, match="multipliers have not settled"):
        gradient(sag, found.problems[-1], found.final)


@pytest.mark.slow
@pytest.mark.long
def test_load_steps_with_multipliers() -> None:
    """A viscous block under a ball: through the steps and their multipliers, in reverse and forwards."""
    problem = pressed(Viscoelastic(DecoupledNeoHookean(4e3, 2e4), (0.8,), (0.3,)))
    track, duration = [0.5, 1.0], 0.4

    def steps_of(posed: Problem) -> LoadSteps:
        return LoadSteps(posed, track, duration=duration)

    steps = steps_of(problem)
    slope = steps.gradient({2: sag})
    for pick, share in (
        (lambda p: p.model.blocks[0].material.times[0], 1e-4),
        (lambda p: p.contacts[0].body.path, 1e-3),
    ):
        way = np.random.default_rng(2).standard_normal(np.shape(pick(problem)))
        expected = slope_of(lambda posed: float(sag(steps_of(posed).end(), posed)), problem, pick, way, share)
        assert float(np.sum(np.asarray(pick(slope)) * way)) == pytest.approx(expected, rel=1e-5)
        direction = direction_at(problem, pick, way)
        by_u = eqx.filter_grad(lambda u: sag(u, problem))(jnp.asarray(steps.end()))
        assert float(jnp.sum(by_u * steps.directional(direction)[-1])) == pytest.approx(expected, rel=1e-5)
        assert inner(slope, direction) == pytest.approx(expected, rel=1e-5)
