"""GCR for a linear map given as a function, traced: a minimal residual in a loop of fixed shapes."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

KEPT = 40
"""Directions that are kept at right angles; beyond, the oldest is forgotten."""


def gcr(
    product: Callable[[Array], Array], right: Float[Array, " n"], tolerance: float, iterations: int
) -> tuple[Float[Array, " n"], Bool[Array, ""]]:
    """The solution, and whether ‖residual‖ came to `tolerance` ‖right‖ (Saad, *Iterative Methods*, 6.9).

    Its iterates are those of GMRES, so that a singular map does no harm where `right` is in its range.
    """
    size, goal = right.size, tolerance * jnp.linalg.norm(right)

    def go(state: tuple[Array, ...]) -> Array:
        _, residual, _, _, count, stuck = state
        return (jnp.linalg.norm(residual) > goal) & (count < iterations) & ~stuck

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        solution, residual, ways, images, count, _ = state
        way = residual
        image = product(way)
        first = jnp.linalg.norm(image)
        for _ in range(2):  # a second pass keeps them at right angles to round-off
            known = images @ image
            way, image = way - known @ ways, image - known @ images
        stuck = ~(jnp.linalg.norm(image) > 1e-14 * first)
        scale = jnp.where(stuck, 0.0, 1.0 / jnp.where(stuck, 1.0, jnp.linalg.norm(image)))
        way, image = scale * way, scale * image
        length, slot = image @ residual, count % KEPT
        kept = ways.at[slot].set(way), images.at[slot].set(image)
        return solution + length * way, residual - length * image, *kept, count + 1, stuck

    none = jnp.zeros((KEPT, size))
    begin = (jnp.zeros(size), right, none, none, jnp.zeros((), int), jnp.zeros((), bool))
    last = jax.lax.while_loop(go, step, begin)
    return last[0], jnp.linalg.norm(last[1]) <= goal
