"""Points of a path of equilibria: directions at them, corrections onto the cylinder or at a given load."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..linear.indefinite import DIRECT_UNKNOWNS
from .arc_length_system import ProportionalSystem, blended
from .augmentation import augmented
from .host_system import HostTangent
from .newton import ROUND_OFF, NewtonOutcome, NewtonRecord, newton, norm
from .solution import ResultCode
from .system import Evaluation

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


class Direction(NamedTuple):
    """Of the path at a point.

    Attributes:
        way: a displacement.
        rise: by how much the load fraction rises with it.
        negative: how many eigenvalues of the tangent are negative there; None where that is not known.
    """

    way: NDArray
    rise: float
    negative: int | None = None

    def turned(self) -> Direction:
        """The other way."""
        return self._replace(way=-self.way, rise=-self.rise)


class Corrector:
    """Finds points of the path and directions at them."""

    def __init__(self, system: ProportionalSystem, tolerance: float, max_iterations: int) -> None:
        self.system, self.tolerance, self.max_iterations = system, tolerance, max_iterations
        self.motion = system.prescribed(1.0) - system.prescribed(0.0)
        self.inside = (np.arange(len(system.points)) < system.problem.model.nodes)[:, None] * 1.0
        self.indefinite = False

    def point(self, displacement: NDArray, fraction: float) -> Point:
        """The balance r = (1 − λ) r(u, 0) + λ r(u, 1), and ∂r/∂λ."""
        low, high = self.system.ends(displacement)
        now, slope = blended(low, high, fraction), high.residual - low.residual
        held = 1.0 - self.system.free
        scale = max(norm(high.external), norm(low.external), norm(now.residual * held))
        noise = ROUND_OFF * now.force_norm
        balance = (now.residual, slope, scale, noise, now.energy, now.min_jacobian, now.worst_element)
        return Point(displacement, fraction, *balance)

    def along(self, now: Point) -> Direction | None:
        """The direction of the path at a point, with a load that grows; None where it was not found."""
        tangent = self.system.linearize(now.displacement, now.fraction)
        right, negative = self._turning(tangent, now), None
        if right.size <= DIRECT_UNKNOWNS:
            solver = tangent.indefinite_solver()
            negative, (way, good) = solver.negative, solver.solve(right, LINEAR_TOLERANCE)
        else:
            good, (way,) = self._solve(tangent, [right], now.fraction)
        return Direction(way * self.system.free + self.motion, 1.0, negative) if good else None

    def settled(self, start: Point, along: Direction, length: float) -> tuple[Point | None, int]:
        """The point on the cylinder in which contacts and ties are as close as asked, and the iterations spent."""
        share = length / self.norm(along.way)
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
        ended = augmented(self.system, first, found.fraction, balanced)
        return (kept if ended.result is ResultCode.converged else None), spent

    def at_load(self, guess: NDArray, until: float) -> Point | None:
        """The equilibrium at a load fraction, from a displacement near it; None where Newton's method finds none."""

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
        return self.point(outcome.displacement, until) if outcome.result is ResultCode.converged else None

    def _correct(self, start: Point, change: NDArray, rise: float, length: float) -> tuple[Point | None, int]:
        """Newton's method on r(u, λ) = 0 and ‖Δu‖ = Δl (Crisfield 1981, *Computers & Structures* 13:55).

        K d_r = −r, K d_λ = −∂r/∂λ, and Δu + d_r + δλ d_λ on the cylinder: of two δλ the one that keeps the direction.
        """
        for iteration in range(self.max_iterations + 1):
            now = self.point(start.displacement + change, start.fraction + rise)
            if not now.min_jacobian > 0 or not np.isfinite(now.residual).all():
                return None, iteration
            tangent = self.system.linearize(now.displacement, now.fraction)
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
        a, b = self.dot(way, way), self.dot(base, way)
        c = self.dot(base, base) - length * length
        under = b * b - a * c
        if not under >= 0:
            return None
        roots = [(-b + side * np.sqrt(under)) / a for side in (-1.0, 1.0)]
        return float(max(roots, key=lambda root: self.dot(base + root * way, change)))

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

    def cosine(self, left: NDArray, right: NDArray) -> float:
        """Of the angle between two displacements."""
        return self.dot(left, right) / max(self.norm(left) * self.norm(right), 1e-300)

    def norm(self, field: NDArray) -> float:
        """‖u‖ of displacements alone, without pressures."""
        return norm(field * self.inside)

    def dot(self, left: NDArray, right: NDArray) -> float:
        """uᵀv of displacements alone."""
        return float((left * right * self.inside).sum())


def _outcome(point: Point, result: ResultCode) -> NewtonOutcome:
    """As rounds of multipliers take it."""
    nothing = Evaluation(point.residual, 0.0 * point.residual, point.energy, point.min_jacobian, point.worst, 0.0)
    return NewtonOutcome(result, point.displacement, nothing, NewtonRecord())
