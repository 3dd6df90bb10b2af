"""What an element is: shape functions, a quadrature rule, a facet; the kernels follow.

Kernels work on a batch of elements that all have this shape, batch last, so that every operation vectorises over
elements. Elements that are not plain displacement elements (F-bar, mixed, shells) override the kernels.
"""

from __future__ import annotations

import abc
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ....meshing.mesh import OUTWARD
from ..materials.base import Material, batch_last
from ..tensors import Scalar, Tensor, determinant, elasticity, first_piola, from_array, inverse
from .couplings import entries_first


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
    """A triangle or quadrangle: shape functions (Q, n) and their gradients (Q, n, 2) at a rule's points.

    Attributes:
        name: what it is called.
        nodes: nodes per facet; the first `corners` of them are the corners, in order around it.
        corners: 3 or 4.
        quadrature: rule for loads and beds.
    """

    name: str
    nodes: int
    corners: int
    quadrature: Quadrature

    @abc.abstractmethod
    def shape(self, points: NDArray) -> NDArray:
        """(Q, n) at points (Q, 2)."""

    @abc.abstractmethod
    def gradient(self, points: NDArray) -> NDArray:
        """(Q, n, 2) at points (Q, 2)."""


class Element(abc.ABC):
    """An element. Instances are constants: compared by identity and passed as static arguments.

    Attributes:
        name: the key in the registry.
        dimension: 3 for solids, 2 for sheets, 1 for strands.
        nodes: nodes per element; the first `corners` of them are the corners.
        corners: how many nodes are corners.
        faces: (k, c) corners of each face, normal outward; none for sheets and strands.
        order: polynomial degree of the displacement.
        mixed: whether pressure is an unknown, so that a material may be incompressible.
        quadrature: rule for the strain energy.
        load_quadrature: rule for body forces and masses.
        facet: the element of its faces.
        edges: (m, 2) corner pairs that carry the nodes beyond the corners.
        facet_edges: (m, 2) the same for a facet.
        chunk: elements per compiled call on the CPU: small enough for the cache, and the only shape that is compiled.
            No power of two: entries of a tensor that lie so far apart drive each other out of the cache.
        pressures: unknown pressures per element, one at each of its first corners; their rows follow the nodes'.
        keeps_geometry: whether kernels of the host are given the `Geometry` of a chunk in place of its node positions.
        translates: whether moving all of its rows alike costs nothing, so that its blocks sum to zero over each row.
    """

    name: str
    nodes: int
    order: int
    mixed: bool = False
    quadrature: Quadrature
    load_quadrature: Quadrature
    facet: FacetElement
    edges: NDArray[np.int64]
    facet_edges: NDArray[np.int64]
    chunk: int
    pressures: int = 0
    keeps_geometry: bool = False
    translates: bool = True
    dimension: int = 3
    corners: int = 4
    faces: NDArray[np.int64] = OUTWARD

    @property
    def own_nodes(self) -> int:
        """How many of the nodes lie on the element; a shell looks at its neighbours' too."""
        return self.nodes

    @property
    def material_points(self) -> int:
        """How many points of an element have a history of their own: those of the strain energy."""
        return len(self.quadrature.weights)

    @abc.abstractmethod
    def shape(self, points: NDArray) -> NDArray:
        """Shape functions (Q, n) at points (Q, d) of the reference element."""

    @abc.abstractmethod
    def gradient(self, points: NDArray) -> NDArray:
        """Their derivatives (Q, n, d) with respect to the reference coordinates."""

    def evaluate(self, reference: Array, displacement: Array, material: Any) -> ElementEvaluation:
        """Internal force, energy and smallest det F.

        Args:
            reference: (E, n, 3) m.
            displacement: (E, n, 3) m.
            material: a `Material`, `Sheet` or `Strand`, its parameters element first, as stored; energies see them
                through `batch_last`.
        """
        kinematics = self.kinematics(reference, displacement)
        density, piola, jacobian = _stress(material, kinematics.deformation_gradient)
        return balance(kinematics, density, piola, jacobian)

    def evaluate_last(self, reference: Array, displacement: Array, material: Any) -> ElementEvaluation:
        """`evaluate` as the host calls it: displacement and force (n, 3, E), the elements last."""
        if type(self).evaluate is not Element.evaluate:
            call = self.evaluate(reference, jnp.transpose(displacement, (2, 0, 1)), material)
            return call._replace(force=jnp.transpose(call.force, (1, 2, 0)))
        kinematics = kinematics_last(self, reference, displacement)
        density, piola, jacobian = _stress(material, kinematics.deformation_gradient)
        return balance_last(kinematics, density, piola, jacobian)

    def tangent(self, reference: Array, displacement: Array, material: Any) -> Float[Array, "elements pairs 9"]:
        """Stiffness blocks ∂f_a/∂u_b [N/m] of the node pairs a ≤ b (`np.triu_indices(n)`), each row by row.

        Blocks with a = b are halved, so that the whole matrix is the sum of these blocks and of their transposes.
        K_aibj = ∫ ∂N_a/∂X_k A_ikjl ∂N_b/∂X_l dV, A = ∂²W/∂F∂F.
        """
        kinematics = self.kinematics(reference, displacement)
        modulus = _modulus(material, kinematics.deformation_gradient, kinematics.weight)
        return stiffness(kinematics.gradient, modulus)

    def couplings(self, reference: Array, displacement: Array, material: Any) -> Float[Array, "9 pairs elements"]:
        """The blocks of `tangent` as the host adds them up: entry by entry, the elements last as in `displacement`.

        Where the element `translates`, only those of the pairs a < b, from which the others follow.
        """
        pairs = self.tangent(reference, jnp.transpose(displacement, (2, 0, 1)), material)
        return entries_first(pairs, rows=self.nodes + self.pressures, translates=self.translates)

    def kinematics(self, reference: Array, displacement: Array) -> Kinematics:
        """F, ∂N/∂X and the integration weights at the quadrature points of the strain energy."""
        return kinematics_of(self, reference, displacement)

    def section(self, material: Any) -> Scalar:
        """What makes the measure of `geometry` a volume: 1 of solids, thickness [m] of sheets, area [m²] of strands."""
        return 1.0

    def point_fields(self, reference: Array, displacement: Array, material: Any) -> PointFields:
        """F, Cauchy stress and volume weights at the points of the strain energy; the material as it is stored."""
        kinematics = self.kinematics(reference, displacement)
        f = kinematics.deformation_gradient
        return PointFields(f, cauchy(batch_last(material).first_piola(f), f), kinematics.weight)

    def material_gradient(self, reference: Array, displacement: Array, material: Any) -> Float[Array, "3 3 points E"]:
        """F as the material's energy sees it, at its points: what its history is moved on with."""
        return self.point_fields(reference, displacement, material).deformation_gradient

    def mass(self, reference: Array, density: Array, material: Any) -> Float[Array, "elements nodes nodes"]:
        """∫ ρ N_a N_b dV [kg] of each element, over its displacement nodes.

        Args:
            reference: (E, n, 3) m.
            density: (E,) kg/m³.
            material: of sheets and strands, for their thickness or area.
        """
        _, weight = self.geometry(reference, self.load_quadrature)
        shape = jnp.asarray(self.shape(self.load_quadrature.points))
        return jnp.einsum("qe,qa,qb->eab", weight * density * self.section(material), shape, shape)

    def geometry(self, reference: Array, rule: Quadrature) -> tuple[Array, Array]:
        """∂N_a/∂X_i as (n, 3, Q, E) [1/m], and weights × |∂X/∂ξ| as (Q, E) [m³]."""
        local = np.transpose(self.gradient(rule.points), (1, 2, 0))[..., None]  # (n, 3, Q, 1)
        points = jnp.transpose(reference, (1, 2, 0))[:, :, None]
        used = [[a for a in range(self.nodes) if np.any(local[a, j])] for j in range(3)]
        entries = [sum(points[a, i] * local[a, j] for a in used[j]) for i in range(3) for j in range(3)]
        inv, det = inverse(Tensor(entries))
        gradient = jnp.stack([jnp.stack([_combine(local[a], inv, i) for i in range(3)]) for a in range(self.nodes)])
        return gradient, det * rule.weights[:, None]


