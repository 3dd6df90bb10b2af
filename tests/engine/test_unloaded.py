"""Load-free shapes: against closed forms, and by loading them again."""

from __future__ import annotations

from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from preop.engine.tissue import fields, fixed_point
from preop.engine.tissue.loads import Gravity, Pressure
from preop.engine.tissue.materials import Material, NeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp
from preop.engine.tissue.prestress import prestressed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Springs
from preop.engine.tissue.unloaded import moved_to, unloaded_shape
from preop.imaging.errors import SolverError

DOWN = Gravity((0.0, 0.0, -9.81))
WITHIN = 1e-4  # m: within a tenth of a millimetre of the scan


def ball(unit: NDArray) -> NDArray:
    """The unit cube as an ellipsoid of the size of a liver, mm."""
    flat = 2 * unit - 1
    largest, length = np.abs(flat).max(axis=1), np.linalg.norm(flat, axis=1)
    round_ = flat * (largest / np.maximum(length, 1e-12))[:, None]
    return round_ * np.array([100.0, 70.0, 45.0])


def liver(young: float, cells: int = 4) -> Problem:
    """An ellipsoid that lies on an elastic bed, everything under its weight."""
    mesh = bodies.box((cells,) * 3, place=ball)
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(young, 0.45)}, density=1060.0)
    return model.problem(loads=[DOWN], supports=[Springs("z0", 2e5, 5e4)])


def bar(young: float) -> Problem:
    """A beam held at one end, seen while it hangs straight."""
    mesh = bodies.box((2, 2, 8), size=(40.0, 40.0, 160.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(young, 0.4)}, density=1000.0)
    return model.problem(loads=[Gravity((0.0, -9.81, 0.0))], supports=[Fixed("z0")])


def loaded_again(found, scanned: NDArray, load_steps: int = 1) -> float:
    """How far from the scan a solve from rest ends, m."""
    state = solve(found.problem, tolerance=1e-9, load_steps=load_steps).final
    ended = np.asarray(found.problem.model.points) + np.asarray(state.displacement)
    return float(np.linalg.norm(ended - scanned, axis=1).max())


def test_an_organ_on_its_bed() -> None:
    problem = liver(3000.0)
    found = unloaded_shape(problem, method="newton")
    assert found.method == "newton"
    assert found.residual < 1e-8
    assert np.linalg.norm(found.offset, axis=1).max() > 4e-3
    assert loaded_again(found, np.asarray(problem.model.points)) < 1e-8
    assert found.miss < 1e-8


def test_newton_and_the_fixed_point_agree() -> None:
    problem = liver(4000.0, cells=3)
    newton = unloaded_shape(problem, method="newton", verify=False)
    fixed = unloaded_shape(problem, method="fixed point", accuracy=1e-6)
    assert fixed.method == "fixed point"
    assert newton.offset == pytest.approx(fixed.offset, abs=1e-6)
    assert newton.iterations < fixed.iterations


def test_the_way_is_chosen_by_how_fast_rounds_come_closer() -> None:
    """An organ on its bed settles in a few rounds; a beam that hangs by half its length does not, and is found too."""
    easy = unloaded_shape(liver(4000.0, cells=3), accuracy=1e-5)
    assert (easy.method, easy.iterations < 10) == ("fixed point", True)
    assert easy.miss < 1e-5
    exact = unloaded_shape(liver(4000.0, cells=3), method="newton", verify=False)
    assert easy.offset == pytest.approx(exact.offset, abs=1e-5)
    hard = unloaded_shape(bar(30000.0), tolerance=1e-3)
    assert hard.method == "newton"
    assert hard.miss < WITHIN


@pytest.mark.slow
def test_where_the_plain_fixed_point_diverges() -> None:
    """A soft beam: X ← X − (x(X) − x) runs away, Newton's method does not."""
    problem = bar(30000.0)
    scanned = np.asarray(problem.model.points)
    shape, misses = scanned, []
    for _ in range(6):
        solution = solve(moved_to(problem, shape), load_steps=4, tolerance=1e-8, max_iterations=12)
        if solution.result is not ResultCode.converged:
            misses.append(np.inf)
            break
        miss = shape + np.asarray(solution.final.displacement) - scanned
        misses.append(np.linalg.norm(miss, axis=1).max())
        shape = shape - miss
    assert misses[-1] > misses[0]
    found = unloaded_shape(problem, method="newton", load_steps=4)
    assert np.linalg.norm(found.offset, axis=1).max() > 0.04
    assert found.miss < WITHIN


