"""First derivatives of a solution by the implicit function theorem.

R(u, p) = 0 and a functional J(u, p). Reverse: R_uᵀ λ = J_u, dJ/dp = J_p − R_pᵀ λ, one solve for all parameters.
Forward: R_u u̇ = −R_p ṗ, one solve for all functionals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from ..problem import Problem
from ..solution import State
from .linearization import Linearization
from .parameters import Parameters, split

Functional = Callable[[Array, Problem], Array]
"""J(displacement (rows, 3) m, problem) → scalar, written with jax.numpy; see `functionals`."""


def gradient(
    functional: Functional,
    problem: Problem,
    state: State,
    *,
    tolerance: float = 1e-11,
    linearization: Linearization | None = None,
) -> Parameters:
    """dJ/dp of J(u(p), p) at equilibrium.

    Args:
        functional: J(displacement (rows, 3), problem) → scalar.
        problem: solved problem.
        state: its equilibrium.
        tolerance: of the linear solve; ignored where a linearization is given.
        linearization: of this problem at this state, to be used again.

    Returns:
        A problem-shaped tree: each float array replaced by the derivative with respect to it, the rest None.

    Raises:
        SolverError: the state is not an equilibrium of the problem, or its tangent is unstable or singular.
    """
    return gradients([functional], problem, state, tolerance=tolerance, linearization=linearization)[0]


def gradients(
    functionals: Sequence[Functional],
    problem: Problem,
    state: State,
    *,
    tolerance: float = 1e-11,
    linearization: Linearization | None = None,
) -> list[Parameters]:
    """`gradient` of several functionals: one tangent and one multigrid hierarchy, a linear solve for each."""
    near = Linearization(problem, state, tolerance=tolerance) if linearization is None else linearization
    found = []
    for functional in functionals:
        by_displacement, direct = slopes(functional, problem, near.displacement)
        if not np.isfinite(np.asarray(by_displacement)).all():
            raise SolverError("the slope of a functional is not finite", where="derivatives", advice="Look for NaN")
        found.append(near.pulled(np.asarray(by_displacement), direct))
    return found


def directional(
    problem: Problem,
    state: State,
    direction: Parameters,
    *,
    tolerance: float = 1e-11,
    linearization: Linearization | None = None,
) -> Float[np.ndarray, "rows 3"]:
    """du/dp ṗ [m per unit of the direction]: how the equilibrium moves with the parameters.

    Args:
        direction: a problem-shaped tree, None for what does not change; see `parameters.direction_at`.

    Raises:
        SolverError: as `gradient`; or the direction is not shaped like the problem.
    """
    near = Linearization(problem, state, tolerance=tolerance) if linearization is None else linearization
    return near.moved(direction)[0]


def scalar(value: Any) -> Array:
    """What a functional returned, if it is one real number.

    Raises:
        SolverError: it is not.
    """
    found = jnp.asarray(value)
    if found.shape != () or not jnp.issubdtype(found.dtype, jnp.floating):
        raise SolverError(
            f"a functional returned {found.dtype.name} of shape {found.shape}",
            where="derivatives",
            advice="Return one real number: a sum, a mean, a component",
        )
    return found


def slopes(functional: Functional, problem: Problem, displacement: Any) -> tuple[Array, Parameters]:
    """(∂J/∂u, ∂J/∂p) of a functional, u and p taken as independent."""
    parameters, fixed = split(problem)

    def value(u: Array, p: Parameters) -> Array:
        return scalar(functional(u, eqx.combine(p, fixed)))

    if not callable(functional):
        told = f"a {type(functional).__name__} is no functional"
        raise SolverError(told, where="derivatives", advice="Give a function of (displacement, problem)")
    return jax.grad(value, argnums=(0, 1))(jnp.asarray(displacement), parameters)
