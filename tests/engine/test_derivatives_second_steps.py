"""Second derivatives through load steps, against central differences of gradients through new ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact
from preop.engine.tissue.derivatives.load_steps import LoadSteps
from preop.engine.tissue.derivatives.parameters import direction_at
from preop.engine.tissue.derivatives.second_steps import hessian_product
from preop.engine.tissue.materials import DecoupledNeoHookean, NeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.imaging.errors import SolverError

Pick = Callable[[Problem], Any]
SOLID: dict[str, Pick] = {
    "path": lambda p: p.prescribed[0].displacement,
    "points": lambda p: p.model.points,
    "modulus": lambda p: p.model.blocks[0].material.shear_modulus,
}
VISCOUS: dict[str, Pick] = {
    **SOLID,
    "modulus": lambda p: p.model.blocks[0].material.base.shear_modulus,
    "relaxation": lambda p: p.model.blocks[0].material.times[0],
}


def wiped(*, viscous: bool = False, **contact: Any) -> Problem:
    """A block held at its top, pressed on a plate and drawn over it."""
    mesh = bodies.box((1, 1, 1), size=(20.0, 20.0, 12.0))
    law = Viscoelastic(DecoupledNeoHookean(4e3, 2e4), (0.8,), (0.3,)) if viscous else NeoHookean.from_young(1e4, 0.4)
    model = Model.from_mesh(mesh, {"body": law})
    plate = RigidBody(HalfSpace((0.0, 0.0, 0.0002), (0.05, 0.0, 1.0)))
    path = Prescribed("z1", (0.003, 0.001, -0.0004))
    return model.problem(prescribed=[path], contacts=[RigidContact("z0", plate, onset=2e-5, **contact)])


def bent(u: Any, problem: Problem) -> Any:
    """Not linear in the displacement."""
    weight = jnp.linspace(0.5, 1.5, len(u))[:, None] * jnp.asarray([1.0, 0.7, -0.4])
    return 1e2 * jnp.sum(weight * u) + 1e4 * jnp.sum(weight * u * u)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("contact", "name", "picks"),
    [
        pytest.param("friction", "path", SOLID, marks=pytest.mark.long),
        pytest.param("friction", "path", VISCOUS, marks=pytest.mark.long),
        pytest.param("penetration", "relaxation", VISCOUS, marks=pytest.mark.long),
    ],
    ids=["slip", "slip and overstress", "multipliers and overstress"],
)
def test_hessian_product_through_load_steps(contact: str, name: str, picks: dict[str, Pick]) -> None:
    """Every array of the product: what is carried is friction's slip or multipliers, and overstress."""
    numbers: Any = {contact: {"friction": 0.3, "penetration": 1e-6}[contact]}
    problem, measures = wiped(viscous=picks is VISCOUS, **numbers), {1: bent, 3: bent}

    def steps_of(posed: Problem) -> LoadSteps:
        return LoadSteps(posed, [0.3, 0.6, 1.0], duration=0.4, tolerance=1e-13)

    base = np.asarray(picks[name](problem))
    way, step = np.random.default_rng(7).standard_normal(base.shape), 1e-4 * float(np.abs(base).max())
    product = hessian_product(steps_of(problem), measures, direction_at(problem, picks[name], way), checkpoints=1)
    low, high = (
        steps_of(eqx.tree_at(picks[name], problem, jnp.asarray(base + sign * step * way))).gradient(measures)
        for sign in (-1, 1)
    )
    for other, pick in picks.items():
        expected = (np.asarray(pick(high)) - np.asarray(pick(low))) / (2 * step)
        miss = np.linalg.norm(np.asarray(pick(product)) - expected)
        assert np.linalg.norm(expected) > 0, other
        assert miss <= 1e-5 * np.linalg.norm(expected), other


def test_measures_at_no_step_are_named() -> None:
    steps = LoadSteps(wiped(), [1.0])
    with pytest.raises(SolverError, match=r"measures at \[2\] of 1 steps"):
        hessian_product(steps, {2: bent}, direction_at(steps.problem, SOLID["path"], 1.0))
