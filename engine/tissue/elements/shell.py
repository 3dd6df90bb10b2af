"""K6: a thin shell on quadratic triangles, without rotations: Kirchhoff–Love, with kinks between elements lifted.

A triangle of six nodes bends by its own second derivatives; across its edges the surface may kink. As in the local
discontinuous Galerkin method (Bonito, Guignard, Nochetto and Yang 2023, *IMA J. Numer. Anal.* 43:627; for plates
Brenner and Sung 2005, *J. Sci. Comput.* 22:83) each kink is spread as curvature over the two triangles at its edge, and
a penalty holds what that does not see. An element therefore looks at fifteen nodes: its own six, then for each edge the
three nodes of the neighbour that are not on it (corner, middle towards the edge's start, middle towards its end).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import batch_last
from ..materials.sheet import Sheet, sheet_moduli, sheet_stress
from ..materials.shell import HELD, JOINED, ShellSection
from ..tensors import Scalar
from .base import Element, ElementEvaluation, PointFields, Quadrature
from .membrane import surface_of
from .tri import DEGREE_2, TRI6

LAYERS = Quadrature(np.array([-0.5, 0.0, 0.5]) * np.sqrt(0.6), np.array([5.0, 8.0, 5.0]) / 18.0)
"""Gauss points through a thickness of one."""
KINK_PENALTY = 1.0
_STEP = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3.0)
"""Gauss points on an edge, of weight one half each."""


def _along_edge(edge: int, step: NDArray) -> NDArray:
    """Coordinates (2, 2) of points of an edge of the reference triangle, from its first corner to its second."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return corners[edge] + step[:, None] * (corners[(edge + 1) % 3] - corners[edge])


OWN_SLOPES = np.stack([TRI6.gradient(_along_edge(e, _STEP)) for e in range(3)])
"""(3 edges, 2 points, 6 nodes, 2)."""
NEIGHBOUR_SLOPES = TRI6.gradient(_along_edge(0, _STEP[::-1]))
"""(2 points, 6 nodes, 2) in a neighbour, whose first edge is the shared one, the other way."""
NEIGHBOURS = np.array([[(e + 1) % 3, e, 6 + 3 * e, 3 + e, 7 + 3 * e, 8 + 3 * e] for e in range(3)])
"""(3, 6) nodes of each neighbour among the fifteen, in the order of a `Tri6`."""
_BARY = np.array([[-1.0, -1.0], [1.0, 0.0], [0.0, 1.0]])
BENDS = np.stack(
    [4 * np.outer(g, g) for g in _BARY]
    + [4 * (np.outer(_BARY[a], _BARY[b]) + np.outer(_BARY[b], _BARY[a])) for a, b in TRI6.edges]
)
"""(6, 2, 2) second derivatives of the shape functions."""


