"""K6: a thin shell on quadratic triangles, without rotations: Kirchhoff–Love, with kinks between elements lifted.

A triangle of six nodes bends by its own second derivatives; across its edges the surface may kink. As in the local
discontinuous Galerkin method (Bonito, Guignard, Nochetto and Yang 2023, *IMA J. Numer. Anal.* 43:627; for plates
Brenner and Sung 2005, *J. Sci. Comput.* 22:83) each kink is spread as curvature over the two triangles at its edge, and
a penalty holds what that does not see. An element therefore looks at fifteen nodes: its own six, then for each edge the
three nodes of the neighbour that are not on it (corner, middle towards the edge's start, middle towards its end).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import batch_last
from ..materials.sheet import Sheet, sheet_moduli, sheet_stress
from ..materials.shell import ShellSection
from .base import ElementEvaluation, PointFields
from .energy import pair_blocks
from .membrane import SheetElement, area_ratio, sheet_fields
from .shell_geometry import LAYERS, Rest, columns_of, node_first, rest_of
from .tri import DEGREE_2, TRI6


class Shell6(SheetElement):
    """Fifteen nodes of which six are its own; the material is a `Sheet`, which the model completes.

    Π = ∫∫ W(F(ζ)) det(I − ζB) dζ dA + Σ_edges ½ D/2ℓ ∫ (θ − θ₀)² ds,
    F(ζ) = (x_,α − ζ b_αβ a^βγ x_,γ) ⊗ (I − ζB)⁻¹E_α + λ₃ n⊗N,
    b = n·x_,αβ + Σ_edges ½ |T|⁻¹ ∫ λ_ν θ ds ν⊗ν (twice that where the slope is held), B the same at rest.
    """

    name, nodes, corners, order, chunk = "K6", 15, 3, 2, 128
    quadrature, load_quadrature = DEGREE_2, TRI6.quadrature
    facet = TRI6

    @property
    def own_nodes(self) -> int:
        """Six."""
        return 6

    @property
    def material_points(self) -> int:
        """Of all layers."""
        return len(self.quadrature.weights) * len(LAYERS.weights)

    def shape(self, points: NDArray) -> NDArray:
        """Of its own nodes; zero for the others."""
        own = TRI6.shape(points)
        return np.concatenate([own, np.zeros((len(own), 9))], axis=1)

    def gradient(self, points: NDArray) -> NDArray:
        """Likewise."""
        own = TRI6.gradient(points)
        return np.concatenate([own, np.zeros((len(own), 9, 2))], axis=1)

    def evaluate(self, reference: Array, displacement: Array, material: ShellSection) -> ElementEvaluation:
        """Force, energy and smallest ratio of areas, of all layers."""
        rest = rest_of(self, reference, material)
        layers = _layers(rest, reference, displacement, material)
        density, slopes, ratio = _response(material.sheet, layers, rest.frame)
        force, kinks = _pulled(rest, reference, displacement, material, slopes)
        return ElementEvaluation(force, jnp.sum(density * rest.weight, axis=0) + kinks, jnp.min(ratio, axis=0))

    def tangent(
        self, reference: Array, displacement: Array, material: ShellSection
    ) -> Float[Array, "elements pairs 9"]:
        """∂c/∂u A ∂c/∂u + ∂W/∂c ∂²c/∂u² with c the columns of all layers, as `Element.tangent` lays it out."""
        rest = rest_of(self, reference, material)
        layers = _layers(rest, reference, displacement, material)
        slopes = _response(material.sheet, layers, rest.frame)[1]
        return _tangent(rest, reference, displacement, material, slopes, _moduli(material.sheet, layers, rest.frame))

    def point_fields(self, reference: Array, displacement: Array, material: ShellSection) -> PointFields:
        """At the points of all layers."""
        rest = rest_of(self, reference, material)
        layers = _layers(rest, reference, displacement, material)
        frame = jnp.tile(rest.frame, (1, len(LAYERS.weights), 1))
        fields = sheet_fields(material.sheet, tuple(layers), tuple(frame), rest.weight)
        return fields._replace(weight=rest.weight)


@jax.jit
def _layers(rest: Rest, reference: Array, displacement: Array, material: ShellSection) -> Float[Array, "6 9 elements"]:
    return columns_of(rest, node_first(reference) + node_first(displacement), batch_last(material))[0]


@jax.jit
def _response(sheet: Sheet, layers: Array, frame: Array) -> tuple[Array, Array, Array]:
    """W (9, E), ∂W/∂c (6, 9, E) and the ratio of areas (9, E)."""
    repeated = jnp.tile(frame, (1, len(LAYERS.weights), 1))
    response = sheet_stress(batch_last(sheet), list(layers), list(repeated))
    return response.density, jnp.stack(response.slopes), area_ratio(tuple(layers))


@jax.jit
def _moduli(sheet: Sheet, layers: Array, frame: Array) -> Float[Array, "6 6 9 elements"]:
    repeated = jnp.tile(frame, (1, len(LAYERS.weights), 1))
    return sheet_moduli(batch_last(sheet), list(layers), list(repeated))


@jax.jit
def _pulled(
    rest: Rest, reference: Array, displacement: Array, material: ShellSection, slopes: Array
) -> tuple[Array, Array]:
    """Forces (E, 15, 3) of slopes ∂W/∂c, and the energy of the kinks (E,)."""
    seen, places = batch_last(material), node_first(reference) + node_first(displacement)
    (_, kinks), pull = jax.vjp(lambda x: columns_of(rest, x, seen), places)
    (force,) = pull((slopes * rest.weight, jnp.ones_like(kinks)))
    return jnp.transpose(force, (2, 0, 1)), kinks


@jax.jit
def _tangent(
    rest: Rest, reference: Array, displacement: Array, material: ShellSection, slopes: Array, moduli: Array
) -> Float[Array, "elements pairs 9"]:
    seen, places = batch_last(material), node_first(reference) + node_first(displacement)
    fixed, weighted = slopes * rest.weight, moduli * rest.weight

    def both(x: Array) -> tuple[Array, Array]:
        (layers, kinks), pull = jax.vjp(lambda y: columns_of(rest, y, seen), x)
        return layers, pull((fixed, jnp.ones_like(kinks)))[0]

    _, push = jax.linearize(both, places)
    pull = jax.vjp(lambda y: columns_of(rest, y, seen)[0], places)[1]

    def row(way: Array) -> Array:
        layers, geometric = push(jnp.broadcast_to(way, places.shape))
        return geometric + pull(jnp.einsum("cdqn,dqn->cqn", weighted, layers))[0]

    ways = jnp.eye(45).reshape(45, 15, 3, 1)
    rows = jax.vmap(row)(ways)
    return pair_blocks(rows.reshape(15, 3, 15, 3, len(reference)))
