"""Which problems have a path of equilibria on which all loads grow in proportion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .contact.rigid import RigidContact
from .history import remembers
from .host_system import HostSystem
from .newton import norm
from .problem import Problem
from .system import Timer

WHERE = "arc_length.trace"
LOOKED_AT = (0.13, 0.37, 0.5, 0.71, 0.93)
"""Load fractions at which forces and motions are compared with what lies between those at 0 and 1."""
SHARE = 1e-9
"""Of a force or motion: how far they may be off."""
SHAKE = 1e-4
"""Size of a displacement at which forces are compared, over the distance of nodes."""


def check_traceable(problem: Problem) -> None:
    """Loads grow in proportion, and nothing depends on the way.

    Raises:
        SolverError: names what does not.
    """
    advice = "Use static.solve, with prescribed motion where the load would fall"
    if problem.moving():
        raise SolverError("a path needs pairs that do not change", where=WHERE, advice="Tie the surfaces, or use solve")
    if remembers(problem.model):
        raise SolverError("a material with a history depends on the way to each state", where=WHERE, advice=advice)
    for contact in problem.contacts:
        if getattr(contact, "frictional", False):
            raise SolverError(f"{contact.label}: friction depends on the way to each state", where=WHERE, advice=advice)
        if isinstance(contact, RigidContact) and _moves(contact):
            raise SolverError(
                f"{contact.label}: forces of a body that moves do not grow in proportion", where=WHERE, advice=advice
            )
    what = _out_of_proportion(problem)
    if what:
        raise SolverError(
            f"{what} do not grow in proportion to the load fraction",
            where=WHERE,
            advice="Give one straight way, no rotation, and during=(0, 1), or use static.solve",
        )


def _moves(contact: RigidContact) -> bool:
    ways = (np.asarray(part) for part in (contact.body.path, contact.body.rotation))
    return any(bool((part != 0.0).any()) for part in ways)


def _out_of_proportion(problem: Problem) -> str:
    """What is not, between load fractions 0 and 1, as far from both ends as the fraction is; "" where all is."""
    system = HostSystem(problem, Timer())
    ends = [system.prescribed(at) for at in (0.0, 1.0)]
    if any(_off(system.prescribed(at), ends, at) for at in LOOKED_AT):
        return "prescribed motions"
    shake = SHAKE * system.spacing * np.random.default_rng(0).standard_normal(system.points.shape)
    forces = [system.evaluate(shake, at).residual for at in (0.0, 1.0)]
    if any(_off(system.evaluate(shake, at).residual, forces, at) for at in LOOKED_AT):
        return "loads"
    return ""


def _off(value: NDArray, ends: list[NDArray], at: float) -> bool:
    return norm(value - (1.0 - at) * ends[0] - at * ends[1]) > SHARE * max(norm(end) for end in ends)
