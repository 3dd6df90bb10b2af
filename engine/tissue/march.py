"""The way through the load steps of a quasi-static solve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...imaging.progress import Progress
from .augmentation import augmented
from .contact.overconstrained import check_contacts
from .contact.unsettled import unsettled
from .contact.watch import Watch
from .history import Past
from .newton import NewtonOutcome, guided, newton
from .places import element_place
from .plausible_motion import carried_away
from .problem import Problem
from .record import step_statistics
from .solution import ResultCode, State, StepStatistics
from .stability import Stability, stability
from .system import NodalField, System, Tangent

MAX_CUTBACKS = 8
GROWTH = 1.5
EASY_ITERATIONS = 6


class March:
    """Goes through the load steps: extrapolates, cuts back, grows again."""

    def __init__(
        self, system: System, fractions: list[float], tolerance: float, max_iterations: int, progress: Progress
    ) -> None:
        self.system, self.fractions, self.progress = system, fractions, progress
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.states: list[State] = []
        self.problems: list[Problem] = []
        self.steps: list[StepStatistics] = []
        self.cutbacks, self.max_cutbacks = 0, MAX_CUTBACKS
        self.history: list[tuple[float, NodalField]] = []
        self.stability = Stability.unknown
        self.solved = system.problem
        self.past = Past(system.problem.model, None)
        self.probe: NodalField | None = None
        self.settled: Tangent | None = None
        self.told_stable = False
        self.watch, self.passed = Watch(system.problem), ""

    def run(self, start: State | None, resume: State | None = None) -> tuple[ResultCode, str]:
        """All load steps, until one fails for good."""
        guess = None if start is None else self.system.field_of(start)
        self.history = [(0.0, self.system.zeros())]
        if resume is not None:
            self.history = [(float(resume.load_fraction), self.system.field_of(resume))]
            self.system.use(self.past.resumed(self.system.problem, resume))
        check_contacts(self.system.problem, self.fractions)
        for wanted in self.fractions:
            outcome, goal = self._reach(wanted, guess)
            guess = None
            if outcome.result is not ResultCode.converged:
                return self._failure(outcome, self.history[-1][0], goal)
            if far := carried_away(self.system, outcome.displacement, wanted):
                return ResultCode.carried_away, far
            state = self.system.state_of(wanted, outcome.displacement)
            self.states.append(self.past.kept(self.system.problem, state))
            settled = not self.system.problem.contacts
            self.settled, self.told_stable = outcome.tangent if settled else None, outcome.stable and settled
            self.problems.append(self.solved)
        return ResultCode.converged, ""

    def verify(self, result: ResultCode, where: str) -> tuple[ResultCode, str]:
        """Takes back states that are unstable, from the last to the first that is not."""
        while self.states:
            state = self.states[-1]
            self.system.use(self.problems[-1])
            self.progress(0.95, "checking that the balance is stable")
            self.stability = Stability.stable if self.told_stable else stability(self.system, state, self.settled)
            self.settled, self.told_stable = None, False
            if self.stability is not Stability.unstable:
                break
            self.states.pop()
            self.problems.pop()
            result, where = ResultCode.unstable, f"at {100 * state.load_fraction:.4g} % of the load"
        if result is ResultCode.converged:
            self.progress(1.0, "equilibrium found")
        return result, where

    def _reach(self, wanted: float, guess: NodalField | None) -> tuple[NewtonOutcome, float]:
        """One wanted load fraction, in as many steps as it takes; the last outcome and where it was heading."""
        now = self.history[-1][0]
        length, smallest = wanted - now, (wanted - now) / 2**self.max_cutbacks
        while True:
            goal = wanted if now + length > wanted - 0.5 * smallest else now + length
            outcome = self._step(goal, guess)
            guess = None
            if outcome.result is ResultCode.converged:
                if goal == wanted:
                    return outcome, goal
                now = goal
                length *= GROWTH if outcome.record.newton_iterations <= EASY_ITERATIONS else 1.0
                continue
            self.cutbacks += 1
            length = (goal - now) / 2
            if length < smallest:
                return outcome, goal

    def _step(self, goal: float, guess: NodalField | None) -> NewtonOutcome:
        def tell(iteration: int, residual: float) -> None:
            done = np.clip(np.log10(max(residual, 1e-300)) / np.log10(self.tolerance), 0.0, 1.0)
            before = self.history[-1][0]
            text = f"load {100 * goal:.0f} %, iteration {iteration}, residual {residual:.1e}"
            self.progress(float(before + (goal - before) * 0.9 * done), text)

        first, before = self._extrapolate(goal) if guess is None else guess, self.system.problem
        self.system.use(self.past.stepped(before, goal - self.history[-1][0]))
        outcome = self._newton(first, goal, tell)
        if outcome.result is ResultCode.inverted_element and outcome.record.newton_iterations == 0:
            outcome = self._newton(self.history[-1][1], goal, tell)
        outcome = augmented(self.system, outcome, goal, lambda first: self._newton(first, goal, tell))
        outcome = self._watched(outcome, goal)
        self.steps.append(step_statistics(goal, outcome))
        if outcome.result is ResultCode.converged:
            self.history = [*self.history[-1:], (goal, outcome.displacement)]
            self.solved = self.system.bound(outcome.displacement, goal)
            self.system.advance(outcome.displacement, goal)
            self.past.advance(self.system, outcome.displacement, goal)
        else:
            self.system.use(before)
        return outcome

    def _watched(self, outcome: NewtonOutcome, goal: float) -> NewtonOutcome:
        """The outcome, no balance where a body has passed through another on the way to it."""
        if outcome.result is not ResultCode.converged:
            return outcome
        self.passed = self.watch.passed(self.history[-1], (goal, outcome.displacement))
        return outcome._replace(result=ResultCode.passed_through) if self.passed else outcome

    def _newton(self, first: NodalField, goal: float, tell: Callable[[int, float], None]) -> NewtonOutcome:
        return newton(
            self.system,
            first,
            goal,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            tell=tell,
            probe=self.probe if goal == self.fractions[-1] else None,
        )

    def _extrapolate(self, goal: float) -> NodalField:
        """A first guess from the last two states, along the straight line."""
        last, displacement = self.history[-1]
        if len(self.history) < 2 or last == self.history[-2][0]:
            return displacement
        before, older = self.history[-2]
        guess = displacement + (goal - last) / (last - before) * (displacement - older)
        return guided(self.system, displacement, guess)

    def _failure(self, outcome: NewtonOutcome, now: float, goal: float) -> tuple[ResultCode, str]:
        where = f"between {100 * now:.4g} % and {100 * goal:.4g} % of the load"
        if outcome.result is ResultCode.inverted_element:
            where += f", {element_place(self.system.problem.model, outcome.evaluation.worst_element)}"
        result = outcome.result
        if self.passed:  # steps that were short enough for Newton's method led through, or shorter ones ended elsewhere
            return ResultCode.passed_through, f"{where}, {self.passed}"
        if result in {ResultCode.newton_diverged, ResultCode.contact_unresolved}:
            place = unsettled(self.system.problem, outcome.evaluation.residual, self.system.free)
            result, where = (ResultCode.contact_unresolved, f"{where}, {place}") if place else (result, where)
        return result, where
