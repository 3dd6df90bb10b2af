"""`Motion`: a body at one instant; the balance of one time step as a pure function; momentum and kinetic energy.

`step_residual(moved, old, problem, clock, ...)` and `step_rates` are differentiable in the displacement sought, in the
state before and in every float array of the problem: a discrete adjoint through time is written from these two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .discrete_gradient import conserving_force, mean_forces
from .integrators import Integrator
from .mass import mass_product
from .problem import Problem
from .residual import external_force, internal_force
from .solution import State


class Motion(State):
    """The body at one instant.

    Attributes:
        load_fraction: time over duration.
        displacement: m; rows as `Model.points`.
        pressure: Pa, of mixed elements.
        time: s.
        velocity: m/s.
        acceleration: m/s².
    """

    time: Array | float = eqx.field(kw_only=True)
    velocity: Float[Array, "nodes 3"] = eqx.field(kw_only=True)
    acceleration: Float[Array, "nodes 3"] = eqx.field(kw_only=True)


class Damping(eqx.Module):
    """Rayleigh damping C = a M + b K, K the tangent at the start of each step.

    A vibration of ω [rad/s] is damped by the ratio a/2ω + bω/2.

    | symbol | meaning | unit |
    |---|---|---|
    | a `mass` | resists all motion, also rigid | 1/s |
    | b `stiffness` | resists deformation | s |
    """

    mass: Array | float = 0.0
    stiffness: Array | float = 0.0


class Clock(NamedTuple):
    """A step from `start` [s], of `step` [s], in a problem whose load fraction is time / `duration`."""

    start: Array | float
    step: Array | float
    duration: float


def step_rates(
    moved: Float[Array, "rows 3"], old: Motion, problem: Problem, clock: Clock, integrator: Integrator
) -> tuple[Array, Array]:
    """Velocity [m/s] and acceleration [m/s²] at the end of a step that ends at the displacement `moved` [m].

    Newmark's formulas where free, the derivatives of the prescribed motion where held; zero for pressures.
    """
    nodes = problem.model.nodes
    found = integrator.rates(moved[:nodes], old.displacement, old.velocity, old.acceleration, clock.step)
    velocity, acceleration = (padded(part, len(moved)) for part in found)
    _, rate, curvature = prescribed_rates(problem.prescribed_displacement, clock.start + clock.step, clock.duration)
    held = jnp.asarray(problem.held())
    return jnp.where(held, rate, velocity), jnp.where(held, curvature, acceleration)


def step_residual(
    moved: Float[Array, "rows 3"],
    old: Motion,
    problem: Problem,
    clock: Clock,
    integrator: Integrator,
    damping: Damping | None = None,
    mass: str = "consistent",
) -> Float[Array, "rows 3"]:
    """Inertia plus damping plus internal minus external force [N] where free; u − ū [m] where held.

    Zero at a step's end; `moved` is a field of rows, with pressures [Pa] after the displacements [m] of mixed elements.
    """
    velocity, acceleration = step_rates(moved, old, problem, clock, integrator)
    lag, force_lag = integrator.inertia_lag, integrator.force_lag
    end = clock.start + clock.step
    middle = blend(moved, padded(old.displacement, len(moved)), force_lag, problem.model.nodes)
    fraction = (end - force_lag * clock.step) / clock.duration
    model = problem.model
    force = internal_force(middle, problem, fraction) - external_force(middle, problem, fraction)
    if integrator.conserving:
        ends, terms = (old.rows, moved), [term for term in problem.terms() if term.conserving]
        force = conserving_force(*ends, problem, fraction) - external_force(middle, problem, fraction)
        force = force - mean_forces(terms, model.row_points, *ends, fraction)
    before = padded(old.acceleration, len(moved))
    force = force + mass_product(model, (1.0 - lag) * acceleration + lag * before, mass)
    if damping is not None:
        rate = (1.0 - force_lag) * velocity + force_lag * padded(old.velocity, len(moved))
        force = force + damping.mass * mass_product(model, rate, mass)

        def forces(u: Array) -> Array:
            now = clock.start / clock.duration
            return internal_force(u, problem, now) - external_force(u, problem, now)

        force = force + damping.stiffness * jax.jvp(forces, (old.rows,), (rate,))[1]
    gap = moved - problem.prescribed_displacement(end / clock.duration)
    return jnp.where(jnp.asarray(problem.held()), gap, force)


def blend(moved: Array, displacement: Array, lag: float, nodes: int) -> Array:
    """(1 − lag) u⁺ + lag u for displacements; pressures have no rate and are those that go with the blend."""
    share = np.where(np.arange(len(moved)) < nodes, lag, 0.0)[:, None]
    return moved + share * (displacement - moved)


def padded(field: Array, rows: int) -> Array:
    """A nodal field (nodes, 3) with zeros for the rows of pressures."""
    return field if len(field) == rows else jnp.pad(field, ((0, rows - len(field)), (0, 0)))


def prescribed_rates(
    path: Callable[[Array | float], Array], time: Array | float, duration: float, side: Array | float = -1.0
) -> tuple[Array, Array, Array]:
    """Prescribed displacement [m], velocity [m/s] and acceleration [m/s²] at a time [s], of a path over load fractions.

    Paths have corners: rates are those just before (`side` = −1) or after (+1) the time.
    """
    beside = time / duration + side * 1e-9

    def speed(fraction: Array) -> tuple[Array, Array]:
        return jax.jvp(path, (fraction,), (jnp.ones_like(fraction),))

    (_, rate), (_, curvature) = jax.jvp(speed, (jnp.asarray(beside, float),), (jnp.ones(()),))
    return path(time / duration), rate / duration, curvature / duration**2


def momentum(problem: Problem, motion: Motion, mass: str = "consistent") -> tuple[Array, Array]:
    """Linear [kg m/s] and angular [kg m²/s, about the origin] momentum."""
    carried = mass_product(problem.model, motion.velocity, mass)
    return carried.sum(axis=0), jnp.cross(problem.model.points + motion.displacement, carried).sum(axis=0)


def kinetic_energy(problem: Problem, motion: Motion, mass: str = "consistent") -> Array:
    """½ v · M v [J]."""
    return 0.5 * jnp.sum(motion.velocity * mass_product(problem.model, motion.velocity, mass))
