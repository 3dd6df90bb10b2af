"""Which parameters of a material are moduli: those that scale its stress and leave its shape of response alone."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ....imaging.errors import SolverError
from ..materials import Material
from ..tensors import Tensor

_SAMPLES = (
    np.array([[1.21, 0.13, -0.04], [0.05, 1.13, 0.17], [-0.08, 0.02, 0.98]]),
    np.array([[0.88, -0.21, 0.06], [0.11, 1.14, -0.09], [0.19, 0.07, 1.15]]),
)
"""Two deformation gradients without symmetry, both with det F > 0; every axis is stretched in one of them."""

_FOUND: dict[Any, tuple[str, ...]] = {}


def moduli_of(material: Material) -> tuple[str, ...]:
    """Names of the fewest fields that, all doubled, double W(F).

    Found by trial at the first element's values, so that a new material needs no list of its own; kept per class.

    Raises:
        SolverError: no choice of fields scales the energy.
    """
    key = (type(material), jax.tree.structure(material))
    if key not in _FOUND:
        _FOUND[key] = _search(material)
    return _FOUND[key]


def scaled(material: Material, names: tuple[str, ...], factor: Array | float) -> Material:
    """The material with these fields multiplied; `factor` is one number or one per element."""
    return eqx.tree_at(
        lambda m: [getattr(m, name) for name in names],
        material,
        [_times(getattr(material, name), factor) for name in names],
    )


def _times(value: Any, factor: Array | float) -> Array:
    """The product; an infinite bulk modulus stays what it is, also in derivatives."""
    return jnp.where(jnp.isinf(value), value, jnp.where(jnp.isinf(value), 0.0, value) * factor)


def _search(material: Material) -> tuple[str, ...]:
    one = jax.tree.map(_first, material)
    fields = [f.name for f in dataclasses.fields(one) if _is_number(getattr(one, f.name))]
    before = _energies(one)
    for count in range(1, len(fields) + 1):
        for chosen in itertools.combinations(fields, count):
            if np.allclose(_energies(scaled(one, chosen, 2.0)), 2.0 * before, rtol=1e-9, atol=0.0):
                return chosen
    raise SolverError(
        f"no parameters of {type(material).__name__} scale its stress",
        where="stiffness",
        advice="Fit its parameters one by one with Quantity",
    )


def _first(leaf: Any) -> Any:
    """Of the first element, as energies see it; finite."""
    value = np.asarray(leaf)[:1].T if np.ndim(leaf) else np.asarray(leaf)
    return np.where(np.isinf(value), 1e6, value)


def _is_number(value: Any) -> bool:
    return eqx.is_inexact_array_like(value) and np.ndim(value) <= 1


def _energies(material: Material) -> np.ndarray:
    found = [material.energy_density(Tensor([jnp.asarray(e) for e in sample.ravel()])) for sample in _SAMPLES]
    return np.array([float(jnp.ravel(jnp.asarray(w))[0]) for w in found])
