"""Second derivatives through motion: the sweep of `motion_steps` differentiated along ṗ, for `second_steps`.

Each state goes with its change, each cotangent with its rate. What a step carries back is linear in the cotangent, in
what its history asks for and in (λ, ν) of its saddle; so its rate is the same of their rates, and the change of the
step's slopes with these as they are:

    [R_u⁺ᵀ Q_u⁺ᵀ; R_mᵀ Q_mᵀ] (λ̇, ν̇) = d(x̄, m̄) − d[R_u⁺ᵀ Q_u⁺ᵀ; R_mᵀ Q_mᵀ] (λ, ν),
    d(x̄, p̄) = d[(H_x, H_p)ᵀ h̄] − d[(R_x, R_p)ᵀ] λ − d[(Q_x, Q_p)ᵀ] ν − (R_x, R_p)ᵀ λ̇ − (Q_x, Q_p)ᵀ ν̇.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .drag import Drag
from .motion_march import Fields
from .motion_pieces import Before, Inertial
from .motion_steps import Measure, MotionSteps, StepAt
from .parameters import Parameters, split
from .remembered import History
from .second_march import Pair, RatesMarch
from .step_balance import StepBalance
from .swept_steps import added


class _Turned(NamedTuple):
    """The derivative of what a step carries back, (λ, ν) and cotangents constant: by the unknowns after it (rows, 3),
    by the fields before it as `MotionSteps.rows` and rates, by the parameters through inertia, and by all arrays."""

    after: NDArray
    before: Fields
    inertial: Parameters
    tree: Parameters


class MotionRates(RatesMarch[MotionSteps]):
    """The march of states with their changes, for `reverse_sweep`.

    Args:
        steps: of a motion.
        measures: step → functional, as of `MotionSteps.gradient`.
        along: ṗ, all float arrays of the problem.

    Raises:
        SolverError: an integrator that conserves energy.
    """

    def __init__(self, steps: MotionSteps, measures: Mapping[int, Measure], along: Parameters) -> None:
        super().__init__(steps, measures, along)
        if steps.rule.conserving:
            raise SolverError(
                "an integrator that conserves energy has no second derivatives through time",
                where="hessian_product",
                advice="Take GeneralizedAlpha, Midpoint or Newmark; or differences of MotionSteps.gradient, or "
                "Gauss-Newton products by MotionSteps.directional and gradient",
            )

    def pull(self, before: Pair, after: Pair, index: int, cotangent: Pair) -> tuple[Pair, Pair]:
        """A cotangent of the fields after a step with its rate, carried to the fields before and to the problem."""
        steps, (given, given_rate) = self.steps, cotangent
        near, rows, ended = steps.near(before[0], after[0], index)
        at = (rows, steps.before(before[0]), steps.parameters, steps.time(index))
        (by_rows, by_end), (by_rows_rate, by_end_rate) = self._history(ended, rows, before, after, index, cotangent)
        weight, own = near.adjoints(np.asarray(steps.right(at, given) + by_rows), by_end)
        turned = [self._turned(near, at, before, after, given, weight, own)]
        if near.drag is not None:
            turned.append(self._dragged(near.drag, at, before, after, weight))
        history, rest = steps.parted(by_end_rate)
        for part in turned:
            history, rest = steps.less(history, rest, part.tree)
        right = np.asarray(steps.right(at, given_rate) + by_rows_rate) + sum(part.after for part in turned)
        rates = near.adjoints(right, history)
        value = steps.carried(near, at, given, by_end, weight, own)
        rate, total = steps.carried(near, at, given_rate, by_end_rate, *rates)
        for part in turned:
            rate, total = self._with(part, rate, total)
        return (value[0], rate), (value[1], total)

    def _with(self, part: _Turned, rate: Fields, total: Parameters) -> tuple[Fields, Parameters]:
        """The rate of what a step carries back, with a part of the change of its slopes."""
        steps = self.steps
        history, total = steps.less(rate.history, added(part.inertial, total), part.tree)
        moved, speed, pushed, pressure = jax.tree.map(jnp.add, steps.parts(rate), steps.parts(part.before))
        return Fields(moved, speed, pushed, steps.remembered.without_multipliers(history), pressure), total

    def _history(
        self, ended: Any, rows: Array, before: Pair, after: Pair, index: int, cotangent: Pair
    ) -> tuple[Pair, Pair]:
        """What the history after a step asks of its unknowns and of all arrays, and the rates of both."""
        steps = self.steps
        parameters, fixed = split(ended)
        move = steps.moving_on(fixed, steps.ends(index))

        def back(at: Any, given: Parameters, history: Any) -> Pair:
            return jax.vjp(move, at, given)[1](history)

        ways = (steps.rows(after[1]), self._way(before[1].history, after[1].history, parameters))
        asked, rate = (split(part.history)[0] for part in cotangent)
        return jax.jvp(back, (rows, parameters, asked), (*ways, rate))

    def _way(self, change: History, ended: History, like: Parameters) -> Parameters:
        """The change of all arrays in a step: the history before it, the parameters, the multipliers of its end."""
        return self.steps.remembered.with_multipliers(self.steps.way(change, self.along, like), ended)

    def _turned(
        self, near: StepBalance, at: StepAt, before: Pair, after: Pair, given: Fields, weight: NDArray, own: NDArray
    ) -> _Turned:
        steps, kept = self.steps, near.multipliers
        old, new = (np.asarray(steps.rows(part)) for part in (before[1], after[1]))
        still = jnp.zeros_like(at[0])
        free = weight * steps.base.free
        asked = Inertial(-jnp.asarray(weight), given.velocity, given.acceleration, still)
        if near.drag is not None:
            asked = asked._replace(damped=-jnp.asarray(near.drag.pull(free)[2]))
        by_rows, earlier, inertial, _ = steps.pieces.inertial_pull_rate(at, self._ways(before, after), asked)
        # Displacements are taken in the middle of the step, pressures belong to it.
        lag = steps.rule.force_lag * np.asarray(steps.system.pressureless)
        along = (1.0 - lag) * new + lag * old
        way = self._way(before[1].history, after[1].history, near.sensitivity.parameters)
        beside = (kept.beside(own), kept.rates_beside(own, along, way)) if len(own) else ((), ())
        curved, tree = near.sensitivity.pull_rate(free, along, way, *beside)
        moved = self._earlier(-lag * curved, earlier)
        return _Turned(np.asarray(by_rows) - (1.0 - lag) * curved, moved, inertial, tree)

    def _dragged(self, drag: Drag, at: StepAt, before: Pair, after: Pair, weight: NDArray) -> _Turned:
        """What the change of the slopes of b K₀ v_α adds."""
        steps, still = self.steps, jnp.zeros_like(at[0])
        early, old = steps.way(before[1].history, self.along, drag.parameters), np.asarray(steps.rows(before[1]))
        rate = np.asarray(steps.pieces.inertial_push(at, self._ways(before, after)).damped)
        curved, tree, by_rate = drag.pull_rate(weight * steps.base.free, early, old, rate)
        nothing = jnp.zeros_like(at[1].velocity)
        by_rows, earlier, inertial, _ = steps.pieces.inertial_pull(at, Inertial(still, nothing, nothing, -by_rate))
        return _Turned(np.asarray(by_rows), self._earlier(-curved, earlier), inertial, tree)

    def _earlier(self, slope: NDArray, rates: Before) -> Fields:
        """Of the fields before a step: what forces give their unknowns (rows, 3), and what inertia gives them."""
        moved = self.steps.fields(slope, rates.velocity, rates.acceleration, None)
        return moved._replace(displacement=moved.displacement + rates.displacement)

    def _ways(self, before: Pair, after: Pair) -> tuple[Array, Before, Parameters, Array]:
        """The change of a step's `StepAt`."""
        return self.steps.rows(after[1]), self.steps.before(before[1]), self.along, jnp.zeros(())

    def seed(self, index: int, state: Pair) -> tuple[Pair | None, Pair | None]:
        """What is measured at a state, and its rate."""
        if index not in self.measures:
            return None, None
        steps, (now, change) = self.steps, state
        bound = steps.remembered.put(steps.rest, now.history)
        parameters, fixed = split(bound.bound_at(np.asarray(steps.rows(now)), index / steps.count))
        slope = jax.grad(steps.value(self.measures[index], fixed, index), argnums=(0, 1))
        way = steps.way(change.history, self.along, parameters)
        found = jax.jvp(slope, (steps.parts(now), parameters), (steps.parts(change), way))
        (value, own), (rate, own_rate) = (steps.cotangent(*part) for part in found)
        return (value, rate), (own, own_rate)

    def pull_start(self, cotangent: Pair) -> Parameters:
        """The rate of what `MotionSteps.pull_start` gives."""
        steps, (given, given_rate) = self.steps, cotangent
        first, change = steps.first(), steps.push_start(self.along)
        weight, rate, by_first = first.pull_rate(steps.padded(given), steps.padded(given_rate), change, self.along)
        asked, asked_rate = (
            jax.tree.map(lambda a, b: a + b, split(part.history)[0], history)
            for part, history in zip(cotangent, (weight, rate), strict=True)
        )

        def back(at: Parameters, history: Any) -> Parameters:
            return jax.vjp(steps.at_rest(), at)[1](history)[0]

        through = jax.jvp(back, (steps.parameters, asked), (self.along, asked_rate))[1]
        return jax.tree.map(lambda a, b: a + b, by_first, through)