class Shell6(Element):
    """Fifteen nodes of which six are its own; the material is a `Sheet`, which the model completes.

    Π = ∫∫ W(F(ζ)) det(I − ζB) dζ dA + Σ_edges ½ D/2ℓ ∫ (θ − θ₀)² ds,
    F(ζ) = (x_,α − ζ b_αβ a^βγ x_,γ) ⊗ (I − ζB)⁻¹E_α + λ₃ n⊗N,
    b = n·x_,αβ + Σ_edges ½ |T|⁻¹ ∫ λ_ν θ ds ν⊗ν (twice that where the slope is held), B the same at rest.
    """

    name, nodes, corners, dimension, order, chunk = "K6", 15, 3, 2, 2, 128
    quadrature, load_quadrature = DEGREE_2, TRI6.quadrature
    facet = TRI6
    faces = np.zeros((0, 3), dtype=np.int64)
    edges = np.zeros((0, 2), dtype=np.int64)
    facet_edges = np.zeros((0, 2), dtype=np.int64)

    @property
    def own_nodes(self) -> int:
        """Six."""
        return 6

    def shape(self, points: NDArray) -> NDArray:
        """Of its own nodes; zero for the others."""
        own = TRI6.shape(points)
        return np.concatenate([own, np.zeros((len(own), 9))], axis=1)

    def gradient(self, points: NDArray) -> NDArray:
        """Likewise."""
        own = TRI6.gradient(points)
        return np.concatenate([own, np.zeros((len(own), 9, 2))], axis=1)

    def section(self, material: ShellSection) -> Scalar:
        """The thickness [m]."""
        return material.thickness

    def geometry(self, reference: Array, rule: Quadrature) -> tuple[Array, Array]:
        """Gradient along the surface (n, 3, Q, E) [1/m], and weights of area (Q, E) [m²]."""
        surface = surface_of(self, reference, reference, rule)
        frame = jnp.stack(surface.frame).reshape(3, 3, *surface.weight.shape)
        return jnp.einsum("adqe,diqe->aiqe", surface.gradient, frame[:2]), surface.weight

    def evaluate(self, reference: Array, displacement: Array, material: ShellSection) -> ElementEvaluation:
        """Force, energy and smallest ratio of areas, of all layers."""
        rest = _rest(self, reference, material)
        layers = _layers(rest, reference, displacement, material)
        density, slopes, ratio = _response(material.sheet, layers, rest.frame)
        force, kinks = _pulled(rest, reference, displacement, material, slopes)
        return ElementEvaluation(force, jnp.sum(density * rest.weight, axis=0) + kinks, jnp.min(ratio, axis=0))

    def tangent(
        self, reference: Array, displacement: Array, material: ShellSection
    ) -> Float[Array, "elements pairs 9"]:
        """∂c/∂u A ∂c/∂u + ∂W/∂c ∂²c/∂u² with c the columns of all layers, as `Element.tangent` lays it out."""
        rest = _rest(self, reference, material)
        layers = _layers(rest, reference, displacement, material)
        slopes = _response(material.sheet, layers, rest.frame)[1]
        return _tangent(rest, reference, displacement, material, slopes, _moduli(material.sheet, layers, rest.frame))

    def point_fields(self, reference: Array, displacement: Array, material: ShellSection) -> PointFields:
        """At the points of all layers."""
        from .membrane import sheet_fields

        rest = _rest(self, reference, material)
        layers = _layers(rest, reference, displacement, material)
        frame = jnp.tile(rest.frame, (1, len(LAYERS.weights), 1))
        fields = sheet_fields(material.sheet, tuple(layers), tuple(frame), rest.weight)
        return fields._replace(weight=rest.weight)


class Rest(NamedTuple):
    """What a shell is at rest; points are its three, layers times points nine.

    Attributes:
        gradient: ∂N/∂X of its own nodes in the frame (6, 2, Q, E).
        bend: their second derivatives there (6, 2, 2, Q, E).
        frame: nine entries (9, Q, E).
        curvature: B with kinks (2, 2, Q, E).
        kinks: angle at each edge's points (3, 2, E).
        spread: what turns λ_ν θ at an edge's points into curvature (3, 2, 2, 2, Q, E).
        conormals: of the edges, outward (3, 2, 3, E).
        stretch: |∂X/∂s| and the area of the parallelogram at the edges' points (2, 3, 2, E).
        penalty: D/2ℓ ds at the edges' points (3, 2, E).
        weight: volumes of layers and points (9, E) m³.
    """

    gradient: Array
    bend: Array
    frame: Array
    curvature: Array
    kinks: Array
    spread: Array
    conormals: Array
    stretch: Array
    penalty: Array
    weight: Array


@partial(jax.jit, static_argnums=0)
def _rest(element: Shell6, reference: Array, material: ShellSection) -> Rest:
    seen, places = batch_last(material), _last(reference)
    surface = surface_of(element, reference, reference, element.quadrature)
    gradient, frame = surface.gradient[:6], jnp.stack(surface.frame)
    bend = _in_frame(places, frame)
    edges = _edges(places, seen.edges, None)
    share = jnp.where(seen.edges == HELD, 1.0, 0.5) * (seen.edges > 0.0)
    area = jnp.sum(surface.weight, axis=0)
    length = edges.stretch[0] * 0.5  # ds of a point
    axes = frame.reshape(3, 3, *frame.shape[1:])[:2]
    tangential = jnp.einsum("diqn,egin->egdqn", axes, edges.conormal)
    spread = (
        tangential[:, :, :, None] * tangential[:, :, None] * (share[:, None] * length / area)[:, :, None, None, None]
    )
    curvature = _own_curvature(places, bend, frame[6:]) + jnp.einsum("egabqn,egn->abqn", spread, edges.kink)
    height = 2.0 * area / jnp.sum(length, axis=1)
    penalty = KINK_PENALTY * (share * seen.rigidity / height)[:, None] * length
    depth = jnp.asarray(LAYERS.points)[:, None, None] * seen.thickness
    shift = _shifter(depth, curvature)
    volume = shift[0, 0] * shift[1, 1] - shift[0, 1] * shift[1, 0]
    weight = jnp.asarray(LAYERS.weights)[:, None, None] * seen.thickness * surface.weight * volume
    return Rest(
        gradient, bend, frame, curvature, edges.kink, spread, edges.conormal, edges.stretch, penalty,
        weight.reshape(-1, weight.shape[-1]),
    )  # fmt: skip


