"""Newton's method for one load step: inexact, with a line search that keeps det F > 0.

Prescribed motion is part of the iteration: a step d closes the gap of the held components and solves
K_ff d_f = −r_f − K_fc d_c for the others, so that shortening the step shortens both and nothing is torn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .solution import ResultCode
from .system import Evaluation, NodalField, System, Tangent

ROUND_OFF = 64 * np.finfo(float).eps
FORCING_MAX = 0.1
FORCING_MOVING = 0.01
"""While prescribed nodes still move, a sloppy solve leaves the layer beside them crushed: 6 iterations become 16.
What remains once they rest is another residual, from which Eisenstat and Walker's rule starts afresh."""
JACOBIAN_SHARE = 0.2
"""A trial step may not take det F below this share of what it was."""
MAX_TRIALS = 12
SLOPE = 0.9
CHORD_CONTRACTION = 0.1
CHORD_MARGIN = 4.0
"""A step with the tangent of the step before shrinks the residual about twice as much as that step did; where twice
that much is enough to converge, no new tangent is assembled."""
PROBE_TOLERANCE = 1e-3
"""To this share of its residual a system is solved where it is to show negative curvature."""
SETTLED = 1e-3
"""A tangent stands for that of the state found where the strains have changed by less than this since."""


@dataclass
class NewtonRecord:
    """What happened in one call."""

    residuals: list[float] = field(default_factory=list)
    newton_iterations: int = 0
    linear_iterations: int = 0
    line_search_steps: int = 0
    linear_residuals: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, before: NewtonRecord) -> None:
        """Count an earlier call of the same load step too."""
        self.residuals = [*before.residuals, *self.residuals]
        self.newton_iterations += before.newton_iterations
        self.linear_iterations += before.linear_iterations
        self.line_search_steps += before.line_search_steps
        self.linear_residuals = [*before.linear_residuals, *self.linear_residuals]


class NewtonOutcome(NamedTuple):
    """How one load step ended, and where; the last tangent, where it is that of this state for all purposes.

    `stable`: the last linear systems would have told if it were not; False where they could not.
    """

    result: ResultCode
    displacement: NodalField
    evaluation: Evaluation
    record: NewtonRecord
    tangent: Tangent | None = None
    stable: bool = False


class Chord:
    """The last tangent, and how far the state has moved away from it."""

    def __init__(self) -> None:
        self.tangent: Tangent | None = None
        self.drift, self.before, self.spent, self.probed = 0.0, 0.0, True, False

    def renew(self, tangent: Tangent) -> Tangent:
        """Take a new tangent."""
        self.tangent, self.drift, self.spent, self.probed = tangent, 0.0, False, False
        return tangent

    def moved(self, rhs: NodalField, step: NodalField, trial: Trial, *, exact: bool) -> None:
        """A step was taken: d·K d is the square of its strains; a shortened or doubtful one spoils the tangent."""
        self.before = norm(rhs)
        self.drift += trial.length * abs(dot(rhs, step)) ** 0.5
        self.spent = self.spent or trial.length < 1.0 or not exact

    def enough(self, size: float, goal: float) -> bool:
        """Whether one more step with this tangent will do; it is tried once."""
        if self.spent or self.before == 0.0:
            return False
        self.spent = True
        ratio = size / self.before
        return ratio < CHORD_CONTRACTION and CHORD_MARGIN * ratio * size < 0.5 * goal

    def settled(self, energy: float) -> Tangent | None:
        """The tangent, where it still stands for the state's."""
        return self.tangent if self.drift < SETTLED * (2.0 * max(energy, 0.0)) ** 0.5 else None


class Trial(NamedTuple):
    """An accepted step length, or the reason why none was found."""

    length: float
    displacement: NodalField
    evaluation: Evaluation
    failure: ResultCode | None = None


def norm(values: NodalField) -> float:
    """Euclidean norm."""
    return float((values * values).sum()) ** 0.5


def dot(left: NodalField, right: NodalField) -> float:
    """Inner product."""
    return float((left * right).sum())


