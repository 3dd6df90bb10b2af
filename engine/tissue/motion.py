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

from .discrete_gradient import beyond_half_way
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
    """Rayleigh damping C = a M + b K, K the tissue's own tangent at the start of each step.

    A vibration of ω [rad/s] is damped by the ratio a/2ω + bω/2. Springs, loads and contacts are not in K: they have no
    part in what the tissue dissipates, and a contact's penalty would be a dashpot that stops what touches it.

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
    damping = damping or Damping()
    start, fraction = clock.start / clock.duration, forces_at(clock, integrator)
    middle = blend(moved, padded(old.displacement, len(moved)), integrator.force_lag, problem.model.nodes)
    rate = middle_rate(step_rates(moved, old, problem, clock, integrator)[0], old, integrator)
    force = internal_force(middle, problem, fraction) - external_force(middle, problem, fraction)
    force = force + damping.stiffness * jax.jvp(lambda u: internal_force(u, problem, start), (old.rows,), (rate,))[1]
    held = jnp.asarray(problem.held())
    return inertial_residual(moved, old, problem, clock, integrator, damping, mass) + jnp.where(held, 0.0, force)


def inertial_residual(
    moved: Float[Array, "rows 3"],
    old: Motion,
    problem: Problem,
    clock: Clock,
    integrator: Integrator,
    damping: Damping,
    mass: str,
) -> Float[Array, "rows 3"]:
    """`step_residual` but for the forces where the integrator takes them, and for what damps by stiffness [N, m].

    Contact between tissues has no part in it: it needs no pairs.
    """
    model, lag = problem.model, integrator.inertia_lag
    velocity, acceleration = step_rates(moved, old, problem, clock, integrator)
    force = mass_product(model, (1.0 - lag) * acceleration + lag * padded(old.acceleration, len(moved)), mass)
    force = force + damping.mass * mass_product(model, middle_rate(velocity, old, integrator), mass)
    if integrator.conserving:
        force = force + beyond_half_way(old.rows, moved, problem, forces_at(clock, integrator))
    gap = moved - problem.prescribed_displacement((clock.start + clock.step) / clock.duration)
    return jnp.where(jnp.asarray(problem.held()), gap, force)


def forces_at(clock: Clock, integrator: Integrator) -> Array | float:
    """The load fraction at which forces are taken."""
    return (clock.start + (1.0 - integrator.force_lag) * clock.step) / clock.duration


def middle_rate(velocity: Array, old: Motion, integrator: Integrator) -> Array:
    """Velocity [m/s] (rows, 3) with which a step is damped, of the one at its end."""
    return (1.0 - integrator.force_lag) * velocity + integrator.force_lag * padded(old.velocity, len(velocity))


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
