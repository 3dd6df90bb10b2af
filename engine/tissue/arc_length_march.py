"""The march of the arc-length method: steps along the path that are cut, grow, and end where they should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...imaging.errors import SolverError
from ...imaging.progress import Progress
from .arc_length_continuity import Trail
from .arc_length_corrector import Corrector, Direction, Point
from .arc_length_end import at_load
from .arc_length_system import ProportionalSystem
from .path import PathState
from .places import element_place
from .solution import ResultCode, State, StepStatistics
from .stability import Stability, stability

EASY_ITERATIONS = 5
FINEST = 2.0**-11
"""Step length over that of the linear answer to the whole load, so that it is the same whatever the first step was. At
and below it a step may pass a bifurcation or a corner of the path."""
CUTS_AT_LEAST, CUTS_BEYOND = 5, 5
"""Halvings of the first step before a step counts as the finest, and after that before the path is lost."""
STRAIGHT = 0.9
"""From this cosine on steps grow."""


class Step(NamedTuple):
    """An attempt: the point found and the direction that goes on from there, or why there is none."""

    found: Point | None
    after: Direction | None
    iterations: int
    failure: ResultCode


class March:
    """Goes along the path: predicts, corrects on a cylinder, cuts back, grows again."""

    def __init__(self, system: ProportionalSystem, tolerance: float, max_iterations: int, progress: Progress) -> None:
        self.system, self.progress = system, progress
        self.corrector = Corrector(system, tolerance, max_iterations)
        self.states: list[PathState] = []
        self.steps: list[StepStatistics] = []
        self.cutbacks = 0

    def run(
        self, start: State | None, until: float, first: float, longest: float, steps: int, stop: Callable | None
    ) -> tuple[ResultCode, str]:
        """Until the path ends."""
        system, corrector = self.system, self.corrector
        displacement = system.zeros() if start is None else system.field_of(start)
        now = corrector.point(displacement, 0.0 if start is None else float(start.load_fraction))
        along = corrector.along(now)
        if along is None:
            return ResultCode.linear_solver_stalled, self._where(now)
        whole = corrector.norm(along.way)
        if whole == 0.0:
            raise SolverError("no load and no motion grows with the load fraction", where="arc_length.trace")
        length, trail = first * whole, Trail(corrector, now)
        largest, finest = longest * length, min(FINEST * whole, length / 2**CUTS_AT_LEAST)
        while len(self.states) < steps:
            step = self._step(trail, now, along, length, finest=length <= finest)
            self.steps.append(_statistics(step.found, now, step.iterations))
            if step.found is None or step.after is None:
                self.cutbacks, length = self.cutbacks + 1, 0.5 * length
                if length < finest / 2**CUTS_BEYOND:
                    return step.failure, self._where(now)
                continue
            found, before = step.found, now
            ends = now.fraction < until <= found.fraction
            end = at_load(corrector, now, found, until) if ends else None
            now, along = end or found, step.after
            trail.add(now)
            ended = self._ended(self._keep(now, along, known=end is None), ends, stop, length, steps)
            if ends and end is None:
                return ResultCode.path_lost, f"no balance found at {100 * until:.4g} % of the load; {self._where(now)}"
            if ended:
                return ResultCode.converged, ""
            length = min(length * self._growth(step, now, before, along), largest)
        return ResultCode.steps_ran_out, self._where(now)

    def _step(self, trail: Trail, now: Point, along: Direction, length: float, *, finest: bool) -> Step:
        """One attempt along a direction; `after` goes on from the point found, in the sense of the way there."""
        before = self.system.problem
        found, iterations = self.corrector.settled(now, along, length)
        if found is None:
            return self._failed(before, iterations, ResultCode.newton_diverged)
        after = self.corrector.along(found)
        if after is None:
            return self._failed(before, iterations, ResultCode.linear_solver_stalled)
        after = after if self.corrector.dot(after.way, found.displacement - now.displacement) >= 0.0 else after.turned()
        if not trail.goes_on(now, along, found, after, finest=finest):
            return self._failed(before, iterations, ResultCode.path_lost)
        return Step(found, after, iterations, ResultCode.converged)

    def _failed(self, before: Any, iterations: int, why: ResultCode) -> Step:
        """Nothing found; multipliers are as they were."""
        self.system.use(before)
        return Step(None, None, iterations, why)

    def _growth(self, step: Step, now: Point, before: Point, along: Direction) -> float:
        """By how much the next step may be longer."""
        growth = float(np.clip(np.sqrt(EASY_ITERATIONS / max(step.iterations, 1)), 0.5, 1.5))
        bent = self.corrector.cosine(now.displacement - before.displacement, along.way) < STRAIGHT
        return min(growth, 1.0) if bent else growth

    def _ended(self, state: PathState, ends: bool, stop: Callable | None, length: float, steps: int) -> bool:
        """Whether the path ends at a state; tells how far it has come."""
        told = f"load {100 * state.load_fraction:.4g} %, {state.stability}, step {length:.2e} m"
        self.progress(min(len(self.states) / steps, 1.0), told)
        if not ends and (stop is None or not stop(state)):
            return False
        self.progress(1.0, "end of the path")
        return True

    def _keep(self, now: Point, along: Direction, *, known: bool) -> PathState:
        """The state, and whether it is stable: by the direction's negative eigenvalues, where those are known there."""
        state = self.system.state_of(now.fraction, now.displacement)
        if known and along.negative is not None and self.system.definite:
            found = Stability.unstable if along.negative else Stability.stable
        else:
            found = stability(self.system, state)
        self.corrector.indefinite = found is Stability.unstable
        kept = PathState(now.fraction, state.displacement, state.pressure, stability=found.value)
        self.states.append(kept)
        return kept

    def _where(self, now: Point) -> str:
        return f"after {100 * now.fraction:.4g} % of the load, {element_place(self.system.problem.model, now.worst)}"


def _statistics(found: Point | None, before: Point, iterations: int) -> StepStatistics:
    now: Any = before if found is None else found
    result = ResultCode.newton_diverged if found is None else ResultCode.converged
    return StepStatistics(
        now.fraction, result, iterations, energy=float(now.energy), min_jacobian=float(now.min_jacobian)
    )
