"""M3, M6, M4: membranes on triangles and quadrangles: large strain, plane stress, no bending stiffness."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import batch_last
from ..materials.sheet import Sheet, sheet_moduli, sheet_stress
from ..tensors import Entries, Scalar
from .base import Element, ElementEvaluation, FacetElement, PointFields, Quadrature, internal_force, stiffness
from .quad import QUAD4
from .tri import DEGREE_2, TRI3, TRI6

MIDDLE = Quadrature(np.full((1, 2), 1 / 3), np.array([0.5]))


class SheetElement(Element):
    """On a facet, with a thickness: what membranes and shells share. It has no faces of its own."""

    dimension = 2
    faces = np.zeros((0, 3), dtype=np.int64)
    edges = np.zeros((0, 2), dtype=np.int64)
    facet_edges = np.zeros((0, 2), dtype=np.int64)

    def section(self, material: Any) -> Scalar:
        """The thickness [m]."""
        return material.thickness

    def geometry(self, reference: Array, rule: Quadrature) -> tuple[Array, Array]:
        """Gradient along the surface (n, 3, Q, E) [1/m], and weights of area (Q, E) [m²]."""
        surface = surface_of(self, reference, reference, rule)
        frame = jnp.stack(surface.frame).reshape(3, 3, *surface.weight.shape)
        return jnp.einsum("adqe,diqe->aiqe", surface.gradient, frame[:2]), surface.weight


class Membrane(SheetElement):
    """On a facet; the material is a `Sheet`. What must stay positive is the area over that at rest.

    f_a = ∫ h ∂W/∂g_α ∂N_a/∂X_α dA, K_ab = ∫ h ∂N_a/∂X_α A_αβ ∂N_b/∂X_β dA with A the plane-stress moduli.
    """

    chunk = 1024

    def __init__(self, name: str, facet: FacetElement, order: int, quadrature: Quadrature) -> None:
        self.name, self.facet, self.order, self.quadrature = name, facet, order, quadrature
        self.nodes, self.corners, self.load_quadrature = facet.nodes, facet.corners, facet.quadrature

    def shape(self, points: NDArray) -> NDArray:
        """Of the facet."""
        return self.facet.shape(points)

    def gradient(self, points: NDArray) -> NDArray:
        """Of the facet, (Q, n, 2)."""
        return self.facet.gradient(points)

    def evaluate(self, reference: Array, displacement: Array, material: Sheet) -> ElementEvaluation:
        """Force, energy and smallest ratio of areas."""
        surface = _kinematics(self, reference, displacement)
        density, slopes, ratio = _stress(material, surface)
        weight = surface.weight * material.thickness
        force = internal_force(surface.gradient, weight, slopes)
        return ElementEvaluation(force, jnp.sum(density * weight, axis=0), jnp.min(ratio, axis=0))

    def tangent(self, reference: Array, displacement: Array, material: Sheet) -> Float[Array, "elements pairs 9"]:
        """As `Element.tangent`."""
        surface = _kinematics(self, reference, displacement)
        return stiffness(surface.gradient, _moduli(material, surface))

    def point_fields(self, reference: Array, displacement: Array, material: Sheet) -> PointFields:
        """F with its stretch across, and σ = h/(j λ₃ h) ∂W/∂g_α ⊗ g_α, tangential."""
        surface = _kinematics(self, reference, displacement)
        return sheet_fields(material, surface.columns, surface.frame, surface.weight)


class Surface(NamedTuple):
    """At (Q, E) points: g (six entries), ∂N/∂X in the frame (n, 2, Q, E), area weights (Q, E), frame (nine entries)."""

    columns: tuple[Array, ...]
    gradient: Float[Array, "nodes 2 points elements"]
    weight: Float[Array, "points elements"]
    frame: tuple[Array, ...]


def surface_of(element: Element, reference: Array, position: Array, rule: Quadrature) -> Surface:
    """The surface at positions (E, n, 3) m over that at rest: E₁ along the first coordinate, N along its normal."""
    local = jnp.asarray(np.transpose(element.gradient(rule.points), (1, 2, 0)))  # (n, 2, Q)
    along = jnp.einsum("eai,adq->diqe", reference, local)
    normal = jnp.cross(along[0], along[1], axis=0)
    area = jnp.sqrt(jnp.sum(normal * normal, axis=0))
    length = jnp.sqrt(jnp.sum(along[0] * along[0], axis=0))
    first, normal = along[0] / length, normal / area
    second = jnp.cross(normal, first, axis=0)
    # ∂N/∂X = J⁻ᵀ ∂N/∂ξ with J = [[|X_ξ|, X_η·E₁], [0, X_η·E₂]]
    shear, width = jnp.sum(along[1] * first, axis=0), area / length
    by_first = local[:, 0, :, None] / length
    gradient = jnp.stack([by_first, (local[:, 1, :, None] - by_first * shear) / width], axis=1)
    columns = jnp.einsum("eai,adqe->diqe", position, gradient)
    weight = area * jnp.asarray(rule.weights)[:, None]
    return Surface(
        tuple(columns[d, i] for d in range(2) for i in range(3)),
        gradient,
        weight,
        tuple(axis[i] for axis in (first, second, normal) for i in range(3)),
    )


@partial(jax.jit, static_argnums=0)
def _kinematics(element: Membrane, reference: Array, displacement: Array) -> Surface:
    return surface_of(element, reference, reference + displacement, element.quadrature)


@jax.jit
def _stress(material: Sheet, surface: Surface) -> tuple[Array, Array, Array]:
    """W (Q, E), ∂W/∂g (3, 2, Q, E), and area over that at rest (Q, E)."""
    response = sheet_stress(batch_last(material), surface.columns, surface.frame)
    return response.density, _by_component(response.slopes), area_ratio(surface.columns)


@jax.jit
def _moduli(material: Sheet, surface: Surface) -> Float[Array, "3 2 3 2 points elements"]:
    """h A times the area weights [J]."""
    weight = surface.weight * material.thickness
    full = weight * sheet_moduli(batch_last(material), surface.columns, surface.frame)
    return jnp.transpose(full.reshape((2, 3, 2, 3, *weight.shape)), (1, 0, 3, 2, 4, 5))


def sheet_fields(material: Sheet, columns: Entries, frame: Entries, weight: Array) -> PointFields:
    """F (3, 3, Q, E), σ (3, 3, Q, E) and volume weights of a sheet at points."""
    response = sheet_stress(batch_last(material), tuple(columns), tuple(frame))
    g, slope = _by_component(columns), _by_component(response.slopes)
    axes, normal = jnp.stack(tuple(frame)).reshape(3, 3, *weight.shape), jnp.stack(response.normal)
    gradient = jnp.einsum("iaqe,ajqe->ijqe", g, axes[:2]) + normal[:, None] * axes[2][None]
    volume = area_ratio(columns) * jnp.sqrt(jnp.sum(normal * normal, axis=0))
    stress = jnp.einsum("iaqe,jaqe->ijqe", slope, g) / volume
    return PointFields(gradient, stress, weight * material.thickness)


def _by_component(entries: Entries) -> Float[Array, "3 2 points elements"]:
    return jnp.stack([jnp.stack([entries[3 * d + i] for d in range(2)]) for i in range(3)])


def area_ratio(columns: Entries) -> Array:
    """Area over that at rest, of g (six entries)."""
    normal = jnp.cross(jnp.stack(tuple(columns[:3])), jnp.stack(tuple(columns[3:])), axis=0)
    return jnp.sqrt(jnp.sum(normal * normal, axis=0))


MEMBRANES = (
    Membrane("M3", TRI3, 1, MIDDLE),
    Membrane("M6", TRI6, 2, DEGREE_2),
    Membrane("M4", QUAD4, 1, QUAD4.quadrature),
)
