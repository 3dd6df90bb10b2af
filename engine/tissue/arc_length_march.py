"""The march of the arc-length method: predictions, corrections on the cylinder, the look at stability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...imaging.progress import Progress
from .augmentation import augmented
from .host_system import HostSystem, HostTangent
from .newton import ROUND_OFF, NewtonOutcome, NewtonRecord, newton, norm
from .path import PathState
from .places import element_place
from .solution import ResultCode, State, StepStatistics
from .stability import stability
from .system import Evaluation

EASY_ITERATIONS = 5
MAX_CUTBACKS = 12
LINEAR_TOLERANCE = 1e-8
GENTLE = 0.85
"""Cosine of the angle between a step and the path at either end of it: one that bends more is cut, as it may lead on to
another stretch of the path or back."""
SHARPEST = 0.5
"""As far as it may bend where cuts do not make it straighter: at a corner of the path, as where a contact closes."""
GENTLE_CUTS = 5
FAR_OFF = 0.25
"""Where the load changes otherwise than its slopes at both ends of a step say, by this share, the step has gone on to
another stretch of the path; it is cut as long as it may not bend far."""
NEAR = 0.1
"""Of the length of an earlier step: a point that is nearer to that step lies on the path already gone."""
STRAIGHT = 0.9
"""From this cosine on steps grow."""


class Point(NamedTuple):
    """A displacement and load fraction, and how the balance is there."""

    displacement: NDArray
    fraction: float
    residual: NDArray
    slope: NDArray
    scale: float
    noise: float
    energy: float
    min_jacobian: float
    worst: int


class Direction(NamedTuple):
    """Of the path at a point: a displacement, and by how much the load fraction rises with it."""

    way: NDArray
    rise: float


class Step(NamedTuple):
    """An attempt: the point found and the direction that goes on from there, or why there is none."""

    found: Point | None
    after: Direction | None
    iterations: int
    failure: ResultCode


class March:
    """Goes along the path: predicts, corrects on a cylinder, cuts back, grows again."""

    def __init__(self, system: HostSystem, tolerance: float, max_iterations: int, progress: Progress) -> None:
        self.system, self.progress, self.tolerance, self.max_iterations = system, progress, tolerance, max_iterations
        self.rest = system.prescribed(0.0)
        self.motion = system.prescribed(1.0) - self.rest
        self.inside = (np.arange(len(system.points)) < system.problem.model.nodes)[:, None] * 1.0
        self.states: list[PathState] = []
        self.steps: list[StepStatistics] = []
        self.cutbacks, self.indefinite = 0, False
        self.gone: list[NDArray] = []

    def run(
        self, start: State | None, until: float, first: float, longest: float, steps: int, stop: Callable | None
    ) -> tuple[ResultCode, str]:
        """Until the path ends."""
        system = self.system
        displacement = system.zeros() if start is None else system.field_of(start)
        now = self.point(displacement, 0.0 if start is None else float(start.load_fraction))
        along = self._along(now)
        if along is None:
            return ResultCode.linear_solver_stalled, self._where(now)
        length = first * self._norm(along.way)
        if length == 0.0:
            raise SolverError("no load and no motion grows with the load fraction", where="arc_length.trace")
        largest, least = longest * length, length / 2**MAX_CUTBACKS
        self.gone, cut = [now.displacement], 0
        while len(self.states) < steps:
            step = self._step(now, along, length, GENTLE if cut < GENTLE_CUTS else SHARPEST)
            self.steps.append(_statistics(step.found, now, step.iterations))
            if step.found is None or step.after is None:
                self.cutbacks, cut, length = self.cutbacks + 1, cut + 1, 0.5 * length
                if length < least:
                    return step.failure, self._where(now)
                continue
            cut, found, before = 0, step.found, now
            ends = now.fraction < until <= found.fraction
            now, along = self._finish(now, found, until) if ends else found, step.after
            self.gone.append(now.displacement)
            state = self._keep(now)
            told = f"load {100 * now.fraction:.4g} %, {state.stability}, step {length:.2e} m"
            self.progress(min(len(self.states) / steps, 1.0), told)
            if ends or (stop is not None and stop(state)):
                self.progress(1.0, "end of the path")
                return ResultCode.converged, ""
            growth = float(np.clip(np.sqrt(EASY_ITERATIONS / max(step.iterations, 1)), 0.5, 1.5))
            bent = self._cosine(now.displacement - before.displacement, along.way) < STRAIGHT
            length = min(length * (min(growth, 1.0) if bent else growth), largest)
        return ResultCode.steps_ran_out, self._where(now)

    def _step(self, now: Point, along: Direction, length: float, gentle: float) -> Step:
        """One attempt along a direction; `after` is the direction that goes on from the point found.

        The path is the same one as before only where it bends little: the way to the new point keeps the direction of
        the path at the old one and at the new one, whose sense is that of the way (Feng, Perić and Owen 1996).
        """
        before = self.system.problem
        found, iterations = self._settled(now, along, length)
        if found is None:
            self.system.use(before)
            return Step(None, None, iterations, ResultCode.newton_diverged)
        after, way = self._along(found), found.displacement - now.displacement
        if after is None:
            self.system.use(before)
            return Step(None, None, iterations, ResultCode.linear_solver_stalled)
        after = after if self._dot(after.way, way) >= 0.0 else Direction(-after.way, -after.rise)
        bend = min(self._cosine(way, along.way), self._cosine(way, after.way))
        missed = self._missed(found.fraction - now.fraction, length, along, after)
        if bend < gentle or (gentle == GENTLE and missed > FAR_OFF) or self._gone_over(found):
            self.system.use(before)
            return Step(None, None, iterations, ResultCode.path_lost)
        return Step(found, after, iterations, ResultCode.converged)

    def _along(self, now: Point) -> Direction | None:
        """The direction of the path at a point, with a load that grows; None where it was not found."""
        tangent = self.system.linearize(now.displacement, self._known(now.fraction))
        good, (way,) = self._solve(tangent, [self._turning(tangent, now)], now.fraction)
        return Direction(way + self.motion, 1.0) if good else None

    def _cosine(self, left: NDArray, right: NDArray) -> float:
        return self._dot(left, right) / max(self._norm(left) * self._norm(right), 1e-300)

    def _missed(self, rise: float, length: float, along: Direction, after: Direction) -> float:
        """How far the load is off what its slopes at both ends of a step lead to, over what they may do."""
        slopes = [part.rise / max(self._norm(part.way), 1e-300) for part in (along, after)]
        return abs(rise - 0.5 * length * sum(slopes)) / max(length * max(abs(slope) for slope in slopes), 1e-300)

    def _gone_over(self, found: Point) -> bool:
        """Whether a point lies on a step that led to an earlier point: the path goes back over itself."""
        for first, last in zip(self.gone[:-2], self.gone[1:-1], strict=True):
            way, off = last - first, found.displacement - first
            long = self._norm(way)
            share = float(np.clip(self._dot(off, way) / max(long * long, 1e-300), 0.0, 1.0))
            if self._norm(off - share * way) < NEAR * long:
                return True
        return False

    def _settled(self, start: Point, along: Direction, length: float) -> tuple[Point | None, int]:
        """The point on the cylinder in which contacts and ties are as close as asked: multipliers are moved on."""
        share = length / self._norm(along.way)
        found, spent = self._correct(start, share * along.way, share * along.rise, length)
        if found is None:
            return None, spent
        kept = found

        def balanced(first: NDArray) -> NewtonOutcome:
            nonlocal kept
            again, _ = self._correct(start, first - start.displacement, kept.fraction - start.fraction, length)
            kept = again or kept
            return _outcome(kept, ResultCode.newton_diverged if again is None else ResultCode.converged)

        first = _outcome(found, ResultCode.converged)
        ended = augmented(self.system, first, self._known(found.fraction), balanced)
        return (kept if ended.result is ResultCode.converged else None), spent

    def point(self, displacement: NDArray, fraction: float) -> Point:
        """The balance r = (1 − λ) r(u, 0) + λ r(u, 1), and ∂r/∂λ."""
        low, high = (self.system.evaluate(displacement, at) for at in (0.0, 1.0))
        residual = (1.0 - fraction) * low.residual + fraction * high.residual
        slope = high.residual - low.residual
        held = 1.0 - self.system.free
        scale = max(norm(high.external), norm(low.external), norm(residual * held))
        worst = min(low, high, key=lambda part: part.min_jacobian)
        noise = ROUND_OFF * max(low.force_norm, high.force_norm)
        energy = (1.0 - fraction) * low.energy + fraction * high.energy
        return Point(
            displacement, fraction, residual, slope, scale, noise, energy, worst.min_jacobian, worst.worst_element
        )

    def _correct(self, start: Point, change: NDArray, rise: float, length: float) -> tuple[Point | None, int]:
        """Newton's method on r(u, λ) = 0 and ‖Δu‖ = Δl (Crisfield 1981, *Computers & Structures* 13:55).

        K d_r = −r, K d_λ = −∂r/∂λ, and Δu + d_r + δλ d_λ on the cylinder: of two δλ the one that keeps the direction.
        """
        for iteration in range(self.max_iterations + 1):
            now = self.point(start.displacement + change, start.fraction + rise)
            if not now.min_jacobian > 0 or not np.isfinite(now.residual).all():
                return None, iteration
            tangent = self.system.linearize(now.displacement, self._known(now.fraction))
            size = norm(now.residual * self.system.free)
            if size <= max(self.tolerance * now.scale, now.noise, tangent.round_off):
                return now, iteration
            rights = [-now.residual * self.system.free, self._turning(tangent, now)]
            good, solved = self._solve(tangent, rights, now.fraction)
            if not good:
                return None, iteration
            back, way = solved[0], solved[1] + self.motion
            root = self._root(change + back, way, change, length)
            if root is None:
                return None, iteration
            change, rise = change + back + root * way, rise + root
        return None, self.max_iterations

    def _root(self, base: NDArray, way: NDArray, change: NDArray, length: float) -> float | None:
        """δλ of ‖base + δλ way‖ = length that turns least from `change`; None where the cylinder is missed."""
        a, b = self._dot(way, way), self._dot(base, way)
        c = self._dot(base, base) - length * length
        under = b * b - a * c
        if not under >= 0:
            return None
        roots = [(-b + side * np.sqrt(under)) / a for side in (-1.0, 1.0)]
        return float(max(roots, key=lambda root: self._dot(base + root * way, change)))

    def _turning(self, tangent: HostTangent, now: Point) -> NDArray:
        """Right-hand side of d_λ: −∂r/∂λ − K_fc ∂ū/∂λ."""
        drag = tangent.product(self.motion) if np.any(self.motion) else 0.0
        return -(now.slope + drag) * self.system.free

    def _solve(self, tangent: HostTangent, rights: list[NDArray], fraction: float) -> tuple[bool, list[NDArray]]:
        """By the usual solver while the tangent is definite, by one that does not mind beyond a limit point."""
        if not self.indefinite:
            found = [tangent.solve(right, LINEAR_TOLERANCE) for right in rights]
            if all(part.converged for part in found):
                return True, [part.solution * self.system.free for part in found]
        solver = tangent.indefinite_solver()
        solved = [solver.solve(right, LINEAR_TOLERANCE) for right in rights]
        return all(good for _, good in solved), [part * self.system.free for part, _ in solved]

    def _finish(self, before: Point, after: Point, until: float) -> Point:
        """The equilibrium at `until`, between two points; the point beyond where it is not found."""
        share = (until - before.fraction) / max(after.fraction - before.fraction, 1e-300)
        guess = before.displacement + share * (after.displacement - before.displacement)
        if not 0.0 <= until <= 1.0:
            return after

        def balanced(first: NDArray) -> NewtonOutcome:
            return newton(
                self.system,
                first,
                until,
                tolerance=self.tolerance,
                max_iterations=self.max_iterations,
                tell=lambda iteration, residual: None,
            )

        outcome = augmented(self.system, balanced(guess), until, balanced)
        return self.point(outcome.displacement, until) if outcome.result is ResultCode.converged else after

    def _keep(self, now: Point) -> PathState:
        state = self.system.state_of(now.fraction, now.displacement)
        known = State(self._known(now.fraction), state.displacement, state.pressure)
        found = stability(self.system, known).value
        self.indefinite = found == "unstable"
        kept = PathState(now.fraction, state.displacement, state.pressure, stability=found)
        self.states.append(kept)
        return kept

    def _known(self, fraction: float) -> float:
        """Where schedules have ended or not begun, the tangent at their end."""
        return min(max(fraction, 0.0), 1.0)

    def _norm(self, field: NDArray) -> float:
        return norm(field * self.inside)

    def _dot(self, left: NDArray, right: NDArray) -> float:
        return float((left * right * self.inside).sum())

    def _where(self, now: Point) -> str:
        return f"after {100 * now.fraction:.4g} % of the load, {element_place(self.system.problem.model, now.worst)}"


def _outcome(point: Point, result: ResultCode) -> NewtonOutcome:
    """As rounds of multipliers take it."""
    nothing = Evaluation(point.residual, 0.0 * point.residual, point.energy, point.min_jacobian, point.worst, 0.0)
    return NewtonOutcome(result, point.displacement, nothing, NewtonRecord())


def _statistics(found: Point | None, before: Point, iterations: int) -> StepStatistics:
    now: Any = before if found is None else found
    result = ResultCode.newton_diverged if found is None else ResultCode.converged
    return StepStatistics(
        now.fraction, result, iterations, energy=float(now.energy), min_jacobian=float(now.min_jacobian)
    )
