"""Whether every part of a body is held: each, taken as rigid, must resist all motions that its joints leave it.

Elements that share a facet are one part. Parts that meet only in an edge or a point are jointed there: a block that
hangs on another by one edge swings like a door, though no node of it is loose.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ...imaging.errors import SolverError
from ..linear.host import rigid_body_modes
from .model import MM, Model
from .problem import Problem
from .solution import ResultCode

FREE_MOTION = 1e-9
"""A rigid motion whose resistance is below this share of the largest is free."""

Springs = list[tuple[NDArray, NDArray]]
"""Nodes (G, m) and stiffness (G, m, m, 3, 3) N/m of each support."""


def check_held(problem: Problem) -> None:
    """Each part of the body resists all rigid motions.

    Raises:
        SolverError: one does not; says which part and which motion.
    """
    points = np.asarray(problem.model.points)
    held, springs = problem.held(), spring_stiffness(problem)
    rigid = np.zeros(len(points), bool)
    for block in problem.model.blocks:
        if block.element.dimension == 3:
            rigid[np.asarray(block.vertices).ravel()] = True
    for parts in touching(assemblies(problem.model), springs, len(points)):
        # A cable or a sail may hang from two points and swing: its weight and tension hold it.
        hangs = not any(rigid[nodes].any() for nodes in parts)
        free = free_motion(points, parts, held, springs, may_turn=hangs)
        if free:
            advice = ResultCode.floating_body.advice
            if any(getattr(support, "one_sided", False) for support in problem.supports):
                advice = (
                    "A one-sided bed does not hold a body at rest: add one that pulls as well, a thousandth as stiff, "
                    "or let the body settle with dynamic.solve"
                )
            raise SolverError(f"{ResultCode.floating_body.value}: {free}", where="supports", advice=advice)


def touching(groups: list[list[NDArray]], springs: Springs, count: int) -> list[list[NDArray]]:
    """Assemblies that a spring between them (contact, a tie) makes one."""
    if len(groups) == 1:
        return groups
    owner = np.full(count, -1)
    for k, parts in enumerate(groups):
        owner[np.concatenate(parts)] = k
    ends = [owner[nodes] for nodes, blocks in springs if nodes.shape[1] > 1 and len(nodes) and np.abs(blocks).max() > 0]
    left = np.concatenate([part.min(axis=1) for part in ends]) if ends else np.zeros(0, int)
    right = np.concatenate([part.max(axis=1) for part in ends]) if ends else left
    graph = sparse.coo_matrix((np.ones(len(left), np.int8), (left, right)), (len(groups), len(groups)))
    total, group = connected_components(graph, directed=False)
    return [[part for k in np.flatnonzero(group == g) for part in groups[k]] for g in range(total)]


def assemblies(model: Model) -> list[list[NDArray]]:
    """The nodes of each part, parts that share nodes together in one list."""
    part, count = _parts(model)
    nodes = np.concatenate([np.asarray(block.nodes)[:, : block.element.nodes].ravel() for block in model.blocks])
    if count == 1:
        used = np.zeros(len(model.points), bool)
        used[nodes] = True
        return [[np.flatnonzero(used)]]
    owner = np.repeat(part, np.concatenate([np.full(len(b.nodes), b.element.nodes) for b in model.blocks]))
    pairs = np.unique(owner.astype(np.int64) * len(model.points) + nodes)
    owner, nodes = pairs // len(model.points), pairs % len(model.points)
    members = np.split(nodes, np.searchsorted(owner, np.arange(1, count)))
    touch = sparse.csr_matrix((np.ones(len(nodes), np.int8), (owner, nodes)), (count, len(model.points)))
    groups, group = connected_components((touch.astype(np.int32) @ touch.T.astype(np.int32)), directed=False)
    return [[members[k] for k in np.flatnonzero(group == g)] for g in range(groups)]


def _parts(model: Model) -> tuple[NDArray[np.int32], int]:
    """For each element of all blocks, which part it belongs to.

    Solids are one part where they share a face. Sheets and strands are taken as welded to whatever they touch: they may
    be too weak or too slack to hold it, which the solver finds, but a node of theirs is no hinge of a body.
    """
    from .faces import join_pairs, match_faces, resolve

    starts = np.cumsum([0, *(len(block.nodes) for block in model.blocks)]).tolist()
    total = starts[-1]
    parent, overlap = np.arange(total + len(model.points), dtype=np.int32), np.full(4, -1)
    solids = [(s, b) for s, b in zip(starts, model.blocks, strict=False) if b.element.dimension == 3]
    # Most faces are shared, so that the table stays half empty.
    faces = sum(len(block.nodes) * len(block.element.faces) for _, block in solids)
    size = 1 << max(faces, 1).bit_length()
    table = np.empty(size, np.int64), np.empty(size, np.int32), np.full((size, 2), -1, np.int32)
    for start, block in solids:
        given = np.asarray(block.nodes), block.element.faces, start, len(model.points)
        match_faces(*given, *table, parent, overlap)
        if overlap[0] >= 0:
            face = given[0][overlap[2] - start, block.element.faces[overlap[3]]]
            _refuse_overlap(model, face, overlap[:3].tolist())
    elements, nodes = _welds(model, np.array(starts))
    join_pairs(elements, total + nodes, parent)
    resolve(parent)
    there = np.zeros(len(parent), bool)
    there[parent[:total]] = True
    return (np.cumsum(there, dtype=np.int32) - 1)[parent[:total]], int(there.sum())


def _refuse_overlap(model: Model, face: NDArray, elements: list[int]) -> None:
    source = np.concatenate([np.asarray(block.source) for block in model.blocks])
    at = np.round(np.asarray(model.points)[face].mean(axis=0) / MM, 2)
    raise SolverError(
        f"elements {', '.join(map(str, sorted(int(source[e]) for e in elements)))} share one face at {at} mm",
        where="model",
        advice="Two solids can meet there, not three: look for an element given twice, or meshes that overlap",
    )


def _welds(model: Model, starts: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(element, node) pairs at the nodes of sheets and strands."""
    touched = np.zeros(len(model.points), bool)
    for block in model.blocks:
        if block.element.dimension < 3:
            touched[np.asarray(block.vertices).ravel()] = True
    elements, nodes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    if touched.any():
        for start, block in zip(starts, model.blocks, strict=False):
            mine = np.asarray(block.vertices)
            row, column = np.nonzero(touched[mine])
            elements.append(start + row)
            nodes.append(mine[row, column].astype(np.int64))
    return np.concatenate(elements), np.concatenate(nodes)


