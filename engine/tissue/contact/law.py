"""The laws of contact at one point: pressure from the gap, Coulomb friction from the slip.

Pressure p = ε ρ(λ/ε − g): a penalty ε, a multiplier λ (zero in the pure penalty method), and a ramp ρ rounded over a
width w, so that the tangent is continuous where a contact opens or closes. p is the slope of an energy in g.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array

from ..ramp import ramp
from .shape import safe_norm


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
