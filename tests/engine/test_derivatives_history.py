"""Gradients of bodies that remember (friction, pairings, viscous load steps) and of fibre angles; by new solves."""

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

from preop.engine.tissue.contact import Capsules, RigidBody, RigidContact, TissueContact, contact_state
from preop.engine.tissue.derivatives.first import gradient
from preop.engine.tissue.derivatives.functionals import reaction
from preop.engine.tissue.derivatives.load_steps import LoadSteps
from preop.engine.tissue.materials import (
    Damage,
    DecoupledNeoHookean,
    HolzapfelGasserOgden,
    NeoHookean,
    Viscoelastic,
)
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed

EXACT = 1e-12
Value = Callable[[Problem], float]


def agrees(found: Any, value: Value, problem: Problem, pick: Callable, *, share: float = 1e-4, seed: int = 1) -> None:
    """dJ along a random direction of one array, against the fourth-order central difference of a value."""
    base = np.asarray(pick(problem))
    way = np.random.default_rng(seed).standard_normal(base.shape)
    step = share * max(float(np.abs(base).max()), 1e-3)

    def at(sign: float) -> float:
        return value(eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way)))

    slope = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
    assert float(np.sum(np.asarray(pick(found)) * way)) == pytest.approx(slope, rel=1e-5)


# Fibre angles


def artery(degrees: Any) -> Problem:
    """A strip of arterial wall whose two families lie at ± an angle (E,) to x in the plane of x and y."""
    mesh = bodies.box((2, 2, 1), size=(20.0, 20.0, 5.0), jitter=0.2)
    law = HolzapfelGasserOgden.in_wall(
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        jnp.broadcast_to(jnp.asarray(degrees, float), (len(mesh.cells),)),
        shear_modulus=3e3,
        fiber_modulus=2.4e3,
        fiber_exponent=0.84,
        dispersion=0.1,
        bulk_modulus=1e5,
    )
    model = Model.from_mesh(mesh, {"body": law})
    return model.problem(supports=[Fixed("x0")], prescribed=[Prescribed("x1", (0.005, 0.001, 0.0))])


def test_gradient_in_the_angle_of_fibres() -> None:
    """dJ/dθ of every element by the chain rule over `in_wall`, against solves at other angles."""
    degrees = np.random.default_rng(5).uniform(25.0, 45.0, 24)
    problem = artery(degrees)
    top = problem.model.nodes_of("z1")

    def sag(u: Any, p: Problem) -> Any:
        return 1e3 * jnp.sum(u[top, 2] * jnp.arange(1.0, len(top) + 1)) + reaction(u, p, "x0")[0]

    found = gradient(sag, problem, solve(problem, tolerance=EXACT).final)

    def fibers(angles: Any) -> tuple[Any, Any]:
        law = HolzapfelGasserOgden.in_wall((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), angles, shear_modulus=1.0,
            fiber_modulus=1.0, fiber_exponent=1.0, dispersion=0.1, bulk_modulus=1.0)  # fmt: skip
        return law.first_fiber, law.second_fiber

    slope = found.model.blocks[0].material
    by_angle = jax.vjp(fibers, jnp.asarray(degrees))[1]((slope.first_fiber, slope.second_fiber))[0]
    way = np.random.default_rng(6).standard_normal(24)

    def value(step: float) -> float:
        moved = artery(degrees + step * way)
        return float(sag(solve(moved, tolerance=EXACT).final.displacement, moved))

    step = 0.05
    numeric = (8 * (value(step) - value(-step)) - (value(2 * step) - value(-2 * step))) / (12 * step)
    assert float(by_angle @ way) == pytest.approx(numeric, rel=1e-5)


# Friction with a rigid tool

TRACK = [0.5, 0.75, 1.0]


def rubbed(friction: float) -> Problem:
    """A shaft pressed into a block, then drawn along it: with much friction all points stick, with little all slide."""
    mesh = bodies.box((3, 3, 2), size=(40.0, 40.0, 20.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.3)})
    shaft = RigidBody(
        Capsules([(-0.02, 0.02, 0.036), (0.06, 0.02, 0.036)], 0.016),
        [(0.0, 0.0, -0.002), (0.0015, 0.001, -0.002)],
        label="shaft",
    )
    return model.problem(supports=[Fixed("z0")], contacts=[RigidContact("z1", shaft, friction=friction)])


RUBBED: dict[str, Callable[[Problem], Any]] = {
    "friction": lambda p: p.contacts[0].friction,
    "stick": lambda p: p.contacts[0].stick,
    "stiffness": lambda p: p.model.blocks[0].material.shear_modulus,
    "points": lambda p: p.model.points,
    "path": lambda p: p.contacts[0].body.path,
}


def drag(u: Any, problem: Problem) -> Any:
    return reaction(u, problem, "z0")[0] + 50.0 * jnp.sum(u[problem.model.nodes_of("z1"), 1] ** 2)