def test_held_nodes_give_back_their_prescribed_motion() -> None:
    mesh = bodies.box((2, 2, 2), size=(100.0,) * 3)
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.4)}, density=1000.0)
    problem = model.problem(loads=[DOWN], supports=[Fixed("z0")], prescribed=[Grasp("z1", (0.004, 0.0, 0.006))])
    found = unloaded_shape(problem, method="newton")
    top = model.nodes_of("z1")
    assert found.offset[top] == pytest.approx(np.tile([-0.004, 0.0, -0.006], (len(top), 1)), abs=1e-12)
    assert found.offset[model.nodes_of("z0")] == pytest.approx(0.0, abs=1e-15)
    assert found.miss < 1e-9


def test_beds_that_rest_in_the_scan() -> None:
    """They exert nothing there: the held side carries the weight, and the load-free shape is that without them."""
    problem = bar(60000.0)
    bedded = problem.model.problem(loads=problem.loads, supports=[*problem.supports, Springs("y0", 1e6)])
    found = unloaded_shape(bedded, beds_at_rest="scan", load_steps=2, method="newton")
    plain = unloaded_shape(problem, load_steps=2, verify=False, method="newton")
    assert found.offset == pytest.approx(plain.offset, abs=1e-9)
    assert found.miss < WITHIN
    assert fields.force_of(found.problem, found.state, found.problem.supports[1]) == pytest.approx(
        np.zeros(3), abs=1e-9
    )
    with pytest.raises(SolverError, match="not held"):
        unloaded_shape(liver(4000.0, cells=2), beds_at_rest="scan")


def loaded_radii(law: NeoHookean, inner: float, outer: float, pressure: float) -> tuple[float, float]:
    """Radii of a long thick tube under a follower pressure, plane strain: d(R P_R)/dR = P_T by shooting."""
    mu, lam = float(law.shear_modulus), float(law.lame)

    def nominal(a: float, b: float) -> tuple[float, float]:
        log = np.log(a * b)
        return mu * (a - 1 / a) + lam * log / a, mu * (b - 1 / b) + lam * log / b

    def slope(radius: float, state: NDArray) -> list[float]:
        hoop = state[0] / radius
        radial = brentq(lambda a: nominal(a, hoop)[0] - state[1] / radius, 0.05, 20.0, xtol=1e-14)
        return [radial, nominal(radial, hoop)[1]]

    def end(hoop: float) -> NDArray:
        start = [hoop * inner, -pressure * hoop * inner]
        return solve_ivp(slope, (inner, outer), start, rtol=1e-10, atol=1e-12).y[:, -1]

    hoop = brentq(lambda h: end(h)[1], 1.0, 2.5, xtol=1e-12)
    return hoop * inner, float(end(hoop)[0])


@pytest.mark.slow
def test_a_pressurised_tube() -> None:
    """The tube that swells to the scanned radii, from the one-dimensional equation."""
    law, inner, outer, pressure = NeoHookean.from_young(1e5, 0.3), 0.01, 0.016, 10000.0
    radii = loaded_radii(law, inner, outer, pressure)
    assert radii[0] > 1.15 * inner

    def quarter(unit: NDArray) -> NDArray:
        radius, turn = 1e3 * (radii[0] + (radii[1] - radii[0]) * unit[:, 0]), 0.5 * np.pi * unit[:, 1]
        return np.stack([radius * np.cos(turn), radius * np.sin(turn), 2.0 * unit[:, 2]], axis=1)

    model = Model.from_mesh(bodies.box((6, 16, 1), place=quarter), {"body": law})
    supports = [Fixed("y0", "y"), Fixed("y1", "x"), Fixed("z0", "z"), Fixed("z1", "z")]
    problem = model.problem(loads=[Pressure("x0", pressure, symmetric=True)], supports=supports)
    found = unloaded_shape(problem, load_steps=2)
    free = np.asarray(found.problem.model.points)
    for side, radius in (("x0", inner), ("x1", outer)):
        got = np.linalg.norm(free[model.nodes_of(side), :2], axis=1)
        assert got.mean() == pytest.approx(radius, rel=0.01)  # linear elements, six through the wall
    assert found.miss < WITHIN