def newton(
    system: System,
    displacement: NodalField,
    fraction: float,
    *,
    tolerance: float,
    max_iterations: int,
    tell: Callable[[int, float], None],
    probe: NodalField | None = None,
) -> NewtonOutcome:
    """Equilibrium at one load fraction, from a displacement with det F > 0.

    With a `probe` (see `stability.probe`) linear systems that are solved exactly look for negative curvature.

    Converged when the held components are met and ‖r_f‖ ≤ tolerance × max(‖external‖, ‖reactions‖), or r_f is
    round-off of the element forces.
    """
    record, free, noise = NewtonRecord(), system.free, 0.0
    target = system.prescribed(fraction)
    now = system.evaluate(displacement, fraction)
    if not now.min_jacobian > 0:
        return NewtonOutcome(ResultCode.inverted_element, displacement, now, record)
    forcing, chord = Forcing(), Chord()
    for _ in range(max_iterations + 1):
        gap = (target - displacement) * (1.0 - free)
        moving = norm(gap) > 0.0
        size, scale = norm(now.residual * free), force_scale(now, free)
        record.residuals.append(size / scale if scale > 0 else size)
        tell(record.newton_iterations, record.residuals[-1])
        if not np.isfinite(size):
            return NewtonOutcome(ResultCode.newton_diverged, displacement, now, record)
        if not moving and size <= max(tolerance * scale, ROUND_OFF * now.force_norm, noise):
            settled = chord.settled(now.energy)
            stable = settled is not None and chord.probed
            return NewtonOutcome(ResultCode.converged, displacement, now, record, settled, stable)
        if record.newton_iterations == max_iterations:
            break
        tangent = None if moving or not chord.enough(size, tolerance * scale) else chord.tangent
        tangent = tangent or chord.renew(system.linearize(displacement, fraction))
        noise = tangent.round_off
        drag = tangent.product(gap) * free if moving else 0.0 * gap
        rhs = -(now.residual * free + drag)
        share = FORCING_MOVING if moving else forcing.next(norm(rhs), 0.3 * tolerance * scale / size)
        looking = probe is not None and share <= PROBE_TOLERANCE and not chord.probed
        linear = tangent.solve(rhs, share, probe) if looking else tangent.solve(rhs, share)
        chord.probed = chord.probed or linear.probed
        record.newton_iterations += 1
        record.linear_iterations += linear.iterations
        record.linear_residuals.append(linear.residuals)
        step = linear.solution * free + gap
        trial = search(system, displacement, fraction, step, now, drag, record)
        if trial.failure is not None:
            stalled = not linear.converged and not linear.indefinite
            failure = ResultCode.linear_solver_stalled if stalled else trial.failure
            return NewtonOutcome(failure, displacement, now, record)
        chord.moved(rhs, step, trial, exact=linear.converged and not moving)
        displacement, now = trial.displacement, trial.evaluation
        if trial.length == 1.0:
            displacement = displacement * free + target * (1.0 - free)
    return NewtonOutcome(ResultCode.newton_diverged, displacement, now, record)


def guided(system: System, displacement: NodalField, guess: NodalField) -> NodalField:
    """A first guess, or as much of the way to it from a known displacement as passes no contact surface unseen."""
    share = system.stride(displacement, guess - displacement)
    return guess if share == 1.0 else displacement + share * (guess - displacement)


def force_scale(now: Evaluation, free: NodalField) -> float:
    """The larger of the external forces and the reactions [N]: what a residual is compared with."""
    return max(norm(now.external), norm(now.residual * (1.0 - free)))


class Forcing:
    """How exactly to solve the linear system: Eisenstat and Walker (1996), choice 2, γ = 0.9, α = 2."""

    def __init__(self) -> None:
        self.before: float | None = None
        self.last = FORCING_MAX

    def next(self, size: float, floor: float) -> float:
        """The tolerance for a right-hand side of this norm; never much finer than `floor`."""
        value = FORCING_MAX
        if self.before:
            value = 0.9 * (size / self.before) ** 2
            guard = 0.9 * self.last**2
            value = max(value, guard) if guard > 0.1 else value
        self.before, self.last = size, min(max(value, floor, 1e-10), FORCING_MAX)
        return self.last


def search(
    system: System,
    displacement: NodalField,
    fraction: float,
    step: NodalField,
    now: Evaluation,
    drag: NodalField,
    record: NewtonRecord,
) -> Trial:
    """The first step length of 1, … with det F > 0 that lowers the residual or the slope along the step.

    It begins with less than 1 where the step would take contact surfaces past each other unseen (`System.stride`).
    Merit: g(α) = r_f(u + α d) + (1 − α) K_fc d_c, which is the residual of the problem whose gap is closed to α.
    """
    free = system.free
    start = now.residual * free + drag
    size, slope = norm(start), dot(step, start)
    length, failure = system.stride(displacement, step), ResultCode.newton_diverged
    best: Trial | None = None
    best_size = np.inf
    for _ in range(MAX_TRIALS):
        trial = displacement + length * step
        after = system.evaluate(trial, fraction)
        if not after.min_jacobian > JACOBIAN_SHARE * min(now.min_jacobian, 1.0):
            failure, factor = ResultCode.inverted_element, 0.5
        else:
            merit = after.residual * free + (1.0 - length) * drag
            along, left = dot(step, merit), norm(merit)
            flatter = system.definite and abs(along) <= SLOPE * abs(slope)
            if left <= (1.0 - 1e-4 * length) * size or flatter:
                return Trial(length, trial, after)
            if np.isfinite(left) and left < best_size:
                best, best_size = Trial(length, trial, after), left
            failure = ResultCode.newton_diverged
            secant = slope / (slope - along) if slope != along else 0.5
            factor = float(np.clip(secant, 0.1, 0.5)) if np.isfinite(secant) else 0.25
        record.line_search_steps += 1
        length *= factor
    if best is not None and best_size < 2.0 * size:
        return best
    return Trial(0.0, displacement, now, failure)