def spring_stiffness(problem: Problem) -> Springs:
    """All springs at rest, ligaments taken as taut; contacts and ties as they are at the start."""
    from .contact.rigid import RigidTerm
    from .contact.tie import TieTerm
    from .kernels import TermKernel
    from .moving import CHUNK
    from .prescribed import GripTerm
    from .supports import BedTerm, LigamentTerm, PointSpringTerm

    points = np.asarray(problem.model.points)
    found = []
    for term in problem.fixed_terms():
        if isinstance(term, LigamentTerm):
            nodes = np.asarray(term.nodes)
            arm = np.asarray(term.anchor) - points[nodes[:, 0]]
            unit = arm / np.maximum(np.linalg.norm(arm, axis=1), 1e-300)[:, None]
            blocks = np.asarray(term.stiffness)[:, None, None] * unit[:, :, None] * unit[:, None, :]
            found.append((nodes, blocks[:, None, None]))
        elif isinstance(term, (RigidTerm, TieTerm)):
            found.append((np.asarray(term.nodes), TermKernel(term, points).tangents(np.zeros_like(points), 0.0)))
        elif isinstance(term, (BedTerm, GripTerm, PointSpringTerm)):
            found.append((np.asarray(term.nodes), TermKernel(term, points).tangents(np.zeros_like(points), 1.0)))
    rest = np.zeros_like(points)
    met = [term for term in (moving.search(rest, 0.0) for moving in problem.begun().moving()) if len(term.nodes)]
    return found + [(np.asarray(term.nodes), TermKernel(term, points, CHUNK).tangents(rest, 0.0)) for term in met]


