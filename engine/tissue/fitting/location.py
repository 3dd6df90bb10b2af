"""Where points lie in a body: the element, and its shape functions there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ....imaging.errors import SolverError
from ..elements.base import Element
from ..model import Model

NEIGHBOURS = 24
"""Elements looked at per point, nearest centres first."""
OUTSIDE = 0.05
"""A point this share of an element outside still counts as in it (a curved boundary, a coarse mesh)."""


def locate(
    model: Model, points: Float[NDArray, "n 3"], where: str, *, outside: float = OUTSIDE
) -> tuple[Int[NDArray, "n m"], Float[NDArray, "n m"], Float[NDArray, " n"]]:
    """Nodes and weights with Σ w X = point, and how far outside [element sizes] each point lies (0: inside).

    Points up to `outside` element sizes out belong to the element they are least outside of.

    Raises:
        SolverError: a point lies outside of all elements; says which.
    """
    reference = np.asarray(model.points)
    blocks = [block for block in model.blocks if block.element.dimension == 3]
    most = max(block.element.nodes for block in blocks)
    best = np.full(len(points), np.inf)
    nodes, weights = np.zeros((len(points), most), np.int64), np.zeros((len(points), most))
    for block in blocks:
        cells = np.asarray(block.vertices)
        tree = cKDTree(reference[cells].mean(axis=1))
        _, near = tree.query(points, k=min(NEIGHBOURS, len(cells)))
        near = np.reshape(near, (len(points), -1))
        for column in range(near.shape[1]):
            open_points = np.flatnonzero(best > 1e-9)
            if open_points.size == 0:
                break
            chosen = cells[near[open_points, column]]
            local = _local_coordinates(block.element, reference[chosen], points[open_points])
            beyond = _violation(block.element, local)
            better = beyond < best[open_points]
            rows = open_points[better]
            shape = block.element.shape(local[better])
            nodes[rows, : shape.shape[1]], weights[rows, : shape.shape[1]] = chosen[better], shape
            best[rows] = beyond[better]
    far = np.flatnonzero(best > outside)
    if far.size:
        raise SolverError(
            f"{far.size} of {len(points)} points lie outside of the body, the first is number {far[0]} at "
            f"{np.round(points[far[0]], 5)} m",
            where=where,
            advice="Check the unit (m) and the frame; a surface seen without numbers goes to SurfacePoints",
        )
    return nodes, weights, best


def _local_coordinates(element: Element, corners: NDArray, points: NDArray) -> NDArray:
    """(n, 3) by Newton's method on Σ N(ξ) X = x; exact at once for straight tetrahedra."""
    local = np.tile(_centre(element), (len(points), 1))
    for _ in range(8):
        gap = points - np.einsum("na,nai->ni", element.shape(local), corners)
        slope = np.einsum("nai,naj->nij", corners, element.gradient(local))
        step = np.linalg.solve(slope, gap[..., None])[..., 0]
        local = np.clip(local + np.clip(step, -2.0, 2.0), -3.0, 3.0)
        if np.abs(step).max(initial=0.0) < 1e-12:
            break
    return local


def _is_brick(element: Element) -> bool:
    return element.nodes in (8, 20, 27)


def _centre(element: Element) -> NDArray:
    return np.zeros(3) if _is_brick(element) else np.full(3, 0.25)


def _violation(element: Element, local: NDArray) -> NDArray:
    """How far outside of the reference element, in its own measure; 0 inside."""
    if _is_brick(element):
        return np.maximum(np.abs(local).max(axis=1) - 1.0, 0.0) / 2.0
    bary = np.concatenate([1.0 - local.sum(axis=1, keepdims=True), local], axis=1)
    return np.maximum(-bary.min(axis=1), 0.0)
