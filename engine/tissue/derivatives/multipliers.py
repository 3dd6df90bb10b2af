"""Multipliers of contacts and ties as unknowns beside the displacement: the derivatives of what holds them.

Uzawa's iteration ends where m = M(u, m, p). Of a contact M is the pressure ε ρ(m/ε − g): where it presses that is g = 0
with m free, elsewhere m = 0. Of a tie M − m is ε times the mean jumps. With Q = M − m,

    [R_u R_m; Q_u Q_m] (u̇, ṁ) = −(r, q)      by GMRES on      Q_m − Q_u R_u⁻¹ R_m,

whose eigenvalues lie between 0 and −1, most near −1, as R_u has the penalty in it. A rule has more points than its
facet has freedom: eigenvalues may be zero, but what stands on the right is then in the range, and the motion and all
forces are the same for any of the solutions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ...linear.host import Diagonal
from ...linear.krylov import gmres
from ..contact.points import contact_points
from ..kernels import TERM_CHUNK
from ..pattern import VectorScatter
from .held import Held, held_by, jumps, jumps_turned
from .kernels import Batch, Place
from .parameters import Parameters
from .sensitivity import Beside, Sensitivity

SCHUR = 1e-11
"""Relative residual of the solve for the multipliers."""


class Multipliers:
    """All multipliers of a problem at an equilibrium as one vector m, and the derivatives of R and Q by it."""

    def __init__(self, sensitivity: Sensitivity, displacement: NDArray) -> None:
        problem = sensitivity.problem
        self.sensitivity, self.displacement = sensitivity, displacement
        self.held = held_by(problem, displacement, sensitivity.fraction)
        self.rows = len(displacement)
        self.leaves = [held.where(problem) for held in self.held]
        sizes = [len(h.gathered(leaf)) for h, leaf in zip(self.held, self.leaves, strict=True)]
        self.spans = [slice(int(e) - n, int(e)) for n, e in zip(sizes, np.cumsum(sizes), strict=True)]
        self.size = sum(sizes)
        self._scatter = [VectorScatter(self._forces(held).nodes, self.rows) for held in self.held]

    def _forces(self, held: Held) -> Batch:
        return self.sensitivity.terms[held.term]

    def put(self, tree: Parameters, values: NDArray) -> Parameters:
        """A problem-shaped tree with these multipliers."""
        for held, leaf, span in zip(self.held, self.leaves, self.spans, strict=True):
            tree = eqx.tree_at(held.where, tree, jax.numpy.asarray(held.laid(values[span], leaf)))
        return tree

    def taken(self, tree: Parameters) -> NDArray[np.float64]:
        """m of a problem-shaped tree, or of a cotangent of all arrays that of the multipliers."""
        return np.concatenate([np.zeros(0), *(h.gathered(h.where(tree)) for h in self.held)])

    def left(self) -> NDArray[np.float64]:
        """Q = M − m: what one more augmentation would change."""
        points, found, fraction = np.asarray(self.sensitivity.problem.model.row_points), [], self.sensitivity.fraction
        for held, leaf in zip(self.held, self.leaves, strict=True):
            if held.batch is None:
                found.append(jumps(held.tie, self.displacement))
                continue
            term = self.sensitivity.problem.terms()[held.term]
            pressure = contact_points(term, points, self.displacement, fraction, TERM_CHUNK).pressure
            found.append(pressure.ravel() - held.gathered(leaf))
        return np.concatenate(found)

    def forces(self, change: NDArray) -> NDArray[np.float64]:
        """R_m ṁ (rows, 3) N, zero where held."""
        total, still = np.zeros((self.rows, 3)), np.zeros((self.rows, 3))
        for held, leaf, span, scatter in zip(self.held, self.leaves, self.spans, self._scatter, strict=True):
            batch = self._forces(held)
            total += scatter(batch.push(still, still, self._only(batch, held, leaf, change[span])))
        return np.where(self.sensitivity.held, 0.0, total)

    def pulled(self, weight: NDArray, own: NDArray) -> NDArray[np.float64]:
        """R_mᵀ λ + Q_mᵀ ν."""
        free, found = np.where(self.sensitivity.held, 0.0, weight), []
        for held, span in zip(self.held, self.spans, strict=True):
            found.append(self._gathered(held, self._forces(held).pull(free)[2].multiplier))
            if held.batch is not None:
                shaped = own[span].reshape(held.batch.parameters.multiplier.shape)
                found[-1] = found[-1] + np.asarray(held.batch.pull(shaped)[2].multiplier).ravel() - own[span]
        return np.concatenate(found)

    def closing(self, along: NDArray, change: NDArray | None = None, by_terms: Any = None, move: Any = None) -> NDArray:
        """Q_u u̇ + Q_m ṁ, and Q_p ṗ where the change of places and of the terms' arrays is given."""
        still, found = np.zeros((self.rows, 3)), []
        for held, leaf, span in zip(self.held, self.leaves, self.spans, strict=True):
            if held.batch is None:
                found.append(jumps(held.tie, along))
                continue
            ways = _still(held.batch) if by_terms is None else _closed(by_terms[held.term])
            if change is not None:
                ways = replace(ways, multiplier=self._only(held.batch, held, leaf, change[span]).multiplier)
            own = 0.0 if change is None else change[span]
            found.append(held.batch.push(still if move is None else move, along, ways).ravel() - own)
        return np.concatenate(found)

    def spread(self, own: NDArray) -> NDArray[np.float64]:
        """Q_uᵀ ν (rows, 3)."""
        total = np.zeros((self.rows, 3))
        for held, span, scatter, part in zip(self.held, self.spans, self._scatter, self.parts(own), strict=True):
            total += jumps_turned(held.tie, own[span], self.rows) if part is None else scatter(np.asarray(part[1]))
        return total

    def beside(self, own: NDArray) -> Beside:
        """Q_pᵀ ν as it comes through the terms."""
        pairs = zip(self.held, self.parts(own), strict=True)
        return [(held.term, part) for held, part in pairs if part is not None]

    def rates_beside(self, own: NDArray, along: NDArray, direction: Parameters) -> Beside:
        """The derivative of `beside` along (u̇, ṗ), ν constant."""
        move, by_terms = self.sensitivity.of_terms(direction)
        pairs = zip(self.held, self.part_rates(own, move, along, by_terms), strict=True)
        return [(held.term, part) for held, part in pairs if part is not None]

    def parts(self, own: NDArray) -> list[Place | None]:
        """ν·Q by (X, u, arrays of the term), group by group; None of ties, whose Q has no parameters."""
        return [
            None
            if held.batch is None
            else _closed_part(held.batch.pull(own[span].reshape(held.batch.parameters.multiplier.shape)))
            for held, span in zip(self.held, self.spans, strict=True)
        ]

    def part_rates(self, own: NDArray, move: NDArray, along: NDArray, by_terms: Any) -> list[Place | None]:
        """The derivative of `parts` along a direction, ν constant."""
        return [
            None
            if held.batch is None
            else _closed_part(
                held.batch.pull_rate(
                    own[span].reshape(held.batch.parameters.multiplier.shape), move, along, _closed(by_terms[held.term])
                )
            )
            for held, span in zip(self.held, self.spans, strict=True)
        ]

    def _only(self, batch: Batch, held: Held, leaf: Any, values: NDArray) -> Any:
        """Arrays of the term that change where only multipliers do."""
        still = _still(batch)
        whole = held.laid(values, leaf)
        table: Any = None if held.tie is None else held.tie.table
        of_term = whole[held.chosen] if table is None else table.field(whole)[table.local]
        return replace(still, multiplier=of_term)

    def _gathered(self, held: Held, of_term: Any) -> NDArray[np.float64]:
        """Multipliers from an array of the term: the transpose of `_only`."""
        if held.tie is None:
            return np.asarray(of_term).ravel()
        table: Any = held.tie.table
        whole = np.zeros((len(table.slave_nodes), 3))
        np.add.at(whole, table.local, np.asarray(of_term))
        return table.gathered(whole)


def schur(product: Callable[[NDArray], NDArray], right: NDArray, *, strict: bool = True) -> NDArray[np.float64]:
    """The multipliers' own system; what GMRES comes to where it need not be solved strictly.

    Raises:
        SolverError: it does not settle.
    """
    if not np.any(right):
        return np.zeros_like(right)
    found = gmres(product, right, Diagonal(np.ones_like(right)), SCHUR)
    if strict and not found.converged and found.residuals[-1] > 1e-8:
        raise SolverError(
            f"the solve for the multipliers stalled at {found.residuals[-1]:.1e}",
            where="linearization",
            advice="More points press than their facets can follow: use `settling.settled`, or the penalty method",
        )
    return found.solution


def _closed(of_term: Any) -> Any:
    """Arrays of a contact's term without the penalty: where Q is zero does not depend on it, but for what is left of
    the gap."""
    return replace(of_term, penalty=np.zeros_like(of_term.penalty))


def _closed_part(part: Place) -> Place:
    return part[0], part[1], _closed(part[2])


def _still(batch: Batch) -> Any:
    return jax.tree.map(np.zeros_like, batch.parameters)
