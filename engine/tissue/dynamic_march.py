"""Goes through time by implicit steps: guesses, cuts back, grows again, keeps the energy account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...imaging.progress import Progress
from .accounting import Accountant
from .augmentation import augmented
from .contact.watch import Watch
from .history import Past
from .motion import Motion
from .newton import NewtonOutcome, guided, newton
from .record import step_statistics
from .solution import ResultCode
from .time_step import StepSystem

MAX_CUTBACKS = 10
GROWTH = 1.5
EASY_ITERATIONS = 6
SAFETY = 0.9
GAINED = 0.05
"""Energy from nowhere in one step, over the largest that went about, for which a body with cables or ligaments takes it
again, half as long: a strand that goes taut within a step is stretched by the way of all of it, and stores what nothing
put in: by the square of the step."""
BLOWN_UP = 0.5
"""The same of all steps so far, for which a motion ends: half of what moves came from nowhere."""
FIRST_STEPS = 10
"""In which little has moved, and a share of it says little."""


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


class March:
    """Goes through time: guesses, cuts back, grows again."""

    def __init__(
        self, system: StepSystem, first: Motion, pace: Pace, tolerance: float, max_iterations: int, progress: Progress
    ) -> None:
        self.system, self.pace, self.progress = system, pace, progress
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.past = Past(system.problem.model, system.duration)
        system.use(self.past.resumed(system.problem, first))
        self.now = self.past.kept(system.problem, first)
        self.states, self.steps, self.cutbacks = [self.now], [], 0
        self.account = Accountant(system, first)
        self.watch, self.passed = Watch(system.problem), ""

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
                if result is ResultCode.blown_up:
                    return result, where
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
        outcome = self._watched(outcome, fraction)
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
                gained, drift = self.account.gained(rates)
                shorter = step > self.pace.longest / 2 ** (MAX_CUTBACKS - 1)
                kinked = self.account.kinked and gained > GAINED
                if (self.pace.refuses(error) or kinked) and shorter:
                    result = ResultCode.newton_diverged
                elif drift > BLOWN_UP and len(self.account.energy.time) > FIRST_STEPS:
                    result = ResultCode.blown_up
                else:
                    self.now = self.account.accept(outcome, rates, time, fraction)
                    system.advance(outcome.displacement, fraction)
                    self.past.advance(system.base, outcome.displacement, fraction)
                    self.now = self.past.kept(system.problem, self.now)
        if result is not ResultCode.converged:
            system.use(before)
        self.steps.append(step_statistics(fraction, outcome._replace(result=result)))
        return result, self._where(outcome, time), error

    def _watched(self, outcome: NewtonOutcome, fraction: float) -> NewtonOutcome:
        """The outcome, none where a body has passed through another on the way to it."""
        if outcome.result is not ResultCode.converged:
            return outcome
        before = float(self.now.time) / self.system.duration
        self.passed = self.watch.passed((before, self.system.displacement), (fraction, outcome.displacement))
        return outcome._replace(result=ResultCode.passed_through) if self.passed else outcome

    def _newton(self, first: Any, fraction: float, tell: Any) -> NewtonOutcome:
        return newton(
            self.system, first, fraction, tolerance=self.tolerance, max_iterations=self.max_iterations, tell=tell
        )

    def _guess(self) -> Any:
        """Where the body flies at constant acceleration."""
        now, step = self.system, self.system.step
        flight = now.displacement + step * now.velocity + 0.5 * step * step * now.acceleration
        return guided(now, now.displacement, flight * now.free + now.displacement * (1.0 - now.free))

    def _where(self, outcome: NewtonOutcome, time: float) -> str:
        place = f"between {float(self.now.time):.6g} and {time:.6g} s"
        if outcome.result is ResultCode.inverted_element:
            from .places import element_place

            place += f", {element_place(self.system.problem.model, outcome.evaluation.worst_element)}"
        return f"{place}, {self.passed}" if outcome.result is ResultCode.passed_through else place
