"""The steps of `dynamic.solve` at a constant length, forwards and backwards: derivatives through time.

    steps = MotionSteps(problem, duration=0.2, count=40, velocity=(0.0, 0.0, -1.0))
    slope = steps.gradient({40: lambda motion, p: kinetic_energy(p, motion)})        # through all steps and the start
    moved = steps.directional(direction_at(problem, where, 1.0))                     # changes of the fields, by step
    by_start, by_problem = reverse_sweep(steps, steps.start(), 40, seed, checkpoints=8)

A step is R(u⁺, m, x, p) = 0 (`step_balance`) with x = (u, v, a, h) and h the history (`remembered`), Q(u_α, m, p) = 0
where contacts and ties have multipliers, then v⁺ and a⁺ by Newmark and h⁺ = H(u⁺, m, h, p) at the end of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ..motion import Motion, padded
from ..problem import Problem
from .drag import Drag
from .first import scalar
from .motion_march import Fields, MotionMarch
from .motion_pieces import Before, Inertial
from .motion_start import MotionStart
from .parameters import Parameters, split
from .remembered import History
from .sensitivity import Sensitivity
from .step_balance import StepBalance
from .swept_steps import added

Measure = Callable[[Motion, Problem], Array]
"""J(motion, problem) → scalar, written with jax.numpy."""
StepAt = tuple[Array, Before, Parameters, Array]
"""Unknowns (rows, 3) after a step, the fields before it, the parameters, and the time [s] at which it begins."""


class MotionSteps(MotionMarch):
    """Steps of one length of a body; materials may remember, bodies and tissues touch, stick and slide.

    Args:
        problem: what moves, with no history yet.
        duration: seconds in which the load fraction goes from 0 to 1.
        count: how many steps make the duration.
        integrator, damping, mass: as of `dynamic.solve`.
        velocity: of the start, as of `dynamic.solve`; taken as values at the nodes.
        tolerance: of Newton's method; derivatives are as exact as the steps are.

    Multipliers of contacts and ties are taken to their limit in each step (`settling`), where `dynamic.solve` stops at
    the penetration that it was asked for. What is measured is J(motion, problem).

    Raises:
        SolverError: multipliers with an integrator that conserves energy; a body whose steps that integrator cannot
            take.
    """

    def push(self, before: Fields, after: Fields, index: int, change: Fields, along: Parameters) -> Fields:
        """The change of the fields after a step as those before and the parameters change."""
        near, rows, ended = self.near(before, after, index)
        at = (rows, self.before(before), self.parameters, self.time(index))
        ways = (self.before(change), along, jnp.zeros(()))
        still: Inertial = self.pieces.inertial_push(at, (jnp.zeros_like(rows), *ways))
        way = self.way(change.history, along, near.sensitivity.parameters)
        way, old = near.multipliers.put(way, np.zeros(near.multipliers.size)), self.rows(change)
        blended = self.rule.force_lag * np.asarray(old) * np.asarray(self.system.pressureless)
        rate = near.sensitivity.push_forces(way, blended)
        if near.drag is not None:
            early = self.way(change.history, along, near.drag.parameters)
            rate = rate + near.drag.push(early, np.asarray(old), np.asarray(still.damped))
        rate = np.asarray(still.balance) + rate * self.base.free
        found, multipliers = near.answered(rate, *near.sensitivity.of_terms(way), beside=blended)
        moved = jnp.asarray(found)
        rates: Inertial = self.pieces.inertial_push(at, (moved, *ways))
        parameters, fixed = split(ended)
        last = near.multipliers.put(self.way(change.history, along, parameters), multipliers)
        history = jax.jvp(self.moving_on(fixed, self.ends(index)), (rows, parameters), (moved, last))[1]
        return self.fields(moved, rates.velocity, rates.acceleration, history)

    def pull(self, before: Fields, after: Fields, index: int, cotangent: Fields) -> tuple[Fields, Parameters]:
        """The cotangent of the fields after a step, carried to those before and to the problem."""
        near, rows, ended = self.near(before, after, index)
        parameters, fixed = split(ended)
        _, back = jax.vjp(self.moving_on(fixed, self.ends(index)), rows, parameters)
        by_rows, by_end = back(split(cotangent.history)[0])
        at = (rows, self.before(before), self.parameters, self.time(index))
        weight, own = near.adjoints(np.asarray(self.right(at, cotangent) + by_rows), by_end)
        return self.carried(near, at, cotangent, by_end, weight, own)

    def right(self, at: StepAt, cotangent: Fields) -> Array:
        """Of R_uᵀ λ (rows, 3), but for what comes through the history: the cotangent by the unknowns after a step."""
        still = jnp.zeros_like(at[0])
        rates = Inertial(still, cotangent.velocity, cotangent.acceleration, still)
        return self.pieces.inertial_pull(at, rates)[0] + self.rows(cotangent)

    def carried(
        self, near: StepBalance, at: StepAt, cotangent: Fields, by_end: Parameters, weight: NDArray, own: NDArray
    ) -> tuple[Fields, Parameters]:
        """The cotangent of the fields before a step and of the problem, linear in all that is given but `at`.

        Args:
            near: the step.
            at: what `MotionPieces.inertial` takes there.
            cotangent: of the fields after it.
            by_end: what its history gives all float arrays of the problem at its end.
            weight, own: λ (rows, 3) and ν of the step's saddle.
        """
        still, rates = jnp.zeros_like(at[0]), (cotangent.velocity, cotangent.acceleration)
        free, kept, lag = weight * self.base.free, near.multipliers, self.rule.force_lag
        slope, tree = near.sensitivity.pull_both(free, kept.beside(own) if len(own) else ())
        slope = -lag * (slope + (kept.spread(own) if len(own) else 0.0)) * np.asarray(self.system.pressureless)
        history, rest = self.less(*self.parted(by_end), tree)
        history, damped = self.remembered.without_multipliers(history), still
        if near.drag is not None:
            by_start, tree, by_rate = near.drag.pull(free)
            slope, damped = slope - by_start, -jnp.asarray(by_rate)
            history, rest = self.less(history, rest, tree)
        _, earlier, own_parameters, _ = self.pieces.inertial_pull(at, Inertial(-jnp.asarray(weight), *rates, damped))
        moved = self.fields(jnp.asarray(slope), earlier.velocity, earlier.acceleration, history)
        return moved._replace(displacement=moved.displacement + earlier.displacement), added(own_parameters, rest)

    def less(self, history: History, rest: Parameters, tree: Parameters) -> tuple[History, Parameters]:
        """A cotangent of the history and of the problem at rest, less one of all arrays."""
        return jax.tree.map(lambda a, b: a - b, (history, rest), self.parted(tree))

    def near(self, before: Fields, after: Fields, index: int) -> tuple[StepBalance, Array, Problem]:
        """The balance of a step linearised, the rows it ends with, and the problem there."""
        problem, rows = self.at(before.history, 1.0 - self.rule.force_lag), np.asarray(self.rows(after))
        self.begin(problem, before, index)
        middle = np.asarray(self.system.middle(rows))
        bound = self.remembered.with_multipliers(problem, after.history).bound_at(middle, self.middle(index))
        near, begins = self.linearized(bound, before, rows, index), index / self.count
        if self.stiff:
            old = np.asarray(self.rows(before))
            at = (jnp.asarray(rows), self.before(before), self.parameters, self.time(index))
            rate = np.asarray(self.pieces.inertial(*at).damped)
            tissue = Sensitivity(problem, old, begins, tissue_alone=True)
            near.drag = Drag(tissue, rate, float(self.damping.stiffness))
        return near, jnp.asarray(rows), self.ended(before.history, after.history, rows, index)

    @staticmethod
    def before(fields: Fields) -> Before:
        return Before(fields.displacement, fields.velocity, fields.acceleration)

    def push_start(self, along: Parameters) -> Fields:
        """The change of the fields at time 0."""
        history = jax.jvp(self.at_rest(), (self.parameters,), (along,))[1]
        return self.fields(*self.first().push(history, along), history)

    def pull_start(self, cotangent: Fields) -> Parameters:
        """The cotangent of the fields at time 0, carried to the problem."""
        history, by_first = self.first().pull(*self.padded(cotangent))
        kept = jax.tree.map(lambda a, b: a + b, split(cotangent.history)[0], history)
        by_rest = jax.vjp(self.at_rest(), self.parameters)[1](kept)[0]
        return jax.tree.map(lambda a, b: a + b, by_first, by_rest)

    def padded(self, cotangent: Fields) -> list[Array]:
        """Of displacement, velocity and acceleration (rows, 3)."""
        return [padded(jnp.asarray(part), len(self.base.points)) for part in cotangent[:3]]

    def first(self) -> MotionStart:
        start = self.start()
        return MotionStart(self, self.system, self.pieces, start.velocity, start.acceleration)

    def measured(self, measure: Measure, state: Fields, index: int) -> tuple[Fields, Parameters]:
        """Slopes of J(motion, problem)."""
        bound = self.remembered.put(self.rest, state.history)
        bound = bound.bound_at(np.asarray(self.rows(state)), index / self.count)
        parameters, fixed = split(bound)
        slope = jax.grad(self.value(measure, fixed, index), argnums=(0, 1))
        return self.cotangent(*slope(self.parts(state), parameters))

    def value(self, measure: Measure, fixed: Any, index: int) -> Callable[[tuple[Array, ...], Parameters], Array]:
        """J as a function of displacement, velocity, acceleration and pressure, and of all arrays."""

        def of(fields: tuple[Array, ...], given: Parameters) -> Array:
            moved, velocity, acceleration, pressure = fields
            motion = self.motion(Fields(moved, velocity, acceleration, None, pressure), index)
            return scalar(measure(motion, eqx.combine(given, fixed)))

        return of

    def cotangent(self, parts: tuple[Array, ...], direct: Parameters) -> tuple[Fields, Parameters]:
        """Slopes by `parts` and by all arrays as those by the fields, and by the problem at rest."""
        moved, velocity, acceleration, pressure = parts
        history, rest = self.parted(direct)
        return Fields(moved, velocity, acceleration, history, pressure), rest

    @staticmethod
    def parts(fields: Fields) -> tuple[Array, ...]:
        """Displacement, velocity, acceleration and pressure."""
        return fields.displacement, fields.velocity, fields.acceleration, fields.pressure

    def directional(self, direction: Parameters) -> list[Fields]:
        """The change of the fields after each step [per unit of the direction]; see `changes`."""
        return self.changes(direction)
