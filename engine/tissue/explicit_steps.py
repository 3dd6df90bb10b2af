"""Steps of central differences, a whole batch of them one compiled loop; the stiffest vibration of a body."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ...imaging.errors import SolverError
from .central_differences import Body, Flight, Forces, Memory, central_step, forces, half_step
from .gathering import Gathered
from .history import changed
from .motion import Motion
from .moving_pairs import MovingPairs
from .problem import Problem
from .terms import Term

LANCZOS_STEPS = 32


class Observation(NamedTuple):
    """A motion with velocity at the same instant as the displacement, and its energies [J]."""

    motion: Motion
    kinetic: Array
    strain: Array
    external: Array
    damped: Array
    momentum: Array
    angular_momentum: Array


@eqx.filter_jit
def _advance(body: Body, flight: Flight, step: Array, count: Array) -> Flight:
    return jax.lax.fori_loop(0, count, lambda _, carry: central_step(body, carry, step), flight)


@eqx.filter_jit
def _observe(body: Body, flight: Flight) -> Observation:
    """Half a step to where velocity and displacement meet; the flight itself goes on as if nothing was looked at."""
    now = flight.now
    velocity, work, damped = half_step(body, flight, jnp.zeros(()))
    carried, blocks = body.mass * velocity, body.remembering(flight.memory).blocks
    push = (now.external - now.internal) / body.mass - body.damping * velocity
    motion = Motion(
        flight.time / body.duration,  # pyright: ignore[reportArgumentType]
        flight.displacement,
        time=flight.time,
        velocity=velocity,
        acceleration=jnp.where(body.held, 0.0, push),
        materials=tuple(block.material for block in blocks) if flight.memory.materials else (),
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
        problem = problem.begun()
        model, count = problem.model, len(problem.model.points)
        terms = problem.fixed_terms()
        self.problem, self.duration, self.moving = problem, duration, MovingPairs(problem)
        self.sources = np.concatenate([np.asarray(block.source) for block in model.blocks])
        self.body = Body(
            model.points,
            model.blocks,
            tuple(Gathered.of(np.asarray(block.nodes), count) for block in model.blocks),
            tuple(terms),
            tuple(Gathered.of(np.asarray(term.nodes), count) for term in terms),
            (),
            tuple(problem.constraints()),
            jnp.asarray(problem.held()),
            jnp.asarray(np.where(mass > 0, mass, 1.0))[:, None],
            jnp.asarray(float(damping)),
            jnp.asarray(float(duration)),
        )

    def begin(self, motion: Motion) -> Flight:
        """Velocity and displacement at one instant."""
        zero: Any = jnp.zeros(())
        moved = jnp.asarray(motion.displacement)
        self.meet(np.asarray(moved), float(motion.time))
        still: Any = jnp.zeros_like(self.body.points)
        first = Flight(
            moved,
            jnp.asarray(motion.velocity),
            jnp.asarray(float(motion.time)),
            zero,
            zero,
            zero,
            jnp.asarray(np.inf),
            jnp.zeros((), int),
            zero,
            Forces(still, still, zero, zero, jnp.zeros((), int)),
            self._memory(motion),
        )
        return self.advance(first, 0.0, 1)

    def _memory(self, motion: Motion) -> Memory:
        """History at the start: that of the motion it goes on from, or of a body at rest."""
        blocks, terms = self.body.blocks, (*self.body.terms, *self.body.pairs)
        given = motion.materials or tuple(block.material for block in blocks)
        materials = {
            str(k): jax.tree.map(jnp.asarray, material)
            for k, material in enumerate(given)
            if any(jax.tree.leaves(changed(material)))
        }
        return Memory(materials, {str(k): term for k, term in enumerate(terms) if getattr(term, "frictional", False)})

    def meet(self, displacement: np.ndarray, time: float) -> None:
        """Find who may touch whom from here on."""
        if self.moving.looks:
            self.body = eqx.tree_at(
                lambda body: body.pairs,
                self.body,
                self.moving.found(displacement, time / self.duration),
                is_leaf=lambda leaf: isinstance(leaf, tuple),
            )

    def meet_again(self, flight: Flight) -> Flight:
        """The flight with pairs as they are now, friction's history carried over."""
        if not self.moving.looks:
            return flight
        moved, time = np.asarray(flight.displacement), float(flight.time)
        first, kept = len(self.body.terms), flight.memory.terms
        self.moving.remember([kept.get(str(first + k), pair) for k, pair in enumerate(self.body.pairs)])
        self.meet(moved, time)
        fresh = {str(first + k): pair for k, pair in enumerate(self.body.pairs) if str(first + k) in kept}
        return flight._replace(memory=flight.memory._replace(terms={**kept, **fresh}))

    def contacts(self, flight: Flight) -> tuple[Any, ...]:
        """Those of the problem with their slip as a flight has it, whose pairs have just been found."""
        bound = [contact.bind(self.problem.model) for contact in self.problem.contacts]
        count = sum(isinstance(part, Term) for parts in bound for part in parts)
        first, looks = len(self.body.terms) - count, iter(self.moving.looks)
        numbers, found = iter(range(first, first + count)), []
        for contact, parts in zip(self.problem.contacts, bound, strict=True):
            own: list[Any] = [next(numbers) if isinstance(part, Term) else next(looks) for part in parts]
            found.append(contact)
            if not getattr(contact, "frictional", False):
                continue
            if isinstance(own[0], int):
                term = flight.memory.terms[str(own[0])]
                slip = [term.anchor, term.opening]
            else:
                slip = [part for look in own for part in (look.history.facet, look.history.place, look.history.opening)]
            found[-1] = eqx.tree_at(type(contact).slip, contact, slip)
        return tuple(found)

    @property
    def sight(self) -> float:
        """How far [m] a node may move before pairs must be found again."""
        return self.moving.sight

    def advance(self, flight: Flight, step: float, count: int) -> Flight:
        """So many steps of so many seconds."""
        return jax.block_until_ready(_advance(self.body, flight, jnp.asarray(step), jnp.asarray(count)))

    def observe(self, flight: Flight) -> Observation:
        """What there is to see."""
        return _observe(self.body, flight)

    def largest_frequency(self, flight: Flight) -> float:
        """ω [rad/s] of the stiffest vibration of the body as it is, with every bed pressed in and every strand taut.

        Raises:
            SolverError: it is not finite.
        """
        now = self.body.remembering(flight.memory)
        stiff = eqx.tree_at(
            lambda body: (body.blocks, body.terms, body.pairs),
            now,
            tuple(tuple(part.stiffest for part in parts) for parts in (now.blocks, now.terms, now.pairs)),
        )
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
