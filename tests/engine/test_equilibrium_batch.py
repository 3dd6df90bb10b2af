"""The pure solution: the same as the host's, differentiable by JAX to any order, and many parameter sets at once."""

from __future__ import annotations

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.batch import gathered, solve_many
from preop.engine.tissue.derivatives import functionals as read
from preop.engine.tissue.derivatives.first import gradient
from preop.engine.tissue.equilibrium import balance, equilibrium
from preop.engine.tissue.loads import Gravity, Pressure, Traction
from preop.engine.tissue.materials import NeoHookean
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


def test_what_needs_the_host_is_refused() -> None:
    problem = body().problem(loads=[Pressure("z1", 500.0)], supports=[Fixed("x0")])
    with pytest.raises(SolverError, match="unsymmetric"):
        equilibrium(problem)


@pytest.mark.slow
def test_an_unstable_balance_is_none() -> None:
    """A straight column pressed far beyond Euler's load."""
    mesh = bodies.box((1, 1, 10), size=(10.0, 10.0, 100.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e5, 0.0)})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Grasp("z1", (0, 0, -0.04), components="z")])
    assert not bool(balance(problem).converged)
    assert bool(balance(eqx.tree_at(lambda p: p.prescribed[0].path, problem, jnp.asarray([[0, 0, -1e-4]]))).converged)
