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

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from .contact.overconstrained import check_contacts
from .contact.unsettled import unsettled
from .history import Past
from .newton import NewtonOutcome, newton
from .places import element_place
from .problem import Problem
from .solution import ResultCode, Solution, State, Statistics, StepStatistics
from .stability import Stability, probe, stability
from .system import NodalField, System, Tangent, Timer
from .systems import make_system

MAX_CUTBACKS = 8
GROWTH = 1.5
MAX_AUGMENTATIONS = 30
"""Uzawa steps per load step; each shrinks penetration by the ratio of the body's stiffness to the penalty."""
EASY_ITERATIONS = 6


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
    done = 0.0 if resume is None else float(resume.load_fraction)
    fractions = _fractions(load_steps, done)
    if duration is not None and not (np.isfinite(duration) and duration > 0):
        raise SolverError(f"a duration of {duration} s is not possible", where="solve")
    if problem.floating:
        raise SolverError(
            "a body that may float has no equilibrium", where="solve", advice="Hold it, or use dynamic.solve"
        )
    if not 0 < tolerance < 1:
        raise SolverError(f"a tolerance of {tolerance} is not possible", where="solve", advice="Use 1e-6 to 1e-10")
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
    model = problem.model
    statistics = Statistics(
        steps=tuple(march.steps),
        cutbacks=march.cutbacks,
        seconds=dict(timer.seconds),
        unknowns=int(np.asarray(system.free).sum()),
        elements=sum(len(block.nodes) for block in model.blocks),
        linear_solver=type(system).__name__,
        preconditioners=timer.counts["preconditioner"],
        **hierarchy_of(system),
        tolerance=tolerance,
        stability=march.stability.value,
    )
    return Solution(result, tuple(march.states), statistics, where, tuple(march.problems))


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
        self.cutbacks = 0
        self.history: list[tuple[float, NodalField]] = []
        self.stability = Stability.unknown
        self.solved = system.problem
        self.past = Past(system.problem.model, None)
        self.probe: NodalField | None = None
        self.settled: Tangent | None = None
        self.told_stable = False

    def run(self, start: State | None, resume: State | None = None) -> tuple[ResultCode, str]:
        """All load steps, until one fails for good."""
        self._fits(start if resume is None else resume)
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
            self.states.append(self.past.kept(self.system, wanted, outcome.displacement))
            settled = not self.system.problem.contacts
            self.settled, self.told_stable = outcome.tangent if settled else None, outcome.stable and settled
            self.problems.append(self.solved)
        return ResultCode.converged, ""

    def _fits(self, start: State | None) -> None:
        if start is not None and start.rows.shape != self.system.points.shape:
            raise SolverError(
                f"the state to start from has {len(start.rows)} rows, the model {len(self.system.points)}",
                where="start",
                advice="Start from a state of the same mesh and element",
            )

    def verify(self, result: ResultCode, where: str) -> tuple[ResultCode, str]:
        """Takes back states that are unstable, from the last to the first that is not."""
        while self.states:
            state = self.states[-1]
            self.system.use(self.problems[-1])
            self.progress(0.95, "checking that the balance is stable")
            self.stability = (
                Stability.stable if self.told_stable else stability(self.system, state, self.settled)
            )
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
        length, smallest = wanted - now, (wanted - now) / 2**MAX_CUTBACKS
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
        outcome = self._augment(outcome, goal, tell)
        self.steps.append(step_statistics(goal, outcome))
        if outcome.result is ResultCode.converged:
            self.history = [*self.history[-1:], (goal, outcome.displacement)]
            self.solved = self.system.bound(outcome.displacement, goal)
            self.system.advance(outcome.displacement, goal)
            self.past.advance(self.system, outcome.displacement, goal)
        else:
            self.system.use(before)
        return outcome

    def _augment(self, outcome: NewtonOutcome, goal: float, tell: object) -> NewtonOutcome:
        """Moves the multipliers of contacts on and finds the balance again, until no point is deeper than asked."""
        for _ in range(MAX_AUGMENTATIONS):
            if outcome.result is not ResultCode.converged:
                return outcome
            if not self.system.augment(outcome.displacement, goal):
                return outcome
            record = outcome.record
            outcome = self._newton(outcome.displacement, goal, tell)
            outcome.record.add(record)
        return outcome._replace(result=ResultCode.contact_unresolved)

    def _newton(self, first: NodalField, goal: float, tell: object) -> NewtonOutcome:
        return newton(
            self.system,
            first,
            goal,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            tell=tell,  # pyright: ignore[reportArgumentType]
            probe=self.probe if goal == self.fractions[-1] else None,
        )

    def _extrapolate(self, goal: float) -> NodalField:
        """A first guess from the last two states, along the straight line."""
        last, displacement = self.history[-1]
        if len(self.history) < 2 or last == self.history[-2][0]:
            return displacement
        before, older = self.history[-2]
        return displacement + (goal - last) / (last - before) * (displacement - older)

    def _failure(self, outcome: NewtonOutcome, now: float, goal: float) -> tuple[ResultCode, str]:
        where = f"between {100 * now:.4g} % and {100 * goal:.4g} % of the load"
        if outcome.result is ResultCode.inverted_element:
            where += f", {element_place(self.system.problem.model, outcome.evaluation.worst_element)}"
        result = outcome.result
        if result in {ResultCode.newton_diverged, ResultCode.contact_unresolved}:
            place = unsettled(self.system.problem, outcome.evaluation.residual, self.system.free)
            result, where = (ResultCode.contact_unresolved, f"{where}, {place}") if place else (result, where)
        return result, where


