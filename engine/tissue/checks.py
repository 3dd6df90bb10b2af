"""Bad input, named and located before anything is solved."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ...imaging.errors import SolverError
from .elements.base import Element
from .floating import check_held
from .loads.facet import Pressure
from .model import MM, Model
from .places import element_place
from .problem import Problem

FLAT = 1e-9
"""Volume over the cube of the extent below which an element is flat: a sliver of a millionth of its length."""


def check_problem(problem: Problem) -> None:
    """All checks.

    Raises:
        SolverError: a set that is not there or is empty, NaN, a facet that points inward, prescribed motions that
            contradict each other, loose nodes, or a body that floats.
    """
    _finite(problem)
    for source in (*problem.loads, *problem.supports, *problem.prescribed, *problem.contacts):
        _not_empty(problem.model, source)
        if isinstance(source, Pressure):
            source.check(problem.model)
    _solid_at_rest(problem.model)
    _no_loose_nodes(problem.model)
    _consistent(problem)
    if not problem.floating:
        check_held(problem)


def _finite(problem: Problem) -> None:
    for source in (*problem.loads, *problem.supports, *problem.prescribed, *problem.contacts):
        for leaf in jax.tree.leaves(source):
            if isinstance(leaf, (float, jax.Array, np.ndarray)) and not np.isfinite(np.asarray(leaf)).all():
                raise SolverError(
                    "a value is not finite", where=type(source).__name__, advice="Look for NaN in the scene"
                )
    bad = np.flatnonzero(~np.isfinite(np.asarray(problem.model.points)).all(axis=1))
    if bad.size:
        raise SolverError(f"node {bad[0]} has no finite position", where="model", advice="Look for NaN in the mesh")


def _not_empty(model: Model, source: object) -> None:
    facets, nodes = getattr(source, "facets", None), getattr(source, "nodes", None)
    name = facets if facets is not None else nodes
    if name is None:
        return
    members = [f for _, f in model.facet_groups(name)] if facets is not None else [model.nodes_of(name)]
    if not all(len(part) for part in members):
        raise SolverError(
            f"set {name!r} is empty", where=type(source).__name__, advice="Choose another set or a larger patch"
        )


def _consistent(problem: Problem) -> None:
    points = problem.model.points
    length = float(np.ptp(np.asarray(points), axis=0).max())
    for fraction in (0.25, 0.5, 0.75, 1.0):
        values = np.full(points.shape, np.nan)
        owner = np.full(points.shape, -1)
        constraints = problem.constraints()
        for index, constraint in enumerate(constraints):
            moved = np.asarray(constraint.values(points, fraction))
            for axis in np.flatnonzero(constraint.components):
                before = values[constraint.nodes, axis]
                clash = np.abs(before - moved[:, axis]) > 1e-12 * length
                if clash.any():
                    node = int(constraint.nodes[np.flatnonzero(clash)[0]])
                    other = constraints[owner[node, axis]].label
                    raise SolverError(
                        f"{other} and {constraint.label} give node {node} at {_place(problem.model, node)} "
                        f"different displacements along {'xyz'[axis]}",
                        where="prescribed motion",
                        advice="Take the shared nodes out of one of the two sets",
                    )
                values[constraint.nodes, axis] = moved[:, axis]
                owner[constraint.nodes, axis] = index


def _solid_at_rest(model: Model) -> None:
    """Every solid has a volume, also where its mid-edge nodes were moved."""
    points = np.asarray(model.points)
    for block in model.blocks:
        if block.element.dimension < 3:
            continue
        nodes, size = np.asarray(block.nodes)[:, : block.element.nodes], block.element.chunk
        for start in range(0, len(nodes), size):
            places = points[nodes[np.minimum(np.arange(start, start + size), len(nodes) - 1)]]
            smallest = np.asarray(_smallest_weight(block.element, places))
            extent = np.ptp(places[:, : block.element.corners], axis=1).max(axis=1)
            flat = np.flatnonzero(~(smallest > FLAT * extent**3))
            if flat.size:
                manner = "is turned inside out" if smallest[flat[0]] < -FLAT * extent[flat[0]] ** 3 else "is flat"
                raise SolverError(
                    f"{element_place(model, int(block.source[start + flat[0]]))} {manner} at rest",
                    where="model",
                    advice="Mend the mesh there: give it another order of nodes, move one, or mesh anew",
                )


@partial(jax.jit, static_argnums=0)
def _smallest_weight(element: Element, reference: jax.Array) -> jax.Array:
    """(E,) smallest volume [m³] of the integration points."""
    return jnp.min(element.geometry(reference, element.quadrature)[1], axis=0)


def _no_loose_nodes(model: Model) -> None:
    used = np.zeros(len(model.points), bool)
    for block in model.blocks:
        used[np.asarray(block.nodes)[:, : block.element.nodes].ravel()] = True
    loose = np.flatnonzero(~used)
    if loose.size:
        raise SolverError(
            f"{loose.size} nodes belong to no element, the first: {loose[0]} at {_place(model, int(loose[0]))}",
            where="model",
            advice="Remove unused points from the mesh",
        )


def _place(model: Model, node: int) -> str:
    return f"{np.round(np.asarray(model.points)[node] / MM, 2)} mm"
