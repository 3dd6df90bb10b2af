"""One step of central differences as a pure function; a derivative through time is written from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .block import ElementBlock
from .gathering import Gathered
from .history import move_on
from .materials import Material
from .terms import Constraint, Term


class Forces(NamedTuple):
    """At one displacement: internal and external (rows, 3) N, strain energy [J], smallest det F and its element."""

    internal: Array
    external: Array
    strain: Array
    min_jacobian: Array
    worst: Array


class Memory(NamedTuple):
    """What a step moves on: materials with a history by block, terms with friction by number."""

    materials: dict[str, Material]
    terms: dict[str, Any]


class Flight(NamedTuple):
    """Between two steps: displacement at `time`, velocity half a step before, and what was counted on the way.

    Attributes:
        displacement: m.
        velocity: m/s, at time − step/2 (at time where step is 0).
        time, step: s; step is the last one.
        external, damped: work so far up to time − step/2 [J].
        min_jacobian, worst, worst_time: smallest det F met, its element (rows of all blocks) and time.
        now: forces at the displacement.
        memory: history up to the displacement.
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
    memory: Memory


class Body(eqx.Module):
    """What a step needs of a problem, arrays only.

    Attributes:
        terms: of loads, supports and rigid contact, `term_sums` their sums; then `pairs` of tissues that may touch,
            whose nodes change between batches of steps.
    """

    points: Float[Array, "rows 3"]
    blocks: tuple[ElementBlock, ...]
    block_sums: tuple[Gathered, ...]
    terms: tuple[Term, ...]
    term_sums: tuple[Gathered, ...]
    pairs: tuple[Term, ...]
    constraints: tuple[Constraint, ...]
    held: Bool[Array, "rows 3"]
    mass: Float[Array, "rows 1"]
    damping: Float[Array, ""]
    duration: Float[Array, ""]

    def remembering(self, memory: Memory) -> Body:
        """With the history of a flight in it."""
        blocks = tuple(
            replace(block, material=memory.materials.get(str(k), block.material)) for k, block in enumerate(self.blocks)
        )
        every = [memory.terms.get(str(k), term) for k, term in enumerate((*self.terms, *self.pairs))]
        first = len(self.terms)
        return replace(self, blocks=blocks, terms=tuple(every[:first]), pairs=tuple(every[first:]))


def forces(body: Body, displacement: Array, time: Array, seconds: Any = None) -> Forces:
    """All forces at an instant, `seconds` after that up to which materials remember."""
    internal, external = jnp.zeros_like(displacement), jnp.zeros_like(displacement)
    strain, jacobians, fraction = jnp.zeros(()), [], time / body.duration
    for block, gathered in zip(body.blocks, body.block_sums, strict=True):
        material = block.material if seconds is None else block.material.stepped(seconds)
        part = block.element.evaluate(body.points[block.nodes], displacement[block.nodes], material.at(fraction))
        internal, strain = internal + gathered.sum(part.force), strain + part.energy.sum()
        jacobians.append(jnp.where(jnp.isnan(part.min_jacobian), -jnp.inf, part.min_jacobian))
    for term, gathered in zip(body.terms, body.term_sums, strict=True):
        external = external + gathered.sum(term.forces(body.points[term.nodes], displacement[term.nodes], fraction))
    for term in body.pairs:
        force = term.forces(body.points[term.nodes], displacement[term.nodes], fraction)
        external = external.at[term.nodes].add(force)
    every = jnp.concatenate(jacobians)
    worst = jnp.argmin(every)
    return Forces(internal, external, strain, every[worst], worst)


def remembered(body: Body, memory: Memory, displacement: Array, time: Array, seconds: Array) -> Memory:
    """The history at a displacement, of a body that remembers up to `seconds` before."""
    fraction, every = time / body.duration, (*body.terms, *body.pairs)
    materials, terms = {}, {}
    for key in memory.materials:
        block = body.blocks[int(key)]
        at = body.points[block.nodes], displacement[block.nodes]
        materials[key] = move_on(block.element, *at, block.material.stepped(seconds), fraction)
    for key in memory.terms:
        term: Any = every[int(key)]
        found = term.points(body.points[term.nodes], displacement[term.nodes], fraction)
        terms[key] = replace(term, anchor=found.anchor, opening=found.opening)
    return Memory(materials, terms)


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
    with_past = body.remembering(flight.memory)
    now = forces(with_past, moved, time, step if flight.memory.materials else None)
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
        remembered(with_past, flight.memory, moved, time, step),
    )