def _in_frame(places: Array, frame: Array) -> Float[Array, "6 2 2 points elements"]:
    """∂²N/∂ξ∂ξ carried to the frame: J⁻¹ on both sides, J the parametric directions in the frame."""
    local = jnp.asarray(np.transpose(TRI6.gradient(DEGREE_2.points), (1, 2, 0)))
    along = jnp.einsum("ain,adq->diqn", places[:6], local)
    axes = frame.reshape(3, 3, *frame.shape[1:])[:2]
    jacobian = jnp.einsum("diqn,aiqn->daqn", along, axes)  # ∂X_a/∂ξ_d
    det = jacobian[0, 0] * jacobian[1, 1] - jacobian[0, 1] * jacobian[1, 0]
    inverse = (
        jnp.stack([jnp.stack([jacobian[1, 1], -jacobian[0, 1]]), jnp.stack([-jacobian[1, 0], jacobian[0, 0]])]) / det
    )
    return jnp.einsum("kde,adqn,beqn->kabqn", jnp.asarray(BENDS), inverse, inverse)


def _own_curvature(places: Array, bend: Array, normal: Array) -> Float[Array, "2 2 points elements"]:
    """n · x_,αβ."""
    return jnp.einsum("kin,kabqn,iqn->abqn", places[:6], bend, normal)


class Edges(NamedTuple):
    """At the points of the edges: kink θ (3, 2, E), outward conormal (3, 2, 3, E), |∂x/∂s| and area (2, 3, 2, E)."""

    kink: Array
    conormal: Array
    stretch: Array


def _edges(places: Array, kinds: Array, held: Array | None) -> Edges:
    """Kinks of the surface at positions (15, 3, E); `held` are the conormals at rest, which a held slope keeps to."""
    along = jnp.einsum("egad,ain->degin", jnp.asarray(OWN_SLOPES), places[:6])
    own = jnp.cross(along[0], along[1], axis=2)
    area = _length(own)
    normal = own / area[:, :, None]
    steps = jnp.asarray(np.array([[1.0, 0.0], [-1.0, 1.0], [0.0, -1.0]]))  # ∂ξ/∂s of the three edges
    tangent = jnp.einsum("ed,degin->egin", steps, along)
    stretch = _length(tangent)
    direction = tangent / stretch[:, :, None]
    conormal = jnp.cross(direction, normal, axis=2)
    other = jnp.einsum("gad,eain->degin", jnp.asarray(NEIGHBOUR_SLOPES), places[NEIGHBOURS])
    beyond = jnp.cross(other[0], other[1], axis=2)
    beyond = beyond / _length(beyond)[:, :, None]
    fixed = jnp.cross(conormal if held is None else held, direction, axis=2)
    fixed = fixed / _length(fixed)[:, :, None]
    kind = kinds[:, None, None]
    facing = jnp.where(kind == JOINED, beyond, jnp.where(kind == HELD, fixed, normal))
    kink = jnp.arctan2(-jnp.sum(facing * conormal, axis=2), jnp.sum(facing * normal, axis=2))
    return Edges(kink, conormal, jnp.stack([stretch, area]))


def _length(vectors: Float[Array, "3 2 3 elements"]) -> Float[Array, "3 2 elements"]:
    return jnp.sqrt(jnp.sum(vectors * vectors, axis=2))


def _shifter(depth: Array, curvature: Array) -> Float[Array, "2 2 layers points elements"]:
    """I − ζ B."""
    return jnp.eye(2)[:, :, None, None, None] - depth * curvature[:, :, None]


