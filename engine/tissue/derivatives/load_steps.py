"""Slow load steps of a body that remembers, forwards and backwards: viscous and damaged materials, Coulomb friction.

    steps = LoadSteps(problem, [0.1, 0.5, 1.0], duration=2.0)
    slope = steps.gradient({2: lambda u, p: reaction(u, p, "top")[0]})    # J at step 2, through all before
    moved = steps.directional(direction_at(problem, where, 1.0))              # du after each step, (rows, 3)

A step is R(u⁺, h, p) = 0 and h⁺ = H(u⁺, h, p), h the history (`remembered`). Backwards, with cotangents ū and h̄ of a
step's end: R_uᵀ λ = ū + H_uᵀ h̄, then h̄ ← H_hᵀ h̄ − R_hᵀ λ and dJ/dp gathers H_pᵀ h̄ − R_pᵀ λ. Forwards:
R_u u̇⁺ = −R_h ḣ − R_p ṗ, then ḣ⁺ = H_u u̇⁺ + H_h ḣ + H_p ṗ. The displacement before a step is its first guess only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from ..history import stepped
from ..newton import newton
from ..problem import Problem
from ..solution import ResultCode, State
from .first import Functional, slopes
from .linearization import Linearization
from .parameters import Parameters, split
from .remembered import History
from .settling import settled
from .swept_steps import SweptSteps

Loaded = tuple[Any, History]
"""Unknowns (rows, 3) [m and Pa], and the history that goes on from them."""


class LoadSteps(SweptSteps[Loaded]):
    """The steps of `static.solve(load_steps=fractions, duration=duration)`, none of them halved.

    Args:
        problem: what is loaded, with no history yet.
        fractions: load fractions, rising.
        duration: seconds in which the load fraction goes from 0 to 1; None: no time passes.
        tolerance: of Newton's method; derivatives are as exact as the steps are.

    Multipliers of contacts and ties are taken to their limit in each step (`settling`), where `solve` stops at the
    penetration that it was asked for. What is measured is J(rows (rows, 3), problem), as of `first.gradient`.

    Raises:
        SolverError: fractions that do not rise.
    """

    def __init__(
        self, problem: Problem, fractions: Sequence[float], *, duration: float | None = None, tolerance: float = 1e-11
    ) -> None:
        self.fractions = [0.0, *(float(f) for f in fractions)]
        if len(self.fractions) < 2 or min(np.diff(self.fractions)) <= 0:
            raise SolverError(f"load fractions {list(fractions)} must rise from above 0", where="LoadSteps")
        super().__init__(problem)
        self.duration, self.tolerance, self.count = duration, tolerance, len(self.fractions) - 1

    def start(self) -> Loaded:
        """At rest."""
        return jnp.zeros_like(self.problem.model.row_points), self.remembered.of(self.rest)

    def advance(self, before: Loaded, index: int) -> Loaded:
        """One load step.

        Raises:
            SolverError: it has no balance.
        """
        fraction = self.fractions[index + 1]
        self.base.use(self._at(before[1], index))
        guess = self.base.field_of(self.state(before[0], fraction))
        done = newton(self.base, guess, fraction, tolerance=self.tolerance, max_iterations=40, tell=lambda *_: None)
        if done.result is not ResultCode.converged:
            raise SolverError(done.result.value, where=f"load step {index + 1}", advice="Use more load steps")
        rows = self.base.state_of(fraction, done.displacement).rows
        bound = self.base.problem.bound_at(np.asarray(rows), fraction)
        if self.remembered.augments:
            bound, state = settled(bound, self.state(rows, fraction), tolerance=self.tolerance)
            rows = state.rows
        return rows, self.after_step(bound, rows, fraction)

    def pull(self, before: Loaded, after: Loaded, index: int, cotangent: Loaded) -> tuple[Loaded, Parameters]:
        """The cotangent of a step's end, carried to the history before and to the problem."""
        fraction, problem = self.fractions[index + 1], self.ended(before, after, index)
        parameters, fixed = split(problem)
        _, back = jax.vjp(self.moving_on(fixed, fraction), after[0], parameters)
        by_rows, by_history = back(split(cotangent[1])[0])
        near = Linearization(problem, self.state(after[0], fraction))
        slope = near.pulled(np.asarray(cotangent[0] + by_rows), by_history)
        history, rest = self.parted(slope)
        return (jnp.zeros_like(after[0]), history), rest

    def push(self, before: Loaded, after: Loaded, index: int, change: Loaded, along: Parameters) -> Loaded:
        """The change of a step's end as the history before and the parameters change."""
        fraction, problem = self.fractions[index + 1], self.ended(before, after, index)
        parameters, fixed = split(problem)
        near = Linearization(problem, self.state(after[0], fraction))
        found, way = near.moved(self.way(change[1], along, parameters))
        moved = jnp.asarray(found)
        return moved, jax.jvp(self.moving_on(fixed, fraction), (after[0], parameters), (moved, way))[1]

    def directional(self, direction: Parameters) -> list[Float[Array, "rows 3"]]:
        """du/dp ṗ of the unknowns [m and Pa per unit of the direction] after each step; see `changes`."""
        return [moved for moved, _ in self.changes(direction)]

    def push_start(self, along: Parameters) -> Loaded:
        """Of the history at rest."""
        change = jax.jvp(self.at_rest(), (split(self.problem)[0],), (along,))[1]
        return jnp.zeros_like(self.problem.model.row_points), change

    def pull_start(self, cotangent: Loaded) -> Parameters:
        """Through the history at rest."""
        return jax.vjp(self.at_rest(), split(self.problem)[0])[1](cotangent[1])[0]

    def measured(self, measure: Functional, state: Loaded, index: int) -> tuple[Loaded, Parameters]:
        """Slopes of J(rows, problem)."""
        problem = self.remembered.put(self.rest, state[1])
        by_rows, direct = slopes(measure, problem.bound_at(np.asarray(state[0]), self.fractions[index]), state[0])
        history, rest = self.parted(direct)
        return (by_rows, history), rest

    def end(self) -> Any:
        """Unknowns (rows, 3) after the last step."""
        state = self.start()
        for index in range(self.count):
            state = self.advance(state, index)
        return state[0]

    def ended(self, before: Loaded, after: Loaded, index: int) -> Problem:
        """The problem whose equilibrium a step ends in: pairs and multipliers as they are there, history before it."""
        problem = self.remembered.with_multipliers(self._at(before[1], index), after[1])
        return problem.bound_at(np.asarray(after[0]), self.fractions[index + 1])

    def _at(self, history: History, index: int) -> Problem:
        problem = self.remembered.put(self.rest, history)
        if self.duration is None:
            return problem
        return stepped(problem, (self.fractions[index + 1] - self.fractions[index]) * self.duration)

    def state(self, rows: Any, fraction: float) -> State:
        """Of unknowns (rows, 3)."""
        return State.of_rows(fraction, rows, self.problem.model.nodes)
