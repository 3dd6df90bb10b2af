"""The steps of `dynamic.solve` at a constant length, multipliers at their limit: what `motion_steps` differentiates."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..history import stepped
from ..integrators import GeneralizedAlpha, Integrator
from ..mass import mass_matrix
from ..motion import Damping, Motion
from ..newton import newton
from ..problem import Problem
from ..solution import ResultCode, State
from ..start import first_motion, start_velocity
from ..time_step import StepSystem
from .motion_pieces import MotionPieces
from .remembered import History
from .sensitivity import Sensitivity
from .settling import Balanced, settle
from .step_balance import StepBalance, StepSolves
from .swept_steps import SweptSteps

ADJOINT = 1e-11
"""Relative residual of the linear solves of a step."""


class Fields(NamedTuple):
    """Displacement [m], velocity [m/s], acceleration [m/s²] of all nodes (nodes, 3); history of materials and
    contacts; pressures [Pa] of mixed elements, none elsewhere."""

    displacement: Any
    velocity: Any
    acceleration: Any
    history: History
    pressure: Any


class MotionMarch(SweptSteps[Fields]):
    """Steps forwards, and their linearised balance; see `MotionSteps`."""

    def __init__(
        self,
        problem: Problem,
        *,
        duration: float,
        count: int,
        integrator: Integrator | None = None,
        damping: Damping | None = None,
        mass: str = "consistent",
        velocity: Any = None,
        tolerance: float = 1e-11,
    ) -> None:
        super().__init__(problem)
        self.duration, self.count, self.tolerance, self.length = duration, count, tolerance, duration / count
        self.rule, self.damping = integrator or GeneralizedAlpha(), damping or Damping()
        self._check()
        self.matrix = mass_matrix(problem.model, mass)
        self.velocity = start_velocity(problem.model, velocity)
        self.system = StepSystem(self.base, problem, self.matrix, self.rule, self.damping, duration)
        self.nodes = problem.model.nodes
        self.pieces = MotionPieces(
            problem,
            duration=duration,
            step=self.length,
            integrator=self.rule,
            damping=self.damping,
            mass=mass,
            velocity=self.velocity,
        )
        self.parameters = self.pieces.parameters

    def _check(self) -> None:
        if self.rule.conserving and self.remembered.augments:
            raise SolverError(
                "multipliers hold where forces are taken, which forces that conserve energy are not",
                where="MotionSteps",
                advice="Take Midpoint or GeneralizedAlpha, or the penalty method (no penetration)",
            )

    @property
    def stiff(self) -> bool:
        """Whether stiffness damps."""
        return float(self.damping.stiffness) > 0.0

    def start(self) -> Fields:
        """The fields at time 0, in balance with the loads there."""
        self.base.use(self.rest)
        motion = first_motion(self.system, None, self.velocity)
        return self.fields(motion.rows, motion.velocity, motion.acceleration, self.remembered.of(self.rest))

    def advance(self, before: Fields, index: int) -> Fields:
        """One step.

        Raises:
            SolverError: it has no balance.
        """
        problem = self.at(before.history, 1.0 - self.rule.force_lag)
        self.begin(problem, before, index)
        old, free = self.system, np.asarray(self.base.free)
        flight = self.length * old.velocity + 0.5 * self.length**2 * old.acceleration
        found = self.balanced(problem, (old.displacement + flight * free) * self.base.row_scale, index)
        if found is ResultCode.inverted_element:  # by the guess: from where the step begins, as `dynamic.solve` does
            found = self.balanced(problem, old.displacement * self.base.row_scale, index)
        if isinstance(found, ResultCode):
            raise SolverError(found.value, where=f"step {index + 1}", advice="Use more steps")
        if self.remembered.augments:
            found = self._settled(found, before, index)
        rows, fraction = found[1], self.ends(index)
        rates = old.rates(rows / self.base.row_scale)
        ended = self.ended(before.history, self.remembered.of(found[0]), rows, index)
        history = self.after_step(ended, jnp.asarray(rows), fraction)
        return self.fields(rows, rates.velocity, rates.acceleration, history)

    def _settled(self, found: Balanced, before: Fields, index: int) -> Balanced:
        """The balance of a step with its multipliers at their limit."""

        def balanced(at: Problem, rows: NDArray) -> Balanced | None:
            self.base.use(at)
            near = self.balanced(at, rows, index)
            return None if isinstance(near, ResultCode) else near

        def linearized(at: Problem, rows: NDArray) -> StepBalance:
            return self.linearized(at, before, rows, index)

        return settle(found, linearized, balanced, f"step {index + 1}")

    def balanced(self, problem: Problem, guess: NDArray, index: int) -> Balanced | ResultCode:
        """The problem with its pairs where forces are taken, and the rows that balance it."""
        guess = np.asarray(guess) / self.base.row_scale
        done = newton(
            self.system, guess, self.ends(index), tolerance=self.tolerance, max_iterations=40, tell=lambda *_: None
        )
        if done.result is not ResultCode.converged:
            return done.result
        return self.system.bound(done.displacement, self.ends(index)), done.displacement * self.base.row_scale

    def linearized(self, bound: Problem, before: Fields, rows: NDArray, index: int) -> StepBalance:
        """At rows (rows, 3) of a problem bound where forces are taken; the step has begun."""
        self.base.use(bound)
        middle, fraction = np.asarray(self.system.middle(rows)), self.middle(index)
        tangent = self.base.linearize(middle / self.base.row_scale, fraction)
        beyond = self.pieces.beyond(rows, before.displacement, fraction) if self.rule.conserving else None
        early: Any = self.system.damper
        solves = StepSolves(self.system, tangent, early, beyond, ADJOINT, f"step {index + 1}")
        return StepBalance(solves, Sensitivity(bound, middle, fraction), 1.0 - self.rule.force_lag)

    def begin(self, problem: Problem, before: Fields, index: int) -> None:
        """Tell the system which step comes."""
        self.base.use(problem)
        self.system.begin(self.motion(before, index), self.length)

    def motion(self, fields: Fields, index: int) -> Motion:
        """What `dynamic.solve` would give after so many steps."""
        state, share = self.state(fields), index / self.count
        rates: Any = {"velocity": fields.velocity, "acceleration": fields.acceleration}
        return Motion(share, state.displacement, state.pressure, time=share * self.duration, **rates)

    def at(self, history: History, share: float) -> Problem:
        """The problem with the history before a step, a share of the step having passed."""
        return stepped(self.remembered.put(self.rest, history), share * self.length)

    def ended(self, before: History, after: History, rows: NDArray, index: int) -> Problem:
        """The problem at the end of a step: pairs as they are there, history before it, the step's multipliers."""
        problem = self.remembered.with_multipliers(self.at(before, 1.0), after)
        return problem.bound_at(rows, self.ends(index))

    def ends(self, index: int) -> float:
        """The load fraction at the end of a step."""
        return (index + 1) / self.count

    def middle(self, index: int) -> float:
        """That where a step takes its forces."""
        return self.system.fraction(self.ends(index))

    def time(self, index: int) -> Array:
        """Seconds at the start of a step."""
        return jnp.asarray(index * self.length)

    def state(self, fields: Fields) -> State:
        """Displacements and pressures."""
        return State(0.0, fields.displacement, fields.pressure if len(fields.pressure) else None)

    def rows(self, fields: Fields) -> Array:
        """Unknowns (rows, 3) [m and Pa]."""
        return self.state(fields).rows

    def fields(self, rows: Any, velocity: Any, acceleration: Any, history: History) -> Fields:
        """Of unknowns (rows, 3) and their rates."""
        moved, speed, change = (jnp.asarray(part)[: self.nodes] for part in (rows, velocity, acceleration))
        return Fields(moved, speed, change, history, jnp.asarray(rows)[self.nodes :, 0])
