"""Uzawa's iteration: multipliers of contacts move on and the balance is found again, until no point is too deep.

Each round takes the same share off what is left, so rounds are mixed after Anderson: a soft surface that takes a
hundred rounds to shed a penetration takes about ten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .anderson import Anderson
from .newton import NewtonOutcome
from .problem import Problem
from .solution import ResultCode
from .system import NodalField, System

MAX_AUGMENTATIONS = 30
"""Per load step or time step; each shrinks penetration by the ratio of the body's stiffness to the penalty."""
DEPTH = 5
"""Earlier rounds that Anderson's mixing takes part of."""


def augmented(
    system: System, outcome: NewtonOutcome, fraction: float, balanced: Callable[[NodalField], NewtonOutcome]
) -> NewtonOutcome:
    """The balance in which no point is deeper than asked; `balanced` finds one from a displacement."""
    mixing = Anderson(DEPTH)
    for _ in range(MAX_AUGMENTATIONS):
        if outcome.result is not ResultCode.converged:
            return outcome
        before = system.problem
        if not system.augment(outcome.displacement, fraction):
            return outcome
        system.use(_mixed(mixing, before, system.problem))
        record = outcome.record
        outcome = balanced(outcome.displacement)
        outcome.record.add(record)
    return outcome._replace(result=ResultCode.contact_unresolved)


def _mixed(mixing: Anderson, before: Problem, after: Problem) -> Problem:
    """The problem after a round, with multipliers that earlier rounds have their part in."""
    old, new = (np.concatenate([part.ravel() for part in _multipliers(p)] or [np.zeros(0)]) for p in (before, after))
    if old.shape != new.shape:
        return after
    found, start, contacts = mixing.next(old, new - old), 0, []
    for contact in after.contacts:
        parts = []
        for part in contact.multipliers():
            mixed = found[start : start + part.size].reshape(part.shape)
            parts.append(jnp.asarray(mixed if contact.two_sided else np.where(part > 0, np.maximum(mixed, 0.0), 0.0)))
            start += part.size
        contacts.append(contact.with_multipliers(parts))
    return replace(after, contacts=tuple(contacts))


def _multipliers(problem: Problem) -> list[NDArray[Any]]:
    return [part for contact in problem.contacts for part in contact.multipliers()]
