"""Second derivatives through motion, against central differences of gradients through new motions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from test_derivatives_motion import (
    DENSITY,
    MODULUS,
    PATH,
    POINTS,
    Make,
    Pick,
    drawn,
    incompressible,
    knocked,
    rubbed,
    steps_with,
    tied,
)
from test_derivatives_time import swinging

from preop.engine.tissue.derivatives.motion_steps import MotionSteps
from preop.engine.tissue.derivatives.parameters import direction_at
from preop.engine.tissue.derivatives.second_steps import hessian_product
from preop.engine.tissue.integrators import EnergyMomentum, GeneralizedAlpha, Integrator, Midpoint, Newmark
from preop.engine.tissue.motion import Damping
from preop.engine.tissue.problem import Problem
from preop.imaging.errors import SolverError


def bent(motion: Any, problem: Problem) -> Any:
    """Not linear in displacement and velocity, and no two nodes weighed alike."""
    weight = jnp.linspace(0.5, 1.5, problem.model.nodes)[:, None] * jnp.asarray([1.0, 0.7, -0.4])
    linear = 1e2 * jnp.sum(weight * motion.displacement) + jnp.sum(weight * motion.velocity)
    return linear + 1e4 * jnp.sum(weight * motion.displacement**2) + jnp.sum(weight * motion.velocity**2)


class Case(NamedTuple):
    """What moves and how; along which arrays products are taken, by which share of them differences."""

    pose: Callable[[], Problem]
    make: Make
    along: dict[str, float]
    picks: dict[str, Pick]


SOLID: dict[str, Pick] = {"modulus": MODULUS, "points": POINTS, "density": DENSITY}
CASES: dict[str, Case] = {
    "springs and a path": Case(
        swinging,
        steps_with(GeneralizedAlpha(0.7), count=3, duration=0.03, damping=Damping(2.0, 1e-3)),
        {"points": 1e-6},
        {**SOLID, "springs": lambda p: p.supports[0].stiffness, "path": lambda p: p.prescribed[0].path},
    ),
    "friction, overstress and a start": Case(
        rubbed,
        steps_with(GeneralizedAlpha(0.6), count=3, duration=0.008, velocity=(0.3, 0.1, 0.0), damping=Damping(3.0)),
        {"density": 1e-5},
        {
            "relaxation": lambda p: p.model.blocks[0].material.times[0],
            "friction": lambda p: p.contacts[0].friction,
            "points": POINTS,
            "density": DENSITY,
        },
    ),
    "multipliers": Case(
        knocked,
        steps_with(Midpoint(), count=3),
        {"ball": 1e-5, "modulus": 1e-4},
        {"ball": lambda p: p.contacts[0].body.path, "modulus": MODULUS, "points": POINTS},
    ),
    "tie": Case(
        tied,
        steps_with(GeneralizedAlpha(0.8), count=3, damping=Damping(2.0, 1e-3)),
        {"path": 1e-5},
        {"path": PATH, "modulus": MODULUS},
    ),
    "tissues that slide and rub": Case(
        lambda: drawn(0.3),
        steps_with(Newmark(0.3025, 0.6), count=3, damping=Damping(2.0)),
        {"path": 1e-5},
        {"path": PATH, "density": DENSITY, "points": POINTS},
    ),
    "unknown pressures": Case(
        lambda: incompressible("T4P1"),
        steps_with(GeneralizedAlpha(0.7), count=3, duration=0.0075, damping=Damping(1.0, 1e-3)),
        {"modulus": 1e-4},
        SOLID,
    ),
}

CONTACT = [name for name in CASES if name != "springs and a path"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] * (n != "springs and a path")) for n in CASES]
)
def test_hessian_product_through_motion(name: str) -> None:
    """Every array of the product, measured within the motion and at its end."""
    case = CASES[name]
    problem, measures = case.pose(), {1: bent, 3: bent}
    for chosen, share in case.along.items():
        pick = case.picks[chosen]
        base = np.asarray(pick(problem))
        way, step = np.random.default_rng(7).standard_normal(base.shape), share * max(float(np.abs(base).max()), 1e-3)
        product = hessian_product(case.make(problem), measures, direction_at(problem, pick, way), checkpoints=1)
        low, high = (
            case.make(eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way))).gradient(measures)
            for sign in (-1, 1)
        )
        for other, read in case.picks.items():
            expected = (np.asarray(read(high)) - np.asarray(read(low))) / (2 * step)
            miss = np.linalg.norm(np.asarray(read(product)) - expected)
            assert np.linalg.norm(expected) > 0, (chosen, other)
            assert miss <= 1e-5 * np.linalg.norm(expected), (chosen, other)


@pytest.mark.parametrize(
    ("words", "step", "rule"),
    [
        ("conserves energy has no second derivatives", 2, EnergyMomentum()),
        (r"measures at \[3\] of 2 steps", 3, GeneralizedAlpha()),
    ],
)
def test_what_has_no_second_derivatives_is_named(words: str, step: int, rule: Integrator) -> None:
    problem = swinging()
    steps = MotionSteps(problem, duration=0.02, count=2, integrator=rule)
    with pytest.raises(SolverError, match=words):
        hessian_product(steps, {step: bent}, direction_at(problem, DENSITY, 1.0))
