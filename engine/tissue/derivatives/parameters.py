"""The parameters of a problem: every float array in it, as one tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ....imaging.errors import SolverError
from .. import given
from ..problem import Problem

Parameters = Any
"""A problem-shaped tree: float arrays where the problem has them, None elsewhere."""


def split(problem: Any) -> tuple[Parameters, Any]:
    """(float arrays, all the rest) of a problem, a material or a term; `equinox.combine` joins them again."""
    return eqx.partition(problem, eqx.is_inexact_array)


def direction_at(problem: Problem, where: Callable[[Problem], Any], value: Any) -> Parameters:
    """A change of the parameters: `value` (broadcast) at one place of the problem, zero elsewhere.

    Raises:
        SolverError: there is no float array at that place, or the value does not fit it.
    """
    parameters, _ = split(problem)
    try:
        target = where(problem)
    except (AttributeError, IndexError, KeyError) as error:
        told = f"the problem has nothing there ({error})"
        raise SolverError(told, where="direction_at", advice="Point at one array of floats of the problem") from error
    if not eqx.is_inexact_array(target):
        raise SolverError(
            f"a {type(target).__name__} cannot be varied", where="direction_at", advice="Point at one array of floats"
        )
    change = given.array(value, "a change", "direction_at")
    try:
        filled = jnp.broadcast_to(change, jnp.shape(target))
    except ValueError as error:
        raise SolverError(
            f"a change of shape {change.shape} does not fit {jnp.shape(target)}", where="direction_at"
        ) from error
    return eqx.tree_at(where, jax.tree.map(jnp.zeros_like, parameters), filled)


def filled(direction: Parameters, parameters: Parameters) -> Parameters:
    """A direction with zeros where it has None.

    Raises:
        SolverError: it is not shaped like the parameters.
    """

    def leaf(like: Any, change: Any) -> Any:
        if like is None:
            return None
        if change is None:
            return jnp.zeros_like(like)
        if jnp.shape(change) != jnp.shape(like):
            raise SolverError(
                f"an array of shape {jnp.shape(change)} stands where the problem has {jnp.shape(like)}",
                where="direction",
                advice="Make directions with `direction_at`, or from another problem of the same model",
            )
        return jnp.asarray(change, float)

    try:
        return jax.tree.map(leaf, parameters, direction, is_leaf=lambda x: x is None)
    except ValueError as error:
        raise SolverError(
            "the direction is not shaped like the problem",
            where="direction",
            advice="Make directions with `direction_at`, or from another problem of the same model",
        ) from error


def inner(left: Parameters, right: Parameters) -> float:
    """Sum of products over all arrays of two trees."""
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return float(sum(jnp.vdot(a, b) for a, b in pairs))


def bound(
    parameters: Parameters, fixed: Any, fraction: Array | float, *, tissue_alone: bool = False
) -> tuple[list[Parameters], Array]:
    """Float arrays of the terms that the problem turns into, if any, and its prescribed displacement (rows, 3) m."""
    problem = eqx.combine(parameters, fixed)
    terms = [] if tissue_alone else problem.terms()
    return [split(term)[0] for term in terms], problem.prescribed_displacement(fraction)
