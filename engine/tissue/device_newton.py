"""Newton's method as one compiled loop: load steps that halve and grow, line search with det F > 0, stability.

The rules are those of `newton`, `static` and `stability`; everything is a `while_loop`, so that `vmap` runs many
parameter sets at once, each until it is done. Unknown pressures are in the units of `row_scale`, as on the host.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..linear.device import Blocks, LocalStiffness, solve_device
from ..linear.device_gmres import solve_unsymmetric
from ..linear.device_saddle import Saddle, solve_saddle
from .device_system import scaled
from .newton import FORCING_MAX, FORCING_MOVING, JACOBIAN_SHARE, MAX_TRIALS, ROUND_OFF, SLOPE
from .problem import Problem
from .residual import evaluate_blocks, external_force
from .row_scale import traced_row_scale
from .stability import PROBE_TOLERANCE

MAX_CUTBACKS = 8
MAX_ATTEMPTS = 64
GROWTH = 1.5


class Options(NamedTuple):
    """Of a solve."""

    load_steps: int = 1
    tolerance: float = 1e-10
    max_iterations: int = 30
    check_stability: bool = True
    rounds: int = 40
    """Of multipliers, at most."""


class Look(NamedTuple):
    """At one displacement: residual and external force (nodes, 3) N, smallest det F, norm of the element forces."""

    residual: Array
    external: Array
    jacobian: Array
    force_norm: Array


class Iterate(NamedTuple):
    """Of Newton's iteration: size is ‖rhs‖ before the last step, share ‖residual‖ / force scale."""

    displacement: Array
    look: Look
    iteration: Array
    size: Array
    share: Array
    done: Array
    failed: Array


