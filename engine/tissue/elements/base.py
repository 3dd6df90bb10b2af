"""What an element is: shape functions, a quadrature rule, a facet; the kernels follow.

Kernels work on a batch of elements that all have this shape, batch last, so that every operation vectorises over
elements. Elements that are not plain displacement elements (F-bar, mixed, shells) override the kernels.
"""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..tensors import EnergyDensity, Scalar, Tensor, determinant, elasticity, first_piola, inverse


class Quadrature(NamedTuple):
    """Points (Q, d) in reference coordinates and weights (Q,) that sum to the reference measure."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]


class ElementEvaluation(NamedTuple):
    """Of each element of a batch: force (E, n, 3) N, energy (E,) J, smallest det F (E,) over the quadrature points."""

    force: Float[Array, "elements nodes 3"]
    energy: Float[Array, " elements"]
    min_jacobian: Float[Array, " elements"]


class FacetElement(abc.ABC):
    """A triangle: `nodes` of it, shape functions (Q, n) and their gradients (Q, n, 2) at a rule's points."""

    name: str
    nodes: int
    quadrature: Quadrature

    @abc.abstractmethod
    def shape(self, points: NDArray) -> NDArray:
        """(Q, n) at points (Q, 2)."""

    @abc.abstractmethod
    def gradient(self, points: NDArray) -> NDArray:
        """(Q, n, 2) at points (Q, 2)."""


class Element(abc.ABC):
    """A solid element. Instances are constants: compared by identity and passed as static arguments.

    Attributes:
        name: the key in the registry.
        nodes: nodes per element; the first four are the corners.
        order: polynomial degree of the displacement.
        quadrature: rule for the strain energy.
        load_quadrature: rule for body forces and masses.
        facet: the element of its faces.
        edges: (m, 2) corner pairs that carry the nodes beyond the corners.
        facet_edges: (m, 2) the same for a facet.
        chunk: elements per compiled call on the CPU: small enough for the cache, and the only shape that is compiled.
    """

    name: str
    nodes: int
    order: int
    quadrature: Quadrature
    load_quadrature: Quadrature
    facet: FacetElement
    edges: NDArray[np.int64]
    facet_edges: NDArray[np.int64]
    chunk: int

    @abc.abstractmethod
    def shape(self, points: NDArray) -> NDArray:
        """Shape functions (Q, n) at points (Q, 3) of the reference tetrahedron."""

    @abc.abstractmethod
    def gradient(self, points: NDArray) -> NDArray:
        """Their derivatives (Q, n, 3) with respect to the reference coordinates."""

    def evaluate(self, reference: Array, displacement: Array, energy: EnergyDensity) -> ElementEvaluation:
        """Internal force, energy and smallest det F.

        Args:
            reference: (E, n, 3) m.
            displacement: (E, n, 3) m.
            energy: W(F) of this batch, whose parameters broadcast against (Q, E).
        """
        kinematics = self.kinematics(reference, displacement)
        density, piola = first_piola(energy, kinematics.deformation_gradient)
        weight = kinematics.weight
        force = jnp.stack(
            [
                sum((piola[i, k] * weight)[None] * kinematics.gradient[:, k] for k in range(3)).sum(axis=1)
                for i in range(3)
            ]
        )
        jacobian = determinant(kinematics.deformation_gradient)
        return ElementEvaluation(
            jnp.transpose(force, (2, 1, 0)), jnp.sum(density * weight, axis=0), jnp.min(jacobian, axis=0)
        )

    def tangent(self, reference: Array, displacement: Array, energy: EnergyDensity) -> Float[Array, "elements pairs 9"]:
        """Stiffness blocks ∂f_a/∂u_b [N/m] of the node pairs a ≤ b (`np.triu_indices(n)`), each row by row.

        Blocks with a = b are halved, so that the whole matrix is the sum of these blocks and of their transposes.
        K_aibj = ∫ ∂N_a/∂X_k A_ikjl ∂N_b/∂X_l dV, A = ∂²W/∂F∂F.
        """
        kinematics = self.kinematics(reference, displacement)
        grad, weight = kinematics.gradient, kinematics.weight
        entries = elasticity(energy, kinematics.deformation_gradient)
        weighted = [[entry * weight for entry in row] for row in entries]
        modulus = jnp.stack([jnp.stack(row) for row in weighted])
        modulus = jax.lax.optimization_barrier(modulus.reshape((3, 3, 3, 3, *weight.shape)))
        rows = []
        for a in range(self.nodes):
            half = sum(grad[a, k] * modulus[:, k] for k in range(3))  # (i, j, l, Q, E)
            pairs = sum(half[None, :, :, l] * grad[a:, l][:, None, None] for l in range(3)).sum(axis=-2)
            rows.append(pairs.at[0].multiply(0.5))
        return jnp.transpose(jnp.concatenate(rows).reshape(-1, 9, weight.shape[-1]), (2, 0, 1))

    def kinematics(self, reference: Array, displacement: Array) -> Kinematics:
        """F, ∂N/∂X and the integration weights at the quadrature points of the strain energy."""
        gradient, weight = self.geometry(reference, self.quadrature)
        moved = jnp.transpose(displacement, (1, 2, 0))
        entries = [
            sum(moved[a, i] * gradient[a, j] for a in range(self.nodes)) + (1.0 if i == j else 0.0)
            for i in range(3)
            for j in range(3)
        ]
        return Kinematics(Tensor(entries), gradient, weight)

    def geometry(self, reference: Array, rule: Quadrature) -> tuple[Array, Array]:
        """∂N_a/∂X_i as (n, 3, Q, E) [1/m], and weights × |∂X/∂ξ| as (Q, E) [m³]."""
        local = np.transpose(self.gradient(rule.points), (1, 2, 0))[..., None]  # (n, 3, Q, 1)
        points = jnp.transpose(reference, (1, 2, 0))[:, :, None]
        entries = [sum(points[a, i] * local[a, j] for a in range(self.nodes)) for i in range(3) for j in range(3)]
        inv, det = inverse(Tensor(entries))
        gradient = jnp.stack([jnp.stack([_combine(local[a], inv, i) for i in range(3)]) for a in range(self.nodes)])
        return gradient, det * rule.weights[:, None]


class Kinematics(NamedTuple):
    """At (Q, E) points: F, ∂N/∂X (n, 3, Q, E) [1/m] and volume weights (Q, E) [m³]."""

    deformation_gradient: Tensor
    gradient: Any
    weight: Any


def _combine(local: NDArray, inv: Tensor, i: int) -> Scalar:
    """Σⱼ ∂N/∂ξⱼ ∂ξⱼ/∂Xᵢ, leaving out terms whose shape derivative is zero everywhere."""
    terms = [local[j] * inv[j, i] for j in range(3) if np.any(local[j])]
    return sum(terms[1:], terms[0]) if terms else jnp.zeros_like(inv[0, 0])
