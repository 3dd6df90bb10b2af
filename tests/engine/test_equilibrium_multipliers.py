"""`equilibrium` with multipliers of contacts and ties: against `static.solve`, by new solves, in batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from test_contact_tissue import two_blocks

from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact, Tie
from preop.engine.tissue.contact.tie_multipliers import SHIFT
from preop.engine.tissue.device_newton import Options
from preop.engine.tissue.equilibrium import Frame, _traceable, balance, equilibrium
from preop.engine.tissue.loads import Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed

EXACT = 1e-12


@cache
def leaning(penetration: float = 1e-9) -> Problem:
    """A block pushed sideways against a wall that it reaches with some of its points, no point deeper than 1 nm."""
    mesh = bodies.box((2, 2, 2), size=(20.0, 20.0, 20.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.3)})
    wall = RigidContact("x1", RigidBody(HalfSpace((0.0201, 0.0, 0.0), (-1.0, 0.0, 0.0))), penetration=penetration)
    return model.problem(loads=[Traction("z1", (2000.0, 0.0, 0.0))], supports=[Fixed("z0")], contacts=[wall])


@cache
def tied() -> Problem:
    """Blocks of different meshes, the upper one pulled and pushed."""
    model = two_blocks((1, 1, 1), (2, 2, 1), "T4", poisson=0.3)
    pull = Traction("up_z1", (200.0, 100.0, -300.0))
    return model.problem(supports=[Fixed("low_z0")], loads=[pull], contacts=[Tie("up_z0", "low_z1")])


def held_tie(held: str = "up_x0") -> Problem:
    """Meshes that are not nested, where a support holds an edge of the tie's first side."""
    model = two_blocks((2, 2, 1), (3, 3, 1), "T4", poisson=0.3)
    pull = Traction("up_z1", (200.0, 100.0, -300.0))
    return model.problem(supports=[Fixed("low_z0"), Fixed(held)], loads=[pull], contacts=[Tie("up_z0", "low_z1")])


CASES: dict[str, Callable[[], Problem]] = {"wall": leaning, "tie": tied, "tie at a support": held_tie}


def posed(problem: Problem, theta: jax.Array) -> Problem:
    """Stiffness of all blocks and the load, over what they are."""

    def pick(p: Problem) -> Any:
        return [*(block.material.shear_modulus for block in p.model.blocks), p.loads[0].traction]

    factors = [theta[0]] * len(problem.model.blocks) + [theta[1]]
    return eqx.tree_at(pick, problem, [f * value for f, value in zip(factors, pick(problem), strict=True)])


def measure(rows: jax.Array) -> jax.Array:
    return jnp.sum(rows[:, 0] * jnp.linspace(0.0, 1.0, len(rows))) + 10.0 * jnp.sum(rows[:, 2] ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.long] * (n != "tie at a support")) for n in CASES])
def test_multipliers_are_moved_on_in_a_pure_function(name: str) -> None:
    """The displacement of `static.solve`, as far as what it leaves open; values and slopes of a batch by `vmap`."""
    problem = CASES[name]()
    sets = jnp.asarray([[1.0, 1.0], [1.2, 0.9], [-1.0, 1.0]])  # no tissue has a negative modulus

    def measured(theta: jax.Array) -> tuple[jax.Array, Any]:
        found = balance(posed(problem, theta), tolerance=EXACT)
        return measure(found.displacement), found

    (_, found), slopes = jax.jit(jax.vmap(jax.value_and_grad(measured, has_aux=True)))(sets)
    assert np.asarray(found.converged).tolist() == np.asarray(found.settled).tolist() == [True, True, False]
    assert bool(jnp.all(jnp.isnan(found.displacement[2])))
    contact = problem.contacts[0]
    allowed = 10.0 * (contact.penetration if isinstance(contact, RigidContact) else contact.jump)
    for theta, rows, slope in zip(sets[:2], found.displacement, slopes, strict=False):
        expected = np.asarray(solve(posed(problem, theta), tolerance=1e-11).require_converged().final.displacement)
        assert np.abs(expected).max() > 1e3 * allowed
        assert np.asarray(rows) == pytest.approx(expected, abs=allowed)
        for k, way in enumerate(jnp.eye(2)):
            step = 1e-4
            ends = [measure(equilibrium(posed(problem, theta + s * step * way), tolerance=EXACT)) for s in (-1, 1)]
            assert float(slope[k]) == pytest.approx(float(ends[1] - ends[0]) / (2 * step), rel=1e-5)


def tie_of(cells: int) -> tuple[Model, Any]:
    """A tie of 2 × cells² triangles at a support, multipliers begun."""
    model = two_blocks((cells - 1, cells - 1, 1), (cells, cells, 1), "T4")
    problem = model.problem(supports=[Fixed("low_z0"), Fixed("up_x0", "x")], contacts=[Tie("up_z0", "low_z1")])
    return model, problem.begun().contacts[0]


