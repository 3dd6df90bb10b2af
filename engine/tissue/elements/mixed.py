"""Elements with unknown pressure: Π(u, p) = ∫ W_shape(F) + p g(F) − p²/2K dV, stationary in u and in p.

Near incompressibility displacement elements lock; here volume is constrained only as far as the pressures can tell, and
K may be infinite (Zienkiewicz, Taylor and Zhu, *The Finite Element Method*, 7th ed., chapter 10; for finite strain
Bonet and Wood, section 8.6). The last `pressures` columns of the connectivity are the rows of the pressures (p, –, –).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import Material, batch_last
from ..tensors import Scalar, Tensor, determinant, elasticity, first_piola, from_array
from .base import (
    Element,
    ElementEvaluation,
    Kinematics,
    PointFields,
    Quadrature,
    cauchy,
    internal_force,
    kinematics_of,
    stiffness,
)
from .tet4 import barycentric


class MixedElement(Element):
    """A displacement element and linear pressure on its corners.

    Attributes:
        stabilised: adds −τ/2 ∫ (p − p̄)² with p̄ the element's mean and τ = 1/μ, which equal orders need
            (Dohrmann and Bochev 2004; Bochev, Dohrmann and Gunzburger 2006).
    """

    mixed, translates, keeps_geometry = True, False, False
    stabilised: bool = False

    couplings = Element.couplings

    def pressure_shape(self, points: NDArray) -> NDArray:
        """(Q, pressures) at points (Q, 3)."""
        return barycentric(points)

    def kinematics(self, reference: Array, displacement: Array) -> Kinematics:
        """F, ∂N/∂X and the integration weights; pressure rows are not looked at."""
        return kinematics_of(self, reference[:, : self.nodes], displacement[:, : self.nodes])

    def geometry(self, reference: Array, rule: Quadrature) -> tuple[Array, Array]:
        """As of the displacement element."""
        return super().geometry(reference[:, : self.nodes], rule)

    def evaluate(self, reference: Array, displacement: Array, material: Material) -> ElementEvaluation:
        """Internal force, ∂Π/∂p in the pressure rows [m³], Π [J] and smallest det F."""
        kinematics = self.kinematics(reference, displacement)
        pressure = displacement[:, self.nodes :, 0]
        density, piola, excess, jacobian = _mixed_stress(self, material, kinematics.deformation_gradient, pressure)
        force = internal_force(kinematics.gradient, kinematics.weight, piola)
        rows, energy = _pressure_rows(self, material, kinematics.weight, excess, pressure)
        energy = energy + jnp.sum(density * kinematics.weight, axis=0)
        return ElementEvaluation(jnp.concatenate([force, rows], axis=1), energy, jnp.min(jacobian, axis=0))

    def tangent(self, reference: Array, displacement: Array, material: Material) -> Float[Array, "elements pairs 9"]:
        """Second derivatives of Π over the pairs a ≤ b of all rows, as in `Element.tangent`."""
        kinematics = self.kinematics(reference, displacement)
        pressure = displacement[:, self.nodes :, 0]
        modulus, slope, bulk = _mixed_moduli(
            self, material, kinematics.deformation_gradient, kinematics.weight, pressure
        )
        solid = stiffness(kinematics.gradient, modulus)
        coupling = _coupling(self, kinematics.gradient, slope)
        volume = _compliance(self, material, kinematics.weight, bulk)
        return _gathered(self, solid, coupling, volume)

    def point_fields(self, reference: Array, displacement: Array, material: Material) -> PointFields:
        """F, Cauchy stress with the unknown pressure, and volume weights at the points of the strain energy."""
        kinematics = self.kinematics(reference, displacement)
        f = kinematics.deformation_gradient
        piola = _mixed_stress(self, material, f, displacement[:, self.nodes :, 0])[1]
        return PointFields(f, cauchy(piola, f), kinematics.weight)


def _at_points(element: MixedElement, pressure: Array) -> Array:
    """p (Q, E) from the unknowns (E, pressures)."""
    return jnp.asarray(element.pressure_shape(element.quadrature.points)) @ pressure.T


@partial(jax.jit, static_argnums=0)
def _mixed_stress(element: MixedElement, material: Material, gradient: Array, pressure: Array) -> tuple[Array, ...]:
    """Π's density, P, ∂(density)/∂p and det F at the points."""
    seen, tensor, p = batch_last(material), from_array(gradient), _at_points(element, pressure)
    density, piola = first_piola(lambda f: seen.mixed_energy_density(f, p), tensor)
    excess = jax.grad(lambda q: jnp.sum(seen.mixed_energy_density(tensor, q)))(p)
    return density, piola.array, excess, determinant(tensor)


@partial(jax.jit, static_argnums=0)
def _pressure_rows(
    element: MixedElement, material: Material, weight: Array, excess: Array, pressure: Array
) -> tuple[Array, Array]:
    """∂Π/∂p (E, pressures, 3), and the stabilising energy (E,)."""
    shape = jnp.asarray(element.pressure_shape(element.quadrature.points))
    rows, energy = (shape.T @ (excess * weight)).T, jnp.zeros(len(pressure))
    if element.stabilised:
        matrix = _fluctuation(element, material, weight)
        rows = rows + jnp.einsum("abe,eb->ea", matrix, pressure)
        energy = 0.5 * jnp.einsum("abe,eb,ea->e", matrix, pressure, pressure)
    return rows[..., None] * jnp.asarray([1.0, 0.0, 0.0]), energy


