"""What `fields` reads off a state, as pure functions J(displacement, problem) that JAX differentiates in both.

Displacement is (rows, 3) in m as `State.rows`; names, units and averages are those of `fields`. Where loads or active
materials count, `fraction` is the load fraction. A problem is taken with the history that it has:
`history.remembered(problem, state)` puts in that of a state.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import fields
from ..block import ElementBlock
from ..elements.base import Element
from ..materials import Material
from ..problem import Problem
from ..residual import evaluate_blocks, external_force, internal_force


def strain_energy(displacement: Array, problem: Problem, fraction: Array | float = 1.0) -> Float[Array, ""]:
    """∫ W dV [J]."""
    return jnp.asarray(sum(jnp.sum(part.energy) for part in evaluate_blocks(displacement, problem, fraction)))


def nodal_residual(displacement: Array, problem: Problem, fraction: Array | float = 1.0) -> Float[Array, "rows 3"]:
    """Internal minus external force [N] of every row: reactions where held, zero where free at equilibrium."""
    return internal_force(displacement, problem, fraction) - external_force(displacement, problem, fraction)


def reaction(displacement: Array, problem: Problem, name: str, fraction: Array | float = 1.0) -> Float[Array, "3"]:
    """Sum of the reactions over a set [N]: the force that a grasper or a support puts on the body."""
    nodes = problem.model.nodes_of(name)
    forces = nodal_residual(displacement, problem, fraction) * jnp.asarray(problem.held())
    return jnp.sum(forces[nodes], axis=0)


def region_displacement(displacement: Array, problem: Problem, name: str) -> Float[Array, "3"]:
    """Volume mean of the displacement over a region [m]."""
    shift, volume = jnp.zeros(3), jnp.zeros(())
    for block, chosen in _regions(problem, name):
        mean = _measured(fields._mean_displacement, displacement, problem, block)
        size = jnp.where(chosen, _measured(fields._volume, displacement, problem, block), 0.0)
        shift, volume = shift + mean @ size, volume + jnp.sum(size)
    return shift / volume


def cauchy_stress(displacement: Array, problem: Problem, fraction: Array | float = 1.0) -> Float[Array, "elements 3 3"]:
    """σ = P Fᵀ / J [Pa], averaged over each element, in the order of the mesh."""
    return _by_element(fields._mean_cauchy, displacement, problem, fraction)


def von_mises_stress(displacement: Array, problem: Problem, fraction: Array | float = 1.0) -> Float[Array, " elements"]:
    """√(3/2 s : s) [Pa] with s the deviator of σ; its slope is taken as zero where there is no stress."""
    stress = cauchy_stress(displacement, problem, fraction)
    deviator = stress - jnp.trace(stress, axis1=1, axis2=2)[:, None, None] / 3 * jnp.eye(3)
    square = 1.5 * jnp.sum(deviator**2, axis=(1, 2))
    return jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)


def volume_ratio(displacement: Array, problem: Problem) -> Float[Array, " elements"]:
    """V/V₀ of each element."""
    return _by_element(fields._mean_jacobian, displacement, problem)


def node_positions(displacement: Array, problem: Problem, name: str) -> Float[Array, "n 3"]:
    """Where the nodes of a set are [m]."""
    nodes = problem.model.nodes_of(name)
    return problem.model.points[nodes] + displacement[nodes]


def facet_points(displacement: Array, problem: Problem, name: str) -> Float[Array, "points 3"]:
    """Where the quadrature points of a facet set are [m]: a surface to compare with one that was measured."""
    facets, element = problem.model.facets_of(name), problem.model.element.facet
    shape = jnp.asarray(element.shape(element.quadrature.points))
    placed = (problem.model.points + displacement)[facets]
    return jnp.einsum("qa,fai->fqi", shape, placed).reshape(-1, 3)


def enclosed_volume(displacement: Array, problem: Problem, name: str) -> Float[Array, ""]:
    """⅓ ∮ x·n da [m³] over a facet set: what a closed surface encloses, positive where its normals point outward."""
    facets, element = problem.model.facets_of(name), problem.model.element.facet
    placed = (problem.model.points + displacement)[facets]
    weights = jnp.asarray(element.quadrature.weights)
    shape, slope = element.shape(element.quadrature.points), element.gradient(element.quadrature.points)
    at = jnp.einsum("qa,fai->fqi", jnp.asarray(shape), placed)
    along = jnp.einsum("qad,fai->fqdi", jnp.asarray(slope), placed)
    normal = jnp.cross(along[:, :, 0], along[:, :, 1])
    return jnp.einsum("q,fqi,fqi->", weights, at, normal) / 3.0


_Measure = Callable[[Element, Material, Array, Array], Array]


def _measured(
    measure: _Measure, displacement: Array, problem: Problem, block: ElementBlock, fraction: Array | float = 1.0
) -> Array:
    points = problem.model.row_points
    return measure(block.element, block.material.at(fraction), points[block.nodes], displacement[block.nodes])


def _by_element(measure: _Measure, displacement: Array, problem: Problem, fraction: Array | float = 1.0) -> Array:
    blocks = problem.model.blocks
    values = [jnp.moveaxis(_measured(measure, displacement, problem, block, fraction), -1, 0) for block in blocks]
    source = np.concatenate([np.asarray(block.source) for block in blocks])
    return jnp.concatenate(values)[np.argsort(source)]


def _regions(problem: Problem, name: str) -> list[tuple[ElementBlock, np.ndarray]]:
    """Blocks, and which of their elements lie in a region.

    Raises:
        SolverError: no such region.
    """
    problem.model.nodes_of(name)
    labels = [label for label, region in problem.model.region_names if region == name]
    return [(block, np.isin(np.asarray(block.region), labels)) for block in problem.model.blocks]
