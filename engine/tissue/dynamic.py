"""Motion in time: implicit steps by Newton's method, of any integrator.

trajectory = solve(problem, duration=0.5, steps=100, integrator=GeneralizedAlpha(0.8), velocity=(0.0, 0.0, -1.0))
motion = trajectory.final          # displacement, velocity, acceleration; raises where the end was not reached
trajectory.energy.largest_drift    # energy that came from nowhere, over the largest that went about
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from . import given
from .contact.overconstrained import check_contacts
from .dynamic_march import March, Pace
from .integrators import GeneralizedAlpha, Integrator
from .mass import mass_matrix
from .motion import Damping
from .problem import Problem, require_problem
from .record import compile_seconds
from .solution import State, Statistics
from .start import first_motion
from .system import Timer
from .systems import make_system
from .time_step import StepSystem
from .trajectory import Trajectory


def solve(
    problem: Problem,
    *,
    duration: float,
    steps: int,
    until: float | None = None,
    integrator: Integrator | None = None,
    damping: Damping | None = None,
    mass: str = "consistent",
    velocity: Any = None,
    start: State | None = None,
    accuracy: float | None = None,
    keep: Sequence[float] | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = 25,
    linear_solver: str = "auto",
    progress: Progress = silent,
) -> Trajectory:
    """The motion of a body.

    Args:
        problem: what moves; loads and paths are taken at the load fraction time / duration.
        duration: seconds in which the load fraction goes from 0 to 1.
        steps: duration / steps is the longest step. One that fails is halved and tried again.
        until: seconds at which to stop; `duration` by default.
        integrator: `GeneralizedAlpha(0.8)` by default; see `integrators`.
        damping: Rayleigh damping; none by default.
        mass: "consistent" or "lumped".
        velocity: of the start, m/s: (3,) for all, (nodes, 3), or a function of the reference positions (nodes, 3) m.
        start: a state to begin from, at time 0; a `Motion` goes on from its own time with its own velocity.
        accuracy: local error of the displacement [m] that a step may make; steps follow it. None: steps are equal.
        keep: times [s] whose motion is kept, each met exactly; all steps by default.
        tolerance: on ‖residual‖ relative to the larger of loads, inertia and reactions.
        max_iterations: Newton iterations per step.
        linear_solver: as of `static.solve`.
        progress: called at every Newton iteration; raising in it, or Ctrl-C, stops the solve.

    Returns:
        A trajectory whose `result` says how it ended; a failed one keeps the steps before.

    Raises:
        SolverError: 64-bit floats are off, or an argument is out of range.
    """
    require_float64()
    rule, damping = integrator or GeneralizedAlpha(), damping or Damping()
    end = duration if until is None else until
    _check(problem, duration, steps, end, tolerance, accuracy, damping, max_iterations)
    timer = Timer()
    with timer.part("total"), compile_seconds(timer):
        with timer.part("setup"):
            check_contacts(problem, ())
            base = make_system(problem, linear_solver, timer)
            matrix = mass_matrix(problem.model, mass)
            system = StepSystem(base, problem, matrix, rule, damping, duration)
            first = first_motion(system, start, velocity)
        goals = _goals(float(first.time), end, keep)
        march = March(system, first, Pace(duration / steps, accuracy), tolerance, max_iterations, progress)
        result, where = march.run(goals, keep is None)
    statistics = Statistics(
        steps=tuple(march.steps),
        cutbacks=march.cutbacks,
        seconds=dict(timer.seconds),
        unknowns=int(np.asarray(base.free).sum()),
        elements=sum(len(block.nodes) for block in problem.model.blocks),
        linear_solver=type(base).__name__,
        preconditioners=timer.counts["preconditioner"],
        tolerance=tolerance,
    )
    return Trajectory(result, tuple(march.states), march.account.energy, statistics, where, problem=problem)


def _goals(begin: float, end: float, keep: Sequence[float] | None) -> list[float]:
    """Times to meet [s]."""
    if not begin < end:
        raise SolverError(f"the motion starts at {begin:g} s and ends at {end:g} s", where="dynamic.solve")
    wanted = sorted(np.asarray(given.array(() if keep is None else keep, "a time", "keep", (None,))).tolist())
    if wanted and not (begin < wanted[0] and wanted[-1] <= end):
        raise SolverError(f"times to keep must lie within {begin:g} to {end:g} s", where="keep")
    return wanted if wanted and wanted[-1] == end else [*wanted, end]


def _check(
    problem: Problem,
    duration: float,
    steps: int,
    end: float,
    tolerance: float,
    accuracy: float | None,
    damping: Damping,
    max_iterations: int,
) -> None:
    where = "dynamic.solve"
    require_problem(problem, where)
    given.number(duration, "a duration", where, above=0.0, advice="Give seconds")
    given.number(end, "an end", where, above=0.0, advice="Give seconds")
    given.whole(steps, "steps", where, advice="Use 1 or more")
    given.tolerance(tolerance, where)
    given.whole(max_iterations, "iterations", where)
    if accuracy is not None:
        given.number(accuracy, "an accuracy", where, above=0.0, advice="Give m")
    given.number(damping.mass, "a damping", where, low=0.0, advice="Give 1/s")
    given.number(damping.stiffness, "a damping", where, low=0.0, advice="Give s")