def _fluctuation(element: MixedElement, material: Material, weight: Array) -> Array:
    """−(τ + 1/K) ∫ (N_a − mean)(N_b − mean) dV (pressures, pressures, E).

    The rule of the displacement has one point, which does not see what fluctuates: 1/K is integrated here too.
    """
    count = element.pressures
    mass = (np.ones((count, count)) + np.eye(count)) / (count * (count + 1)) - np.ones((count, count)) / count**2
    seen = batch_last(material)
    compliance = 1.0 / small_strain_shear(seen) + 1.0 / jnp.asarray(seen.volume_modulus)
    return -jnp.asarray(mass)[:, :, None] * (compliance * jnp.sum(weight, axis=0))


def small_strain_shear(material: Material) -> Scalar:
    """∂²W/∂F₁₂² at F = I [Pa]: the shear modulus of an isotropic law. The material as kernels see it."""

    def energy(shear: Scalar) -> Scalar:
        one, zero = jnp.ones_like(shear), jnp.zeros_like(shear)
        return jnp.sum(material.shape_energy_density(Tensor([one, shear, zero, zero, one, zero, zero, zero, one])))

    size = jnp.broadcast_shapes(*(jnp.shape(leaf)[-1:] for leaf in jax.tree.leaves(material)))
    rest = jnp.zeros(size)
    return jax.jvp(jax.grad(energy), (rest,), (jnp.ones_like(rest),))[1]


@partial(jax.jit, static_argnums=0)
def _mixed_moduli(
    element: MixedElement, material: Material, gradient: Array, weight: Array, pressure: Array
) -> tuple[Array, Array, Array]:
    """∂²/∂F² (3, 3, 3, 3, Q, E), ∂²/∂F∂p (3, 3, Q, E) and ∂²/∂p² (Q, E) of Π's density, times the volume weights."""
    seen, tensor, p = batch_last(material), from_array(gradient), _at_points(element, pressure)
    entries = elasticity(lambda f: seen.mixed_energy_density(f, p), tensor)
    modulus = jnp.stack([jnp.stack([entry * weight for entry in row]) for row in entries])

    def excess(q: Array) -> Array:
        return jax.grad(lambda r: jnp.sum(seen.mixed_energy_density(tensor, r)))(q)

    def stress(q: Array) -> tuple[Scalar, ...]:
        return first_piola(lambda f: seen.mixed_energy_density(f, q), tensor)[1].entries

    slope = jnp.stack([s * weight for s in jax.jvp(stress, (p,), (jnp.ones_like(p),))[1]])
    bulk = jax.jvp(excess, (p,), (jnp.ones_like(p),))[1] * weight
    return modulus.reshape((3, 3, 3, 3, *weight.shape)), slope.reshape((3, 3, *weight.shape)), bulk


@partial(jax.jit, static_argnums=0)
def _coupling(element: MixedElement, gradient: Array, slope: Array) -> Array:
    """∫ ∂N_a/∂X_k (∂P_ik/∂p) N_b dV (nodes, pressures, 3, E)."""
    shape = jnp.asarray(element.pressure_shape(element.quadrature.points))
    pulled = sum(slope[None, :, k] * gradient[:, None, k] for k in range(3))  # (n, 3, Q, E)
    return jnp.einsum("aiqe,qb->abie", pulled, shape)


@partial(jax.jit, static_argnums=0)
def _compliance(element: MixedElement, material: Material, weight: Array, bulk: Array) -> Array:
    """∫ N_a (∂²/∂p²) N_b dV, with the stabilisation (pressures, pressures, E)."""
    shape = jnp.asarray(element.pressure_shape(element.quadrature.points))
    matrix = jnp.einsum("qe,qa,qb->abe", bulk, shape, shape)
    return matrix + _fluctuation(element, material, weight) if element.stabilised else matrix


@partial(jax.jit, static_argnums=0)
def _gathered(element: MixedElement, solid: Array, coupling: Array, volume: Array) -> Array:
    """All pairs a ≤ b of nodes and pressures (E, pairs, 9); diagonal ones halved."""
    count, rows = element.nodes, element.nodes + element.pressures
    first, second = np.triu_indices(rows)
    place = {pair: k for k, pair in enumerate(zip(first.tolist(), second.tolist(), strict=True))}
    result = jnp.zeros((solid.shape[0], len(first), 9))
    result = result.at[:, np.array([place[p] for p in zip(*map(list, np.triu_indices(count)), strict=True)])].set(solid)
    nodes, pressures = np.indices((count, element.pressures)).reshape(2, -1)
    column = np.array([place[a, count + b] for a, b in zip(nodes.tolist(), pressures.tolist(), strict=True)])
    values = jnp.transpose(coupling, (3, 0, 1, 2)).reshape(solid.shape[0], -1, 3)
    result = result.at[:, column[:, None], np.array([0, 3, 6])].set(values)
    a, b = np.triu_indices(element.pressures)
    share = np.where(a == b, 0.5, 1.0)
    corner = np.array([place[count + i, count + j] for i, j in zip(a.tolist(), b.tolist(), strict=True)])
    return result.at[:, corner, 0].set(volume[a, b].T * share)
