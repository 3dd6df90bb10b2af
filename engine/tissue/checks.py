"""Bad input, named and located before anything is solved."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ...imaging.errors import SolverError
from ..linear.host import rigid_body_modes
from .loads.facet import Pressure
from .model import MM, Model
from .problem import Problem
from .solution import ResultCode

FREE_MOTION = 1e-9
"""A rigid motion whose resistance is below this share of the largest is free."""


def check_problem(problem: Problem) -> None:
    """All checks.

    Raises:
        SolverError: a set that is not there or is empty, NaN, a facet that points inward, prescribed motions that
            contradict each other, loose nodes, or a body that floats.
    """
    _finite(problem)
    for source in (*problem.loads, *problem.supports, *problem.prescribed):
        _not_empty(problem.model, source)
        if isinstance(source, Pressure):
            source.check(problem.model)
    _consistent(problem)
    _held(problem)


def _finite(problem: Problem) -> None:
    for source in (*problem.loads, *problem.supports, *problem.prescribed):
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
    members = model.facets_of(name) if facets is not None else model.nodes_of(name)
    if len(members) == 0:
        raise SolverError(
            f"set {name!r} is empty", where=type(source).__name__, advice="Choose another set or a larger patch"
        )


def _consistent(problem: Problem) -> None:
    points = problem.model.points
    length = float(jnp.max(jnp.ptp(points, axis=0)))
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


def _place(model: Model, node: int) -> str:
    return f"{np.round(np.asarray(model.points)[node] / MM, 2)} mm"


def _held(problem: Problem) -> None:
    """Each connected part of the body resists all six rigid motions."""
    points = np.asarray(problem.model.points)
    part, count = _parts(problem.model)
    used = np.zeros(len(points), bool)
    for block in problem.model.blocks:
        used[np.asarray(block.nodes).ravel()] = True
    loose = np.flatnonzero(~used)
    if loose.size:
        raise SolverError(
            f"{loose.size} nodes belong to no element, the first: {loose[0]} at {_place(problem.model, int(loose[0]))}",
            where="model",
            advice="Remove unused points from the mesh",
        )
    held, springs = problem.held(), _spring_terms(problem)
    for k in range(count):
        nodes = np.flatnonzero(part == k)
        free = _free_motions(points, nodes, held, springs)
        if free:
            centre = np.round(points[nodes].mean(axis=0) / MM, 1)
            raise SolverError(
                f"{ResultCode.floating_body.value}: the part of {len(nodes)} nodes around {centre} mm can {free}",
                where="supports",
                advice=ResultCode.floating_body.advice,
            )


def _parts(model: Model) -> tuple[NDArray, int]:
    size = len(model.points)
    edges = []
    for block in model.blocks:
        nodes = np.asarray(block.nodes)
        edges += [np.stack([nodes[:, 0], nodes[:, k]], axis=1) for k in range(1, nodes.shape[1])]
    pairs = np.concatenate(edges)
    graph = sparse.coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    count, part = connected_components(graph, directed=False)
    sizes = np.bincount(part, minlength=count)
    keep = np.flatnonzero(sizes > 1)
    rename = np.full(count, -1)
    rename[keep] = np.arange(len(keep))
    return rename[part], len(keep)


def _spring_terms(problem: Problem) -> list[tuple[NDArray, NDArray]]:
    """Nodes (G, m) and stiffness (G, m, m, 3, 3) of all springs, ligaments taken as taut."""
    from .kernels import TermKernel
    from .prescribed import GripTerm
    from .supports import BedTerm, LigamentTerm, PointSpringTerm

    points = np.asarray(problem.model.points)
    found = []
    for term in problem.terms():
        if isinstance(term, LigamentTerm):
            nodes = np.asarray(term.nodes)
            arm = np.asarray(term.anchor) - points[nodes[:, 0]]
            unit = arm / np.maximum(np.linalg.norm(arm, axis=1), 1e-300)[:, None]
            blocks = np.asarray(term.stiffness)[:, None, None] * unit[:, :, None] * unit[:, None, :]
            found.append((nodes, blocks[:, None, None]))
        elif isinstance(term, (BedTerm, GripTerm, PointSpringTerm)):
            found.append((np.asarray(term.nodes), TermKernel(term, points).tangents(np.zeros_like(points), 1.0)))
    return found


def _free_motions(points: NDArray, nodes: NDArray, held: NDArray, springs: list[tuple[NDArray, NDArray]]) -> str:
    """Which rigid motion of a part nothing resists, in words; empty where all are resisted."""
    inside = np.full(len(points), -1)
    inside[nodes] = np.arange(len(nodes))
    modes = rigid_body_modes(points[nodes]).reshape(-1, 3, 6)
    rows = modes[held[nodes]]
    gram = rows.T @ rows / max(len(rows), 1)
    for groups, blocks in springs:
        mine = inside[groups[:, 0]] >= 0
        if not mine.any():
            continue
        local = modes[inside[groups[mine]]]
        extra = np.einsum("gaip,gabij,gbjq->pq", local, blocks[mine], local)
        gram = gram + extra / max(np.trace(extra), 1e-300)
    values, vectors = np.linalg.eigh(gram)
    if values[0] > FREE_MOTION * max(values[-1], 1e-300):
        return ""
    motion = vectors[:, 0]
    shift, turn = motion[:3], motion[3:]
    kind, axis = ("shift", shift) if np.linalg.norm(shift) >= np.linalg.norm(turn) else ("turn", turn)
    return (
        f"{kind} freely along {np.round(axis / np.linalg.norm(axis), 2)}"
        if kind == "shift"
        else (f"turn freely about {np.round(axis / np.linalg.norm(axis), 2)}")
    )
