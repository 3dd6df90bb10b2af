"""Quasi-static equilibrium under growing load.

model = Model.from_mesh(mesh, {"liver": NeoHookean.from_young(5e3, 0.45)}, density=1060.0, element="T4")
problem = model.problem(
    loads=[Gravity((0, 9.81, 0)), Pressure("lumen", 16000.0)],
    supports=[Springs("diaphragm", 1e5), Fixed("end_0")],
    prescribed=[Grasp("patch", path=[(0, -0.02, 0), (0, -0.04, 0.01)])],
)
solution = solve(problem, load_steps=10, progress=progress)
displacement = solution.final.displacement  # (nodes, 3) m; raises where the solve did not converge
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from . import given
from .history import Past
from .march import March
from .problem import Problem, require_problem
from .record import compile_seconds, statistics_of
from .solution import Solution, State
from .stability import probe
from .start import check_start
from .system import Timer
from .systems import make_system


def solve(
    problem: Problem,
    *,
    load_steps: int | Sequence[float] = 1,
    tolerance: float = 1e-8,
    max_iterations: int = 25,
    start: State | None = None,
    resume: State | None = None,
    duration: float | None = None,
    linear_solver: str = "auto",
    check_stability: bool = True,
    progress: Progress = silent,
) -> Solution:
    """The body in equilibrium at each load step.

    Args:
        problem: what is solved.
        load_steps: how many equal steps, or the load fractions (rising, the last is full load) at which a state is
            wanted. A step that fails is halved and tried again; states are kept at the wanted fractions only.
        tolerance: on ‖residual‖ relative to the larger of external forces and reactions.
        max_iterations: Newton iterations per load step.
        start: a state to begin from (warm start): its displacement is the first guess of the first step.
        resume: a state to go on from, with the history of its materials: `load_steps` lie above its load fraction.
        duration: seconds in which the load fraction goes from 0 to 1, slowly enough that inertia does not count: what
            viscous materials need to know. Without it they answer as they would at once, or to the seconds that
            `history.stepped` gave them.
        linear_solver: `"host"`: assembled matrix, a factorisation for small systems and multigrid for others;
            `"direct"` or `"multigrid"`: one of them whatever the size; `"device"`: everything stays on the device;
            `"auto"`: the host for arrays on a CPU, else the device.
        check_stability: False leaves the balance unchecked: for the many solves of a fit, whose last one is checked.
        progress: called at every Newton iteration; raising in it, or Ctrl-C, stops the solve.

    Returns:
        A solution whose `result` says how it ended. A failed solve keeps the load steps that did converge. Equilibrium
        that any disturbance would leave (a straight column beyond its buckling load) is `unstable`, not converged: the
        last state is looked at, and the ones before it where that one is unstable.

    Raises:
        SolverError: 64-bit floats are off, or an argument is out of range.
    """
    require_float64()
    require_held(problem, "solve")
    for given_state in (start, resume):
        check_start(given_state, problem)
    fractions = load_fractions(load_steps, 0.0 if resume is None else float(resume.load_fraction))
    tolerance, max_iterations = given.tolerance(tolerance, "solve"), given.whole(max_iterations, "iterations", "solve")
    if duration is not None:
        duration = given.number(duration, "a duration", "solve", above=0.0, advice="Give seconds")
    timer = Timer()
    with timer.part("total"), compile_seconds(timer):
        with timer.part("setup"):
            system = make_system(problem, linear_solver, timer)
        march = March(system, fractions, tolerance, max_iterations, progress)
        march.past = Past(problem.model, duration)
        march.probe = probe(system) if check_stability and system.symmetric and system.definite else None
        result, where = march.run(start, resume)
        if check_stability:
            with timer.part("stability"):
                result, where = march.verify(result, where)
    told = march.stability.value
    statistics = statistics_of(system, timer, march.steps, cutbacks=march.cutbacks, tolerance=tolerance, stability=told)
    return Solution(result, tuple(march.states), statistics, where, tuple(march.problems))


def load_fractions(load_steps: int | Sequence[float], done: float = 0.0) -> list[float]:
    """The fractions of the load at which a state is wanted, from above `done` to 1.

    Raises:
        SolverError: no whole number above zero, or fractions that do not rise to 1.
    """
    if np.ndim(load_steps) == 0:
        count = given.whole(load_steps, "load steps", "load_steps", advice="Use 1 or more, or rising load fractions")
        load_steps = [done + (1.0 - done) * (k + 1) / count for k in range(count - 1)] + [1.0]
    fractions = np.asarray(given.array(load_steps, "a load fraction", "load_steps", (None,))).tolist()
    if not fractions or not min(np.diff([done, *fractions])) > 0 or abs(fractions[-1] - 1.0) > 1e-12:
        raise SolverError(f"load fractions {fractions} must rise from above {done:g} to 1", where="load_steps")
    return [*fractions[:-1], 1.0]


def require_held(problem: Problem, where: str) -> None:
    """It is a problem, and of a body that does not float.

    Raises:
        SolverError: it is not.
    """
    require_problem(problem, where)
    if problem.floating:
        raise SolverError(
            "a body that may float has no equilibrium", where=where, advice="Hold it, or use dynamic.solve"
        )
