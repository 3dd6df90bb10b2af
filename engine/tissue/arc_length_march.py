"""The march of the arc-length method: predictions, corrections on the cylinder, the look at stability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...imaging.progress import Progress
from .host_system import HostSystem, HostTangent
from .newton import ROUND_OFF, newton, norm
from .path import PathState
from .places import element_place
from .solution import ResultCode, State, StepStatistics
from .stability import stability

EASY_ITERATIONS = 5
MAX_CUTBACKS = 12
LINEAR_TOLERANCE = 1e-8


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

    def run(
        self, start: State | None, until: float, first: float, longest: float, steps: int, stop: Callable | None
    ) -> tuple[ResultCode, str]:
        """Until the path ends."""
        system = self.system
        displacement = system.zeros() if start is None else system.field_of(start)
        now = self.point(displacement, 0.0 if start is None else float(start.load_fraction))
        before: NDArray | None = None
        length = largest = 0.0
        cut = 0
        while len(self.states) < steps:
            tangent = self.system.linearize(now.displacement, self._known(now.fraction))
            good, (way,) = self._solve(tangent, [self._turning(tangent, now)], now.fraction)
            if not good:
                return ResultCode.linear_solver_stalled, self._where(now)
            along = way + self.motion
            if before is None and length == 0.0:
                length, largest = first * self._norm(along), longest * first * self._norm(along)
                if length == 0.0:
                    raise SolverError("no load and no motion grows with the load fraction", where="arc_length.trace")
            sign = 1.0 if before is None or self._dot(before, along) >= 0 else -1.0
            found, iterations = self._correct(now, sign * length / self._norm(along) * along, length, along)
            self.steps.append(_statistics(found, now, iterations))
            if found is None:
                self.cutbacks, cut, length = self.cutbacks + 1, cut + 1, 0.5 * length
                if cut > MAX_CUTBACKS:
                    return ResultCode.newton_diverged, self._where(now)
                continue
            cut = 0
            crossed = now.fraction < until <= found.fraction
            if crossed:
                found = self._finish(now, found, until)
            before, now = found.displacement - now.displacement, found
            state = self._keep(now)
            told = f"load {100 * now.fraction:.4g} %, {state.stability}, step {length:.2e} m"
            self.progress(min(len(self.states) / steps, 1.0), told)
            if crossed or (stop is not None and stop(state)):
                break
            length = min(length * float(np.clip(np.sqrt(EASY_ITERATIONS / max(iterations, 1)), 0.5, 1.5)), largest)
        self.progress(1.0, "end of the path")
        return ResultCode.converged, ""

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

    def _correct(self, start: Point, change: NDArray, length: float, along: NDArray) -> tuple[Point | None, int]:
        """Newton's method on r(u, λ) = 0 and ‖Δu‖ = Δl (Crisfield 1981, *Computers & Structures* 13:55).

        K d_r = −r, K d_λ = −∂r/∂λ, and Δu + d_r + δλ d_λ on the cylinder: of two δλ the one that keeps the direction.
        """
        rise = self._dot(change, along) / self._dot(along, along)
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
        outcome = newton(
            self.system,
            guess,
            until,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            tell=lambda iteration, residual: None,
        )
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


def _statistics(found: Point | None, before: Point, iterations: int) -> StepStatistics:
    now: Any = before if found is None else found
    result = ResultCode.newton_diverged if found is None else ResultCode.converged
    return StepStatistics(
        now.fraction, result, iterations, energy=float(now.energy), min_jacobian=float(now.min_jacobian)
    )