class Geometry(NamedTuple):
    """At (Q, E) points, what does not change while a body moves: ∂N/∂X (n, 3, Q, E) [1/m] and volume weights (Q, E)."""

    gradient: Float[Array, "nodes 3 points elements"]
    weight: Float[Array, "points elements"]


class Kinematics(NamedTuple):
    """At (Q, E) points: F (3, 3, Q, E), ∂N/∂X (n, 3, Q, E) [1/m] and volume weights (Q, E) [m³]."""

    deformation_gradient: Float[Array, "3 3 points elements"]
    gradient: Float[Array, "nodes 3 points elements"]
    weight: Float[Array, "points elements"]


class PointFields(NamedTuple):
    """At (Q, E) points: F (3, 3, Q, E), σ (3, 3, Q, E) [Pa] and weights of the reference volume (Q, E) [m³]."""

    deformation_gradient: Float[Array, "3 3 points elements"]
    cauchy: Float[Array, "3 3 points elements"]
    weight: Float[Array, "points elements"]


def cauchy(piola: Array, deformation_gradient: Array) -> Float[Array, "3 3 ..."]:
    """σ = P Fᵀ / J of tensors (3, 3, ...)."""
    return jnp.sum(piola[:, None] * deformation_gradient[None], axis=2) / determinant(from_array(deformation_gradient))


# Each stage is compiled by itself: fused into one, XLA computes shared parts again and compiles four times as long.


@partial(jax.jit, static_argnames="element")
def geometry_of(element: Element, reference: Array) -> Geometry:
    """At the points of the strain energy."""
    return Geometry(*element.geometry(reference, element.quadrature))