def free_motion(
    points: NDArray, parts: list[NDArray], held: NDArray, springs: Springs, *, may_turn: bool = False
) -> str:
    """Which motion of jointed rigid parts nothing resists, in words; empty where all are resisted."""
    everything = np.unique(np.concatenate(parts))
    modes = np.zeros((len(points), 3, 6))
    modes[everything] = rigid_body_modes(points[everything]).reshape(-1, 3, 6)
    resistance = np.zeros((6 * len(parts), 6 * len(parts)))
    for k, nodes in enumerate(parts):
        resistance[6 * k : 6 * k + 6, 6 * k : 6 * k + 6] = _support(modes, nodes, held, springs) + _idle(modes[nodes])
    _joints(resistance, modes, parts)
    _between(resistance, modes, parts, springs)
    if may_turn:
        resistance += np.diag(np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], len(parts)))
    values, vectors = np.linalg.eigh(resistance)
    if values[0] > FREE_MOTION * max(values[-1], 1e-300):
        return ""
    motions = vectors[:, 0].reshape(-1, 6)
    loosest = int(np.argmax([np.linalg.norm(modes[nodes] @ m) for nodes, m in zip(parts, motions, strict=True)]))
    return _told(points, parts[loosest], motions[loosest], jointed=len(parts) > 1)


def _support(modes: NDArray, nodes: NDArray, held: NDArray, springs: Springs) -> NDArray:
    """(6, 6): what prescribed components and springs resist, each support of like weight."""
    rows = modes[nodes][held[nodes]]
    gram = rows.T @ rows / max(len(rows), 1)
    inside = np.zeros(len(modes), bool)
    inside[nodes] = True
    for groups, blocks in springs:
        mine = inside[groups].all(axis=1)
        if mine.any():
            local = modes[groups[mine]]
            extra = _pushing(np.einsum("gaip,gabij,gbjq->pq", local, blocks[mine], local))
            gram = gram + extra / max(np.trace(extra), 1e-300)
    return gram


def _between(resistance: NDArray, modes: NDArray, parts: list[NDArray], springs: Springs) -> None:
    """Adds what springs from part to part (contact, ties) resist, each support of like weight."""
    part = np.full(len(modes), -1)
    for k, nodes in enumerate(parts):
        part[nodes] = k
    for groups, blocks in springs:
        ends = part[groups]
        across = np.flatnonzero((ends.min(axis=1) >= 0) & (ends.min(axis=1) != ends.max(axis=1)))
        if not across.size:
            continue
        extra, touched = np.zeros_like(resistance), np.unique(ends[across])
        local = {k: modes[groups[across]] * (ends[across] == k)[:, :, None, None] for k in touched}
        for k in touched:
            for other in touched:
                block = np.einsum("gaip,gabij,gbjq->pq", local[k], blocks[across], local[other])
                extra[6 * k : 6 * k + 6, 6 * other : 6 * other + 6] = block
        extra = _pushing(extra)
        resistance += extra / max(np.trace(extra), 1e-300)


def _pushing(stiffness: NDArray) -> NDArray:
    """The part of a stiffness that resists: a curved body that presses in pushes sideways, which holds nothing."""
    values, vectors = np.linalg.eigh(0.5 * (stiffness + stiffness.T))
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def _idle(modes: NDArray) -> NDArray:
    """(6, 6): resists what moves no node, as the turn of a straight strand about itself."""
    values, vectors = np.linalg.eigh(np.einsum("aip,aiq->pq", modes, modes))
    idle = vectors[:, values < 1e-12 * values[-1]]
    return idle @ idle.T


def _joints(resistance: NDArray, modes: NDArray, parts: list[NDArray]) -> None:
    """Adds |motion of one part − motion of the next|² at every node they share."""
    last = np.full(len(modes), -1)
    for k, nodes in enumerate(parts):
        shared = nodes[last[nodes] >= 0]
        for other in np.unique(last[shared]):
            rows = modes[shared[last[shared] == other]].reshape(-1, 6)
            gram = rows.T @ rows / len(rows)
            for a, b, sign in ((k, k, 1), (other, other, 1), (k, other, -1), (other, k, -1)):
                resistance[6 * a : 6 * a + 6, 6 * b : 6 * b + 6] += sign * gram
        last[nodes] = k


def _told(points: NDArray, nodes: NDArray, motion: NDArray, *, jointed: bool) -> str:
    centre = np.round(points[nodes].mean(axis=0) / MM, 1)
    shift, turn = motion[:3], motion[3:]
    # A turn about an axis beside the middle is a shift and a turn of it: only what hardly turns shifts.
    slides = np.linalg.norm(turn) <= 0.1 * np.linalg.norm(shift)
    axis = np.round((shift if slides else turn) / np.linalg.norm(shift if slides else turn), 2)
    manner = "shift freely along" if slides else "turn freely about"
    joint = ", which meets the rest in an edge or a point only," if jointed else ""
    return f"the part of {len(nodes)} nodes around {centre} mm{joint} can {manner} {axis}"
