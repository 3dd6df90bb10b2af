"""Equilibrium along a path whose load may fall: snap-through and snap-back, by the cylindrical arc-length method.

path = trace(problem, until=1.0)
[(state.load_fraction, state.stable) for state in path.states]
path.limit_points          # states beside which the load turns round
"""

from __future__ import annotations

from collections.abc import Callable

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from . import given
from .arc_length_march import March
from .arc_length_problem import check_traceable
from .arc_length_system import ProportionalSystem
from .path import Path, PathState
from .problem import Problem
from .record import compile_seconds
from .solution import State, Statistics
from .start import check_start
from .static import require_held
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

    Loads and prescribed motions grow in proportion, from what they are at load fraction 0 to what they are at 1 and on;
    what does not (a part of the load at a time, a way round corners, a tool that moves) is refused, and so is what
    depends on the way (friction, materials with a history). Ties and `penetration=` are kept as close as asked.

    Args:
        problem: what is solved.
        until: load fraction at which the path ends, when it is reached from below. Where no balance is found just
            there, the first state above it is the last one and the path ends as `path_lost`.
        first: load fraction of the first step.
        longest: longest step, over the length of the first.
        steps: how many at most; a path that needs more ends as `steps_ran_out`.
        stop: ends the path at the first state where it says so, for paths that do not come to `until`.
        tolerance: on ‖residual‖ relative to the larger of loads at `until` and reactions.
        max_iterations: per step; a step that needs more is halved.
        start: an equilibrium to begin from.
        progress: called at every step.

    Returns:
        The path; unstable states are kept and marked.

    Raises:
        SolverError: an argument out of range, or a problem whose equilibria are no such path.
    """
    require_float64()
    where = "arc_length.trace"
    require_held(problem, where)
    check_start(start, problem)
    check_traceable(problem)
    given.number(first, "a first step", where, above=0.0, high=1.0, advice="Give a load fraction")
    given.number(longest, "a longest step", where, low=1.0, advice="Give it over the first")
    given.number(until, "an end", where, above=0.0, advice="Give a load fraction")
    given.tolerance(tolerance, where)
    steps, max_iterations = given.whole(steps, "steps", where), given.whole(max_iterations, "iterations", where)
    if stop is not None and not callable(stop):
        raise SolverError(f"a {type(stop).__name__} cannot tell when to stop", where=where, advice="Give a function")
    timer = Timer()
    with timer.part("total"), compile_seconds(timer):
        march = March(ProportionalSystem(problem, timer), tolerance, max_iterations, progress)
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
