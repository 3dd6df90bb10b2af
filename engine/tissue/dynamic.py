"""Motion in time: implicit steps by Newton's method, of any integrator.

trajectory = solve(problem, duration=0.5, steps=100, integrator=GeneralizedAlpha(0.8), velocity=(0.0, 0.0, -1.0))
motion = trajectory.final          # displacement, velocity, acceleration; raises where the end was not reached
trajectory.energy.largest_drift    # energy that came from nowhere, over the largest that went about
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from .accounting import Accountant
from .augmentation import augmented
from .history import Past
from .integrators import GeneralizedAlpha, Integrator
from .mass import mass_matrix
from .motion import Damping, Motion
from .newton import NewtonOutcome, newton
from .problem import Problem
from .record import compile_seconds, step_statistics
from .solution import ResultCode, State, Statistics
from .start import first_motion
from .system import Timer
from .systems import make_system
from .time_step import StepSystem
from .trajectory import Trajectory

MAX_CUTBACKS = 10
GROWTH = 1.5
EASY_ITERATIONS = 6
SAFETY = 0.9


class Pace(NamedTuple):
    """Which steps are taken: at most `longest` [s], shorter where the local error [m] would exceed `accuracy`."""

    longest: float
    accuracy: float | None

    def after(self, step: float, iterations: int, error: float) -> float:
        """The next step [s]: Newton's effort lets it grow, the error wants Δt³ ~ accuracy."""
        factor = GROWTH if iterations <= EASY_ITERATIONS else 1.0
        if self.accuracy is not None:
            wanted = SAFETY * (self.accuracy / max(error, 1e-300)) ** (1.0 / 3.0)
            factor = min(factor, max(wanted, 0.2))
        return min(step * factor, self.longest)

    def refuses(self, error: float) -> bool:
        """Whether a step is to be taken again, shorter."""
        return self.accuracy is not None and error > 2.0 * self.accuracy


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
    _check(duration, steps, end, tolerance, accuracy, damping)
    timer = Timer()
    with timer.part("total"), compile_seconds(timer):
        with timer.part("setup"):
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
    return Trajectory(result, tuple(march.states), march.account.energy, statistics, where)


