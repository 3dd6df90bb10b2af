"""Over-constrained contact: a node that prescribed motion carries into an obstacle, or holds in a tool's way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..model import MM
from ..problem import Problem
from .penalty import facet_sizes
from .points import contact_points
from .rigid import RigidContact
from .tissue import Look, TissueContact

ALLOWED = 0.02
"""Depth of a held node, over the size of its facets, that a rounded surface may have."""
CHECKED = 8
"""Load fractions at which a path is looked at, besides those that are wanted."""


def check_contacts(problem: Problem, fractions: Sequence[float]) -> None:
    """No prescribed node is inside a rigid body, or a prescribed surface, that it cannot give way to.

    Raises:
        SolverError: one is; names the node, the bodies, the depth and the load.
    """
    _check_tissues(problem, fractions)
    contacts = [contact for contact in problem.contacts if isinstance(contact, RigidContact)]
    if not contacts:
        return
    held, points = problem.held(), np.asarray(problem.model.points)
    for fraction in sorted({*fractions, *(np.arange(1, CHECKED + 1) / CHECKED)}):
        moved = points + np.asarray(problem.prescribed_displacement(float(fraction)))
        found = [(contact, *_deepest(problem, contact, held, moved, float(fraction))) for contact in contacts]
        deep = [(contact, node, depth) for contact, node, depth in found if node >= 0]
        if deep:
            _raise(deep, points, float(fraction))


def _check_tissues(problem: Problem, fractions: Sequence[float]) -> None:
    """Two surfaces that are held or prescribed on both sides do not overlap."""
    contacts = [contact for contact in problem.contacts if isinstance(contact, TissueContact)]
    held, points = np.asarray(problem.held().all(axis=1)), np.asarray(problem.model.points)
    looks = [(contact, look) for contact in contacts for look in contact.bind(problem.model) if _stuck(look, held)]
    for fraction in sorted({*fractions, *(np.arange(1, CHECKED + 1) / CHECKED)}) if looks else ():
        moved = np.asarray(problem.prescribed_displacement(float(fraction)))
        for contact, look in looks:
            node, depth = _deepest_pair(problem, look, held, moved, float(fraction))
            if node >= 0:
                raise SolverError(
                    f"over-constrained contact: node {node} at {np.round(points[node] / MM, 2)} mm and what it meets "
                    f"are both held or prescribed, {depth / MM:.3g} mm in each other at {100 * fraction:.4g} % of the "
                    "load",
                    where=contact.label,
                    advice="Leave one of the two surfaces free to give way, or change the motion",
                )


def _stuck(look: Look, held: NDArray) -> bool:
    """Whether facets on both sides cannot give way."""
    return all(held[side.facets].all(axis=1).any() for side in (look.slave, look.master))


def _deepest_pair(problem: Problem, look: Look, held: NDArray, moved: NDArray, fraction: float) -> tuple[int, float]:
    """A node of the deepest pair of facets that cannot give way, and how deep it is [m]; −1 where none is."""
    met = look.pairs(moved, fraction)
    owner = met.met.point // len(look.rule.weights)
    found = contact_points(look.paired(met), np.asarray(problem.model.points), moved, fraction)
    stiff = held[look.slave.facets[owner]].all(axis=1) & held[look.master.facets[met.met.facet]].all(axis=1)
    depth = np.where(stiff, -np.asarray(found.gap).reshape(len(owner), -1).min(axis=1), 0.0)
    allowed = ALLOWED * float(facet_sizes(problem.model, look.slave.facets).mean())
    worst = int(np.argmax(depth)) if len(depth) else -1
    return (
        (int(look.slave.facets[owner[worst]][0]), float(depth[worst]))
        if worst >= 0 and depth[worst] > allowed
        else (-1, 0.0)
    )


def _deepest(
    problem: Problem, contact: RigidContact, held: NDArray, moved: NDArray, fraction: float
) -> tuple[int, float]:
    """The deepest node that cannot move along the body's normal, and how deep [m]; −1 where none is."""
    import jax
    import jax.numpy as jnp

    facets = problem.model.facets_of(contact.facets)
    nodes = np.unique(facets)
    nodes = nodes[held[nodes].any(axis=1)]
    if nodes.size == 0:
        return -1, 0.0
    gap, normal = jax.vmap(contact.body.gap_and_normal, (0, None))(jnp.asarray(moved[nodes]), fraction)
    gap, normal = np.asarray(gap), np.asarray(normal)
    # What is free of the normal: a node held along another axis only can still slide out.
    way_out = np.linalg.norm(normal * ~held[nodes], axis=1) / np.maximum(np.linalg.norm(normal, axis=1), 1e-300)
    allowed = max(ALLOWED * float(facet_sizes(problem.model, facets).mean()), contact.penetration or 0.0)
    depth = np.where(way_out < 0.1, -gap, 0.0)
    worst = int(np.argmax(depth))
    return (int(nodes[worst]), float(depth[worst])) if depth[worst] > allowed else (-1, 0.0)


def _raise(deep: list[tuple[RigidContact, int, float]], points: NDArray, fraction: float) -> None:
    contact, node, depth = max(deep, key=lambda found: found[2])
    names = " and ".join(f"{other.body.label!r}" for other, _, _ in deep)
    raise SolverError(
        f"over-constrained contact: node {node} at {np.round(points[node] / MM, 2)} mm is held or prescribed "
        f"{depth / MM:.3g} mm inside {names} at {100 * fraction:.4g} % of the load",
        where=contact.label,
        advice="Leave held nodes out of the tool's way, or take their facets out of the set",
    )