class Newton:
    """Newton's method for one problem whose arrays may be traced."""

    def __init__(self, problem: Problem, options: Options) -> None:
        self.problem, self.options = problem, options
        self.terms = problem.terms()
        self.live = [term for term in self.terms if not term.dead]
        self.symmetric = all(term.symmetric for term in self.live)
        self.nodes, self.definite = problem.model.nodes, not len(problem.model.pressure_corners)
        self.free = jnp.asarray(~problem.held(), float)
        self.scale = traced_row_scale(problem.model)
        points = problem.model.row_points
        self.spacing = jnp.max(jnp.ptp(points, axis=0)) / len(points) ** (1 / 3)

    def run(self, first: Array, fraction: Array) -> tuple[Array, Array]:
        """The rows at a load fraction, NaN where there are none, and (converged, residual, iterations)."""
        steps = self.options.load_steps
        smallest = fraction / steps / 2**MAX_CUTBACKS

        def go(carry: Any) -> Array:
            _, reached, length, _, _, attempts = carry
            return (reached < fraction) & (length >= smallest) & (attempts < MAX_ATTEMPTS + steps)

        def step(carry: Any) -> Any:
            now, reached, length, _share, iterations, attempts = carry
            goal = jnp.where(reached + length > fraction - 0.5 * smallest, fraction, reached + length)
            end = self.iterate(now, goal)
            good = end.done & ~end.failed
            return (
                jnp.where(good, end.displacement, now),
                jnp.where(good, goal, reached),
                jnp.where(good, GROWTH * length, 0.5 * length),
                end.share,
                iterations + end.iteration,
                attempts + 1,
            )

        zero = jnp.zeros(())
        begin = (first / self.scale, zero * fraction, fraction / steps, zero + jnp.inf, zero, jnp.zeros((), int))
        found, reached, _, share, iterations, _ = jax.lax.while_loop(go, step, begin)
        good = (reached >= fraction) & jnp.all(jnp.isfinite(found))
        if self.options.check_stability and self.symmetric and self.definite:
            good = good & ~self.unstable(found, fraction)
        return jnp.where(good, found * self.scale, jnp.nan), jnp.stack([good.astype(float), share, iterations])

    def iterate(self, displacement: Array, fraction: Array) -> Iterate:
        """Newton's iteration at one load fraction."""
        target = self.problem.prescribed_displacement(fraction)
        held = 1.0 - self.free

        def go(now: Iterate) -> Array:
            return ~now.done & ~now.failed & (now.iteration < self.options.max_iterations)

        def step(now: Iterate) -> Iterate:
            gap = (target - now.displacement) * held
            moving = jnp.any(gap != 0.0)
            blocks = Blocks(self.stiffness(now.displacement, fraction), self.free)
            drag = blocks.product(gap) * self.free
            right = -(now.look.residual * self.free + drag)
            size = jnp.linalg.norm(right)
            floor = 0.3 * self.options.tolerance / jnp.maximum(now.share, 1e-300)
            forcing = jnp.clip(0.9 * (size / now.size) ** 2, jnp.maximum(floor, 1e-10), FORCING_MAX)
            forcing = jnp.where(moving, FORCING_MOVING, jnp.minimum(forcing, FORCING_MAX))
            solution = self.solve(blocks, right, forcing)[0]
            way = solution * self.free + gap
            length, found, look, good = self.search(now, way, drag, fraction)
            found = jnp.where(length == 1.0, found * self.free + target * held, found)
            reach = jnp.max(jnp.abs(found)) + self.spacing
            noise = np.finfo(float).eps * jnp.linalg.norm(blocks.diagonal()) * reach
            return self.judged(found, look, now.iteration + 1, jnp.where(moving, jnp.inf, size), target, good, noise)

        look = self.look(displacement, fraction)
        first = self.judged(
            displacement, look, jnp.zeros(()), jnp.full((), jnp.inf), target, look.jacobian > 0.0, jnp.zeros(())
        )
        return jax.lax.while_loop(go, step, first)

    def judged(
        self, found: Array, look: Look, iteration: Array, size: Array, target: Array, good: Array, noise: Array
    ) -> Iterate:
        """Whether this is equilibrium: held components met, and the residual small or round-off."""
        held = 1.0 - self.free
        off = jnp.linalg.norm(look.residual * self.free)
        scale = jnp.maximum(jnp.linalg.norm(look.external), jnp.linalg.norm(look.residual * held))
        met = jnp.all((target - found) * held == 0.0)
        done = met & (
            off <= jnp.maximum(jnp.maximum(self.options.tolerance * scale, noise), ROUND_OFF * look.force_norm)
        )
        share = jnp.where(scale > 0.0, off / jnp.where(scale > 0.0, scale, 1.0), off)
        return Iterate(found, look, iteration, size, share, done, ~good | ~jnp.isfinite(off))

    def search(self, now: Iterate, way: Array, drag: Array, fraction: Array) -> tuple[Array, Array, Look, Array]:
        """Step length, displacement, what is there, and whether one was found: the rule of `newton.search`."""
        start = now.look.residual * self.free + drag
        size, slope = jnp.linalg.norm(start), jnp.sum(way * start)
        limit = JACOBIAN_SHARE * jnp.minimum(now.look.jacobian, 1.0)

        def attempt(length: Array) -> tuple[Array, Look, Array]:
            found = now.displacement + length * way
            look = self.look(found, fraction)
            merit = look.residual * self.free + (1.0 - length) * drag
            left, along = jnp.linalg.norm(merit), jnp.sum(way * merit)
            lower = left <= (1.0 - 1e-4 * length) * size
            if self.definite:
                lower = lower | (jnp.abs(along) <= SLOPE * jnp.abs(slope))
            return found, look, (look.jacobian > limit) & lower

        def go(carry: Any) -> Array:
            return ~carry[3] & (carry[4] < MAX_TRIALS)

        def shorter(carry: Any) -> Any:
            length = 0.5 * carry[0]
            return (length, *attempt(length), carry[4] + 1)

        one = jnp.ones(())
        found = jax.lax.while_loop(go, shorter, (one, *attempt(one), jnp.zeros((), int)))
        return found[0], found[1], found[2], found[3]

    def solve(self, blocks: Blocks, right: Array, tolerance: Array) -> tuple[Array, Array]:
        """K_ff⁻¹ on the free components, and whether it settled: by what the tangent demands."""
        if not self.definite:
            counts = [block.element.nodes for block in self.problem.model.blocks]
            counts += [term.nodes.shape[1] for term in self.live]
            found = solve_saddle(Saddle.of(blocks, counts, self.nodes), right, tolerance)
            return found.solution, found.converged
        if not self.symmetric:
            solution, _, settled = solve_unsymmetric(blocks, right, tolerance)
            return solution, settled
        solution, _, settled, _ = solve_device(blocks, right, tolerance)
        return solution, settled

    def look(self, displacement: Array, fraction: Array) -> Look:
        """Forces and the smallest det F."""
        displacement = displacement * self.scale
        internal, square, smallest = jnp.zeros_like(displacement), jnp.zeros(()), jnp.full((), jnp.inf)
        parts = evaluate_blocks(displacement, self.problem, fraction)
        for block, part in zip(self.problem.model.blocks, parts, strict=True):
            for local in range(block.nodes.shape[1]):
                internal = internal.at[block.nodes[:, local]].add(part.force[:, local])
            square = square + jnp.sum(part.force**2)
            smallest = jnp.minimum(smallest, jnp.min(part.min_jacobian))
        external = external_force(displacement, self.problem, fraction, self.terms)
        return Look(internal * self.scale - external, external, smallest, jnp.sqrt(square))

    def stiffness(self, displacement: Array, fraction: Array) -> list[LocalStiffness]:
        """Element and term stiffness."""
        points, displacement = self.problem.model.row_points, displacement * self.scale
        parts = []
        for block in self.problem.model.blocks:
            material = block.material.at(fraction)
            pairs = block.element.tangent(points[block.nodes], displacement[block.nodes], material)
            first, second = np.triu_indices(block.nodes.shape[1])
            size = (*block.nodes.shape, block.nodes.shape[1], 3, 3)
            half = jnp.zeros(size).at[:, first, second].set(pairs.reshape(len(block.nodes), -1, 3, 3))
            parts.append(LocalStiffness.of(block.nodes, half + jnp.transpose(half, (0, 2, 1, 4, 3))))
        for term in self.live:
            full = term.tangents(points[term.nodes], displacement[term.nodes], fraction)
            if term.symmetric:
                full = 0.5 * (full + jnp.transpose(full, (0, 2, 1, 4, 3)))
            parts.append(LocalStiffness.of(term.nodes, full))
        return parts if self.definite else scaled(parts, self.scale[:, 0])

    def unstable(self, displacement: Array, fraction: Array) -> Array:
        """Whether the tangent has negative curvature along what conjugate gradients look at (`stability`)."""
        blocks = Blocks(self.stiffness(displacement, fraction), self.free)
        place = self.problem.model.points
        place = (place - place.mean(axis=0)) / jnp.max(jnp.ptp(place, axis=0))
        draw = np.random.default_rng(0)
        slow = jnp.hstack([jnp.ones((len(place), 1)), place, place**2, place * jnp.roll(place, 1, axis=1)])
        pattern = slow @ draw.standard_normal((slow.shape[1], 3))
        pattern = pattern + jnp.std(pattern) * draw.standard_normal(place.shape)
        return solve_device(blocks, pattern * self.free, jnp.asarray(PROBE_TOLERANCE))[3]
