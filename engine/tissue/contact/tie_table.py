"""Where two tied meshes overlap: segments cut once at rest, with rules for products of shape functions on them."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ....imaging.errors import SolverError
from ..elements.tri import DEGREE_2, DEGREE_4
from ..model import MM
from . import triangle
from .clipping import segments

UNCOVERED = 0.02
"""Share of the area of a tied surface that may have nothing opposite."""


class TieTable(eqx.Module):
    """Segments of a tie, cut once.

    Attributes:
        nodes: of the slave's and the master's facet.
        shape, opposite: shape functions of both at the points of each segment.
        weight: area of each point [m²].
        slave_nodes: nodes that carry multipliers; `local` their rows of each segment.
        multipliers: of each component of λ.
    """

    nodes: Int[np.ndarray, "segments m"]
    shape: Float[np.ndarray, "segments points half"]
    opposite: Float[np.ndarray, "segments points half"]
    weight: Float[np.ndarray, "segments points"]
    slave_nodes: Int[np.ndarray, " n"]
    local: Int[np.ndarray, "segments half"]
    multipliers: tuple[Any, ...] = eqx.field(static=True)

    def project(self, right: NDArray) -> NDArray[np.float64]:
        """Mean jumps (n, 3) from weighted ones (n, 3)."""
        return np.stack([space.project(right[:, k]) for k, space in enumerate(self.multipliers)], axis=1)

    def projections(self) -> Float[np.ndarray, "3 n n"]:
        """`project` as a matrix for each component."""
        return np.stack([space.project(np.eye(len(self.slave_nodes))) for space in self.multipliers])


class Multipliers:
    """Σ N_a λ_a of one component, where λ of held nodes and of nodes shared with other ties is their neighbours' mean.

    They have nothing left for a multiplier of their own to do; that they take their neighbours' keeps constants. Where
    ties share every node, λ is one constant; where all are held, there is none.
    """

    def __init__(self, mass: Any, held: NDArray, shared: NDArray) -> None:
        own = np.flatnonzero(~(held | shared))
        if own.size:
            self.extension = _spread(abs(mass), own)
        else:
            self.extension = sparse.csr_matrix(np.ones((len(held), 0 if held.all() else 1)))
        small = (self.extension.T @ mass @ self.extension).tocsc()
        shift = 1e-12 * max(small.diagonal().max(initial=0.0), 1e-300)
        count = small.shape[0]
        self.solve = splu(small + shift * sparse.identity(count, format="csc")).solve if count else None

    def project(self, right: NDArray) -> NDArray[np.float64]:
        """The function nearest to weighted jumps."""
        return np.zeros_like(right) if self.solve is None else self.extension @ self.solve(self.extension.T @ right)


def _spread(weights: sparse.csr_matrix, own: NDArray) -> sparse.csr_matrix:
    """(nodes, own): 1 at nodes of their own, the others ring by ring the weighted mean of neighbours that have one."""
    count = weights.shape[0]
    spread = sparse.csr_matrix((np.ones(len(own)), (own, np.arange(len(own)))), (count, len(own)))
    known = np.zeros(count, bool)
    known[own] = True
    while not known.all():
        total = np.asarray(weights[:, known].sum(axis=1)).ravel() * ~known
        ring = total > 0
        if not ring.any():
            break
        spread = spread + sparse.diags(np.where(ring, 1.0 / np.where(ring, total, 1.0), 0.0)) @ weights @ spread
        known |= ring
    return spread.tocsr()


def tie_table(
    points: NDArray, slave: NDArray, master: NDArray, held: NDArray, shared: NDArray, reach: float, where: str
) -> TieTable:
    """Cut the overlap of two facet sets (n, 3 or 6) over points (rows, 3) [m].

    Args:
        held: (rows, 3) prescribed components.
        shared: (rows,) nodes that lie on another tie as well.

    Raises:
        SolverError: facets that are not triangles, or a part of the slave surface without a partner.
    """
    if slave.shape[1] not in (3, 6) or slave.shape[1] != master.shape[1]:
        raise SolverError("only triangles of one kind can be tied", where=where, advice="Use T4 or T10 on both sides")
    corners = [points[side[:, :3]] for side in (slave, master)]
    found = segments(*corners, reach)  # pyright: ignore[reportCallIssue]
    rule = DEGREE_2 if slave.shape[1] == 3 else DEGREE_4
    at = np.einsum("qa,sai->sqi", triangle.shape(np, 3, rule.points), found.corners)
    double = np.linalg.norm(
        np.cross(found.corners[:, 1] - found.corners[:, 0], found.corners[:, 2] - found.corners[:, 0]), axis=1
    )
    weight = double[:, None] * rule.weights
    _covered(corners[0], found.slave, 0.5 * double, where)
    shapes = [
        triangle.shape(np, side.shape[1], _places(at, part[which]))
        for side, part, which in zip((slave, master), corners, (found.slave, found.master), strict=True)
    ]
    nodes = np.concatenate([slave[found.slave], master[found.master]], axis=1)
    slave_nodes, local = np.unique(slave, return_inverse=True)
    local = local.reshape(slave.shape)[found.slave]
    mass = np.einsum("sq,sqa,sqb->sab", weight, shapes[0], shapes[0])
    whole = _summed(mass, local, len(slave_nodes))
    spaces = tuple(Multipliers(whole, held[slave_nodes, k], shared[slave_nodes]) for k in range(3))
    return TieTable(nodes, *shapes, weight, slave_nodes, local, spaces)  # pyright: ignore[reportCallIssue]


def _places(at: NDArray, corners: NDArray) -> NDArray[np.float64]:
    """(ξ, η) of points (s, q, 3) on the flat triangles (s, 3, 3) that they lie above."""
    along = corners[:, 1:] - corners[:, :1]
    metric = np.einsum("sdi,sfi->sdf", along, along)
    right = np.einsum("sdi,sqi->sqd", along, at - corners[:, None, 0])
    return np.swapaxes(np.linalg.solve(metric, np.swapaxes(right, 1, 2)), 1, 2)


def _summed(mass: NDArray, local: NDArray, count: int) -> sparse.csr_matrix:
    rows, cols = np.repeat(local, local.shape[1], axis=1).ravel(), np.tile(local, (1, local.shape[1])).ravel()
    return sparse.csr_matrix((mass.ravel(), (rows, cols)), (count, count))


def _covered(corners: NDArray, slave: NDArray, area: NDArray, where: str) -> None:
    whole = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    share = np.bincount(slave, area, minlength=len(whole)) / whole
    if share @ whole < (1 - UNCOVERED) * whole.sum():
        bad = int(np.argmin(share))
        raise SolverError(
            f"{100 * (1 - share @ whole / whole.sum()):.1f} % of the surface has nothing opposite, the first is facet "
            f"{bad} at {np.round(corners[bad].mean(axis=0) / MM, 2)} mm",
            where=where,
            advice="Tie the smaller surface to the larger one, or give a larger reach",
        )