def _columns(rest: Rest, places: Array, material: ShellSection) -> tuple[Array, Array]:
    """The columns of all layers (6, 9, E), and the energy of the kinks (E,); the material as kernels see it."""
    edges = _edges(places, material.edges, rest.conormals)
    wide = edges.stretch[1] / rest.stretch[1] * rest.stretch[0] / edges.stretch[0]  # λ_ν
    surface = jnp.einsum("kin,kdqn->diqn", places[:6], rest.gradient)
    normal = jnp.cross(surface[0], surface[1], axis=0)
    normal = normal / jnp.sqrt(jnp.sum(normal * normal, axis=0))
    curvature = _own_curvature(places, rest.bend, normal)
    curvature = curvature + jnp.einsum("egabqn,egn->abqn", rest.spread, wide * edges.kink)
    metric = jnp.einsum("aiqn,biqn->abqn", surface, surface)
    det = metric[0, 0] * metric[1, 1] - metric[0, 1] * metric[1, 0]
    raised = jnp.stack([jnp.stack([metric[1, 1], -metric[0, 1]]), jnp.stack([-metric[1, 0], metric[0, 0]])]) / det
    bent = jnp.einsum("abqn,bcqn,ciqn->aiqn", curvature, raised, surface)
    depth = jnp.asarray(LAYERS.points)[:, None, None] * material.thickness
    layered = surface[:, :, None] - depth * bent[:, :, None]  # (2, 3, Z, Q, E)
    shift = _shifter(depth, rest.curvature)
    size = shift[0, 0] * shift[1, 1] - shift[0, 1] * shift[1, 0]
    inverse = jnp.stack([jnp.stack([shift[1, 1], -shift[0, 1]]), jnp.stack([-shift[1, 0], shift[0, 0]])]) / size
    columns = jnp.einsum("aizqn,abzqn->bizqn", layered, inverse)
    energy = 0.5 * jnp.sum(rest.penalty * (edges.kink - rest.kinks) ** 2, axis=(0, 1))
    return columns.reshape(6, -1, columns.shape[-1]), energy


@jax.jit
def _layers(rest: Rest, reference: Array, displacement: Array, material: ShellSection) -> Float[Array, "6 9 elements"]:
    return _columns(rest, _last(reference) + _last(displacement), batch_last(material))[0]


@jax.jit
def _response(sheet: Sheet, layers: Array, frame: Array) -> tuple[Array, Array, Array]:
    """W (9, E), ∂W/∂c (6, 9, E) and the ratio of areas (9, E)."""
    repeated = jnp.tile(frame, (1, len(LAYERS.weights), 1))
    response = sheet_stress(batch_last(sheet), list(layers), list(repeated))
    normal = jnp.cross(layers[:3], layers[3:], axis=0)
    return response.density, jnp.stack(response.slopes), jnp.sqrt(jnp.sum(normal * normal, axis=0))


@jax.jit
def _moduli(sheet: Sheet, layers: Array, frame: Array) -> Float[Array, "6 6 9 elements"]:
    repeated = jnp.tile(frame, (1, len(LAYERS.weights), 1))
    return sheet_moduli(batch_last(sheet), list(layers), list(repeated))


@jax.jit
def _pulled(
    rest: Rest, reference: Array, displacement: Array, material: ShellSection, slopes: Array
) -> tuple[Array, Array]:
    """Forces (E, 15, 3) of slopes ∂W/∂c, and the energy of the kinks (E,)."""
    seen, places = batch_last(material), _last(reference) + _last(displacement)
    (_, kinks), pull = jax.vjp(lambda x: _columns(rest, x, seen), places)
    (force,) = pull((slopes * rest.weight, jnp.ones_like(kinks)))
    return jnp.transpose(force, (2, 0, 1)), kinks


@jax.jit
def _tangent(
    rest: Rest, reference: Array, displacement: Array, material: ShellSection, slopes: Array, moduli: Array
) -> Float[Array, "elements pairs 9"]:
    seen, places = batch_last(material), _last(reference) + _last(displacement)
    fixed, weighted = slopes * rest.weight, moduli * rest.weight

    def both(x: Array) -> tuple[Array, Array]:
        (layers, kinks), pull = jax.vjp(lambda y: _columns(rest, y, seen), x)
        return layers, pull((fixed, jnp.ones_like(kinks)))[0]

    _, push = jax.linearize(both, places)
    pull = jax.vjp(lambda y: _columns(rest, y, seen)[0], places)[1]

    def row(way: Array) -> Array:
        layers, geometric = push(jnp.broadcast_to(way, places.shape))
        return geometric + pull(jnp.einsum("cdqn,dqn->cqn", weighted, layers))[0]

    ways = jnp.eye(45).reshape(45, 15, 3, 1)
    rows = jax.vmap(row)(ways)
    size = len(reference)
    blocks = jnp.transpose(rows.reshape(15, 3, 15, 3, size), (4, 2, 0, 3, 1))
    first, second = np.triu_indices(15)
    share = np.where(first == second, 0.5, 1.0)
    return (blocks[:, first, second] * share[:, None, None]).reshape(size, len(first), 9)


def _last(values: Float[Array, "elements nodes 3"]) -> Float[Array, "nodes 3 elements"]:
    return jnp.transpose(values, (1, 2, 0))
