"""Mean dilatation: the volume ratio of the energy is the mean over the element, so that ν → 0.5 does not lock it.

W is taken at F̄ = (J̄/J)^{1/3} F with J̄ = ∫ J dV / V, for any energy density (de Souza Neto et al. 1996, in the
variational form of Simo, Taylor and Pister 1985: force and tangent are derivatives of ∫ W(F̄) dV).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..materials.base import Material, batch_last
from ..tensors import Scalar, Tensor, determinant, elasticity, first_piola, from_array
from .base import Element, ElementEvaluation, Kinematics, PointFields, balance, cauchy, stiffness


class MeanDilatation(Element):
    """An element of several points that share one volume ratio."""

    def evaluate(self, reference: Array, displacement: Array, material: Material) -> ElementEvaluation:
        """f_a = ∫ (∂ψ/∂F + p̄ cof F) ∂N_a/∂X dV with ψ(F, J̄) = W(F̄) and p̄ = ∫ ∂ψ/∂J̄ dV / V."""
        kinematics = self.kinematics(reference, displacement)
        density, piola, jacobian = _stress(material, kinematics)
        return balance(kinematics, density, piola, jacobian)

    def tangent(self, reference: Array, displacement: Array, material: Material) -> Float[Array, "elements pairs 9"]:
        """∫ B (∂²ψ/∂F² + p̄ ∂cof F/∂F) B dV + h⊗g + g⊗h + c g⊗g, with g = ∂J̄/∂u, h = ∫ ∂²ψ/∂J̄∂F B, c = ∫ ∂²ψ/∂J̄²."""
        kinematics = self.kinematics(reference, displacement)
        modulus, cofactor, slope, curvature = _moduli(material, kinematics)
        return _with_mean(stiffness(kinematics.gradient, modulus), kinematics.gradient, cofactor, slope, curvature)

    def point_fields(self, reference: Array, displacement: Array, material: Material) -> PointFields:
        """With F̄, whose volume is the element's mean."""
        kinematics = self.kinematics(reference, displacement)
        tensor = from_array(kinematics.deformation_gradient)
        scaled = with_ratio(tensor, mean_of(determinant(tensor), kinematics.weight)).array
        return PointFields(scaled, cauchy(batch_last(material).first_piola(scaled), scaled), kinematics.weight)


def mean_of(values: Array, weight: Array) -> Float[Array, " elements"]:
    return jnp.sum(values * weight, axis=0) / jnp.sum(weight, axis=0)


def with_ratio(tensor: Tensor, mean: Scalar) -> Tensor:
    """F̄ = (J̄/J)^{1/3} F."""
    factor = jnp.cbrt(mean / determinant(tensor))
    return Tensor([factor * entry for entry in tensor.entries])


@jax.jit
def _stress(material: Material, kinematics: Kinematics) -> tuple[Array, Array, Array]:
    """W(F̄) (Q, E), ∂Π/∂F over the weights (3, 3, Q, E), and det F (Q, E)."""
    tensor, weight = from_array(kinematics.deformation_gradient), kinematics.weight
    seen, jacobian = batch_last(material), determinant(tensor)
    mean = mean_of(jacobian, weight)
    density, piola = first_piola(lambda f: seen.energy_density(with_ratio(f, mean)), tensor)
    pressure = mean_of(_mean_slope(seen, tensor, jnp.broadcast_to(mean, weight.shape)), weight)
    return density, piola.array + pressure * _cofactor(tensor), jacobian


def _mean_slope(material: Material, tensor: Tensor, mean: Array) -> Array:
    """∂ψ/∂J̄ (Q, E) for J̄ (Q, E)."""
    return jax.grad(lambda m: jnp.sum(material.energy_density(with_ratio(tensor, m))))(mean)


def _cofactor(tensor: Tensor) -> Float[Array, "3 3 points elements"]:
    """∂ det F/∂F."""
    return first_piola(determinant, tensor)[1].array


@jax.jit
def _moduli(material: Material, kinematics: Kinematics) -> tuple[Array, Array, Array, Array]:
    """The modulus (3, 3, 3, 3, Q, E), cof F/V and ∂²ψ/∂J̄∂F (3, 3, Q, E), all weighted, and c (E,)."""
    tensor, weight = from_array(kinematics.deformation_gradient), kinematics.weight
    seen = batch_last(material)
    mean = jnp.broadcast_to(mean_of(determinant(tensor), weight), weight.shape)
    one = jnp.ones_like(mean)
    at_mean, bend = jax.jvp(lambda m: _mean_slope(seen, tensor, m), (mean,), (one,))
    pressure = mean_of(at_mean, weight)

    def local(f: Tensor) -> Scalar:
        return seen.energy_density(with_ratio(f, mean)) + pressure * determinant(f)

    entries = elasticity(local, tensor)
    modulus = jnp.stack([jnp.stack([entry * weight for entry in row]) for row in entries])
    stress = partial(_frozen_stress, seen, tensor)
    slope = jnp.stack(jax.jvp(stress, (mean,), (one,))[1]).reshape((3, 3, *weight.shape))
    share = weight / jnp.sum(weight, axis=0)
    return (
        modulus.reshape((3, 3, 3, 3, *weight.shape)),
        _cofactor(tensor) * share,
        slope * weight,
        jnp.sum(bend * weight, axis=0),
    )


def _frozen_stress(material: Material, tensor: Tensor, mean: Array) -> tuple[Scalar, ...]:
    """∂ψ/∂F at a given J̄."""
    return first_piola(lambda f: material.energy_density(with_ratio(f, mean)), tensor)[1].entries


@jax.jit
def _with_mean(pairs: Array, gradient: Array, cofactor: Array, slope: Array, curvature: Array) -> Array:
    """Adds what couples all points of an element through J̄ to its blocks (E, pairs, 9)."""
    first, second = np.triu_indices(gradient.shape[0])
    g = jnp.einsum("ikqe,akqe->eai", cofactor, gradient)
    h = jnp.einsum("ikqe,akqe->eai", slope, gradient) + 0.5 * curvature[:, None, None] * g
    blocks = h[:, first, :, None] * g[:, second, None, :] + g[:, first, :, None] * h[:, second, None, :]
    share = np.where(first == second, 0.5, 1.0)[:, None]
    return pairs + share * blocks.reshape(*pairs.shape)
