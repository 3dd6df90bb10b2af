"""The laws of contact at one point: pressure from the gap, Coulomb friction from the slip.

Pressure p = ε ρ(λ/ε − g): a penalty ε, a multiplier λ (zero in the pure penalty method), and a ramp ρ rounded over a
width w, so that the tangent is continuous where a contact opens or closes. p is the slope of an energy in g.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array

from .shape import safe_norm


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


def pressure(gap: Array, multiplier: Array, penalty: Array, width: Array) -> Array:
    """Contact pressure [Pa ≥ 0]: gap, width [m]; multiplier [Pa]; penalty [Pa/m]."""
    return penalty * ramp(multiplier / penalty - gap, width)


def sliding_share(gap: Array, opening: Array, width: Array) -> Array:
    """Share of a step's motion made in contact, where a gap `opening` at its start became `gap` [m]; 1 if it was none.

    Contact begins at half the width of the rounding.
    """
    opened = jnp.maximum(opening - 0.5 * width, 0.0)
    travel = opened - jnp.minimum(gap - 0.5 * width, 0.0)
    return 1.0 - jnp.where(travel > 0.0, opened / jnp.where(travel > 0.0, travel, 1.0), 0.0)


def coulomb(slip: Array, stick: Array, limit: Array) -> Array:
    """Traction [Pa] along an elastic slip (3,) [m]: stick × slip, at most `limit` = μ p [Pa] (radial return).

    Source: Wriggers, *Computational Contact Mechanics*, 2nd ed., section 10.5.2; Laursen (2002), section 5.2.
    """
    trial = stick * slip
    size = safe_norm(trial)
    over = size > limit
    return jnp.where(over, limit / jnp.where(over, size, 1.0), 1.0) * trial
