"""The residual as one pure function of displacement and problem: what gradients and devices use.

`residual(u, problem, fraction)` is differentiable in `u` and in every float array of the problem: material
parameters, densities, loads, spring stiffness, paths, node positions.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .elements.base import ElementEvaluation
from .problem import Problem
from .terms import Term


def internal_force(
    displacement: Float[Array, "nodes 3"], problem: Problem, fraction: Array | float = 1.0
) -> Float[Array, "nodes 3"]:
    """∫ P ∂N/∂X dV [N] at a load fraction, which active materials depend on."""
    total = jnp.zeros_like(displacement)
    for part, nodes in zip(evaluate_blocks(displacement, problem, fraction), _connectivity(problem), strict=True):
        total = _scatter(total, nodes, part.force)
    return total


def external_force(
    displacement: Float[Array, "nodes 3"], problem: Problem, fraction: Array | float, terms: list[Term] | None = None
) -> Float[Array, "nodes 3"]:
    """Loads and supports [N] at a load fraction."""
    total, points = jnp.zeros_like(displacement), problem.model.row_points
    for term in problem.terms() if terms is None else terms:
        force = term.forces(points[term.nodes], displacement[term.nodes], jnp.asarray(fraction))
        total = _scatter(total, term.nodes, force)
    return total


def residual(
    displacement: Float[Array, "nodes 3"], problem: Problem, fraction: Array | float = 1.0
) -> Float[Array, "nodes 3"]:
    """Internal minus external force [N] where free; u − ū [m] where prescribed. Zero at equilibrium."""
    held = jnp.asarray(problem.held())
    gap = displacement - problem.prescribed_displacement(fraction)
    force = internal_force(displacement, problem, fraction) - external_force(displacement, problem, fraction)
    return jnp.where(held, gap, force)


def evaluate_blocks(
    displacement: Float[Array, "nodes 3"], problem: Problem, fraction: Array | float = 1.0
) -> list[ElementEvaluation]:
    """Forces, energies and smallest det F of every block."""
    points = problem.model.row_points
    return [
        block.element.evaluate(points[block.nodes], displacement[block.nodes], block.material.at(fraction))
        for block in problem.model.blocks
    ]


def _connectivity(problem: Problem) -> list[Array]:
    return [block.nodes for block in problem.model.blocks]


def _scatter(total: Array, nodes: Array | np.ndarray, values: Array) -> Array:
    """One scatter per local node: nine times as fast on a CPU as one scatter of everything."""
    for local in range(nodes.shape[1]):
        total = total.at[nodes[:, local]].add(values[:, local])
    return total
