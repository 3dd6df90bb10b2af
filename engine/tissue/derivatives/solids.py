"""Derivatives of the forces of plain displacement elements, point by point.

With the slopes J = ∂X/∂ξ, U = ∂u/∂ξ, L = ∂λ/∂ξ over the reference element at a quadrature point of weight w,

    λ·f = Σ w det J  P(I + U J⁻¹) : (L J⁻¹),      P : H = d/dε W(F + εH),

so that X, u and λ enter through constant matrices and the rest is a function of 27 scalars. Differentiating the
element's own kernel in reverse instead, through its slices of arrays, takes 10 times as long for T4 and 80 for T10.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..elements.base import Element
from ..materials.base import batch_last
from ..tensors import Scalar, Tensor, first_piola, inverse

Nine = tuple[Scalar, ...]


def plain(element: Element) -> bool:
    """Whether an element's force is that of `Element` with its shape functions and rule, nothing overridden."""
    own = type(element)
    return element.dimension == 3 and all(
        getattr(own, name) is getattr(Element, name) for name in ("evaluate", "kinematics", "geometry")
    )


def push(element: Element, place: Any, rest: Any, fraction: Array, along: Any) -> Float[Array, "elements nodes 3"]:
    """ḟ; arguments as in `kernels`."""
    at, way = _point_place(element, place), _point_place(element, along)
    return _to_nodes(element, _push(element, at, rest, fraction, way))


def pull(element: Element, place: Any, rest: Any, fraction: Array, weight: Array) -> Any:
    """(X̄, ū, m̄)."""
    return _spread(element, _pull(element, _point_place(element, place), rest, fraction, _slopes(element, weight)))


def pull_rate(element: Element, place: Any, rest: Any, fraction: Array, weight: Array, along: Any) -> Any:
    """The derivative of `pull` along a direction."""
    at, way = _point_place(element, place), _point_place(element, along)
    return _spread(element, _pull_rate(element, at, rest, fraction, _slopes(element, weight), way))


def _point_place(element: Element, place: Any) -> Any:
    reference, displacement, parameters = place
    return _slopes(element, reference), _slopes(element, displacement), parameters


def _spread(element: Element, pulled: Any) -> Any:
    by_reference, by_displacement, parameters = pulled
    return _to_nodes(element, by_reference), _to_nodes(element, by_displacement), parameters


@partial(jax.jit, static_argnums=0)
def _slopes(element: Element, values: Float[Array, "elements nodes 3"]) -> Float[Array, "9 points elements"]:
    gradient = jnp.asarray(element.gradient(element.quadrature.points))
    return jnp.einsum("eai,qaj->ijqe", values, gradient).reshape(9, len(gradient), -1)


@partial(jax.jit, static_argnums=0)
def _to_nodes(element: Element, values: Float[Array, "9 points elements"]) -> Float[Array, "elements nodes 3"]:
    gradient = jnp.asarray(element.gradient(element.quadrature.points))
    return jnp.einsum("ijqe,qaj->eai", values.reshape(3, 3, len(gradient), -1), gradient)


@partial(jax.jit, static_argnums=0)
def _push(element: Element, place: Any, rest: Any, fraction: Array, along: Any) -> Array:
    def traction(reference: Nine, displacement: Nine, parameters: Any) -> Nine:
        back, det, gradient = _deformed(reference, displacement)
        piola = first_piola(_energy(parameters, rest, fraction), gradient)[1]
        measure = det * element.quadrature.weights[:, None]
        return tuple(sum(piola[i, k] * back[j, k] for k in range(3)) * measure for i in range(3) for j in range(3))

    return jnp.stack(jax.jvp(traction, _entries(place), _entries(along))[1])


@partial(jax.jit, static_argnums=0)
def _pull(element: Element, place: Any, rest: Any, fraction: Array, weight: Array) -> Any:
    return _stacked(_gradient(element, rest, fraction, weight)(*_entries(place)))


@partial(jax.jit, static_argnums=0)
def _pull_rate(element: Element, place: Any, rest: Any, fraction: Array, weight: Array, along: Any) -> Any:
    gradient = _gradient(element, rest, fraction, weight)
    return _stacked(jax.jvp(gradient, _entries(place), _entries(along))[1])


def _gradient(element: Element, rest: Any, fraction: Array, weight: Array) -> Any:
    """∂(λ·f)/∂(J, U, m)."""
    weights = tuple(weight[k] for k in range(9))

    def work(reference: Nine, displacement: Nine, parameters: Any) -> Scalar:
        back, det, gradient = _deformed(reference, displacement)
        energy, strain = _energy(parameters, rest, fraction), _product(Tensor(weights), back)
        rate = jax.jvp(lambda *f: energy(Tensor(f)), gradient.entries, strain.entries)[1]
        return jnp.sum(rate * det * element.quadrature.weights[:, None])

    return jax.grad(work, argnums=(0, 1, 2))


def _energy(parameters: Any, rest: Any, fraction: Array) -> Any:
    return batch_last(eqx.combine(parameters, rest).at(fraction)).energy_density


def _deformed(reference: Nine, displacement: Nine) -> tuple[Tensor, Scalar, Tensor]:
    """J⁻¹, det J and F = I + U J⁻¹."""
    back, det = inverse(Tensor(reference))
    slope = _product(Tensor(displacement), back)
    return back, det, Tensor([slope[i, j] + (1.0 if i == j else 0.0) for i in range(3) for j in range(3)])


def _product(left: Tensor, right: Tensor) -> Tensor:
    return Tensor([sum(left[i, k] * right[k, j] for k in range(3)) for i in range(3) for j in range(3)])


def _entries(place: Any) -> tuple[Nine, Nine, Any]:
    reference, displacement, parameters = place
    return tuple(reference[k] for k in range(9)), tuple(displacement[k] for k in range(9)), parameters


def _stacked(parts: Any) -> Any:
    return jnp.stack(parts[0]), jnp.stack(parts[1]), parts[2]