def test_a_round_is_the_projection_on_free_multipliers() -> None:
    """What a compiled round adds, against E (EᵀME)⁻¹ Eᵀ by a dense solve with M from the overlap, to 1e-12."""
    model, tie = tie_of(4)
    table, moved = tie.table, 1e-3 * np.random.default_rng(2).standard_normal(model.points.shape)
    half, count = table.local.shape[1], len(table.slave_nodes)
    mass = np.zeros((count, count))
    for rows, gram in zip(table.local, table.gram[:, :half, :half], strict=True):
        mass[np.ix_(rows, rows)] += gram
    begun = tie.with_multipliers([jnp.asarray(np.random.default_rng(3).standard_normal(tie.multiplier.shape))])
    (found,), _ = jax.jit(lambda u: begun.renewed(model, u, 1.0))(jnp.asarray(moved))
    change = np.asarray(table.field(found - begun.multiplier))
    held = np.isin(table.slave_nodes, model.nodes_of("up_x0"))
    assert [space.size for space in table.multipliers] == [count - held.sum(), count, count]
    for k, space in enumerate(table.multipliers):
        known = space.extension.toarray()
        assert known.sum(axis=1) == pytest.approx(1.0)
        small = known.T @ mass @ known
        small += SHIFT * small.diagonal().max() * np.eye(space.size)
        exact = float(tie.penalty) * known @ np.linalg.solve(small, known.T @ table.jumps(moved)[:, k])
        assert np.abs(change[:, k] - exact).max() < 1e-12 * np.abs(exact).max()


def sizes(jaxpr: Any) -> list[int]:
    """Of all constants and values of a traced function, loops within it included."""
    inner = [part for equation in jaxpr.eqns for part in jaxprs_in_params(equation.params)]
    own = [v.aval.size for e in jaxpr.eqns for v in (*e.invars, *e.outvars) if hasattr(v.aval, "size")]
    return own + [size for part in inner for size in sizes(part)]


def test_a_round_in_a_pure_function_has_no_dense_matrix() -> None:
    """The largest array of a round is in proportion to the nodes of the tie."""
    largest = []
    for cells in (8, 16):
        model, tie = tie_of(cells)
        traced = jax.make_jaxpr(lambda u, t=tie, m=model: t.renewed(m, u, 1.0)[0])(model.points)
        largest.append(max(sizes(traced.jaxpr)) / len(tie.table.slave_nodes))
    assert largest[1] < 1.5 * largest[0]  # of a dense matrix more than 3


def test_a_tie_built_again_finds_what_is_compiled() -> None:
    """Equal frames are one entry of the compiled function's cache; another support makes other multipliers."""
    one, again, other = (
        Frame(eqx.partition(held_tie(held).begun(), _traceable)[1], Options()) for held in ("up_x0", "up_x0", "up_y0")
    )
    assert one == again
    assert hash(one) == hash(again)
    assert one != other
    own, differing = (held_tie(held).begun().contacts[0].table.multipliers for held in ("up_x0", "up_y0"))
    assert own != differing


@pytest.mark.slow
@pytest.mark.long
def test_rounds_that_ran_out_give_a_state_and_no_slope() -> None:
    """As close as asked after one round, but not at the limit, of which derivatives are: told, and NaN."""
    problem = leaning(1e-3)

    def measured(theta: jax.Array) -> tuple[jax.Array, Any]:
        found = balance(posed(problem, theta), tolerance=EXACT, rounds=1)
        return measure(found.displacement), found

    (value, found), slope = jax.jit(jax.value_and_grad(measured, has_aux=True))(jnp.ones(2))
    assert bool(found.converged)
    assert not bool(found.settled)
    assert bool(jnp.isfinite(value))
    assert bool(jnp.all(jnp.isnan(slope)))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_second_order(name: str) -> None:
    """Hessian products, forward over reverse and the other way, against differences of gradients."""
    problem, theta, way = CASES[name](), jnp.ones(2), jnp.asarray([1.0, -0.5])

    def value(at: jax.Array) -> jax.Array:
        return measure(equilibrium(posed(problem, at), tolerance=EXACT))

    slope, step = jax.jit(jax.grad(value)), 1e-3
    near, far = ((slope(theta + d * way) - slope(theta - d * way)) / (2 * d) for d in (step, 2 * step))
    expected = np.asarray((4 * near - far) / 3)
    assert jax.jit(lambda at: jax.jvp(slope, (at,), (way,))[1])(theta) == pytest.approx(expected, rel=1e-5)
    if name == "wall":
        twice = jax.jit(jax.grad(lambda at: slope(at) @ way))(theta)
        rate = jax.jit(jax.grad(lambda at: jax.jvp(value, (at,), (way,))[1]))(theta)
        assert np.asarray([twice, rate]) == pytest.approx(np.stack([expected] * 2), rel=1e-5)
        again = jax.jit(lambda at: jax.jvp(lambda b: jax.jvp(value, (b,), (way,))[1], (at,), (way,))[1])(theta)
        assert float(again) == pytest.approx(float(expected @ np.asarray(way)), rel=1e-5)


@pytest.mark.slow
@pytest.mark.long
def test_forwards_as_backwards() -> None:
    problem, theta, way = leaning(), jnp.ones(2), jnp.asarray([1.0, -0.5])

    def value(at: jax.Array) -> jax.Array:
        return measure(equilibrium(posed(problem, at), tolerance=EXACT))

    rate = float(jax.jit(lambda at: jax.jvp(value, (at,), (way,))[1])(theta))
    assert rate == pytest.approx(float(jax.jit(jax.grad(value))(theta) @ way), rel=1e-8)
