"""The pure solution: the same as the host's, differentiable by JAX to any order, and many parameter sets at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_contact_tissue import two_blocks

from preop.engine.tissue.batch import gathered, solve_many
from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact, TissueContact
from preop.engine.tissue.derivatives import functionals as read
from preop.engine.tissue.derivatives.first import gradient
from preop.engine.tissue.equilibrium import balance, equilibrium
from preop.engine.tissue.loads import Gravity, Pressure, Traction
from preop.engine.tissue.materials import DecoupledNeoHookean, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Springs
from preop.imaging.errors import SolverError


def body(cells: int = 2) -> Model:
    mesh = bodies.box((cells,) * 3, size=(100.0,) * 3, jitter=0.2)
    return Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.4)}, density=1000.0)


def held_body() -> Problem:
    return body().problem(
        loads=[Gravity((1.0, 0.0, -9.81)), Traction("x1", (30.0, 0.0, 10.0))],
        supports=[Springs("z0", 1e5, 3e4)],
        prescribed=[Grasp("z1", (0.0, 0.01, 0.01), rotation=(0.05, 0.0, 0.1))],
    )


def changed(problem: Problem, theta: jax.Array) -> Problem:
    """Stiffness, a load, a spring and a path from four numbers."""

    def places(p: Problem) -> tuple:
        law = p.model.blocks[0].material
        return (law.shear_modulus, p.loads[1].traction, p.supports[0].stiffness, p.prescribed[0].path)

    return eqx.tree_at(places, problem, tuple(theta[k] * value for k, value in enumerate(places(problem))))


def measure(problem: Problem, theta: jax.Array) -> jax.Array:
    at = changed(problem, theta)
    moved = equilibrium(at, tolerance=1e-13)
    return read.strain_energy(moved, at) + 0.1 * moved[:9, 0] @ moved[:9, 2]


ONES = jnp.ones(4)


def test_the_pure_solution_is_the_hosts() -> None:
    problem = held_body()
    found = balance(problem)
    assert bool(found.converged)
    expected = np.asarray(solve(problem, tolerance=1e-12).final.displacement)
    assert np.asarray(found.displacement) == pytest.approx(expected, abs=1e-10)
    warm = balance(problem, found.displacement)
    assert int(warm.iterations) == 0


@pytest.mark.slow
@pytest.mark.long
def test_gradients_and_second_order() -> None:
    """grad against the host's adjoint, jvp against grad, hessian against central differences of grad."""
    problem = held_body()
    slope = jax.jit(jax.grad(lambda theta: measure(problem, theta)))
    found = np.asarray(slope(ONES))
    state = solve(problem, tolerance=1e-13).final
    tree = gradient(lambda u, p: read.strain_energy(u, p) + 0.1 * u[:9, 0] @ u[:9, 2], problem, state, tolerance=1e-12)
    _, back = jax.vjp(lambda theta: eqx.filter(changed(problem, theta), eqx.is_inexact_array), ONES)
    assert found == pytest.approx(np.asarray(back(tree)[0]), rel=1e-8)
    way = jnp.asarray([1.0, -0.5, 0.3, 0.7])
    rate = jax.jvp(lambda theta: measure(problem, theta), (ONES,), (way,))[1]
    assert float(rate) == pytest.approx(float(found @ way), rel=1e-8)
    hessian = np.asarray(jax.jit(jax.jacfwd(slope))(ONES))
    step = 1e-4
    for k in range(4):
        ends = [slope(ONES.at[k].add(sign * step)) for sign in (-2, -1, 1, 2)]
        expected = np.asarray(8 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / (12 * step)
        assert hessian[k] == pytest.approx(expected, rel=1e-5, abs=1e-7 * np.abs(hessian).max())


@pytest.mark.slow
def test_many_parameter_sets_at_once() -> None:
    """One call equals separate solves; a member without equilibrium is told and gives nothing."""
    problem = held_body()
    sets = jnp.asarray(np.random.default_rng(0).uniform(0.7, 1.3, (4, 4)))
    sets = sets.at[2, 0].set(-1.0)  # no tissue has a negative shear modulus
    many = jax.vmap(lambda theta: balance(changed(problem, theta)))(sets)
    assert np.asarray(many.converged).tolist() == [True, True, False, True]
    assert bool(jnp.all(jnp.isnan(many.displacement[2])))
    for k in (0, 1, 3):
        alone = solve(changed(problem, sets[k]), tolerance=1e-11).final
        assert np.asarray(many.displacement[k]) == pytest.approx(np.asarray(alone.displacement), abs=1e-9)


def test_many_solves_on_the_host() -> None:
    """Warm started on one pattern and hierarchy; the same type, and a failure stays where it is."""
    problem = held_body()
    scales = [1.0, 1.1, -1.0, 1.2]
    told = []
    members = [changed(problem, ONES.at[0].set(scale)) for scale in scales]
    found = gathered(solve_many(members, tolerance=1e-10, progress=lambda share, text: told.append(text)))
    assert np.asarray(found.converged).tolist() == [True, True, False, True]
    assert bool(jnp.all(jnp.isnan(found.displacement[2])))
    for k in (1, 3):
        alone = np.asarray(solve(members[k], tolerance=1e-11).final.displacement)
        assert np.asarray(found.displacement[k]) == pytest.approx(alone, abs=1e-9)
    assert any("2 of 4" in text for text in told)


def mixed_body() -> Problem:
    """An incompressible block, sheared and sagging."""
    mesh = bodies.box((2, 2, 2), size=(80.0, 80.0, 60.0), jitter=0.1)
    law = DecoupledNeoHookean(4e3, np.inf)
    model = Model.from_mesh(mesh, {"body": law}, density=1000.0, element="T4P1")
    return model.problem(
        loads=[Gravity((1.0, 0.0, -9.81))], supports=[Fixed("z0")], prescribed=[Grasp("z1", (0.004, 0.0, 0.002))]
    )


def open_body() -> Problem:
    """A follower pressure with a free rim: the tangent is not symmetric."""
    return body().problem(loads=[Pressure("z1", 500.0)], supports=[Fixed("x0")])


def rubbed_body() -> Problem:
    """A table drawn along under a block, one step of friction."""
    table = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), [(0.004, 0.001, 0.002)], label="table")
    return body().problem(supports=[Fixed("z1")], contacts=[RigidContact("z0", table, friction=0.3)])


