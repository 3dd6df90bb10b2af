"""max(y, 0) rounded at its corner: pressure of one-sided beds and of contacts over depth."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array


def ramp(depth: Array, width: Array) -> Array:
    """max(y, 0), rounded for |y| < w/2 to (y + w/2)²/2w: once continuously differentiable, exact outside."""
    within = jnp.clip(depth, -0.5 * width, 0.5 * width) + 0.5 * width
    return within * within / (2.0 * width) + jnp.maximum(depth - 0.5 * width, 0.0)


def mean_ramp(before: Array, after: Array, width: Array) -> Array:
    """∫ρ/Δy between two depths [m]: what does the work by which the energy of the ramp changes, however it is met."""
    change = after - before
    far = jnp.abs(change) > 1e-3 * (jnp.abs(before) + jnp.abs(after))
    exact = (_ramp_energy(after, width) - _ramp_energy(before, width)) / jnp.where(far, change, 1.0)
    middle = ramp(0.5 * (before + after), width)
    return jnp.where(far, exact, (ramp(before, width) + 4.0 * middle + ramp(after, width)) / 6.0)


def _ramp_energy(depth: Array, width: Array) -> Array:
    """∫ρ dy [m²]."""
    within = jnp.clip(depth, -0.5 * width, 0.5 * width) + 0.5 * width
    beyond = jnp.maximum(depth, 0.5 * width)
    return within**3 / (6.0 * width) + 0.5 * (beyond * beyond - 0.25 * width * width)
