"""The steps of `dynamic.solve` at a constant length, forwards and backwards: gradients through time.

    steps = MotionSteps(problem, duration=0.2, count=40)
    start = steps.start(velocity)
    by_start, by_problem = reverse_sweep(steps, start, 40, seed, checkpoints=8)

The balance differentiated is `motion.step_residual`; its tangent is that of the solver (`time_step.StepSystem`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..history import stepped
from ..host_system import HostSystem
from ..integrators import GeneralizedAlpha, Integrator
from ..mass import mass_matrix
from ..motion import Clock, Damping, Motion, step_rates, step_residual
from ..newton import newton
from ..problem import Problem
from ..solution import ResultCode
from ..start import first_motion
from ..system import Timer
from ..time_step import StepSystem
from .parameters import Parameters, split
from .remembered import History, Remembered, moved_on

REFINEMENTS = 40
ADJOINT = 1e-11
"""Relative residual of the adjoint of a step."""


class Fields(NamedTuple):
    """Displacement [m], velocity [m/s], acceleration [m/s²] of all nodes (nodes, 3); history of materials."""

    displacement: Array
    velocity: Array
    acceleration: Array
    history: History


class MotionSteps:
    """Steps of one length of a body; its materials may remember, rigid bodies may touch it without friction.

    Args:
        problem: what moves.
        duration: seconds in which the load fraction goes from 0 to 1.
        count: how many steps make the duration.
        tolerance: of Newton's method; derivatives are as exact as the steps are.

    Raises:
        SolverError: tissue contact, friction, multipliers, or mixed elements; a step that has no balance.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        duration: float,
        count: int,
        integrator: Integrator | None = None,
        damping: Damping | None = None,
        mass: str = "consistent",
        tolerance: float = 1e-11,
    ) -> None:
        if len(problem.model.pressure_corners) or any(getattr(c, "frictional", True) for c in problem.contacts):
            raise SolverError(
                "gradients through time need a body without unknown pressures, ties and friction",
                where="MotionSteps",
                advice="Write the step as `marching.Steps` and use `reverse_sweep`",
            )
        if problem.moving():
            raise SolverError(
                "contact between tissues is not stepped here", where="MotionSteps", advice="Use LoadSteps"
            )
        self.problem, self.duration, self.count, self.tolerance = problem, duration, count, tolerance
        self.rule, self.damping, self.mass = integrator or GeneralizedAlpha(), damping or Damping(), mass
        self.base = HostSystem(problem, Timer())
        self.matrix = mass_matrix(problem.model, mass)
        self.system = StepSystem(self.base, problem, self.matrix, self.rule, self.damping, duration)
        self.rest = self.base.problem
        self.remembered = Remembered(self.rest)
        if self.remembered.augments:
            raise SolverError(
                "the multipliers of contacts are not stepped here",
                where="MotionSteps",
                advice="Use the penalty method (no penetration), or LoadSteps where inertia does not count",
            )
        self.parameters, self._fixed = split(problem)
        self._back = jax.jit(self._pulled)
        self._to_moved = jax.jit(self._rates_pulled)
        self._turned = jax.jit(self._transposed)

    def start(self, velocity: Any = None) -> Fields:
        """The fields at time 0, in balance with the loads there."""
        self.base.use(self.rest)
        motion = first_motion(self.system, None, velocity)
        moved, speed, change = (
            jnp.asarray(part) for part in (motion.displacement, motion.velocity, motion.acceleration)
        )
        return Fields(moved, speed, change, self.remembered.of(self.rest))

    def advance(self, before: Fields, index: int) -> Fields:
        """One step.

        Raises:
            SolverError: it has no balance.
        """
        self._begin(before, index)
        fraction, step = (index + 1) / self.count, self.duration / self.count
        old = self.system.old
        guess = old.displacement + step * old.velocity + 0.5 * step * step * old.acceleration
        free = np.asarray(self.base.free)
        guess = guess * free + old.displacement * (1.0 - free)
        done = newton(self.system, guess, fraction, tolerance=self.tolerance, max_iterations=25, tell=lambda *_: None)
        if done.result is not ResultCode.converged:
            raise SolverError(done.result.value, where=f"step {index + 1}", advice="Use more steps")
        rates = self.system.rates(done.displacement)
        found = (jnp.asarray(part) for part in (done.displacement, rates.velocity, rates.acceleration))
        displacement, speed, change = found
        return Fields(displacement, speed, change, self._history(displacement, before, self.problem, fraction))

    def pull(self, before: Fields, after: Fields, index: int, cotangent: Fields) -> tuple[Fields, Parameters]:
        """The cotangent of the fields after a step, carried to those before and to the problem."""
        clock = jnp.asarray(index * self.duration / self.count)
        right = np.asarray(cotangent[0] + self._to_moved(after[0], before, clock, tuple(cotangent[1:])))
        multiplier = self._adjoint(before, after, index, right)
        return self._back(after[0], before, clock, tuple(cotangent[1:]), jnp.asarray(multiplier))

    def _adjoint(self, before: Fields, after: Fields, index: int, right: NDArray) -> NDArray:
        """λ with R_u⁺ᵀ λ = right.

        The solver's tangent takes the stiffness that damps at the end of the step, the balance at its start: the
        difference is made up by refinement with the exact product.
        """
        if not self.base.symmetric:
            raise SolverError("the tangent is not symmetric", where="MotionSteps", advice="Hold the pressure's rim")
        self._begin(before, index)
        tangent = self.system.linearize(np.asarray(after[0]), (index + 1) / self.count)
        clock, free, size = jnp.asarray(index * self.duration / self.count), self.base.free, np.linalg.norm(right)
        found = np.zeros_like(right)
        for _ in range(REFINEMENTS):
            left = right - np.asarray(self._turned(after[0], before, clock, jnp.asarray(found)))
            inside, held = np.linalg.norm(left * free), np.linalg.norm(left * (1.0 - free))
            if max(inside, held) <= ADJOINT * size:
                return found
            # Rows of forces first; what they leave in the held rows, whose own block is one, is then added.
            if inside > ADJOINT * size:
                found = found + tangent.solve(left * free, 1e-6).solution * free
            else:
                found = found + left * (1.0 - free)
        raise SolverError("the adjoint solve stalled", where=f"step {index + 1}", advice="Use shorter steps")

    def _transposed(self, moved: Array, before: Fields, start: Array, multiplier: Array) -> Array:
        def balance(u: Array) -> Array:
            motion, clock = self._motion(before, start), self._clock(start)
            return step_residual(
                u, motion, self._balanced(self.problem, before), clock, self.rule, self.damping, self.mass
            )

        return jax.vjp(balance, moved)[1](multiplier)[0]

    def _begin(self, before: Fields, index: int) -> None:
        time = index * self.duration / self.count
        self.base.use(self._balanced(self.rest, before))
        self.system.begin(Motion(index / self.count, before[0], time=time, velocity=before[1], acceleration=before[2]),
                          self.duration / self.count)  # fmt: skip

    def _balanced(self, problem: Problem, before: Fields) -> Problem:
        """The problem with the history before a step, stepped to where forces are taken."""
        return stepped(self.remembered.put(problem, before.history), (1.0 - self.rule.force_lag) * self._length)

    def _history(self, moved: Array, before: Fields, problem: Problem, fraction: Any) -> History:
        """What is remembered at the end of a step."""
        problem = stepped(self.remembered.put(problem, before.history), self._length)
        return self.remembered.of(moved_on(problem, moved, fraction))

    def _after(self, moved: Array, before: Fields, start: Array, parameters: Parameters) -> tuple[Any, Any, History]:
        """Velocity, acceleration and history at the end of a step."""
        problem, clock = eqx.combine(parameters, self._fixed), self._clock(start)
        rates = step_rates(moved, self._motion(before, start), problem, clock, self.rule)
        fraction = (start + self._length) / self.duration
        return *rates, self._history(moved, before, problem, fraction)

    def _rates_pulled(self, moved: Array, before: Fields, start: Array, cotangent: Any) -> Array:
        return jax.vjp(lambda u: self._after(u, before, start, self.parameters), moved)[1](cotangent)[0]

    def _pulled(
        self, moved: Array, before: Fields, start: Array, cotangent: Any, multiplier: Array
    ) -> tuple[Fields, Parameters]:
        def step(old: Fields, parameters: Parameters) -> Any:
            problem, motion = eqx.combine(parameters, self._fixed), self._motion(old, start)
            left = step_residual(
                moved, motion, self._balanced(problem, old), self._clock(start), self.rule, self.damping, self.mass
            )
            return self._after(moved, old, start, parameters), left

        _, back = jax.vjp(step, before, self.parameters)
        return back((cotangent, -multiplier))

    @property
    def _length(self) -> float:
        return self.duration / self.count

    def _motion(self, fields: Fields, start: Array) -> Motion:
        return Motion(start / self.duration, fields[0], time=start, velocity=fields[1], acceleration=fields[2])  # pyright: ignore[reportArgumentType]

    def _clock(self, start: Array) -> Clock:
        return Clock(start, self._length, self.duration)
