"""Steps of central differences, a whole batch of them one compiled loop.

`central_step(flight, ...)` is one step as a pure function; a derivative through time is written from it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ...imaging.errors import SolverError
from .gathering import Gathered
from .model import ElementBlock
from .motion import Motion
from .problem import Problem
from .terms import Constraint, Term

LANCZOS_STEPS = 32


class Forces(NamedTuple):
    """At one displacement: internal and external (rows, 3) N, strain energy [J], smallest det F and its element."""

    internal: Array
    external: Array
    strain: Array
    min_jacobian: Array
    worst: Array


class Flight(NamedTuple):
    """Between two steps: displacement at `time`, velocity half a step before, and what was counted on the way.

    Attributes:
        displacement: m.
        velocity: m/s, at time − step/2 (at time where step is 0).
        time, step: s; step is the last one.
        external, damped: work so far up to time − step/2 [J].
        min_jacobian, worst, worst_time: smallest det F met, its element (rows of all blocks) and time.
        now: forces at the displacement.
    """

    displacement: Float[Array, "rows 3"]
    velocity: Float[Array, "rows 3"]
    time: Float[Array, ""]
    step: Float[Array, ""]
    external: Float[Array, ""]
    damped: Float[Array, ""]
    min_jacobian: Float[Array, ""]
    worst: Int[Array, ""]
    worst_time: Float[Array, ""]
    now: Forces


class Observation(NamedTuple):
    """A motion with velocity at the same instant as the displacement, and its energies [J]."""

    motion: Motion
    kinetic: Array
    strain: Array
    external: Array
    damped: Array
    momentum: Array
    angular_momentum: Array


class Body(eqx.Module):
    """What a step needs of a problem, arrays only."""

    points: Float[Array, "rows 3"]
    blocks: tuple[ElementBlock, ...]
    block_sums: tuple[Gathered, ...]
    terms: tuple[Term, ...]
    term_sums: tuple[Gathered, ...]
    constraints: tuple[Constraint, ...]
    held: Bool[Array, "rows 3"]
    mass: Float[Array, "rows 1"]
    damping: Float[Array, ""]
    duration: Float[Array, ""]


def forces(body: Body, displacement: Array, time: Array) -> Forces:
    """All forces at an instant."""
    internal, external = jnp.zeros_like(displacement), jnp.zeros_like(displacement)
    strain, jacobians, fraction = jnp.zeros(()), [], time / body.duration
    for block, gathered in zip(body.blocks, body.block_sums, strict=True):
        part = block.element.evaluate(body.points[block.nodes], displacement[block.nodes], block.material.at(fraction))
        internal, strain = internal + gathered.sum(part.force), strain + part.energy.sum()
        jacobians.append(jnp.where(jnp.isnan(part.min_jacobian), -jnp.inf, part.min_jacobian))
    for term, gathered in zip(body.terms, body.term_sums, strict=True):
        external = external + gathered.sum(term.forces(body.points[term.nodes], displacement[term.nodes], fraction))
    every = jnp.concatenate(jacobians)
    worst = jnp.argmin(every)
    return Forces(internal, external, strain, every[worst], worst)


def prescribed(body: Body, time: Array) -> Array:
    """Prescribed displacement (rows, 3) m."""
    values = jnp.zeros_like(body.points)
    for constraint in body.constraints:
        chosen = np.flatnonzero(constraint.components)
        moved = constraint.values(body.points, time / body.duration)
        values = values.at[constraint.nodes[:, None], chosen].set(moved[:, chosen])
    return values


def half_step(body: Body, flight: Flight, step: Array) -> tuple[Array, Array, Array]:
    """Velocity half a step on [m/s], and the work of loads and supports and of damping over the two halves [J].

    (v⁺ − v⁻)/Δt = M⁻¹(f − r) − a (v⁺ + v⁻)/2 with Δt = (Δt⁻ + Δt⁺)/2.
    """
    middle, slow, now = 0.5 * (flight.step + step), body.damping, flight.now
    push = (now.external - now.internal) / body.mass
    free = ((1.0 - 0.5 * slow * middle) * flight.velocity + middle * push) / (1.0 + 0.5 * slow * middle)
    target = (prescribed(body, flight.time + step) - flight.displacement) / jnp.where(step > 0, step, 1.0)
    velocity = jnp.where(body.held, jnp.where(step > 0, target, flight.velocity), free)
    mean = 0.5 * (velocity + flight.velocity)
    drag = slow * body.mass * mean
    inertia = body.mass * (velocity - flight.velocity)
    holding = jnp.where(body.held, inertia + middle * (drag + now.internal - now.external), 0.0)
    return velocity, jnp.sum(mean * (middle * now.external + holding)), middle * jnp.sum(mean * drag)


def central_step(body: Body, flight: Flight, step: Array) -> Flight:
    """u⁺ = u + Δt v⁺, and the forces there: one step. One of no length finds the forces and changes nothing else."""
    velocity, work, damped = half_step(body, flight, step)
    moved, time = flight.displacement + step * velocity, flight.time + step
    now = forces(body, moved, time)
    lower = now.min_jacobian < flight.min_jacobian
    return Flight(
        moved,
        velocity,
        time,
        step,
        flight.external + work,
        flight.damped + damped,
        jnp.minimum(now.min_jacobian, flight.min_jacobian),
        jnp.where(lower, now.worst, flight.worst),
        jnp.where(lower, time, flight.worst_time),
        now,
    )


@eqx.filter_jit
def _advance(body: Body, flight: Flight, step: Array, count: Array) -> Flight:
    return jax.lax.fori_loop(0, count, lambda _, carry: central_step(body, carry, step), flight)


@eqx.filter_jit
def _observe(body: Body, flight: Flight) -> Observation:
    """Half a step to where velocity and displacement meet; the flight itself goes on as if nothing was looked at."""
    now = flight.now
    velocity, work, damped = half_step(body, flight, jnp.zeros(()))
    carried = body.mass * velocity
    push = (now.external - now.internal) / body.mass - body.damping * velocity
    motion = Motion(
        flight.time / body.duration,  # pyright: ignore[reportArgumentType]
        flight.displacement,
        time=flight.time,
        velocity=velocity,
        acceleration=jnp.where(body.held, 0.0, push),
    )
    return Observation(
        motion,
        0.5 * jnp.sum(velocity * carried),
        now.strain,
        flight.external + work,
        flight.damped + damped,
        carried.sum(axis=0),
        jnp.cross(body.points + flight.displacement, carried).sum(axis=0),
    )


@eqx.filter_jit
def _largest_frequency(body: Body, displacement: Array, time: Array) -> Array:
    """ω of the stiffest vibration [rad/s] by Lanczos' method on M^-½ K M^-½, K v a forward derivative of the forces.

    Golub and Van Loan, *Matrix Computations*, section 10.1: the largest Ritz value plus the norm of its residual.
    """
    scale = jnp.where(body.held, 0.0, 1.0 / jnp.sqrt(body.mass))

    def pull(u: Array) -> Array:
        now = forces(body, u, time)
        return now.internal - now.external

    def again(k: Int[Array, ""], carry: tuple[Array, ...]) -> tuple[Array, ...]:
        before, now, size, alphas, betas = carry
        image = scale * jax.jvp(pull, (displacement,), (scale * now,))[1] - size * before
        alpha = jnp.sum(image * now)
        image = image - alpha * now
        size = jnp.linalg.norm(image)
        return now, image / jnp.maximum(size, 1e-300), size, alphas.at[k].set(alpha), betas.at[k].set(size)

    first = jax.random.normal(jax.random.key(0), displacement.shape, displacement.dtype) * (scale > 0)
    none, row = jnp.zeros_like(displacement), jnp.zeros(LANCZOS_STEPS)
    begin = (none, first / jnp.linalg.norm(first), jnp.zeros(()), row, row)
    *_, alphas, betas = jax.lax.fori_loop(0, LANCZOS_STEPS, again, begin)
    values, vectors = jnp.linalg.eigh(jnp.diag(alphas) + jnp.diag(betas[:-1], 1) + jnp.diag(betas[:-1], -1))
    return jnp.sqrt(values[-1] + jnp.abs(betas[-1] * vectors[-1, -1]))


class Stepper:
    """Compiled steps of one problem; another step length or count compiles nothing."""

    def __init__(self, problem: Problem, mass: np.ndarray, damping: float, duration: float) -> None:
        model, count = problem.model, len(problem.model.points)
        terms = problem.begun().fixed_terms()
        self.duration = duration
        self.sources = np.concatenate([np.asarray(block.source) for block in model.blocks])
        self.body = Body(
            model.points,
            model.blocks,
            tuple(Gathered.of(np.asarray(block.nodes), count) for block in model.blocks),
            tuple(terms),
            tuple(Gathered.of(np.asarray(term.nodes), count) for term in terms),
            tuple(problem.constraints()),
            jnp.asarray(problem.held()),
            jnp.asarray(np.where(mass > 0, mass, 1.0))[:, None],
            jnp.asarray(float(damping)),
            jnp.asarray(float(duration)),
        )

    def begin(self, motion: Motion) -> Flight:
        """Velocity and displacement at one instant."""
        zero: Any = jnp.zeros(())
        still: Any = jnp.zeros_like(self.body.points)
        first = Flight(
            jnp.asarray(motion.displacement),
            jnp.asarray(motion.velocity),
            jnp.asarray(float(motion.time)),
            zero,
            zero,
            zero,
            jnp.asarray(np.inf),
            jnp.zeros((), int),
            zero,
            Forces(still, still, zero, zero, jnp.zeros((), int)),
        )
        return self.advance(first, 0.0, 1)

    def advance(self, flight: Flight, step: float, count: int) -> Flight:
        """So many steps of so many seconds."""
        return jax.block_until_ready(_advance(self.body, flight, jnp.asarray(step), jnp.asarray(count)))

    def observe(self, flight: Flight) -> Observation:
        """What there is to see."""
        return _observe(self.body, flight)

    def largest_frequency(self, flight: Flight) -> float:
        """ω [rad/s] of the stiffest vibration of the body as it is, with every bed pressed in.

        Raises:
            SolverError: it is not finite.
        """
        stiff = eqx.tree_at(lambda body: body.terms, self.body, tuple(term.stiffest for term in self.body.terms))
        found = float(_largest_frequency(stiff, flight.displacement, flight.time))
        if not (np.isfinite(found) and found > 0):
            raise SolverError(
                "the stable step was not found", where="explicit.solve", advice="Check stiffness, density and mesh"
            )
        return found

    @property
    def energy_scale(self) -> float:
        """Energy [J] of the whole body at one body length per second."""
        return float(self.body.mass.sum()) * float(jnp.ptp(self.body.points, axis=0).max()) ** 2

    def source(self, row: int) -> int:
        """Index in the mesh of an element."""
        return int(self.sources[row])
