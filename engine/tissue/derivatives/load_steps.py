"""Slow load steps of a body that remembers, forwards and backwards: viscous and damaged materials, Coulomb friction.

    steps = LoadSteps(problem, [0.1, 0.5, 1.0], duration=2.0)
    slope = steps.gradient({2: lambda u, p: reaction(u, p, "top")[0]})    # J at step 2, through all before
    moved = steps.directional(direction_at(problem, where, 1.0))          # du after each step, (rows, 3)

A step is R(u⁺, h, p) = 0 and h⁺ = H(u⁺, h, p), h the history (`remembered`). Backwards, with cotangents ū and h̄ of a
step's end: R_uᵀ λ = ū + H_uᵀ h̄, then h̄ ← H_hᵀ h̄ − R_hᵀ λ and dJ/dp gathers H_pᵀ h̄ − R_pᵀ λ. Forwards:
R_u u̇⁺ = −R_h ḣ − R_p ṗ, then ḣ⁺ = H_u u̇⁺ + H_h ḣ + H_p ṗ. The displacement before a step is its first guess only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from ..history import stepped
from ..host_system import HostSystem
from ..newton import newton
from ..problem import Problem
from ..solution import ResultCode, State
from ..system import Timer
from .first import Functional, slopes
from .linearization import Linearization
from .marching import reverse_sweep
from .parameters import Parameters, filled, split
from .remembered import History, Remembered, begun, moved_on
from .settling import settled

Loaded = tuple[Any, History]
"""Unknowns (rows, 3) [m and Pa], and the history that goes on from them."""


class LoadSteps:
    """The steps of `static.solve(load_steps=fractions, duration=duration)`, none of them halved.

    Args:
        problem: what is loaded, with no history yet.
        fractions: load fractions, rising.
        duration: seconds in which the load fraction goes from 0 to 1; None: no time passes.
        tolerance: of Newton's method; derivatives are as exact as the steps are.

    Multipliers of contacts and ties are taken to their limit in each step (`settling`), where `solve` stops at the
    penetration that it was asked for.

    Raises:
        SolverError: fractions that do not rise.
    """

    def __init__(
        self, problem: Problem, fractions: Sequence[float], *, duration: float | None = None, tolerance: float = 1e-11
    ) -> None:
        self.fractions = [0.0, *(float(f) for f in fractions)]
        if len(self.fractions) < 2 or min(np.diff(self.fractions)) <= 0:
            raise SolverError(f"load fractions {list(fractions)} must rise from above 0", where="LoadSteps")
        self.problem, self.duration, self.tolerance = problem, duration, tolerance
        self.base = HostSystem(problem, Timer())
        self.rest = self.base.problem
        self.remembered = Remembered(self.rest)

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
        guess = self.base.field_of(self._state(before[0], fraction))
        done = newton(self.base, guess, fraction, tolerance=self.tolerance, max_iterations=40, tell=lambda *_: None)
        if done.result is not ResultCode.converged:
            raise SolverError(done.result.value, where=f"load step {index + 1}", advice="Use more load steps")
        rows = self.base.state_of(fraction, done.displacement).rows
        bound = self.base.problem.bound_at(np.asarray(rows), fraction)
        if self.remembered.augments:
            bound, state = settled(bound, self._state(rows, fraction), tolerance=self.tolerance)
            rows = state.rows
        return rows, self.remembered.of(moved_on(bound, rows, fraction))

    def pull(self, before: Loaded, after: Loaded, index: int, cotangent: Loaded) -> tuple[Loaded, Parameters]:
        """The cotangent of a step's end, carried to the history before and to the problem."""
        fraction, problem = self.fractions[index + 1], self._ended(before, after, index)
        parameters, fixed = split(problem)
        _, back = jax.vjp(self._move(fixed, fraction), after[0], parameters)
        by_rows, by_history = back(split(cotangent[1])[0])
        near = Linearization(problem, self._state(after[0], fraction))
        slope = near.pulled(np.asarray(cotangent[0] + by_rows), by_history)
        history, rest = self.remembered.taken(_unbound(slope))
        return (jnp.zeros_like(after[0]), history), rest

    def push(self, before: Loaded, after: Loaded, index: int, change: History, along: Parameters) -> Loaded:
        """The change of a step's end (unknowns, history) as the history before and the parameters change."""
        fraction, problem = self.fractions[index + 1], self._ended(before, after, index)
        parameters, fixed = split(problem)
        way = _spread(eqx.combine(change, _spread(along, split(self.rest)[0])), parameters)
        near = Linearization(problem, self._state(after[0], fraction))
        found, way = near.moved(way)
        moved = jnp.asarray(found)
        return moved, jax.jvp(self._move(fixed, fraction), (after[0], parameters), (moved, way))[1]

    def _move(self, fixed: Any, fraction: float) -> Callable[[Any, Parameters], History]:
        """Float arrays of the history after a step that ends at rows (rows, 3), a function of those and all others."""

        def move(rows: Any, given: Parameters) -> History:
            return split(self.remembered.of(moved_on(eqx.combine(given, fixed), rows, fraction)))[0]

        return move

    def end(self) -> Any:
        """Unknowns (rows, 3) after the last step."""
        state = self.start()
        for index in range(len(self.fractions) - 1):
            state = self.advance(state, index)
        return state[0]

    def directional(self, direction: Parameters) -> list[Float[Array, "rows 3"]]:
        """du/dp ṗ of the unknowns [m and Pa per unit of the direction] after each step.

        Args:
            direction: a problem-shaped tree, None for what does not change; see `parameters.direction_at`.

        Raises:
            SolverError: a step has no balance, or the direction is not shaped like the problem.
        """
        parameters, _ = split(self.problem)
        way = filled(direction, parameters)
        change = jax.jvp(self._at_rest(), (parameters,), (way,))[1]
        before, found = self.start(), []
        for index in range(len(self.fractions) - 1):
            after = self.advance(before, index)
            moved, change = self.push(before, after, index, change, way)
            found.append(moved)
            before = after
        return found

    def gradient(self, measures: Mapping[int, Functional], *, checkpoints: int | None = None) -> Parameters:
        """dJ/dp of J = Σ Jₙ(uₙ, p), n from 1 for the first step: through every step and through the history at rest.

        Args:
            measures: step → functional of (rows, 3) unknowns and the problem, as of `first.gradient`; the problem
                has the history after that step, with which its forces are those of the step's balance.
            checkpoints: states kept besides the start; all of them by default.

        Raises:
            SolverError: a step has no balance, or a measure stands at no step.
        """
        count = len(self.fractions) - 1
        if not measures or min(measures) < 1 or max(measures) > count:
            raise SolverError(f"measures at {sorted(measures)} of {count} steps", where="LoadSteps")

        def seed(index: int, state: Loaded) -> tuple[Loaded | None, Parameters | None]:
            if index not in measures:
                return None, None
            problem = self.remembered.put(self.rest, state[1])
            problem = problem.bound_at(np.asarray(state[0]), self.fractions[index])
            by_rows, direct = slopes(measures[index], problem, state[0])
            history, rest = self.remembered.taken(_unbound(direct))
            return (by_rows, history), rest

        (_, by_history), total = reverse_sweep(self, self.start(), count, seed, checkpoints=checkpoints)
        parameters, _ = split(self.problem)
        through = jax.vjp(self._at_rest(), parameters)[1](by_history)[0]
        return jax.tree.map(lambda own, a, b: None if own is None else a + b, parameters, total, through,
                            is_leaf=lambda leaf: leaf is None)  # fmt: skip

    def _at_rest(self) -> Callable[[Parameters], History]:
        """Float arrays of the history of the body at rest, a function of the parameters."""
        fixed = split(self.problem)[1]
        rest = self.problem.bound_at(np.zeros_like(self.base.points), 0.0)

        def first(given: Parameters) -> History:
            return split(self.remembered.of(begun(eqx.combine(given, fixed), rest)))[0]

        return first

    def _ended(self, before: Loaded, after: Loaded, index: int) -> Problem:
        """The problem whose equilibrium a step ends in: pairs and multipliers as they are there, history before it."""
        problem = self.remembered.with_multipliers(self._at(before[1], index), after[1])
        return problem.bound_at(np.asarray(after[0]), self.fractions[index + 1])

    def _at(self, history: History, index: int) -> Problem:
        problem = self.remembered.put(self.rest, history)
        if self.duration is None:
            return problem
        return stepped(problem, (self.fractions[index + 1] - self.fractions[index]) * self.duration)

    def _state(self, rows: Any, fraction: float) -> State:
        return State.of_rows(fraction, rows, self.problem.model.nodes)


def _spread(direction: Parameters, like: Parameters) -> Parameters:
    """A direction of a problem as one of the same with more arrays (history, pairs), which do not change."""

    def leaf(own: Any, more: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, more) if own is None else own

    return jax.tree.map(leaf, direction, like, is_leaf=lambda own: own is None)


def _unbound(slope: Parameters) -> Parameters:
    """Without the places that the pairing holds: they are no parameters of the problem."""
    return eqx.tree_at(lambda p: p.pairings, slope, None, is_leaf=lambda leaf: leaf is None)