def step_statistics(goal: float, outcome: NewtonOutcome) -> StepStatistics:
    """Of one attempt."""
    record = outcome.record
    return StepStatistics(
        goal,
        outcome.result,
        record.newton_iterations,
        record.linear_iterations,
        tuple(record.residuals),
        record.line_search_steps,
        outcome.evaluation.energy,
        outcome.evaluation.min_jacobian,
        tuple(record.linear_residuals),
    )


def hierarchy_of(system: System) -> dict[str, Any]:
    """Levels and complexity of the multigrid hierarchy in use, and the memory held at most."""
    solver = getattr(system, "solver", None)
    hierarchy = getattr(getattr(solver, "inner", solver), "hierarchy", None)
    found: dict[str, Any] = {"peak_memory_mib": peak_memory()}
    return (
        found if hierarchy is None else {**found, "levels": tuple(hierarchy.sizes), "complexity": hierarchy.complexity}
    )


def peak_memory() -> float:
    """MiB this process has held at most."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _fractions(load_steps: int | Sequence[float], done: float = 0.0) -> list[float]:
    if isinstance(load_steps, (int, np.integer)):
        if load_steps < 1:
            raise SolverError(f"{load_steps} load steps are not possible", where="load_steps", advice="Use 1 or more")
        return [*(done + (1.0 - done) * (k + 1) / load_steps for k in range(load_steps - 1)), 1.0]
    fractions = [float(f) for f in load_steps]
    if not fractions or min(np.diff([done, *fractions])) <= 0 or abs(fractions[-1] - 1.0) > 1e-12:
        raise SolverError(f"load fractions {fractions} must rise from above {done:g} to 1", where="load_steps")
    return [*fractions[:-1], 1.0]


class compile_seconds:
    """Adds what JAX spends on tracing and compiling to a timer."""

    def __init__(self, timer: Timer) -> None:
        self.timer = timer

    def __enter__(self) -> None:
        import jax

        self.start = time.perf_counter()
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def __exit__(self, *_: object) -> None:
        import jax

        jax.monitoring.unregister_event_duration_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event in _COMPILE_EVENTS:
            self.timer.seconds["compile"] += duration_secs


_COMPILE_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
}
