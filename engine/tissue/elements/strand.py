"""L2: a straight strand of two nodes at large displacement: truss, ligament, suture, cable."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import batch_last
from ..materials.strand import Strand
from ..tensors import Scalar
from .base import PointFields, Quadrature
from .energy import EnergyElement
from .tri import TRI3

MIDDLE = Quadrature(np.zeros((1, 1)), np.array([2.0]))
GAUSS_2 = Quadrature(np.array([[-1.0], [1.0]]) / np.sqrt(3.0), np.ones(2))


class Strand2(EnergyElement):
    """Two nodes, one strain; the material is a `Strand`."""

    name, nodes, corners, dimension, order, chunk = "L2", 2, 2, 1, 1, 512
    quadrature, load_quadrature = MIDDLE, GAUSS_2
    facet = TRI3
    faces = np.zeros((0, 2), dtype=np.int64)
    edges = np.zeros((0, 2), dtype=np.int64)
    facet_edges = np.zeros((0, 2), dtype=np.int64)

    def shape(self, points: NDArray) -> NDArray:
        """(1 ∓ ξ)/2."""
        return np.concatenate([1 - points, 1 + points], axis=1) / 2

    def gradient(self, points: NDArray) -> NDArray:
        """Constant."""
        return np.broadcast_to(np.array([[-0.5], [0.5]]), (len(points), 2, 1))

    def section(self, material: Strand) -> Scalar:
        """The area [m²]."""
        return material.area

    def geometry(self, reference: Array, rule: Quadrature) -> tuple[Array, Array]:
        """∂N_a/∂X along the strand (n, 3, Q, E) [1/m], and weights of length (Q, E) [m]."""
        along, length = _unit(jnp.transpose(reference, (1, 2, 0)))
        slope = jnp.stack([-along, along]) / length
        count = len(rule.weights)
        gradient = jnp.broadcast_to(slope[:, :, None], (2, 3, count, len(reference)))
        return gradient, 0.5 * length * jnp.asarray(rule.weights)[:, None]

    def energy(self, reference: Array, displacement: Array, material: Strand) -> Float[Array, " elements"]:
        """ℓ₀ × energy per rest length."""
        direction, length = _unit(reference)
        rest = material.rest * length
        each = rest * material.line_energy(_unit(reference + displacement)[1] / rest, direction)
        return jnp.sum(jnp.atleast_2d(each), axis=0)  # (1, E) of a material that remembers

    def ratio(self, reference: Array, displacement: Array) -> Float[Array, "points elements"]:
        """ℓ/L."""
        return (_unit(reference + displacement)[1] / _unit(reference)[1])[None]

    def point_fields(self, reference: Array, displacement: Array, material: Strand) -> PointFields:
        """F turns and stretches the strand and keeps its volume; σ = N λ/A along it, with λ = ℓ/L."""
        seen, places = batch_last(material), jnp.transpose(reference, (1, 2, 0))
        moved = places + jnp.transpose(displacement, (1, 2, 0))
        (before, length), (after, now) = _unit(places), _unit(moved)
        rest, stretch = seen.rest * length, now / length
        tension = jax.grad(lambda s: jnp.sum(seen.line_energy(s, before)))(now / rest)
        stress = tension * stretch / seen.area * after[:, None] * after[None]
        gradient = _turned(before, after, stretch)
        return PointFields(gradient[:, :, None], stress[:, :, None], (length * seen.area)[None])

    def material_gradient(self, reference: Array, displacement: Array, material: Strand) -> Float[Array, "3 3 1 E"]:
        """λ T⊗T + λ^{-1/2} (I − T⊗T) with λ over the rest length, and no turn."""
        places = jnp.transpose(reference, (1, 2, 0))
        along, length = _unit(places)
        now = _unit(places + jnp.transpose(displacement, (1, 2, 0)))[1]
        return _turned(along, along, now / (material.rest * length))[:, :, None]


def _unit(places: Float[Array, "2 3 elements"]) -> tuple[Array, Array]:
    """Unit vector (3, E) from the first node to the second, and their distance (E,)."""
    arm = places[1] - places[0]
    length = jnp.sqrt(jnp.sum(arm * arm, axis=0))
    return arm / length, length


def _turned(before: Array, after: Array, stretch: Array) -> Float[Array, "3 3 elements"]:
    """R (λ T⊗T + λ^{-1/2} (I − T⊗T)), R the shortest turn of T to t: R = I + [v]× + [v]×²/(1 + c), v = T × t."""
    turn, cosine = jnp.cross(before, after, axis=0), jnp.sum(before * after, axis=0)
    zero = jnp.zeros_like(cosine)
    x, y, z = turn
    skew = jnp.stack([jnp.stack(row) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))])
    square = jnp.einsum("ike,kje->ije", skew, skew)
    rotation = jnp.eye(3)[:, :, None] + skew + square / jnp.maximum(1.0 + cosine, 1e-12)
    across = 1.0 / jnp.sqrt(stretch)
    strain = across * jnp.eye(3)[:, :, None] + (stretch - across) * before[:, None] * before[None]
    return jnp.einsum("ike,kje->ije", rotation, strain)
