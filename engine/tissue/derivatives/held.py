"""Which multipliers a problem has, where they stand in it, and what holds each of them.

Those of a contact are held by the pressures of its points, those of a tie by its mean jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contact.rigid import RigidContact
from ..contact.rigid_term import RigidTerm
from ..contact.tie import Tie, TieTerm
from ..contact.tissue import TissueContact
from ..problem import Problem
from .kernels import PRESSING, Batch


@dataclass(frozen=True)
class Held:
    """Multipliers of one term.

    Attributes:
        term: number of the term among `Problem.terms`.
        where: the array of a problem-shaped tree that holds them, and which of its rows they are.
        batch: derivatives of what holds them; None of a tie, whose jumps are linear in u.
    """

    term: int
    where: Callable[[Any], Any]
    chosen: Any
    batch: Batch | None
    tie: Tie | None = None

    def laid(self, values: NDArray, like: Any) -> NDArray[np.float64]:
        """The whole array of the problem from these multipliers."""
        found = np.zeros(np.shape(like))
        found[self.chosen] = values.reshape(found[self.chosen].shape)
        return found

    def gathered(self, leaf: Any) -> NDArray[np.float64]:
        """The transpose of `laid`, and its inverse: each multiplier stands in one place."""
        return np.asarray(leaf)[self.chosen].ravel()


def held_by(problem: Problem, displacement: NDArray, fraction: float) -> list[Held]:
    """The multipliers of a problem whose pairs are bound, those of points that meet something."""
    points, found = np.asarray(problem.model.row_points), []
    terms = problem.terms()
    rigid = iter([k for k, term in enumerate(terms) if isinstance(term, RigidTerm)])
    ties = iter([k for k, term in enumerate(terms) if isinstance(term, TieTerm)])
    looks = iter(range(len(terms) - len(problem.moving()), len(terms)))
    pairings = iter(problem.pairings or ())

    def pressed(term: int) -> Batch:
        return Batch(PRESSING, np.asarray(terms[term].nodes), terms[term], points, displacement, fraction)

    for k, contact in enumerate(problem.contacts):
        if isinstance(contact, RigidContact):
            term = next(rigid)
            if contact.penetration is not None:
                found.append(Held(term, lambda p, k=k: p.contacts[k].multiplier, ..., pressed(term)))
        elif isinstance(contact, Tie):
            term = next(ties)
            if contact.jump:
                found.append(Held(term, lambda p, k=k: p.contacts[k].multiplier, ..., None, contact))
        elif isinstance(contact, TissueContact):
            for side in range(len(contact.bind(problem.model))):
                term, met = next(looks), next(pairings).met
                if contact.penetration is not None and len(met.point):
                    found.append(
                        Held(term, lambda p, k=k, s=side: p.contacts[k].history[s].multiplier, met.point, pressed(term))
                    )
    return found


def jumps(tie: Any, along: NDArray) -> NDArray[np.float64]:
    """ε times the mean jumps around the nodes that carry multipliers of their own, component by component."""
    return float(tie.penalty) * tie.table.nearest(tie.table.jumps(along))


def jumps_turned(tie: Any, own: NDArray, rows: int) -> NDArray[np.float64]:
    """The transpose of `jumps` (rows, 3)."""
    table = tie.table
    parts = zip(table.multipliers, np.split(own, table.starts), strict=True)
    weight = table.field(np.concatenate([space.solve(part) for space, part in parts]))
    return float(tie.penalty) * table.jumps_turned(weight, rows)
