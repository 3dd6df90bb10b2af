"""Gradients and directional derivatives of solutions against central finite differences of the real solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.derivatives import functionals as read
from preop.engine.tissue.derivatives.first import directional, gradient, gradients
from preop.engine.tissue.derivatives.linearization import Linearization
from preop.engine.tissue.derivatives.parameters import direction_at, inner
from preop.engine.tissue.loads import Gravity, Pressure, Traction
from preop.engine.tissue.materials import ActiveContraction, DecoupledNeoHookean, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp, Grip, Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Ligament, PointSprings, Springs
from preop.imaging.errors import SolverError

LAW = NeoHookean.from_young(1e4, 0.4)
EXACT = 1e-12


def body(cells: int = 2, element: str = "T4", law: Any = LAW) -> Model:
    mesh = bodies.box((cells,) * 3, size=(100.0,) * 3, jitter=0.2)
    return Model.from_mesh(mesh, {"body": law}, density=1000.0, element=element)


def held_body(element: str = "T4", law: Any = LAW) -> Problem:
    """Every kind of load and support that couples smoothly: all derivatives of one problem."""
    return body(element=element, law=law).problem(
        loads=[Gravity((1.0, 0.0, -9.81), during=(0.0, 0.8)), Traction("x1", (30.0, 0.0, 10.0))],
        supports=[
            Springs("z0", 1e5, 3e4),
            PointSprings("y0", 20.0),
            Ligament("x1", 30.0, anchor=(0.2, 0.03, 0.05), slack=0.8),
        ],
        prescribed=[Grasp("z1", [(0.0, 0.003, 0.004), (0.0, 0.01, 0.01)], rotation=(0.05, 0.0, 0.1))],
    )


def pressed_body() -> Problem:
    """An open, free-rimmed pressure (an unsymmetric tangent), a lined grip and a one-sided bed."""
    return body().problem(
        loads=[Pressure("z1", 500.0)],
        supports=[Fixed("x0"), Springs("z0", 5e4, one_sided=True)],
        prescribed=[Grip("y1", 1e5, path=(0.0, 0.004, 0.002), rotation=(0.0, 0.1, 0.0))],
    )


def functional(displacement: Any, problem: Problem) -> Any:
    return jnp.sum(displacement[:, 0] ** 2) * 1e3 + jnp.sum(displacement[:5, 2])


def slope_of(
    value: Callable[[Problem, State], float],
    problem: Problem,
    state: State,
    pick: Callable,
    way: np.ndarray,
    step: float,
) -> float:
    """The fourth-order central difference of a value of the solved problem along `way` at one place."""
    base = np.asarray(pick(problem))

    def at(sign: float) -> float:
        moved = eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way))
        return value(moved, solve(moved, tolerance=EXACT, start=state).final)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def way_and_step(problem: Problem, pick: Callable, seed: int = 1) -> tuple[np.ndarray, float]:
    base = np.asarray(pick(problem))
    way = np.random.default_rng(seed).standard_normal(base.shape)
    return way, 1e-4 * max(float(np.abs(base).max()), 1e-3)


PICKS: dict[str, Callable[[Problem], Any]] = {
    "stiffness": lambda p: p.model.blocks[0].material.shear_modulus,
    "density": lambda p: p.model.blocks[0].density,
    "points": lambda p: p.model.points,
    "gravity": lambda p: p.loads[0].acceleration,
    "traction": lambda p: p.loads[1].traction,
    "bed": lambda p: p.supports[0].stiffness,
    "springs": lambda p: p.supports[1].stiffness,
    "anchor": lambda p: p.supports[2].anchor,
    "slack": lambda p: p.supports[2].slack,
    "path": lambda p: p.prescribed[0].path,
    "turn": lambda p: p.prescribed[0].rotation,
}


@pytest.fixture(scope="module")
def held() -> tuple[Problem, State, Any]:
    problem = held_body()
    state = solve(problem, tolerance=EXACT).final
    return problem, state, gradient(functional, problem, state)


@pytest.mark.parametrize("name", PICKS)
def test_gradient_in_every_kind_of_parameter(name: str, held: tuple[Problem, State, Any]) -> None:
    problem, state, found = held
    pick = PICKS[name]
    way, step = way_and_step(problem, pick)
    slope = slope_of(lambda p, s: float(functional(s.displacement, p)), problem, state, pick, way, step)
    assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(slope, rel=1e-5)


def test_forward_and_reverse_agree(held: tuple[Problem, State, Any]) -> None:
    """J_u · u̇ + J_p ṗ for a random direction of everything at once, and u̇ itself against two solves."""
    problem, state, found = held
    near = Linearization(problem, state)
    rng = np.random.default_rng(3)
    way = eqx.filter(problem, eqx.is_inexact_array)
    for pick in PICKS.values():
        base = np.asarray(pick(problem))
        random = jnp.asarray(0.1 * np.abs(base).max() * rng.standard_normal(base.shape))
        way = eqx.tree_at(pick, way, random if name_of(pick) != "points" else 0.01 * random)
    moved = directional(problem, state, way, linearization=near)
    by_u = np.asarray(eqx.filter_grad(lambda u: functional(u, problem))(state.displacement))
    assert float(np.sum(by_u * moved)) == pytest.approx(inner(found, way), rel=1e-9)
    pick = PICKS["path"]
    step = 1e-5
    way = direction_at(problem, pick, np.asarray([[1.0, 0.5, -1.0], [0.5, 0.2, 0.1]]))
    moved = directional(problem, state, way, linearization=near)
    ends = [
        np.asarray(solve(eqx.tree_at(pick, problem, pick(problem) + sign * step * pick(way)), tolerance=EXACT,
                         start=state).final.displacement)
        for sign in (1, -1)
    ]  # fmt: skip
    assert moved == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6 * np.abs(moved).max())


def name_of(pick: Callable) -> str:
    return next(name for name, other in PICKS.items() if other is pick)


PRESSED = {
    "pressure": lambda p: p.loads[0].pressure,
    "stiffness": lambda p: p.model.blocks[0].material.shear_modulus,
    "points": lambda p: p.model.points,
    "bed": lambda p: p.supports[1].stiffness,
    "grip": lambda p: p.prescribed[0].stiffness,
    "path": lambda p: p.prescribed[0].path,
}


@pytest.fixture(scope="module")
def pressed() -> tuple[Problem, State, Any]:
    problem = pressed_body()
    state = solve(problem, tolerance=EXACT, load_steps=2).final
    assert not Linearization(problem, state).system.symmetric
    return problem, state, gradient(functional, problem, state)


@pytest.mark.parametrize("name", PRESSED)
def test_gradient_where_the_tangent_is_not_symmetric(name: str, pressed: tuple[Problem, State, Any]) -> None:
    problem, state, found = pressed
    pick = PRESSED[name]
    way, step = way_and_step(problem, pick)
    slope = slope_of(lambda p, s: float(functional(s.displacement, p)), problem, state, pick, way, step)
    assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(slope, rel=1e-5)


READINGS: dict[str, tuple[Callable, Callable]] = {
    "energy": (read.strain_energy, lambda p, s: fields.strain_energy(p.model, s)),
    "reaction": (lambda u, p: read.reaction(u, p, "z1")[1], lambda p, s: fields.reaction(p, s, "z1")[1]),
    "region": (
        lambda u, p: read.region_displacement(u, p, "body")[2],
        lambda p, s: fields.region_displacement(p.model, s, "body")[2],
    ),
    "stress": (
        lambda u, p: jnp.sum(read.von_mises_stress(u, p) ** 2) * 1e-6,
        lambda p, s: float(np.sum(fields.von_mises_stress(p.model, s) ** 2)) * 1e-6,
    ),
    "volume": (
        lambda u, p: jnp.sum(read.volume_ratio(u, p)),
        lambda p, s: float(fields.volume_ratio(p.model, s).sum()),
    ),
}


@pytest.mark.slow
def test_functionals_of_forces_energies_and_stresses(held: tuple[Problem, State, Any]) -> None:
    """Read as `fields` reads them, and differentiated, by one linearization for all."""
    problem, state, _ = held
    found = gradients([pure for pure, _ in READINGS.values()], problem, state)
    for (name, (pure, plain)), slope in zip(READINGS.items(), found, strict=True):
        assert float(pure(state.displacement, problem)) == pytest.approx(plain(problem, state), rel=1e-10), name
        for where in ("stiffness", "points", "path"):
            way, step = way_and_step(problem, PICKS[where])
            expected = slope_of(plain, problem, state, PICKS[where], way, step)
            assert float(np.sum(np.asarray(PICKS[where](slope)) * way)) == pytest.approx(expected, rel=1e-5), name


def test_readings_at_a_part_of_the_load() -> None:
    """A muscle held at its length under half its active stress: the tension is that half, by either reading."""
    along = np.array([0.0, 0.0, 1.0])
    model = Model.from_mesh(bodies.box((1, 1, 1), size=(20.0,) * 3), {"body": ActiveContraction(LAW, 2e4, along)})
    problem = model.problem(supports=[Fixed("all")])
    still = jnp.zeros(model.points.shape)
    for fraction in (0.25, 0.5, 1.0):
        state = State(fraction, still)
        tension = fraction * 2e4 * 4e-4
        assert fields.reaction(problem, state, "z1")[2] == pytest.approx(tension, rel=1e-12)
        assert float(read.reaction(still, problem, "z1", fraction)[2]) == pytest.approx(tension, rel=1e-12)
        stress = read.cauchy_stress(still, problem, fraction)
        assert np.asarray(stress) == pytest.approx(fields.cauchy_stress(model, state), abs=1e-9)
        energy = float(read.strain_energy(still, problem, fraction))
        assert energy == pytest.approx(fields.strain_energy(model, state), rel=1e-12, abs=1e-15)


def test_a_region_stress_and_facets_of_two_materials() -> None:
    """Two element blocks: element values come in the mesh's order."""
    mesh = bodies.box((2, 2, 2), size=(100.0,) * 3)
    mesh.region[:] = 1 + (mesh.points[mesh.tetrahedra].mean(axis=1)[:, 0] > 50.0)
    mesh.region_names[2] = "other"
    laws = {"body": LAW, "other": DecoupledNeoHookean.from_young(3e4, 0.3)}
    model = Model.from_mesh(mesh, laws)
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.01, 0.0, 0.005))])
    state = solve(problem, tolerance=EXACT).final
    stress = np.asarray(read.cauchy_stress(state.displacement, problem))
    assert stress == pytest.approx(fields.cauchy_stress(model, state), abs=1e-8)
    shift = np.asarray(read.region_displacement(state.displacement, problem, "other"))
    assert shift == pytest.approx(fields.region_displacement(model, state, "other"), abs=1e-15)
    top = np.asarray(read.facet_points(state.displacement, problem, "z1"))
    assert top[:, 2] == pytest.approx(0.105, abs=1e-12)
    with pytest.raises(SolverError, match="no set or region"):
        read.region_displacement(state.displacement, problem, "spleen")