HARD: dict[str, tuple[Callable[[], Problem], Callable[[Problem], Any]]] = {
    "unknown pressures": (mixed_body, lambda p: p.prescribed[0].path),
    "open pressure": (open_body, lambda p: p.loads[0].pressure),
    "friction": (rubbed_body, lambda p: p.contacts[0].body.path),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.long] * (n != "open pressure")) for n in HARD])
def test_saddle_points_and_unsymmetric_tangents(name: str) -> None:
    """Two members of a batch and their gradients, against the host's."""
    make, pick = HARD[name]
    problem = make()
    law = lambda p: p.model.blocks[0].material.shear_modulus  # noqa: E731

    def posed(theta: jax.Array) -> Problem:
        return eqx.tree_at(lambda p: (law(p), pick(p)), problem, (theta[0] * law(problem), theta[1] * pick(problem)))

    def value(rows: jax.Array) -> jax.Array:
        return jnp.sum(rows[:, 0] * jnp.linspace(0.0, 1.0, len(rows))) + 10.0 * jnp.sum(rows[:18, 2] ** 2)

    def measured(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        rows = equilibrium(posed(theta), tolerance=1e-12)
        return value(rows), rows

    sets = jnp.asarray([[1.0, 1.0], [1.2, 0.8]])
    (_, found), slopes = jax.jit(jax.vmap(jax.value_and_grad(measured, has_aux=True)))(sets)
    for theta, rows, slope in zip(sets, found, slopes, strict=True):
        solution = solve(posed(theta), tolerance=1e-12)
        expected, nodes = np.asarray(solution.final.rows), problem.model.nodes
        assert np.asarray(rows)[:nodes] == pytest.approx(expected[:nodes], abs=1e-9 * np.abs(expected[:nodes]).max())
        assert np.asarray(rows)[nodes:] == pytest.approx(expected[nodes:], rel=1e-6, abs=1e-3)
        tree = gradient(lambda u, p: value(u), solution.problems[-1], solution.final, tolerance=1e-12)
        by_law, by_load = jnp.sum(law(tree) * law(problem)), jnp.sum(pick(tree) * pick(problem))
        assert np.asarray(slope) == pytest.approx([float(by_law), float(by_load)], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["open pressure", "friction"])
def test_unsymmetric_tangents_on_a_device(name: str) -> None:
    """Load steps of `solve`, friction's history among them, with GMRES on the device: the host's states."""
    problem = HARD[name][0]()
    ends = [
        solve(problem, load_steps=3, tolerance=1e-11, linear_solver=solver).require_converged()
        for solver in ("host", "device")
    ]
    for host, device in zip(ends[0].states, ends[1].states, strict=True):
        assert np.asarray(device.rows) == pytest.approx(np.asarray(host.rows), abs=1e-10)


def test_what_needs_the_host_is_refused() -> None:
    with pytest.raises(SolverError, match="friction remembers"):
        equilibrium(rubbed_body(), load_steps=2)
    mixed = mixed_body().model.problem(loads=[Pressure("z1", 500.0)], supports=[Fixed("z0")])
    with pytest.raises(SolverError, match="unsymmetric"):
        equilibrium(mixed)
    model = two_blocks((1, 1, 1), (1, 1, 1), "T4", poisson=0.3)
    supports, contact = [Fixed("low_z0"), Fixed("up_z1")], TissueContact("up_z0", "low_z1", penetration=1e-5)
    close = model.problem(supports=supports, contacts=[contact])
    with pytest.raises(SolverError, match="multipliers at pairs that the host finds"):
        equilibrium(close)


@pytest.mark.slow
def test_an_unstable_balance_is_none() -> None:
    """A straight column pressed far beyond Euler's load."""
    mesh = bodies.box((1, 1, 10), size=(10.0, 10.0, 100.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e5, 0.0)})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Grasp("z1", (0, 0, -0.04), components="z")])
    assert not bool(balance(problem).converged)
    assert bool(balance(eqx.tree_at(lambda p: p.prescribed[0].path, problem, jnp.asarray([[0, 0, -1e-4]]))).converged)
