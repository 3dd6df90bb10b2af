"""Uzawa's iteration: multipliers of contacts move on and the balance is found again, until no point is too deep."""

from __future__ import annotations

from collections.abc import Callable

from .newton import NewtonOutcome
from .solution import ResultCode
from .system import NodalField, System

MAX_AUGMENTATIONS = 30
"""Per load step or time step; each shrinks penetration by the ratio of the body's stiffness to the penalty."""


def augmented(
    system: System, outcome: NewtonOutcome, fraction: float, balanced: Callable[[NodalField], NewtonOutcome]
) -> NewtonOutcome:
    """The balance in which no point is deeper than asked; `balanced` finds one from a displacement."""
    for _ in range(MAX_AUGMENTATIONS):
        if outcome.result is not ResultCode.converged or not system.augment(outcome.displacement, fraction):
            return outcome
        record = outcome.record
        outcome = balanced(outcome.displacement)
        outcome.record.add(record)
    return outcome._replace(result=ResultCode.contact_unresolved)