@pytest.mark.slow
def test_the_gradient_of_quadratic_elements() -> None:
    problem = held_body("T10")
    state = solve(problem, tolerance=EXACT).final
    found = gradient(functional, problem, state)
    for name in ("stiffness", "points"):
        way, step = way_and_step(problem, PICKS[name])
        slope = slope_of(lambda p, s: float(functional(s.displacement, p)), problem, state, PICKS[name], way, step)
        assert float(np.sum(np.asarray(PICKS[name](found)) * way)) == pytest.approx(slope, rel=1e-5), name


def test_what_is_no_equilibrium_is_refused() -> None:
    problem = held_body()
    state = solve(problem, tolerance=EXACT).final
    other = eqx.tree_at(PICKS["stiffness"], problem, 1.01 * PICKS["stiffness"](problem))
    with pytest.raises(SolverError, match="not an equilibrium of this problem: it leaves"):
        gradient(functional, other, state)
    moved = eqx.tree_at(PICKS["path"], problem, 1.1 * PICKS["path"](problem))
    with pytest.raises(SolverError, match="misses a prescribed displacement by"):
        gradient(functional, moved, state)
    with pytest.raises(SolverError, match="rows"):
        Linearization(problem, State(1.0, jnp.zeros((3, 3))))


def test_an_unstable_state_is_named() -> None:
    """A straight column at twice Euler's load is an equilibrium that any disturbance leaves."""
    mesh = bodies.box((1, 1, 10), size=(10.0, 10.0, 100.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e5, 0.0)})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0, 0, -0.04), components="z")])
    squeeze = np.zeros((len(mesh.points), 3))
    squeeze[:, 2] = -0.4 * np.asarray(model.points)[:, 2]
    near = eqx.tree_at(lambda p: p.prescribed[0].displacement, problem, jnp.asarray((0.0, 0.0, -0.04)))
    with pytest.raises(SolverError, match="negative curvature"):
        gradient(functional, near, State(1.0, jnp.asarray(squeeze)))


def test_directions_are_checked() -> None:
    problem = held_body()
    state = solve(problem, tolerance=1e-10).final
    with pytest.raises(SolverError, match="does not fit"):
        direction_at(problem, PICKS["points"], np.zeros((3, 7)))
    with pytest.raises(SolverError, match="cannot be varied"):
        direction_at(problem, lambda p: p.model.mesh_nodes, 1.0)
    with pytest.raises(SolverError, match="not shaped like"):
        directional(problem, state, eqx.filter(problem.model, eqx.is_inexact_array))
