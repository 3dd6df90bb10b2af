"""Meshes that do not match, tied along a surface."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ....imaging.errors import SolverError
from .. import given
from ..elements.tri import DEGREE_2, DEGREE_4
from ..model import MM, Model
from ..terms import Term
from . import triangle
from .clipping import segments
from .penalty import default_penalty, facet_sizes
from .rigid import check_numbers, replace_fields

UNCOVERED = 0.02
"""Share of the area of a tied surface that may have nothing opposite."""
TIE_SHARE = 5.0
"""Penalty over that of a contact: the jump shrinks by about seven per Uzawa step; more would stiffen the surface."""
DEFAULT_JUMP = 1e-6
"""Largest mean jump left at a node, over the size of a facet."""


class Tie(eqx.Module):
    """Two facet sets that move together, as if their meshes matched: ∫ N_a (u − u') dA = 0 at every node of the first.

    The overlap of the two meshes is cut exactly in the reference configuration. On it acts a traction
    t = λ + ε (u − u'), λ = Σ N_a λ_a with nodal multipliers that are moved on (Uzawa) by ε times the mean jump around
    each node until that is below `jump`. Only these mean jumps are driven to zero: forcing every point would stiffen
    the surface (the multiplier would not satisfy the inf-sup condition), while a constant traction is carried exactly.

    | symbol | meaning | unit |
    |---|---|---|
    | `facets` | the set that carries λ: the finer one | – |
    | `other` | the set it is tied to, its normals opposite | – |
    | ε `penalty` | traction per jump; None takes 100 times the softer side's stiffness per area | Pa/m |
    | `jump` | mean jump allowed at a node; None takes 1e-6 of a facet's size; 0 is the penalty method | m |
    | `reach` | how far apart the surfaces may lie at rest; None takes a fifth of a facet | m |

    A gap at rest is kept, not closed. Source: Puso and Laursen (2004) for the segments and the mean jump.
    """

    facets: str = eqx.field(static=True)
    other: str = eqx.field(static=True)
    penalty: Float[Array, ""] | None
    jump: float | None = eqx.field(static=True)
    reach: float | None = eqx.field(static=True)
    table: TieTable | None = None
    multiplier: Float[Array, "n 3"] | None = None

    def __init__(
        self,
        facets: str,
        other: str,
        *,
        penalty: float | None = None,
        jump: float | None = None,
        reach: float | None = None,
    ) -> None:
        self.facets, self.other = facets, other
        self.jump = None if jump is None else given.number(jump, "a jump", self.label, low=0.0, advice="Give m")
        self.reach = None if reach is None else given.number(reach, "a reach", self.label, above=0.0, advice="Give m")
        self.penalty = check_numbers(self.label, penalty, None, 0.0, None, None)[0]
        self.table = self.multiplier = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"tie of {self.facets!r} to {self.other!r}"

    def resolved(self, model: Model, held: NDArray | None = None) -> Tie:
        """With its segments, and every number that was left open.

        Raises:
            SolverError: part of the first surface has nothing opposite.
        """
        held = np.zeros(model.points.shape, bool) if held is None else held
        sides = [model.facets_of(name) for name in (self.facets, self.other)]
        size = float(facet_sizes(model, sides[0]).mean())
        softest = (
            min(float(np.median(default_penalty(model, f, self.label))) for f in sides) if self.penalty is None else 0.0
        )
        return replace_fields(
            self,
            penalty=jnp.asarray(TIE_SHARE * softest) if self.penalty is None else self.penalty,
            jump=DEFAULT_JUMP * size if self.jump is None else self.jump,
            table=tie_table(np.asarray(model.points), *sides, held, self.reach or 0.2 * size, self.label),  # pyright: ignore[reportCallIssue]
        )

    def bind(self, model: Model) -> list[Term]:
        """One term over the segments."""
        own = self if self.table is not None else self.resolved(model)
        table: Any = own.table
        multiplier = jnp.zeros((len(table.slave_nodes), 3)) if self.multiplier is None else self.multiplier
        return [
            TieTerm(
                jnp.asarray(table.nodes),
                jnp.asarray(table.shape),
                jnp.asarray(table.opposite),
                jnp.asarray(table.weight),
                jnp.broadcast_to(own.penalty, (len(table.nodes),)),  # pyright: ignore[reportArgumentType]
                multiplier[table.local],
            )
        ]

    def begun(self, model: Model) -> Tie:
        """With multipliers of zero."""
        if self.multiplier is not None:
            return self
        own = self if self.table is not None else self.resolved(model)
        return replace_fields(own, multiplier=jnp.zeros((len(own.table.slave_nodes), 3)))  # pyright: ignore[reportOptionalMemberAccess]

    def mean_jumps(self, model: Model, displacement: np.ndarray) -> Float[np.ndarray, "n 3"]:
        """around each node of the first surface [m]: its jump projected on N_a."""
        table: Any = (self if self.table is not None else self.resolved(model)).table
        moved, half = np.asarray(displacement)[table.nodes], table.shape.shape[2]
        jump = np.einsum("sqa,sai->sqi", table.shape, moved[:, :half])
        jump -= np.einsum("sqa,sai->sqi", table.opposite, moved[:, half:])
        right = np.zeros((len(table.slave_nodes), 3))
        share = np.einsum("sq,sqa,sqi->sai", table.weight, table.shape, jump)
        np.add.at(right, table.local.ravel(), share.reshape(-1, 3))
        return table.project(right)

    def augmented(self, model: Model, displacement: np.ndarray, fraction: float) -> tuple[Tie, bool]:
        """λ_a ← λ_a + ε × mean jump, where one is larger than allowed."""
        jumps = self.mean_jumps(model, displacement)
        if not self.jump or np.abs(jumps).max(initial=0.0) <= self.jump:
            return self, False
        begun = self.begun(model)
        return replace_fields(
            begun, multiplier=jnp.asarray(begun.multiplier) + jnp.asarray(begun.penalty) * jumps
        ), True

    def advanced(self, model: Model, displacement: np.ndarray, fraction: float) -> Tie:
        """Itself: multipliers are kept as the first guess of the next step."""
        return self


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


class Multipliers:
    """Σ N_a λ_a of one component, where λ of held nodes is the mean of their neighbours'.

    A held node has nothing left for a multiplier of its own to do; that it takes its neighbours' keeps constants.
    """

    def __init__(self, mass: sparse.csr_matrix, held: NDArray) -> None:
        own = np.flatnonzero(~held)
        weight = abs(mass[held][:, own])
        weight = sparse.diags(1.0 / np.maximum(np.asarray(weight.sum(axis=1)).ravel(), 1e-300)) @ weight
        count = len(held)
        first = sparse.csr_matrix((np.ones(len(own)), (own, np.arange(len(own)))), (count, len(own)))
        spread = sparse.csr_matrix(
            (np.ones(held.sum()), (np.flatnonzero(held), np.arange(held.sum()))), (count, held.sum())
        )
        self.extension = (first + spread @ weight).tocsr()
        small = (self.extension.T @ mass @ self.extension).tocsc()
        shift = 1e-12 * max(small.diagonal().max(initial=0.0), 1e-300)
        self.solve = splu(small + shift * sparse.identity(len(own), format="csc")).solve if len(own) else None

    def project(self, right: NDArray) -> NDArray[np.float64]:
        """The function nearest to weighted jumps."""
        return np.zeros(len(right)) if self.solve is None else self.extension @ self.solve(self.extension.T @ right)


class TieTerm(Term):
    """Tying traction on one segment."""

    nodes: Int[Array, "groups m"]
    shape: Float[Array, "groups points half"]
    opposite: Float[Array, "groups points half"]
    weight: Float[Array, "groups points"]
    penalty: Float[Array, " groups"]
    multiplier: Float[Array, "groups half 3"]

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N]; equal and opposite."""
        half = self.shape.shape[1]
        jump = self.shape @ displacement[:half] - self.opposite @ displacement[half:]
        traction = self.weight[:, None] * (self.shape @ self.multiplier + self.penalty * jump)
        return jnp.concatenate([-self.shape.T @ traction, self.opposite.T @ traction])


def tie_table(points: NDArray, slave: NDArray, master: NDArray, held: NDArray, reach: float, where: str) -> TieTable:
    """Cut the overlap of two facet sets (n, 3 or 6) over points (rows, 3) [m]; held (rows, 3): prescribed components.

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
    spaces = tuple(Multipliers(whole, held[slave_nodes, k]) for k in range(3))
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


__all__ = ["Tie", "TieTerm", "tie_table"]
