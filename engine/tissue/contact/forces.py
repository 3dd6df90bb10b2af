"""What is read off a contact: the force and moment that a tool feels, and pressure on the surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from ..history import remembered
from ..problem import Problem
from ..solution import State
from .points import ContactPoints
from .rigid import RigidContact


def tool_force(
    problem: Problem, state: State, contact: RigidContact
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Force [N] on a rigid body and its moment [N m] about the origin, LPS: minus the sums over the body it touches.

    Args:
        problem: what was solved; multipliers and slip are those that the state carries.
        contact: one of its contacts.

    Raises:
        SolverError: the contact remembers, and the state carries no history.
    """
    contact = with_past(problem, state, contact)
    found = contact.points(problem.model, np.asarray(state.displacement), float(state.load_fraction))
    force = -found.area[..., None] * found.traction
    return force.sum(axis=(0, 1)), np.cross(found.position, force).sum(axis=(0, 1))


def contact_state(problem: Problem, state: State, contact: Any) -> list[ContactPoints]:
    """Place, gap, pressure and area at the points of a contact, one entry for each side that looks."""
    contact = with_past(problem, state, contact)
    moved, fraction = np.asarray(state.displacement), float(state.load_fraction)
    found = contact.points(problem.model, moved, fraction)
    return [found] if isinstance(found, ContactPoints) else [values for _, values in found]


def with_past(problem: Problem, state: State, contact: Any) -> Any:
    """A contact of the problem with the multipliers and the slip that a state carries; anything else as it is.

    Raises:
        SolverError: the contact remembers, and the state carries no history.
    """
    known = [contact is other or _alike(contact, other) for other in problem.contacts]
    return remembered(problem, state).contacts[known.index(True)] if True in known else contact


def _alike(contact: Any, other: Any) -> bool:
    return type(contact) is type(other) and contact.label == other.label
