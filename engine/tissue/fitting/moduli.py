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
from ..elements.mixed import small_strain_shear
from ..materials import Material, batch_last
from ..tensors import Scalar, Tensor

_SAMPLES = (
    np.array([[1.21, 0.13, -0.04], [0.05, 1.13, 0.17], [-0.08, 0.02, 0.98]]),
    np.array([[0.88, -0.21, 0.06], [0.11, 1.14, -0.09], [0.19, 0.07, 1.15]]),
)
"""Two deformation gradients without symmetry, both with det F > 0; every axis is stretched in one of them."""

_FOUND: dict[Any, tuple[str, ...]] = {}
_VOLUME: dict[Any, tuple[str, ...]] = {}


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


def _times(value: Any, factor: Array | float) -> Any:
    """The product, of each where there are several; an infinite modulus stays what it is, also in derivatives."""

    def one(leaf: Any) -> Array:
        return jnp.where(jnp.isinf(leaf), leaf, jnp.where(jnp.isinf(leaf), 0.0, leaf) * factor)

    return jax.tree.map(one, value)


def with_poisson_ratio(material: Material, ratio: Array | float, chosen: np.ndarray) -> Material:
    """The material of small-strain ν `ratio` at the elements `chosen` (E,), Young's modulus as before.

    E = 9 K μ / (3 K + μ); then μ = E / 2(1 + ν) by one factor on all moduli of shear, K = E / 3(1 − 2ν) by the
    modulus of volume, of which the shape's energy has a share (2μ/3 in laws written with λ).

    Raises:
        SolverError: the law is not isotropic, or its modulus of volume is no field of its own.
    """
    names = moduli_of(material)
    volume = _volume_moduli(material, names)
    if not material.isotropic or len(volume) != 1 or len(names) < 2:
        told = f"a {material.name} has no Poisson's ratio to change"
        raise SolverError(told, where="stiffness", advice="Take an isotropic law with a modulus of volume")
    shear, share = _small_strain(material)
    before = jnp.asarray(getattr(material, volume[0]))
    bulk = jnp.where(jnp.isinf(before), 1.0, before) + share
    young = jnp.where(jnp.isinf(before), 3.0 * shear, 9.0 * bulk * shear / (3.0 * bulk + shear))
    factor = young / (2.0 * (1.0 + ratio)) / shear
    new = scaled(material, tuple(n for n in names if n != volume[0]), jnp.where(chosen, factor, 1.0))
    own = young / (3.0 * (1.0 - 2.0 * ratio)) - factor * share
    return eqx.tree_at(lambda m: getattr(m, volume[0]), new, jnp.where(chosen, own, before))


def young_modulus(material: Material, chosen: np.ndarray) -> float | None:
    """E [Pa] at small strain of the elements `chosen` (E,), if one: isotropic, all alike, no history or stress."""
    plain = type(material).stepped is Material.stepped and material.isotropic and material.stress_free
    if not plain or not chosen.any():
        return None
    own = [np.asarray(leaf)[chosen] for leaf in jax.tree.leaves(material)]
    if any((leaf != leaf[:1]).any() for leaf in own):
        return None
    one = jax.tree.unflatten(jax.tree.structure(material), [leaf[:1] for leaf in own])
    shear, share = (float(np.ravel(np.asarray(x))[0]) for x in _small_strain(one))
    bulk = float(np.ravel(np.asarray(one.volume_modulus))[0]) + share
    return 3.0 * shear if np.isinf(bulk) else 9.0 * bulk * shear / (3.0 * bulk + shear)


def _volume_moduli(material: Material, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which moduli, doubled, double K; by trial once per class, as later the parameters may be traced."""
    key = (type(material), jax.tree.structure(material))
    if key not in _VOLUME:
        one = jax.tree.map(_first, material)
        twice = [np.asarray(scaled(one, (name,), 2.0).volume_modulus) for name in names]
        before = 2.0 * np.asarray(one.volume_modulus)
        _VOLUME[key] = tuple(n for n, k in zip(names, twice, strict=True) if np.allclose(k, before, rtol=1e-9, atol=0))
    return _VOLUME[key]


@jax.jit
def _small_strain(material: Material) -> tuple[Scalar, Array]:
    """μ, and what the shape's energy adds to K [Pa], per element."""
    seen = batch_last(material)
    return small_strain_shear(seen), _bulk_of_shape(seen)


def _bulk_of_shape(material: Material) -> Array:
    """∂²W_shape/∂J² at J = 1 under equal stretches [Pa]; the material as kernels see it."""

    def energy(volume: Array) -> Array:
        stretch, zero = jnp.cbrt(volume), jnp.zeros_like(volume)
        entries = [stretch, zero, zero, zero, stretch, zero, zero, zero, stretch]
        return jnp.sum(material.shape_energy_density(Tensor(entries)))

    size = jnp.broadcast_shapes(*(jnp.shape(leaf)[-1:] for leaf in jax.tree.leaves(material)))
    rest = jnp.ones(size)
    return jax.jvp(jax.grad(energy), (rest,), (rest,))[1]


def _search(material: Material) -> tuple[str, ...]:
    one = jax.tree.map(_first, material)
    fields = [f.name for f in dataclasses.fields(one) if _is_scalar(one, f.name)]
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
    """Of the first element, as energies see it; finite, and no number zero, which doubling would leave alone."""
    value = np.asarray(leaf)[:1].T if np.ndim(leaf) else np.asarray(leaf)
    return np.where(np.isinf(value), 1e6, np.where((value == 0.0) & (np.ndim(leaf) <= 1), 1.0, value))


def _is_scalar(material: Material, name: str) -> bool:
    """Whether a field is a number, or a row of them (the terms of Ogden's law); no direction."""
    leaves = jax.tree.leaves(getattr(material, name))
    numbers = all(eqx.is_inexact_array_like(leaf) and np.ndim(leaf) <= 1 for leaf in leaves)
    return bool(leaves) and numbers and name not in material.vectors


def _energies(material: Material) -> np.ndarray:
    found = [material.energy_density(Tensor([jnp.asarray(e) for e in sample.ravel()])) for sample in _SAMPLES]
    return np.array([float(jnp.ravel(jnp.asarray(w))[0]) for w in found])
