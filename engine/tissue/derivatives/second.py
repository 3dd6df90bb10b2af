"""Second derivatives of a solution: products with the Hessian and with the Gauss–Newton matrix.

L(u, p, λ) = J − λ·R. With u̇ = −R_u⁻¹ R_p ṗ and R_uᵀ λ = J_u, the derivative of dJ/dp = J_p − R_pᵀ λ along ṗ is

    d(dJ/dp) = J_pp ṗ + J_pu u̇ − d[R_pᵀ]λ − R_pᵀ λ̇,      R_uᵀ λ̇ = J_uu u̇ + J_up ṗ − d[R_uᵀ]λ,

d[·] along (u̇, ṗ): one forward and two adjoint solves, and nothing of it a finite difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..problem import Problem
from ..solution import State
from .first import Functional, slopes
from .linearization import Linearization
from .parameters import Parameters, split

Observation = Callable[[Array, Problem], Array]
"""r(displacement (rows, 3) m, problem) → (m,): what is compared with data."""


def hessian_product(
    functional: Functional,
    problem: Problem,
    state: State,
    direction: Parameters,
    *,
    tolerance: float = 1e-11,
    linearization: Linearization | None = None,
) -> Parameters:
    """d²J/dp² ṗ of J(u(p), p), exact: a problem-shaped tree.

    Args:
        direction: ṗ, a problem-shaped tree, None for what does not change.

    Raises:
        SolverError: as `first.gradient`.
    """
    near = Linearization(problem, state, tolerance=tolerance) if linearization is None else linearization
    parameters, fixed = split(problem)
    moved, way = near.moved(direction)

    def slope(u: Array, p: Parameters) -> tuple[Array, Parameters]:
        return slopes(functional, eqx.combine(p, fixed), u)

    at = (jnp.asarray(near.displacement), parameters)
    (by_displacement, first), (rate, direct) = jax.jvp(slope, at, (jnp.asarray(moved), way))
    weight, own = near.adjoints(np.asarray(by_displacement), first)
    curved, by_parameters = near.through_rate(weight, own, moved, way)
    left = jax.tree.map(lambda a, b: a - b, direct, by_parameters)
    return near.pulled(np.asarray(rate) - curved, left)


def gauss_newton_product(
    observation: Observation,
    problem: Problem,
    state: State,
    direction: Parameters,
    *,
    weight: Any = 1.0,
    tolerance: float = 1e-11,
    linearization: Linearization | None = None,
) -> Parameters:
    """(dr/dp)ᵀ W (dr/dp) ṗ: the Hessian of ½ rᵀ W r without the curvature of r; never negative.

    Args:
        observation: r(displacement, problem) → (m,).
        weight: W: a number, (m,) for a diagonal, or (m, m).

    Raises:
        SolverError: as `first.gradient`.
    """
    near = Linearization(problem, state, tolerance=tolerance) if linearization is None else linearization
    rate = observation_rate(observation, near, direction)
    weights = jnp.asarray(weight, float)
    return observation_pull(observation, near, weights @ rate if weights.ndim == 2 else weights * rate)


def observation_rate(observation: Observation, near: Linearization, direction: Parameters) -> Array:
    """dr/dp ṗ (m,)."""
    parameters, fixed = split(near.problem)
    moved, way = near.moved(direction)

    def value(u: Array, p: Parameters) -> Array:
        return observation(u, eqx.combine(p, fixed))

    return jax.jvp(value, (jnp.asarray(near.displacement), parameters), (jnp.asarray(moved), way))[1]


def observation_pull(observation: Observation, near: Linearization, cotangent: Any) -> Parameters:
    """(dr/dp)ᵀ c for c (m,): a problem-shaped tree."""
    parameters, fixed = split(near.problem)

    def value(u: Array, p: Parameters) -> Array:
        return observation(u, eqx.combine(p, fixed))

    _, back = jax.vjp(value, jnp.asarray(near.displacement), parameters)
    by_displacement, direct = back(jnp.asarray(cotangent, float))
    return near.pulled(np.asarray(by_displacement), direct)