@pytest.mark.slow
@pytest.mark.long
def test_what_has_no_load_free_shape_is_told() -> None:
    with pytest.raises(SolverError, match="load"):
        unloaded_shape(liver(40.0, cells=2))
    with pytest.raises(SolverError, match="no method"):
        unloaded_shape(liver(4000.0, cells=2), method="guess")


def viscous(law: Material) -> Problem:
    """A beam across its weight, held at one end."""
    model = Model.from_mesh(bodies.box((1, 1, 4), size=(20.0, 20.0, 80.0)), {"body": law}, density=1000.0)
    return model.problem(loads=[Gravity((0.0, -9.81, 0.0))], supports=[Fixed("z0")])


def waited(found: Any, scanned: NDArray) -> float:
    """How far from the scan the body is a hundred seconds after its load began to act, m."""
    state = solve(found.problem, load_steps=[1e-3, 1e-2, 0.1, 1.0], duration=100.0).final
    ended = np.asarray(found.problem.model.points) + np.asarray(state.displacement)
    return float(np.linalg.norm(ended - scanned, axis=1).max())


@pytest.mark.parametrize("method", ["fixed point", "newton"])
def test_a_viscous_body_is_seen_relaxed(method: str) -> None:
    """It has lain under its weight for long: the shape is that of the relaxed law, and waiting gives the scan."""
    base = NeoHookean.from_young(2e5, 0.3)
    problem, weight = viscous(Viscoelastic(base, (1.0,), (1.0,))), 1000.0 * 9.81 * 0.02**2 * 0.08
    scanned = np.asarray(problem.model.points)
    found = unloaded_shape(problem, method=method, load_steps=2)
    assert waited(found, scanned) < WITHIN
    assert found.offset == pytest.approx(unloaded_shape(viscous(base), method=method).offset, abs=WITHIN)
    assert fields.reaction(found.problem, found.state, "z0")[1] == pytest.approx(weight, rel=1e-2)
    at_once = unloaded_shape(problem, method=method, relaxed=False)
    assert waited(at_once, scanned) > 5 * WITHIN


def test_prestress_of_a_viscous_body_has_relaxed() -> None:
    """A hundred seconds under its load, the scanned shape is where it was."""
    problem = viscous(Viscoelastic(NeoHookean.from_young(2e5, 0.3), (1.0,), (1.0,)))
    scanned = np.asarray(problem.model.points)
    assert waited(prestressed(problem, relaxed=False), scanned) > 5 * WITHIN
    assert waited(prestressed(problem), scanned) < WITHIN


def test_prestress_holds_the_scanned_shape() -> None:
    """The stored strain moves nothing, its stress carries the weight, and without load the body springs back."""
    mesh = bodies.box((2, 2, 3), size=(60.0, 60.0, 90.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(2e4, 0.3)}, density=1000.0)
    problem = model.problem(loads=[Gravity((0.0, -9.81, -4.0))], supports=[Fixed("z0")])
    found = prestressed(problem)
    assert found.miss < 1e-5
    weight = 1000.0 * 0.06 * 0.06 * 0.09
    force = fields.reaction(found.problem, found.state, "z0")
    assert force == pytest.approx([0.0, 9.81 * weight, 4.0 * weight], rel=1e-5, abs=1e-6)
    freed = eqx.tree_at(lambda p: p.loads[0].acceleration, found.problem, jnp.zeros(3))
    sprung = np.asarray(solve(freed).final.displacement)
    hanging = np.asarray(solve(problem).final.displacement)
    tip = model.nodes_of("z1")
    assert np.linalg.norm(sprung[tip].mean(axis=0) + hanging[tip].mean(axis=0)) < 0.1 * np.abs(hanging).max()


def test_rounds_that_run_out_hand_over_to_newton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each came closer fast enough."""
    monkeypatch.setattr(fixed_point, "MAX_ROUNDS", 2)
    monkeypatch.setattr(fixed_point, "_slow", lambda distances: False)
    found = unloaded_shape(bar(6e4))
    assert found.method == "newton"
    assert found.miss < WITHIN
    with pytest.raises(SolverError, match="does not settle"):
        unloaded_shape(bar(6e4), method="fixed point")
