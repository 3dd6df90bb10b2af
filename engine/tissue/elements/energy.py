"""`EnergyElement`: an element that is one energy of a group of nodes; force and tangent come from autodiff."""

from __future__ import annotations

import abc
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..materials.base import batch_last
from .base import Element, ElementEvaluation


class EnergyElement(Element):
    """Writes `energy` and `ratio`, with the elements on the last axis so that every operation runs over all of them.

    Solids should not be written this way: their tangent by ∂²W/∂F∂F is several times as fast. It is meant for what is
    small or has no deformation gradient of its own: strands, shells, springs between nodes.
    """

    @abc.abstractmethod
    def energy(
        self,
        reference: Float[Array, "nodes 3 elements"],
        displacement: Float[Array, "nodes 3 elements"],
        material: Any,
    ) -> Float[Array, " elements"]:
        """Strain energy [J]; the material as `batch_last` gives it."""

    @abc.abstractmethod
    def ratio(
        self, reference: Float[Array, "nodes 3 elements"], displacement: Float[Array, "nodes 3 elements"]
    ) -> Float[Array, "points elements"]:
        """Volume, area or length over that at rest: what must stay positive."""

    def evaluate(self, reference: Array, displacement: Array, material: Any) -> ElementEvaluation:
        """Internal force ∂Π/∂u, energy and smallest ratio."""
        return _evaluate(self, reference, displacement, material)

    def tangent(self, reference: Array, displacement: Array, material: Any) -> Float[Array, "elements pairs 9"]:
        """∂²Π/∂u_a∂u_b as `Element.tangent` lays it out."""
        return _tangent(self, reference, displacement, material)


@partial(jax.jit, static_argnums=0)
def _evaluate(element: EnergyElement, reference: Array, displacement: Array, material: Any) -> ElementEvaluation:
    places, moved, seen = _last(reference), _last(displacement), batch_last(material)

    def total(u: Array) -> tuple[Array, Array]:
        energy = element.energy(places, u, seen)
        return jnp.sum(energy), energy

    force, energy = jax.grad(total, has_aux=True)(moved)
    return ElementEvaluation(jnp.transpose(force, (2, 0, 1)), energy, jnp.min(element.ratio(places, moved), axis=0))


@partial(jax.jit, static_argnums=0)
def _tangent(element: EnergyElement, reference: Array, displacement: Array, material: Any) -> Array:
    """One forward derivative of the force per unknown, all from one linearisation."""
    places, seen = _last(reference), batch_last(material)
    nodes, size = reference.shape[1], reference.shape[0]
    force = jax.grad(lambda u: jnp.sum(element.energy(places, u, seen)))
    _, push = jax.linearize(force, _last(displacement))
    directions = np.eye(3 * nodes).reshape(3 * nodes, nodes, 3, 1)
    rows = jax.vmap(lambda way: push(jnp.broadcast_to(way, (nodes, 3, size))))(directions)
    return pair_blocks(rows.reshape(nodes, 3, nodes, 3, size))


def pair_blocks(rows: Float[Array, "nodes 3 nodes 3 elements"]) -> Float[Array, "elements pairs 9"]:
    """∂²Π/∂u_b∂u_a laid out as `Element.tangent` does: blocks of the pairs a ≤ b, half of those on the diagonal."""
    nodes, size = rows.shape[0], rows.shape[-1]
    blocks = jnp.transpose(rows, (4, 2, 0, 3, 1))  # (E, a, b, i, j)
    first, second = np.triu_indices(nodes)
    share = np.where(first == second, 0.5, 1.0)
    return (blocks[:, first, second] * share[:, None, None]).reshape(size, len(first), 9)


def _last(values: Float[Array, "elements nodes 3"]) -> Float[Array, "nodes 3 elements"]:
    return jnp.transpose(values, (1, 2, 0))
