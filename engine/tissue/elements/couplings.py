"""Stiffness blocks entry by entry, the elements last, as the host adds them up: `Element.couplings`.

Sums over elements then run over contiguous numbers, and no kernel ends in a transposition.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import Material, batch_last
from ..tensors import elasticity, from_array

UPPER = np.triu_indices(9)
"""The entries (m, n) of a symmetric modulus, m and n numbering the nine entries of F."""
PLACE = np.zeros((9, 9), int)
PLACE[UPPER] = np.arange(45)
PLACE[UPPER[::-1]] = np.arange(45)


def coupled_pairs(rows: int, *, translates: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs of an element's rows whose blocks are kept: a < b, or a ≤ b where a row's blocks do not sum to zero."""
    return np.triu_indices(rows, 1 if translates else 0)


@partial(jax.jit, static_argnames=("rows", "translates"))
def entries_first(pairs: Array, *, rows: int, translates: bool) -> Float[Array, "9 kept elements"]:
    """From the blocks (E, pairs, 9) of all pairs a ≤ b."""
    first, second = np.triu_indices(rows)
    kept = np.flatnonzero(first < second) if translates else np.arange(len(first))
    return jnp.transpose(pairs, (2, 1, 0))[:, kept]


@jax.jit
def moduli(material: Material, deformation_gradient: Array, weight: Array) -> Float[Array, "45 points elements"]:
    """∂²W/∂F∂F times the volume weights [J], what lies on and above its diagonal."""
    entries = elasticity(batch_last(material).energy_density, from_array(deformation_gradient))
    return jnp.stack([entries[m][n] * weight for m, n in zip(*UPPER, strict=True)])


@jax.jit
def contracted(gradient: Array, modulus: Array) -> Float[Array, "9 pairs elements"]:
    """K_aibj = ∫ ∂N_a/∂X_k A_ikjl ∂N_b/∂X_l dV of the pairs a < b, each entry a loop of its own over the elements.

    For elements of few nodes and points: what XLA compiles grows with pairs times 9.

    Args:
        gradient: ∂N/∂X (n, 3, Q, E).
        modulus: as `moduli` gives it.
    """
    first, second = coupled_pairs(len(gradient), translates=True)

    def entry(a: int, b: int, i: int, j: int) -> Array:
        rows = [
            gradient[a, k] * sum(modulus[PLACE[3 * i + k, 3 * j + l]] * gradient[b, l] for l in range(3))  # noqa: E741
            for k in range(3)
        ]
        return jnp.sum(rows[0] + rows[1] + rows[2], axis=0)

    pairs = list(zip(first, second, strict=True))
    found = [entry(a, b, i, j) for i in range(3) for j in range(3) for a, b in pairs]
    return jnp.stack(found).reshape(9, len(pairs), -1)
