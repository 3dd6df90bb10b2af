"""Unsymmetric systems on a device: GMRES in its variant GCR, over local stiffness matrices.

GCR keeps the directions and their images instead of a Krylov basis (Saad, *Iterative Methods*, 6.9): its iterates are
those of right-preconditioned GMRES, the residual is at hand without a small system to solve, and a loop of fixed shapes
does it all, so that `vmap` passes. Beyond `KEPT` directions the oldest is forgotten.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .device import Blocks, _multigrid, _polynomial
from .device_cycle import DeviceCycle

KEPT = 40
MAX_ITERATIONS = 1000


class _Progress(NamedTuple):
    solution: Array
    residual: Array
    directions: Float[Array, "kept rows 3"]
    images: Float[Array, "kept rows 3"]
    """Of length one and at right angles; zero where there is none yet."""
    iteration: Array
    stuck: Array


@eqx.filter_jit
def solve_unsymmetric(
    blocks: Blocks, rhs: Array, tolerance: Array, cycle: DeviceCycle | None = None
) -> tuple[Array, Array, Array]:
    """Solution, iterations, converged."""
    rhs = rhs * blocks.free
    precondition = _polynomial(blocks) if cycle is None else _multigrid(blocks, cycle)
    goal = tolerance * jnp.linalg.norm(rhs)

    def go(state: _Progress) -> Array:
        return (jnp.linalg.norm(state.residual) > goal) & (state.iteration < MAX_ITERATIONS) & ~state.stuck

    def step(state: _Progress) -> _Progress:
        way = precondition(state.residual)
        image = blocks.constrained(way)
        for _ in range(2):  # a second pass keeps them at right angles to round-off
            known = jnp.einsum("kni,ni->k", state.images, image)
            image = image - jnp.einsum("k,kni->ni", known, state.images)
            way = way - jnp.einsum("k,kni->ni", known, state.directions)
        size = jnp.linalg.norm(image)
        stuck = ~(size > 0.0)
        scale = jnp.where(stuck, 0.0, 1.0 / jnp.where(stuck, 1.0, size))
        way, image = scale * way, scale * image
        length, slot = jnp.sum(image * state.residual), state.iteration % KEPT
        return _Progress(
            state.solution + length * way,
            state.residual - length * image,
            state.directions.at[slot].set(way),
            state.images.at[slot].set(image),
            state.iteration + 1,
            stuck,
        )

    zero, none = jnp.zeros_like(rhs), jnp.zeros((KEPT, *rhs.shape))
    last = jax.lax.while_loop(go, step, _Progress(zero, rhs, none, none, jnp.zeros((), int), jnp.zeros((), bool)))
    left = jnp.linalg.norm(rhs - blocks.constrained(last.solution))
    return last.solution, last.iteration, left <= jnp.maximum(2.0 * goal, 1e-13 * jnp.linalg.norm(rhs))
