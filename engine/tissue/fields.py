"""What is read off a solution: strain, stress, energy, reactions, displacement of regions, volumes.

Each function takes a model (or problem) and a state. Stress, energy and forces are those of the history that the state
carries (`history.remembered`); a state without one is refused where a material or a contact remembers.

Element values are volume averages over the quadrature points, in the order of the mesh's elements (sheets and strands
added later follow); nodal values are averages of the elements around a node, weighted by volume.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .block import ElementBlock
from .elements.base import Element
from .history import remembered, remembered_model
from .materials import Material
from .model import Model
from .problem import Problem
from .solution import State
from .system import Timer


def deformation_gradient(model: Model, state: State) -> Float[np.ndarray, "elements 3 3"]:
    """F, averaged over each element."""
    return by_element(model, state, _mean_gradient, (3, 3))


def green_lagrange_strain(model: Model, state: State) -> Float[np.ndarray, "elements 3 3"]:
    """E = (FᵀF − I)/2."""
    return by_element(model, state, _mean_strain, (3, 3))


def principal_strains(model: Model, state: State) -> Float[np.ndarray, "elements 3"]:
    """Principal Green-Lagrange strains, largest first."""
    return np.linalg.eigvalsh(green_lagrange_strain(model, state))[:, ::-1]


def cauchy_stress(model: Model, state: State) -> Float[np.ndarray, "elements 3 3"]:
    """σ = P Fᵀ / J [Pa], LPS axes."""
    return by_element(remembered_model(model, state), state, _mean_cauchy, (3, 3))


def von_mises_stress(model: Model, state: State) -> Float[np.ndarray, " elements"]:
    """√(3/2 s : s) [Pa] with s the deviator of σ."""
    return von_mises_of(cauchy_stress(model, state))


def von_mises_of(stress: Float[np.ndarray, "elements 3 3"]) -> Float[np.ndarray, " elements"]:
    """The von Mises stress of stresses that are already there, in their unit."""
    deviator = stress - np.trace(stress, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    return np.sqrt(1.5 * np.einsum("eij,eij->e", deviator, deviator))


def maximum_principal_stress(model: Model, state: State) -> Float[np.ndarray, " elements"]:
    """Largest eigenvalue of σ [Pa]."""
    return np.linalg.eigvalsh(cauchy_stress(model, state))[:, -1]


def element_volumes(model: Model, state: State | None = None) -> Float[np.ndarray, " elements"]:
    """m³, at rest or at a state."""
    volumes = by_element(model, _rest(model), _volume, ())
    return volumes if state is None else volumes * volume_ratio(model, state)


def volume_ratio(model: Model, state: State) -> Float[np.ndarray, " elements"]:
    """V/V₀ of each element: the mean of det F."""
    return by_element(model, state, _mean_jacobian, ())


def volume_change(model: Model, state: State) -> float:
    """(V − V₀)/V₀ of the whole body."""
    rest = element_volumes(model).sum()
    return float(element_volumes(model, state).sum() / rest - 1.0)


def strain_energy(model: Model, state: State) -> float:
    """∫ W dV [J]; of materials that remember, what the body gives back where it returns to its shape at rest at once.

    What a Prony series has relaxed is not in it, nor what damage took; it is negative where rest must be forced on it.
    """
    return float(by_element(remembered_model(model, state), state, _energy, ()).sum())


def to_nodes(model: Model, values: NDArray) -> Float[np.ndarray, "nodes ..."]:
    """Element values (E, ...) averaged to the nodes of the model, weighted by reference volume.

    Elements of NaN (those without such a fibre) have no weight; a node of no others is NaN.
    """
    weight = element_volumes(model)
    flat = np.asarray(values, float).reshape(len(values), -1)
    told = ~np.isnan(flat)
    flat = np.where(told, flat, 0.0)
    total, share = np.zeros((2, model.nodes, flat.shape[1]))
    for block in model.blocks:
        nodes, source = np.asarray(block.nodes), np.asarray(block.source)
        for corner in range(block.element.own_nodes):
            np.add.at(total, nodes[:, corner], weight[source, None] * flat[source])
            np.add.at(share, nodes[:, corner], weight[source, None] * told[source])
    average = np.divide(total, share, out=np.full_like(total, np.nan), where=share > 0.0)
    return average.reshape(model.nodes, *np.shape(values)[1:])


def weighted_percentile(values: NDArray, weights: NDArray, percent: float) -> float:
    """The value below which `percent` of the weight (volume) lies.

    Raises:
        SolverError: there are no values, or one is not finite.
    """
    if len(values) == 0 or not np.isfinite(values).all():
        raise SolverError(
            "no values" if len(values) == 0 else "a value is not finite",
            where=f"percentile {percent:g}",
            advice="Check that the region has elements and that the solve converged",
        )
    order = np.argsort(values)
    share = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order][np.searchsorted(share, percent / 100.0 * share[-1])])


def region_elements(model: Model, name: str) -> NDArray[np.int64]:
    """Elements of a region, in the mesh's order.

    Raises:
        SolverError: no such region.
    """
    model.nodes_of(name)
    labels = [label for label, region in model.region_names if region == name]
    found = [np.asarray(block.source)[np.isin(np.asarray(block.region), labels)] for block in model.blocks]
    return np.sort(np.concatenate(found)).astype(np.int64)


def region_displacement(model: Model, state: State, name: str) -> Float[np.ndarray, "3"]:
    """Volume mean of the displacement over a region [m]: the shift of its centroid (of its material points)."""
    chosen = region_elements(model, name)
    mean = by_element(model, state, _mean_displacement, (3,))[chosen]
    weight = element_volumes(model)[chosen]
    return weight @ mean / weight.sum()


def reaction_forces(problem: Problem, state: State) -> Float[np.ndarray, "nodes 3"]:
    """Internal minus external force [N]: what the prescribed nodes are held with; zero elsewhere at equilibrium."""
    from .host_system import HostSystem

    system = HostSystem(remembered(problem, state), Timer())
    return system.evaluate(system.field_of(state), float(state.load_fraction)).residual[: problem.model.nodes]


def reaction(problem: Problem, state: State, name: str) -> Float[np.ndarray, "3"]:
    """Sum of the reactions over a set [N]: the force that a grasper or a support puts on the body."""
    nodes = problem.model.nodes_of(name)
    return (reaction_forces(problem, state) * problem.held()[: problem.model.nodes])[nodes].sum(axis=0)


def force_of(problem: Problem, state: State, source: Any) -> Float[np.ndarray, "3"]:
    """Sum of the forces that one load, bed or grip of the problem puts on the body [N]."""
    from .contact.forces import with_past
    from .kernels import TermKernel

    source = with_past(problem, state, source)
    points, moved, total = np.asarray(problem.model.points), np.asarray(state.rows), np.zeros(3)
    for term in source.bind(problem.model):
        total += TermKernel(term, points).forces(moved, float(state.load_fraction)).sum(axis=(0, 1))
    return total


def _rest(model: Model) -> State:
    return State.of_rows(0.0, jnp.zeros_like(model.row_points), model.nodes)


_Measure = Callable[[Element, Material, Array, Array], Array]


def by_element(model: Model, state: State, measure: _Measure, shape: tuple[int, ...]) -> NDArray:
    """(elements, *shape) what `measure` finds as (*shape, E) of an element, material, reference and displacement."""
    points, moved = np.asarray(model.row_points), np.asarray(state.rows)
    result = np.zeros((sum(len(block.nodes) for block in model.blocks), *shape))
    for block in model.blocks:
        for rows, true in _chunks(block):
            nodes = np.asarray(block.nodes)[rows]
            material = jax.tree.map(lambda leaf, r=rows: np.asarray(leaf)[r], block.material).at(state.load_fraction)
            values = np.asarray(measure(block.element, material, jnp.asarray(points[nodes]), jnp.asarray(moved[nodes])))
            result[np.asarray(block.source)[rows[:true]]] = np.moveaxis(values, -1, 0)[:true]
    return result


def _chunks(block: ElementBlock) -> list[tuple[NDArray, int]]:
    count, size = len(block.nodes), block.element.chunk
    return [(np.minimum(np.arange(s, s + size), count - 1), min(size, count - s)) for s in range(0, count, size)]


def mean_of(values: Array, weight: Array) -> Array:
    """(..., E) mean over the points of values (..., Q, E), weighted by their volumes (Q, E)."""
    return jnp.sum(values * weight, axis=-2) / jnp.sum(weight, axis=0)


@partial(jax.jit, static_argnums=0)
def _mean_gradient(element: Element, material: Material, reference: Array, displacement: Array) -> Array:
    at = element.point_fields(reference, displacement, material)
    return mean_of(at.deformation_gradient, at.weight)


@partial(jax.jit, static_argnums=0)
def _mean_strain(element: Element, material: Material, reference: Array, displacement: Array) -> Array:
    at = element.point_fields(reference, displacement, material)
    f = at.deformation_gradient
    strain = 0.5 * (jnp.sum(f[:, :, None] * f[:, None], axis=0) - jnp.eye(3)[:, :, None, None])
    return mean_of(strain, at.weight)


@partial(jax.jit, static_argnums=0)
def _mean_cauchy(element: Element, material: Material, reference: Array, displacement: Array) -> Array:
    at = element.point_fields(reference, displacement, material)
    return mean_of(at.cauchy, at.weight)


@partial(jax.jit, static_argnums=0)
def _mean_jacobian(element: Element, material: Material, reference: Array, displacement: Array) -> Array:
    at = element.point_fields(reference, displacement, material)
    return mean_of(jnp.linalg.det(jnp.moveaxis(at.deformation_gradient, (0, 1), (-2, -1))), at.weight)


@partial(jax.jit, static_argnums=0)
def _volume(element: Element, material: Material, reference: Array, displacement: Array) -> Array:
    return jnp.sum(element.point_fields(reference, displacement, material).weight, axis=0)


@partial(jax.jit, static_argnums=0)
def _energy(element: Element, material: Material, reference: Array, displacement: Array) -> Array:
    return element.evaluate(reference, displacement, material).energy


@partial(jax.jit, static_argnums=0)
def _mean_displacement(element: Element, material: Material, reference: Array, displacement: Array) -> Array:
    rule = element.load_quadrature
    _, weight = element.geometry(reference, rule)
    shape = jnp.asarray(element.shape(rule.points))
    values = jnp.einsum("qa,eai->iqe", shape, displacement[:, : element.nodes])
    return mean_of(values, weight)
