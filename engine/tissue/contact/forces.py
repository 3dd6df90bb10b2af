"""What is read off a contact: the force and moment that a tool feels, and pressure on the surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from ..problem import Problem
from ..solution import State
from .points import ContactPoints
from .rigid import RigidContact


def tool_force(
    problem: Problem, state: State, contact: RigidContact
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Force [N] on a rigid body and its moment [N m] about the origin, LPS: minus the sums over the body it touches.

    Args:
        problem: the problem of the state (`Solution.problems`), whose contacts carry their history.
        contact: one of its contacts.
    """
    found = contact.points(problem.model, np.asarray(state.displacement), float(state.load_fraction))
    force = -found.area[..., None] * found.traction
    return force.sum(axis=(0, 1)), np.cross(found.position, force).sum(axis=(0, 1))


def contact_state(problem: Problem, state: State, contact: Any) -> list[ContactPoints]:
    """Place, gap, pressure and area at the points of a contact, one entry for each side that looks."""
    moved, fraction = np.asarray(state.displacement), float(state.load_fraction)
    found = contact.points(problem.model, moved, fraction)
    return [found] if isinstance(found, ContactPoints) else [values for _, values in found]
