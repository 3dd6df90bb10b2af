"""Second derivatives through load steps and steps in time: products of the Hessian of J = Σ Jₙ(xₙ, p) over all.

The sweep of `swept_steps` differentiated along ṗ. A state is carried with its change, a cotangent with its rate: with λ
of a step's reverse and (u̇, ḣ) of its forward derivative

    R_uᵀ λ̇ = d[ū + H_uᵀ h̄] − d[R_uᵀ] λ,      d(h̄, p̄) = d[(H_h, H_p)ᵀ h̄] − d[(R_h, R_p)ᵀ] λ − (R_h, R_p)ᵀ λ̇.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .first import slopes
from .linearization import Linearization
from .load_steps import Loaded, LoadSteps
from .marching import reverse_sweep
from .motion_steps import MotionSteps
from .parameters import Parameters, filled, split
from .second_march import Pair, RatesMarch
from .second_motion import MotionRates
from .swept_steps import check_measures, gathered


def hessian_product(
    steps: LoadSteps | MotionSteps,
    measures: Mapping[int, Any],
    direction: Parameters,
    *,
    checkpoints: int | None = None,
) -> Parameters:
    """d²J/dp² ṗ, exact: a problem-shaped tree.

    Args:
        steps: from the body at rest, or in time from the start of its motion.
        measures: step → functional, as of `LoadSteps.gradient` or `MotionSteps.gradient`.
        direction: ṗ, a problem-shaped tree, None for what does not change.
        checkpoints: states kept besides the start; all of them by default.

    Raises:
        SolverError: as `LoadSteps.gradient`; the direction is not shaped like the problem; in time,
            an integrator that conserves energy.
    """
    check_measures(measures, steps.count, type(steps).__name__)
    parameters, _ = split(steps.problem)
    along = filled(direction, parameters)
    march = _WithRates(steps, measures, along) if isinstance(steps, LoadSteps) else MotionRates(steps, measures, along)
    start, (_, total) = reverse_sweep(march, march.start(), steps.count, march.seed, checkpoints=checkpoints)
    return gathered(march.pull_start(start), total)


class _WithRates(RatesMarch[LoadSteps]):
    """Through load steps."""

    def pull(self, before: Pair, after: Pair, index: int, cotangent: Pair) -> tuple[Pair, Pair]:
        steps, fraction = self.steps, self.steps.fractions[index + 1]
        problem = steps.ended(before[0], after[0], index)
        parameters, fixed = split(problem)
        (rows, _), (moved, change) = after
        way = steps.remembered.with_multipliers(steps.way(before[1][1], self.along, parameters), change)

        def back(at: Any, given: Parameters, history: Any) -> Pair:
            return jax.vjp(steps.moving_on(fixed, fraction), at, given)[1](history)

        histories = tuple(split(part[1])[0] for part in cotangent)
        now, rate = jax.jvp(back, (rows, parameters, histories[0]), (moved, way, histories[1]))
        near = Linearization(problem, steps.state(rows, fraction))
        weight, own = near.adjoints(np.asarray(cotangent[0][0] + now[0]), now[1])
        slope = near.settled(_less(now[1], near.through(weight, own)))
        curved, by_parameters = near.through_rate(weight, own, np.asarray(moved), way)
        right = np.asarray(cotangent[1][0] + rate[0]) - curved
        return self._parted(rows, slope, near.pulled(right, _less(rate[1], by_parameters)))

    def seed(self, index: int, state: Pair) -> tuple[Pair | None, Pair | None]:
        """What is measured at a state, and its rate."""
        if index not in self.measures:
            return None, None
        (rows, history), (moved, change) = state
        problem = self.steps.remembered.put(self.steps.rest, history)
        parameters, fixed = split(problem.bound_at(np.asarray(rows), self.steps.fractions[index]))

        def slope(at: Any, given: Parameters) -> Pair:
            return slopes(self.measures[index], eqx.combine(given, fixed), at)

        way = self.steps.way(change, self.along, parameters)
        (by_rows, direct), (rate, direct_rate) = jax.jvp(slope, (rows, parameters), (moved, way))
        ((_, kept), (_, kept_rate)), rest = self._parted(rows, direct, direct_rate)
        return ((by_rows, kept), (rate, kept_rate)), rest

    def pull_start(self, cotangent: Pair) -> Parameters:
        """The rate of what a cotangent of the first state gives the problem."""
        (_, history), (_, rate) = cotangent

        def pull(given: Parameters, kept: Any) -> Parameters:
            return jax.vjp(self.steps.at_rest(), given)[1](kept)[0]

        return jax.jvp(pull, (split(self.steps.problem)[0], history), (self.along, rate))[1]

    def _parted(self, rows: Any, slope: Parameters, rate: Parameters) -> tuple[tuple[Loaded, Loaded], Pair]:
        """A cotangent of all arrays and its rate, each of the history (no unknowns go over) and of the problem."""
        (history, rest), (history_rate, rest_rate) = self.steps.parted(slope), self.steps.parted(rate)
        none = jnp.zeros_like(rows)
        return ((none, history), (none, history_rate)), (rest, rest_rate)


def _less(left: Parameters, right: Parameters) -> Parameters:
    return jax.tree.map(lambda a, b: a - b, left, right)
