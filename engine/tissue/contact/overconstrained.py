"""Over-constrained contact: nodes that motion is prescribed for, in the way of what touches them or is tied to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..model import MM
from ..moving import CHUNK
from ..problem import Problem
from .penalty import surface_sizes
from .points import contact_points
from .rigid import RigidContact
from .tie import Tie
from .tissue import TissueContact

ALLOWED = 0.02
"""Depth of a held node, over the size of its facets, that a rounded surface may have."""
CHECKED = 8
"""Load fractions at which a path is looked at, besides those that are wanted."""
FINEST = 64
"""At most so many, where prescribed motion passes through more than a facet between two of them."""


class Clash(NamedTuple):
    """A node that cannot give way: how deep it is [m], in what, and which contact says so."""

    node: int
    depth: float
    inside: str
    where: str


def check_contacts(problem: Problem, fractions: Sequence[float]) -> None:
    """No prescribed node is driven into what it cannot give way to.

    Raises:
        SolverError: one is; names the node, what it is driven into, the depth and the load.
    """
    if not problem.contacts:
        return
    held, points = problem.held()[: problem.model.nodes], np.asarray(problem.model.points)
    if not held.any():
        return
    for fraction in sorted({*fractions, *_sampled(problem)}):
        moved = np.asarray(problem.prescribed_displacement(float(fraction)))[: len(points)]
        found = [clash for contact in problem.contacts for clash in _clashes(problem, contact, held, moved, fraction)]
        if found:
            _raise(found, points, float(fraction))


def _sampled(problem: Problem) -> NDArray[np.float64]:
    far = float(np.abs(np.asarray(problem.prescribed_displacement(1.0))).max(initial=0.0))
    reach = min((c.reach for c in problem.contacts if isinstance(c, TissueContact) and c.reach), default=np.inf)
    count = int(np.clip(np.ceil(2.0 * far / reach), CHECKED, FINEST))
    return np.arange(1, count + 1) / count


def _clashes(problem: Problem, contact: object, held: NDArray, moved: NDArray, fraction: float) -> list[Clash]:
    if isinstance(contact, RigidContact):
        return _into_body(problem, contact, held, moved, fraction)
    fixed = np.asarray(held.all(axis=1))
    if isinstance(contact, TissueContact):
        return _into_tissue(problem, contact, fixed, moved, fraction)
    return _torn(problem, contact, fixed, moved) if isinstance(contact, Tie) else []


def _into_body(problem: Problem, contact: RigidContact, held: NDArray, moved: NDArray, fraction: float) -> list[Clash]:
    """The deepest node that cannot move along the body's normal."""
    facets = problem.model.facets_of(contact.facets)
    nodes = np.unique(facets)
    nodes = nodes[held[nodes].any(axis=1)]
    if nodes.size == 0:
        return []
    place = jnp.asarray((np.asarray(problem.model.points) + moved)[nodes])
    gap, normal = jax.vmap(contact.body.gap_and_normal, (0, None))(place, fraction)
    gap, normal = np.asarray(gap), np.asarray(normal)
    # What is free of the normal: a node held along another axis only can still slide out.
    way_out = np.linalg.norm(normal * ~held[nodes], axis=1) / np.maximum(np.linalg.norm(normal, axis=1), 1e-300)
    depth = np.where(way_out < 0.1, -gap, 0.0)
    worst = int(np.argmax(depth))
    if depth[worst] <= _allowed(problem, contact.facets, contact.penetration):
        return []
    return [Clash(int(nodes[worst]), float(depth[worst]), repr(contact.body.label), contact.label)]