@pytest.mark.slow
@pytest.mark.parametrize(("friction", "slides"), [pytest.param(5.0, False, marks=pytest.mark.long), (0.05, True)])
def test_gradient_through_the_steps_of_friction(friction: float, slides: bool) -> None:
    """Through three load steps and the anchors at rest; no point changes between sticking and sliding."""
    problem = rubbed(friction)
    solution = solve(problem, load_steps=TRACK, tolerance=EXACT)
    (found,) = contact_state(solution.problems[-1], solution.final, solution.problems[-1].contacts[0])
    pressed = found.pressure > 0
    along = np.sqrt(np.maximum((found.traction**2).sum(axis=-1) - found.pressure**2, 0.0))[pressed]
    ratio = along / (friction * found.pressure[pressed])
    assert pressed.sum() > 6
    assert np.isclose(ratio, 1.0, atol=1e-6).all() if slides else (ratio < 0.99).all()
    slope = LoadSteps(problem, TRACK).gradient({len(TRACK): drag}, checkpoints=1)

    def value(posed: Problem) -> float:
        end = solve(posed, load_steps=TRACK, tolerance=EXACT).final
        return float(drag(end.displacement, posed))

    assert value(problem) == pytest.approx(float(drag(LoadSteps(problem, TRACK).end(), problem)), rel=1e-9)
    for name, pick in RUBBED.items():
        if name == "friction" and not slides:
            assert float(pick(slope)) == 0.0
        elif name != "stick" or not slides:
            agrees(slope, value, problem, pick, share=1e-5 if name == "points" else 1e-4)


# Two tissues


@pytest.mark.slow
@pytest.mark.long
def test_gradient_through_tissues_that_rub() -> None:
    """Pressed, then drawn along, sticking: pairs that do not change; modulus, nodes, friction's stick, the path."""
    model = two_blocks((1, 1, 1), (2, 2, 1), "T4", poisson=0.3)
    path = Prescribed("up_z1", (0.0008, 0.0004, -0.002))
    problem = model.problem(
        supports=[Fixed("low_z0")],
        prescribed=[path],
        contacts=[TissueContact("up_z0", "low_z1", friction=2.0, onset=1e-6)],
    )
    track = [0.5, 1.0]
    top = model.nodes_of("low_z1")

    def shift(u: Any, p: Problem) -> Any:
        return jnp.sum(u[top, 0] * jnp.arange(1.0, len(top) + 1)) + 1e-3 * reaction(u, p, "low_z0")[0]

    slope = LoadSteps(problem, track).gradient({1: shift, 2: shift})

    def value(posed: Problem) -> float:
        found = solve(posed, load_steps=track, tolerance=EXACT).require_converged()
        ends = zip(found.states, found.problems, strict=True)
        return sum(float(shift(state.displacement, solved)) for state, solved in ends)

    for pick, share in (
        (lambda p: p.model.blocks[0].material.shear_modulus, 1e-4),
        (lambda p: p.model.points, 1e-6),
        (lambda p: p.contacts[0].stick, 1e-4),
        (lambda p: p.prescribed[0].displacement, 1e-4),
    ):
        agrees(slope, value, problem, pick, share=share)


# Viscous and damaged materials in slow time


@pytest.mark.parametrize("law", [pytest.param("viscoelastic", marks=pytest.mark.long), "damage"])
def test_gradient_through_slow_steps_of_a_material_that_remembers(law: str) -> None:
    """A sheared block: forces on the way and at the end, whose history comes from all steps before."""
    base = DecoupledNeoHookean(4e3, 4e4)
    material = Viscoelastic(base, (0.8, 0.3), (0.3, 5.0)) if law == "viscoelastic" else Damage(base, 20.0, 60.0, 0.5)
    mesh = bodies.box((1, 1, 2), size=(20.0, 20.0, 30.0), jitter=0.1)
    model = Model.from_mesh(mesh, {"body": material})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.008, 0.0, 0.002))])
    fractions, duration = [0.2, 0.5, 0.6, 1.0], 1.5

    def pull(u: Any, p: Problem) -> Any:
        return 1e2 * jnp.sum(u[:, 2] ** 2) + jnp.sum(u[4:8, 1]) + reaction(u, p, "z0")[0]

    slope = LoadSteps(problem, fractions, duration=duration).gradient({2: pull, 4: pull}, checkpoints=1)

    def value(posed: Problem) -> float:
        found = solve(posed, load_steps=fractions, duration=duration, tolerance=EXACT).require_converged()
        return sum(float(pull(found.states[k].displacement, found.problems[k])) for k in (1, 3))

    own = {
        "viscoelastic": [lambda m: m.strengths[0], lambda m: m.times[1]],
        "damage": [lambda m: m.threshold, lambda m: m.saturation],
    }[law]
    agrees(slope, value, problem, lambda p: p.model.points, share=1e-5)
    agrees(slope, value, problem, lambda p: p.model.blocks[0].material.base.bulk_modulus)
    for pick in own:
        agrees(slope, value, problem, lambda p, pick=pick: pick(p.model.blocks[0].material))
