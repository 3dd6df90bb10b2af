"""Kinematics of the shell K6: curvature, kinks at edges, layers."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import batch_last
from ..materials.shell import HELD, JOINED, ShellSection
from .base import Quadrature
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
def rest_of(element: Any, reference: Array, material: ShellSection) -> Rest:
    seen, places = batch_last(material), node_first(reference)
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


def columns_of(rest: Rest, places: Array, material: ShellSection) -> tuple[Array, Array]:
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


def node_first(values: Float[Array, "elements nodes 3"]) -> Float[Array, "nodes 3 elements"]:
    return jnp.transpose(values, (1, 2, 0))
