"""Equilibrium along a path whose load may fall: snap-through and snap-back, by the cylindrical arc-length method.

path = trace(problem, until=1.0)
[(state.load_fraction, state.stable) for state in path.states]
path.limit_points          # states beside which the load turns round
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from .arc_length_march import March
from .host_system import HostSystem
from .path import Path, PathState
from .problem import Problem
from .solution import State, Statistics
from .static import compile_seconds
from .system import Timer


def trace(
    problem: Problem,
    *,
    until: float = 1.0,
    first: float = 0.1,
    longest: float = 5.0,
    steps: int = 200,
    stop: Callable[[PathState], bool] | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = 15,
    start: State | None = None,
    progress: Progress = silent,
) -> Path:
    """Follow equilibrium from rest, through limit points of load and of displacement.

    Loads and prescribed motions grow in proportion, from what they are at load fraction 0 to what they are at 1 and on.

    Args:
        problem: what is solved.
        until: load fraction at which the path ends, when it is reached from below.
        first: load fraction of the first step.
        longest: longest step, over the length of the first.
        steps: how many at most.
        stop: ends the path at the first state where it says so, for paths that do not come to `until`.
        tolerance: on ‖residual‖ relative to the larger of loads at `until` and reactions.
        max_iterations: per step; a step that needs more is halved.
        start: an equilibrium to begin from.
        progress: called at every step.

    Returns:
        The path; unstable states are kept and marked.

    Raises:
        SolverError: an argument out of range.
    """
    require_float64()
    if problem.floating or problem.moving():
        raise SolverError("a path needs a body that is held and pairs that do not change", where="arc_length.trace")
    if not (0 < first <= 1 and longest >= 1 and steps >= 1 and np.isfinite(until) and 0 < tolerance < 1):
        raise SolverError("first, longest, steps, until or tolerance is out of range", where="arc_length.trace")
    timer = Timer()
    with timer.part("total"), compile_seconds(timer):
        march = March(HostSystem(problem, timer), tolerance, max_iterations, progress)
        result, where = march.run(start, until, first, longest, steps, stop)
    statistics = Statistics(
        steps=tuple(march.steps),
        cutbacks=march.cutbacks,
        seconds=dict(timer.seconds),
        unknowns=int(march.system.free.sum()),
        elements=sum(len(block.nodes) for block in problem.model.blocks),
        linear_solver="HostSystem",
        tolerance=tolerance,
        stability=march.states[-1].stability if march.states else "not known",
    )
    return Path(result, tuple(march.states), statistics, where)