class March:
    """Goes through time: guesses, cuts back, grows again."""

    def __init__(
        self, system: StepSystem, first: Motion, pace: Pace, tolerance: float, max_iterations: int, progress: Progress
    ) -> None:
        self.system, self.now, self.pace, self.progress = system, first, pace, progress
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.states, self.steps, self.cutbacks = [first], [], 0
        self.past = Past(system.problem.model, system.duration)
        system.use(self.past.resumed(system.problem, first))
        self.account = Accountant(system, first)

    def run(self, goals: Sequence[float], keep_all: bool) -> tuple[ResultCode, str]:
        """All steps up to each goal [s]; the states there are kept."""
        length, begin = self.pace.longest, float(self.now.time)
        for goal in goals:
            smallest = self.pace.longest / 2**MAX_CUTBACKS
            while float(self.now.time) < goal:
                left = goal - float(self.now.time)
                count = np.ceil(left / length - 1e-9)
                step = left / count if count < 3 else length
                result, where, error = self._step(step, (begin, goals[-1]), last=count == 1, goal=goal)
                if result is ResultCode.converged:
                    if count > 1 or step >= length:
                        length = self.pace.after(step, self.steps[-1].newton_iterations, error)
                    if keep_all or float(self.now.time) == goal:
                        self.states.append(self.now)
                    continue
                self.cutbacks += 1
                length = 0.5 * step
                if length < smallest:
                    return result, where
        self.progress(1.0, "end of the motion")
        return ResultCode.converged, ""

    def _step(
        self, step: float, span: tuple[float, float], *, last: bool, goal: float
    ) -> tuple[ResultCode, str, float]:
        """One attempt; moves on where it succeeds. The result, where it failed, the local error [m]."""
        system, old = self.system, self.now
        time = goal if last else float(old.time) + step
        fraction = time / system.duration
        before, lag = system.problem, system.integrator.force_lag
        system.use(self.past.stepped(before, (1.0 - lag) * (time - float(old.time)) / system.duration))
        system.begin(old, time - float(old.time))

        def tell(iteration: int, residual: float) -> None:
            done = (float(old.time) - span[0]) / (span[1] - span[0])
            self.progress(float(done), f"{time:.4g} s, iteration {iteration}, residual {residual:.1e}")

        outcome = self._newton(self._guess(), fraction, tell)
        if outcome.result is ResultCode.inverted_element and outcome.record.newton_iterations == 0:
            outcome = self._newton(system.displacement, fraction, tell)
        outcome = augmented(system, outcome, fraction, lambda first: self._newton(first, fraction, tell))
        result, error = outcome.result, 0.0
        if result is ResultCode.converged:
            rates = system.rates(outcome.displacement)
            system.use(self.past.stepped(system.problem, (time - float(old.time)) / system.duration))
            moved = self.account.look(outcome, rates, fraction)
            if not moved.min_jacobian > 0:
                result, outcome = ResultCode.inverted_element, outcome._replace(evaluation=moved)
            else:
                change = system.integrator.error(system.acceleration, rates.acceleration, system.step)
                error = float(abs(change * system.free).max())
                if self.pace.refuses(error) and step > self.pace.longest / 2 ** (MAX_CUTBACKS - 1):
                    result = ResultCode.newton_diverged
                else:
                    self.now = self.account.accept(outcome, rates, time, fraction)
                    system.advance(outcome.displacement, fraction)
                    self.past.advance(system.base, outcome.displacement, fraction)
                    self.now = replace(self.now, materials=self.past.materials(system.problem))
        if result is not ResultCode.converged:
            system.use(before)
        self.steps.append(step_statistics(fraction, outcome._replace(result=result)))
        return result, self._where(outcome, time), error

    def _newton(self, first: Any, fraction: float, tell: Any) -> NewtonOutcome:
        return newton(
            self.system, first, fraction, tolerance=self.tolerance, max_iterations=self.max_iterations, tell=tell
        )

    def _guess(self) -> Any:
        """Where the body flies at constant acceleration."""
        now, step = self.system, self.system.step
        flight = now.displacement + step * now.velocity + 0.5 * step * step * now.acceleration
        return flight * now.free + now.displacement * (1.0 - now.free)

    def _where(self, outcome: NewtonOutcome, time: float) -> str:
        place = f"between {float(self.now.time):.6g} and {time:.6g} s"
        if outcome.result is ResultCode.inverted_element:
            from .places import element_place

            place += f", {element_place(self.system.problem.model, outcome.evaluation.worst_element)}"
        return place


def _goals(begin: float, end: float, keep: Sequence[float] | None) -> list[float]:
    """Times to meet [s]."""
    if not begin < end:
        raise SolverError(f"the motion starts at {begin:g} s and ends at {end:g} s", where="dynamic.solve")
    wanted = sorted(float(time) for time in keep or ())
    if wanted and not (begin < wanted[0] and wanted[-1] <= end):
        raise SolverError(f"times to keep must lie within {begin:g} to {end:g} s", where="keep")
    return wanted if wanted and wanted[-1] == end else [*wanted, end]


def _check(duration: float, steps: int, end: float, tolerance: float, accuracy: float | None, damping: Damping) -> None:
    if not (np.isfinite(duration) and duration > 0 and np.isfinite(end)):
        raise SolverError(f"a duration of {duration} s is not possible", where="dynamic.solve")
    if not steps >= 1:
        raise SolverError(f"{steps} steps are not possible", where="dynamic.solve", advice="Use 1 or more")
    if not 0 < tolerance < 1:
        raise SolverError(
            f"a tolerance of {tolerance} is not possible", where="dynamic.solve", advice="Use 1e-6 to 1e-10"
        )
    if accuracy is not None and not accuracy > 0:
        raise SolverError(f"an accuracy of {accuracy} m is not possible", where="dynamic.solve")
    if not (float(damping.mass) >= 0 and float(damping.stiffness) >= 0):
        raise SolverError("damping must not be negative", where="dynamic.solve")
