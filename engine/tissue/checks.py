"""Bad input, named and located before anything is solved."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ..linear.shares import in_order
from .contact.rigid import RigidContact
from .elements.base import Element
from .floating import check_held
from .kernels import Chunks
from .loads import BodyForce, Gravity, NodalForces, Pressure, Traction
from .model import MM, Model
from .places import element_place
from .problem import Problem
from .terms import Constraint

FARTHEST = 50.0
"""A prescribed motion or an instrument's distance of so many body lengths is in another unit."""
FLAT = 1e-9
"""Volume over the cube of the extent below which an element is flat: a sliver of a millionth of its length."""


def check_problem(problem: Problem) -> None:
    """All checks.

    Raises:
        SolverError: a set that is not there or is empty, NaN, a facet that points inward, prescribed motions that
            contradict each other, loose nodes, or a body that floats.
    """
    _finite(problem)
    for load in problem.loads:
        if isinstance(load, (Pressure, BodyForce)):
            load.check(problem.model)
    _solid_at_rest(problem.model)
    _no_loose_nodes(problem.model)
    _consistent(problem)
    for contact in problem.contacts:
        if isinstance(contact, RigidContact):
            _within_reach(problem.model, contact)
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


def check_sources(model: Model, *kinds: Sequence[Any]) -> None:
    """Loads, supports, prescribed motions and contacts stand where they belong, on sets that are there.

    Raises:
        SolverError: something that is no load where loads are given, and so on; a set that is not there or empty.
    """
    for name, sources in zip(("loads", "supports", "prescribed", "contacts"), kinds, strict=True):
        if not isinstance(sources, (list, tuple)):
            raise SolverError(f"{name} are a {type(sources).__name__}", where="problem", advice="Give a list")
        for source in sources:
            if not hasattr(source, "bind") or isinstance(source, type):
                told = source.__name__ if isinstance(source, type) else type(source).__name__
                raise SolverError(f"{told} is none of the {name}", where="problem", advice="See docs/how-to/scene.md")
            _check_sets(model, source)
            home = _home(model, source)
            if home and name not in home:
                told = f"{type(source).__name__} stands among the {name}"
                raise SolverError(told, where="problem", advice=f"Give it with the {home[0]}")


def _check_sets(model: Model, source: Any) -> None:
    for kind in ("facets", "other", "nodes"):
        name = getattr(source, kind, None)
        if name is None:
            if kind in getattr(source, "__dataclass_fields__", {}) and kind != "other":
                raise SolverError("no set is named", where=type(source).__name__, advice="Name a set of the mesh")
            continue
        members = [model.nodes_of(name)] if kind == "nodes" else [f for _, f in model.facet_groups(name)]
        if not all(len(part) for part in members):
            raise SolverError(
                f"set {name!r} is empty", where=type(source).__name__, advice="Choose another set or a larger patch"
            )


def _home(model: Model, source: Any) -> tuple[str, ...]:
    """Where a source belongs; a prescribed motion among the supports is as good."""
    if hasattr(source, "resolved"):
        return ("contacts",)
    if isinstance(source, (BodyForce, Gravity, NodalForces, Pressure, Traction)):
        return ("loads",)
    bound = source.bind(model)
    return ("supports", "prescribed") if any(isinstance(part, Constraint) for part in bound) else ()


def _consistent(problem: Problem) -> None:
    points = problem.model.points
    length = float(np.ptp(np.asarray(points), axis=0).max())
    constraints = problem.constraints()
    for fraction in (0.25, 0.5, 0.75, 1.0):
        values = np.full(points.shape, np.nan)
        owner = np.full(points.shape, -1)
        for index, constraint in enumerate(constraints):
            moved = _plausible(problem.model, constraint, fraction, length)
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


def _plausible(model: Model, constraint: Constraint, fraction: float, length: float) -> NDArray:
    """The prescribed displacement (n, 3) m, where it is one.

    Raises:
        SolverError: not real, not finite, or so large that it cannot be in metres.
    """
    moved = np.asarray(constraint.values(model.points, fraction))
    if moved.dtype.kind == "c":
        raise SolverError("a displacement is complex", where=constraint.label, advice="Give real numbers, in m")
    chosen = moved[:, np.array(constraint.components)]
    bad = np.flatnonzero(~(np.abs(chosen).max(axis=1, initial=0.0) <= FARTHEST * length))
    if bad.size:
        size = float(np.abs(chosen[bad[0]]).max())
        node = int(constraint.nodes[bad[0]])
        told = f"{size:.3g} m, {size / length:.3g} times the body," if np.isfinite(size) else "no finite displacement"
        raise SolverError(
            f"node {node} at {_place(model, node)} is given {told} at {100 * fraction:g} % of the load",
            where=constraint.label,
            advice="Give metres, not millimetres" if np.isfinite(size) else "Look for NaN in it",
        )
    return moved


def _within_reach(model: Model, contact: RigidContact) -> None:
    """The body of a contact comes near at some time: a distance changes by no more than the way gone.

    Raises:
        SolverError: it stays so far that it must be in another unit.
    """
    points = np.asarray(model.points)[np.unique(model.facets_of(contact.facets))]
    centre, size = points.mean(axis=0), float(np.ptp(np.asarray(model.points), axis=0).max())
    away = min(float(contact.body.distance(jnp.asarray(centre), at)) for at in (0.0, 0.25, 0.5, 0.75, 1.0))
    if away > FARTHEST * size:
        raise SolverError(
            f"{contact.body.label!r} stays {away:.3g} m away from a body of {size:.3g} m",
            where=contact.label,
            advice="Give its shape and path in metres, in the frame of the mesh",
        )


def _solid_at_rest(model: Model) -> None:
    """Every solid has a volume, also where its mid-edge nodes were moved."""
    points = np.asarray(model.points)
    for block in model.blocks:
        if block.element.dimension < 3:
            continue
        nodes, element = np.asarray(block.nodes)[:, : block.element.nodes], block.element
        chunks = Chunks(len(nodes), element.chunk)
        found = in_order(lambda rows, n=nodes, e=element: np.asarray(_fullness(e, points[n[rows]])), chunks.rows)
        fullness = np.concatenate(list(found))[: len(nodes)]
        flat = np.flatnonzero(~(fullness > FLAT))
        if flat.size:
            manner = "is turned inside out" if fullness[flat[0]] < -FLAT else "is flat"
            raise SolverError(
                f"{element_place(model, int(block.source[flat[0]]))} {manner} at rest",
                where="model",
                advice="Mend the mesh there: give it another order of nodes, move one, or mesh anew",
            )


@partial(jax.jit, static_argnums=0)
def _fullness(element: Element, reference: jax.Array) -> jax.Array:
    """(E,) smallest volume of the integration points over the cube of the extent; NaN where there is none."""
    corners = reference[:, : element.corners]
    extent = jnp.max(corners.max(axis=1) - corners.min(axis=1), axis=1)
    return jnp.min(element.geometry(reference, element.quadrature)[1], axis=0) / extent**3


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