def _into_tissue(
    problem: Problem, contact: TissueContact, held: NDArray, moved: NDArray, fraction: float
) -> list[Clash]:
    """The deepest point between two facets whose nodes are all held, one on each side of a contact."""
    model, found = problem.model, []
    for look in contact.bind(model):
        looking, facing = (np.asarray(held[nodes].all(axis=1)) for nodes in (look.slave.faces, look.master.facets))
        if not (looking.any() and facing.any()):
            continue
        pairs = look.pairs(moved, fraction)
        owner = pairs.met.point // len(look.rule.weights)
        fixed = looking[owner] & facing[pairs.met.facet]
        at = contact_points(look.paired(pairs), np.asarray(model.points), moved, fraction, CHUNK)
        depth = np.where(fixed, -at.gap, 0.0)
        worst = int(np.argmax(depth))
        if depth[worst] > _allowed(problem, contact.facets, contact.penetration):
            node = int(look.slave.faces[owner[worst]][0])
            other = contact.other or contact.facets
            found.append(Clash(node, float(depth[worst]), f"held nodes of {other!r}", contact.label))
    return found


def _torn(problem: Problem, tie: Tie, held: NDArray, moved: NDArray) -> list[Clash]:
    """The largest jump between two tied facets whose nodes are all held."""
    table = tie.table
    if table is None:
        return []
    size = table.spread(moved) * held[table.nodes].all(axis=1)
    carried = _carried_apart(problem, tie, held, moved)
    size = np.maximum(size, carried) if len(size) else size
    worst = int(np.argmax(size)) if len(size) else 0
    if not len(size) or size[worst] <= max(tie.jump or 0.0, 1e-6 * _allowed(problem, tie.facets, None) / ALLOWED):
        return []
    return [Clash(int(table.nodes[worst, 0]), float(size[worst]), f"held nodes of {tie.other!r}", tie.label)]


def _carried_apart(problem: Problem, tie: Tie, held: NDArray, moved: NDArray) -> NDArray[np.float64]:
    """Likewise (pairs,) of pairs across a gap, carried by the solid behind the second; its other nodes are free.

    What both facets have in common with a turn or a stretch about them is no jump: only what their means lie further
    apart than three times what their own spread leads to over their distance.
    """
    table: Any = tie.table
    points, half = np.asarray(problem.model.points), table.local.shape[1]
    on_second = np.zeros(len(held), bool)
    for nodes in problem.model.facet_groups(tie.other):
        on_second[np.unique(np.asarray(nodes[1]))] = True
    first, second = table.nodes[:, :half], table.nodes[:, half:]
    facing = on_second[second]
    across = ~facing.all(axis=1) & held[first].all(axis=1) & (held[second] | ~facing).all(axis=1)
    found = np.zeros(len(table.nodes))
    for pair in np.flatnonzero(across & facing.any(axis=1)):
        sides = first[pair], second[pair][facing[pair]]
        way = np.linalg.norm(moved[sides[0]].mean(axis=0) - moved[sides[1]].mean(axis=0))
        apart = np.linalg.norm(points[sides[0]].mean(axis=0) - points[sides[1]].mean(axis=0))
        size, spread = (max(float(np.ptp(field[part], axis=0).max()) for part in sides) for field in (points, moved))
        found[pair] = way if way > 3.0 * spread * (1.0 + apart / size) else 0.0
    return found


def _allowed(problem: Problem, facets: str, penetration: float | None) -> float:
    size = float(surface_sizes(problem.model, facets).mean())
    return max(ALLOWED * size, penetration or 0.0)


def _raise(found: list[Clash], points: NDArray, fraction: float) -> None:
    worst = max(found, key=lambda clash: clash.depth)
    names = " and ".join(dict.fromkeys(clash.inside for clash in found))
    place, far = np.round(points[worst.node] / MM, 2), f"{worst.depth / MM:.3g} mm"
    tied = worst.where.startswith("tie")
    what = f"{far} away from the {names} that it is tied to" if tied else f"{far} inside {names}"
    raise SolverError(
        f"over-constrained contact: node {worst.node} at {place} mm is held or prescribed {what} at "
        f"{100 * fraction:.4g} % of the load",
        where=worst.where,
        advice="Prescribe the motion of one side only"
        if "held nodes" in worst.inside
        else "Leave held nodes out of the tool's way, or take their facets out of the set",
    )
