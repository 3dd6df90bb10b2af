"""Poisson's ratio of any law at small strain."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..materials import Material

STRAIN = 1e-5
"""At which small-strain stiffness is read off a law."""


def small_strain_poisson(material: Material) -> Float[np.ndarray, " elements"] | None:
    """ν of each element: K by a change of volume, μ by shears; None where those differ, as they do with fibres.

    Args:
        material: every parameter an array over elements.
    """
    if type(material).stepped is not Material.stepped:
        return None  # of viscous tissue it changes with time
    every = jax.tree.map(lambda leaf: jnp.asarray(leaf).T, material)
    count = jax.tree.leaves(every)[0].shape[-1]
    if any(bool(jnp.isinf(leaf).any()) for leaf in jax.tree.leaves(every)):
        return np.full(count, 0.5)
    strains = STRAIN * np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]])
    stress = []
    for strain in strains:
        stretch = jnp.broadcast_to(jnp.diag(1.0 + strain)[:, :, None], (3, 3, count))
        stress.append(np.diagonal(np.asarray(every.first_piola(stretch))).T)
    bulk = stress[0].sum(axis=0) / (9.0 * STRAIN)
    shear = np.array([e @ p for p, e in zip(stress[1:], strains[1:], strict=True)]) / (4.0 * STRAIN**2)
    if not np.isfinite(shear).all() or (np.ptp(shear, axis=0) > 0.01 * np.abs(shear).max(axis=0)).any():
        return None
    return (3.0 * bulk - 2.0 * shear[0]) / (2.0 * (3.0 * bulk + shear[0]))
