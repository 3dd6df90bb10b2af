"""What cases read off a solution, and how they tell their mesh."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ....imaging.errors import SolverError
from ..host_system import HostSystem
from ..model import Model
from ..problem import Problem
from ..solution import State
from ..system import Timer


def node_at(model: Model, place: tuple[float, float, float], within: float) -> int:
    """The node at a reference position [m].

    Raises:
        SolverError: none lies within a distance [m] of it.
    """
    away = np.linalg.norm(np.asarray(model.points)[: model.nodes] - np.array(place), axis=1)
    if not away.min() <= within:
        raise SolverError(f"no node lies at {place} m", where="mesh", advice="Choose cells that put one there")
    return int(np.argmin(away))


def displacement_at(
    model: Model, state: State, place: tuple[float, float, float], within: float = 1e-9
) -> Float[np.ndarray, "3"]:
    """Displacement [m] of the node at a reference position [m]."""
    return np.asarray(state.displacement)[node_at(model, place, within)]


def describe(problem: Problem) -> str:
    """Elements and unknowns, as the table tells them."""
    model = problem.model
    parts = [f"{len(block.nodes):,} {block.element.name}" for block in model.blocks]
    free = int((~problem.held()).sum())
    return f"{', '.join(parts)}; {free:,} unknowns"


def linear_response(problem: Problem) -> Float[np.ndarray, "nodes 3"]:
    """K⁻¹ f at rest [m], the displacement of linear theory: the first step of Newton's method.

    Raises:
        SolverError: the stiffness at rest could not be solved.
    """
    system = HostSystem(problem, Timer())
    rest = system.zeros()
    outcome = system.linearize(rest, 1.0).solve(system.external(rest, 1.0) * system.free, 1e-8)
    if not outcome.converged:
        raise SolverError("the stiffness at rest could not be solved", where="linear response")
    return np.asarray(outcome.solution)
