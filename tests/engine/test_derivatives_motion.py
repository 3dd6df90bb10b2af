"""Derivatives through the motion of bodies that touch, rub, are tied or cannot be compressed; by new motions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact, Sphere, Tie, TissueContact
from preop.engine.tissue.derivatives.motion_steps import MotionSteps
from preop.engine.tissue.derivatives.parameters import direction_at
from preop.engine.tissue.dynamic import solve
from preop.engine.tissue.integrators import EnergyMomentum, GeneralizedAlpha, Integrator, Midpoint, Newmark
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import DecoupledNeoHookean, NeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import Damping
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

Pick = Callable[[Problem], Any]
Make = Callable[[Problem], MotionSteps]
MODULUS: Pick = lambda p: p.model.blocks[0].material.shear_modulus  # noqa: E731
POINTS: Pick = lambda p: p.model.points  # noqa: E731
DENSITY: Pick = lambda p: p.model.blocks[0].density  # noqa: E731


def measure(motion: Any, problem: Problem) -> Any:
    """Where it is and how fast, no two nodes weighed alike."""
    weight = jnp.linspace(0.5, 1.5, problem.model.nodes)[:, None] * jnp.asarray([1.0, 0.7, -0.4])
    return 1e2 * jnp.sum(weight * motion.displacement) + jnp.sum(weight * motion.velocity)


def values(make: Make, problem: Problem, measures: Mapping[int, Any]) -> float:
    """Σ J of the states of a new motion."""
    steps = make(problem)
    state, total = steps.start(), 0.0
    for index in range(steps.count):
        state = steps.advance(state, index)
        if index + 1 in measures:
            total += float(measures[index + 1](steps.motion(state, index + 1), problem))
    return total


def agrees(make: Make, problem: Problem, picks: Mapping[str, tuple[Pick, float]], *, forward: str) -> None:
    """Slopes in reverse, one of them forwards too, against fourth-order central differences of new motions."""
    steps = make(problem)
    measures = {steps.count - 2: measure, steps.count: measure}
    slope = steps.gradient(measures, checkpoints=1)
    for name, (pick, share) in picks.items():
        base = np.asarray(pick(problem))
        way = np.random.default_rng(4).standard_normal(base.shape)
        step = share * max(float(np.abs(base).max()), 1e-3)

        def at(sign: float, pick: Pick = pick, base: Any = base, way: Any = way, step: float = step) -> float:
            return values(make, eqx.tree_at(pick, problem, jnp.asarray(base + sign * step * way)), measures)

        expected = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
        found = float(np.sum(np.asarray(pick(slope)) * way))
        print(name, found, expected, abs(found / expected - 1))
        assert found == pytest.approx(expected, rel=1e-5), name
        if name == forward:
            changes = steps.directional(direction_at(problem, pick, way))
            ends = [changes[index - 1] for index in measures]
            rates = [measure(end, problem) for end in ends]  # linear in the fields
            print("forward", float(sum(rates)))
            assert float(sum(rates)) == pytest.approx(expected, rel=1e-5), f"{name} forwards"


def laid(contacts: list[Any], *, density: float = 1000.0, element: str = "T4", law: Any = None, **more: Any) -> Problem:
    """A small block on a large one, whose base is held; 20 μm into it, and drawn over it by its top."""
    low = bodies.box((2, 2, 1), size=(40.0, 40.0, 12.0))
    size = np.array([16.0, 16.0, 10.0])
    up = bodies.box((1, 1, 1), place=lambda u: u * size + [9.0, 11.0, 11.98])
    count = len(low.points)
    mesh = TetMesh(
        np.vstack([low.points, up.points]),
        np.vstack([low.tetrahedra, up.tetrahedra + count]),
        np.concatenate([low.region, up.region]),
        {1: "body"},
        facet_sets={
            f"{name}_{key}": value + shift
            for name, part, shift in (("low", low, 0), ("up", up, count))
            for key, value in part.facet_sets.items()
        },
    )
    law = NeoHookean.from_young(1e4, 0.3) if law is None else law
    model = Model.from_mesh(mesh, {"*": law}, density=density, element=element)
    return model.problem(supports=[Fixed("low_z0")], contacts=contacts, floating=True, **more)


def drawn(friction: float, **numbers: Any) -> Problem:
    """Drawn 2.4 mm along the other's facets within the motion, pressed on by 0.3 mm."""
    path = Prescribed("up_z1", (0.0024, 0.0016, -0.0003))
    return laid([TissueContact("up_z0", "low_z1", friction=friction, onset=2e-5, **numbers)], prescribed=[path])


RULES: dict[str, Integrator] = {
    "newmark": Newmark(0.3025, 0.6),
    "alpha": GeneralizedAlpha(0.6),
    "midpoint": Midpoint(),
}
SPEED = (0.0, 0.0, 0.0)


def steps_with(rule: Integrator, **more: Any) -> Make:
    return lambda problem: MotionSteps(problem, **{"duration": 0.02, "count": 4, "tolerance": 1e-12, **more}, integrator=rule)


SLIDING: dict[str, tuple[Pick, float]] = {
    "friction": (lambda p: p.contacts[0].friction, 1e-4),
    "points": (POINTS, 1e-6),
    "density": (DENSITY, 1e-4),
    "path": (lambda p: p.prescribed[0].displacement, 1e-4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_tissue_that_slides_with_friction(name: str) -> None:
    agrees(steps_with(RULES[name]), drawn(0.3), SLIDING, forward="points")