@partial(jax.jit, static_argnames="element")
def kinematics_of(element: Element, reference: Array | Geometry, displacement: Array) -> Kinematics:
    return kinematics_last(element, reference, jnp.transpose(displacement, (1, 2, 0)))


@partial(jax.jit, static_argnames="element")
def kinematics_last(element: Element, reference: Array | Geometry, displacement: Array) -> Kinematics:
    """Of displacements (n, 3, E)."""
    known = isinstance(reference, Geometry)
    gradient, weight = reference if known else element.geometry(reference, element.quadrature)
    entries = [
        sum(displacement[a, i] * gradient[a, j] for a in range(element.nodes)) + (1.0 if i == j else 0.0)
        for i in range(3)
        for j in range(3)
    ]
    return Kinematics(Tensor(entries).array, gradient, weight)


@jax.jit
def _stress(material: Material, deformation_gradient: Array) -> tuple[Array, Array, Array]:
    """W (Q, E), P (3, 3, Q, E) and det F (Q, E)."""
    tensor = from_array(deformation_gradient)
    density, piola = first_piola(batch_last(material).energy_density, tensor)
    return density, piola.array, determinant(tensor)


@jax.jit
def balance(kinematics: Kinematics, density: Array, piola: Array, jacobian: Array) -> ElementEvaluation:
    """What W (Q, E), P (3, 3, Q, E) and det F (Q, E) give."""
    call = balance_last(kinematics, density, piola, jacobian)
    return call._replace(force=jnp.transpose(call.force, (2, 0, 1)))


@jax.jit
def balance_last(kinematics: Kinematics, density: Array, piola: Array, jacobian: Array) -> ElementEvaluation:
    """The same with forces (n, 3, E)."""
    force = _internal_force(kinematics.gradient, kinematics.weight, piola)
    energy = jnp.sum(density * kinematics.weight, axis=0)
    return ElementEvaluation(force, energy, jnp.min(jacobian, axis=0))


@jax.jit
def internal_force(gradient: Array, weight: Array, piola: Array) -> Float[Array, "elements nodes 3"]:
    """f_a = ∫ P ∂N_a/∂X dV for P (3, d, Q, E) and ∂N/∂X (n, d, Q, E)."""
    return jnp.transpose(_internal_force(gradient, weight, piola), (2, 0, 1))


def _internal_force(gradient: Array, weight: Array, piola: Array) -> Float[Array, "nodes 3 elements"]:
    weighted = piola * weight
    force = sum(weighted[None, :, k] * gradient[:, None, k] for k in range(gradient.shape[1]))
    return jnp.sum(jnp.asarray(force), axis=2)


@jax.jit
def _modulus(material: Material, deformation_gradient: Array, weight: Array) -> Float[Array, "3 3 3 3 points elements"]:
    """A times the volume weights [J]."""
    entries = elasticity(batch_last(material).energy_density, from_array(deformation_gradient))
    weighted = jnp.stack([jnp.stack([entry * weight for entry in row]) for row in entries])
    return weighted.reshape((3, 3, 3, 3, *weight.shape))


@jax.jit
def stiffness(gradient: Array, modulus: Array) -> Float[Array, "elements pairs 9"]:
    """∫ ∂N_a/∂X_k A_ikjl ∂N_b/∂X_l of weighted moduli A (3, d, 3, d, Q, E) as `Element.tangent` lays it out."""
    nodes, width = gradient.shape[:2]
    first, second = np.triu_indices(nodes)
    share = np.where(first == second, 0.5, 1.0)

    def contract(grad: Array) -> Array:
        return sum(grad[k] * modulus[:, k] for k in range(width))  # (i, j, l, Q, E)  # pyright: ignore[reportReturnType]

    def block(a: Any, b: Any, scale: Any) -> Array:
        product = sum(half[a][:, :, k] * gradient[b, k] for k in range(width))
        return scale * jnp.sum(jnp.asarray(product), axis=-2).reshape(9, -1)

    # Without the barrier XLA computes `half` again for every pair. Written out, the ten pairs of a T4 take half the
    # time of a loop; the 55 of a T10 gain nothing and compile four times as long.
    if nodes <= 4:
        half = jax.lax.optimization_barrier(jnp.stack([contract(gradient[a]) for a in range(nodes)]))
        pairs = jnp.stack([block(*pair) for pair in zip(first, second, share, strict=True)])
    else:
        half = jax.lax.optimization_barrier(jax.lax.map(contract, gradient))
        pairs = jax.lax.map(lambda pair: block(*pair), (jnp.asarray(first), jnp.asarray(second), jnp.asarray(share)))
    return jnp.transpose(pairs, (2, 0, 1))


def _combine(local: NDArray, inv: Tensor, i: int) -> Scalar:
    """Σⱼ ∂N/∂ξⱼ ∂ξⱼ/∂Xᵢ, leaving out terms whose shape derivative is zero everywhere."""
    terms = [local[j] * inv[j, i] for j in range(3) if np.any(local[j])]
    return sum(terms[1:], terms[0]) if terms else jnp.zeros_like(inv[0, 0])
