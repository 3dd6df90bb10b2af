"""Derivatives of a solution by the implicit function theorem.

With R(u, p) = 0 and a functional J(u, p): solve Kᵀ λ = ∂J/∂u, then dJ/dp = ∂J/∂p − λᵀ ∂R/∂p. One linear solve
gives the gradient with respect to every float array of the problem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...imaging.errors import SolverError
from .host_system import HostSystem
from .problem import Problem
from .residual import residual
from .solution import State
from .system import Timer


def gradient(
    functional: Callable[[Array, Problem], Array], problem: Problem, state: State, *, tolerance: float = 1e-11
) -> Problem:
    """dJ/dp of J(u(p), p) at equilibrium.

    Args:
        functional: J(displacement (nodes, 3), problem) → scalar.
        problem: solved problem.
        state: its equilibrium.

    Returns:
        A problem-shaped tree: each float array replaced by the derivative with respect to it, the rest None.

    Raises:
        SolverError: the tangent is not symmetric (an open, free-rimmed follower pressure) or its solve stalled.
    """
    fraction = float(state.load_fraction)
    differentiable, fixed = eqx.partition(problem, eqx.is_inexact_array)
    displacement = state.rows

    def value(u: Array, parameters: Any) -> Array:
        return functional(u, eqx.combine(parameters, fixed))

    by_displacement, direct = jax.grad(value, argnums=(0, 1))(displacement, differentiable)
    multiplier = _adjoint(problem, np.asarray(displacement), fraction, np.asarray(by_displacement), tolerance)

    def equilibrium(parameters: Any) -> Array:
        return residual(displacement, eqx.combine(parameters, fixed), fraction)

    _, pull = jax.vjp(equilibrium, differentiable)
    (through,) = pull(jnp.asarray(multiplier))
    return jax.tree.map(lambda a, b: a - b, direct, through)


def _adjoint(
    problem: Problem, displacement: np.ndarray, fraction: float, right: np.ndarray, tolerance: float
) -> np.ndarray:
    """λ of the residual whose held rows read u − ū: λ_f = K_ff⁻¹ J_f, λ_c = J_c − K_cf λ_f."""
    system = HostSystem(problem, Timer())
    if not system.symmetric:
        raise SolverError(
            "the tangent is not symmetric, so the adjoint is not its own tangent", where="implicit.gradient"
        )
    tangent = system.linearize(displacement, fraction)
    outcome = tangent.solve(right * system.free, tolerance)
    if not outcome.converged:
        raise SolverError(
            "the adjoint solve stalled", where="implicit.gradient", advice="Check the state is an equilibrium"
        )
    free_part = outcome.solution * system.free
    return free_part + (right - tangent.product(free_part)) * (1.0 - system.free)
