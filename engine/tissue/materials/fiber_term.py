"""The exponential energy of fibres that bear no compression."""

from __future__ import annotations

import jax.numpy as jnp

from ..tensors import Scalar


def fiber_energy(strain: Scalar, modulus: Scalar, exponent: Scalar) -> Scalar:
    """k/2b (exp(b ⟨e⟩²) − 1) [J/m³], ⟨e⟩ = max(e, 0) of a squared stretch less one; the tangent jumps at e = 0."""
    tense = jnp.where(strain > 0.0, strain, 0.0)
    return 0.5 * modulus / exponent * jnp.expm1(exponent * tense * tense)
