"""Derivatives through all steps of a body that remembers, by one sweep: what load steps and steps in time share.

A step leads from a state x (unknowns, and the history h, see `remembered`) to x⁺ = Φ(x, p), given implicitly. Forwards
ẋ⁺ = Φ_x ẋ + Φ_p ṗ (`push`), from the body at the start on; backwards x̄ ← Φ_xᵀ x̄⁺ and dJ/dp gathers Φ_pᵀ x̄⁺ (`pull`),
down to the start, which depends on the parameters too.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ....imaging.errors import SolverError
from ..history import advanced
from ..host_system import HostSystem
from ..problem import Problem
from ..solution import State
from ..system import Timer
from .marching import reverse_sweep
from .parameters import Parameters, filled, split
from .remembered import History, Remembered, begun, moved_on

At = TypeVar("At")
"""A state of the march; changes and cotangents of it are shaped like it, with a history of floats alone."""


class SweptSteps(abc.ABC, Generic[At]):
    """A march whose steps can be taken forwards, pushed through and pulled back.

    Args:
        problem: what is loaded or moves, with no history yet.
    """

    count: int
    """How many steps there are."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.base = HostSystem(problem, Timer())
        self.rest = self.base.problem
        self.remembered = Remembered(self.rest)

    @abc.abstractmethod
    def start(self) -> At:
        """The first state."""

    @abc.abstractmethod
    def advance(self, before: At, index: int) -> At:
        """The state after step `index` (0 leads from state 0 to state 1).

        Raises:
            SolverError: it has no balance.
        """

    @abc.abstractmethod
    def push(self, before: At, after: At, index: int, change: At, along: Parameters) -> At:
        """The change of the state after a step, as the state before and the parameters change."""

    @abc.abstractmethod
    def pull(self, before: At, after: At, index: int, cotangent: At) -> tuple[At, Parameters]:
        """The cotangent of the state after a step, carried to the state before and to the problem at rest."""

    @abc.abstractmethod
    def push_start(self, along: Parameters) -> At:
        """The change of the first state."""

    @abc.abstractmethod
    def pull_start(self, cotangent: At) -> Parameters:
        """The cotangent of the first state, carried to the problem."""

    @abc.abstractmethod
    def measured(self, measure: Any, state: At, index: int) -> tuple[At, Parameters]:
        """Slopes of a functional of a state: by the state and by the problem at rest."""

    def changes(self, direction: Parameters) -> list[At]:
        """The change of the state after each step [per unit of the direction].

        Args:
            direction: a problem-shaped tree, None for what does not change; see `parameters.direction_at`.

        Raises:
            SolverError: a step has no balance, or the direction is not shaped like the problem.
        """
        way = filled(direction, split(self.problem)[0])
        before, change, found = self.start(), self.push_start(way), []
        for index in range(self.count):
            after = self.advance(before, index)
            change = self.push(before, after, index, change, way)
            found.append(change)
            before = after
        return found

    def gradient(self, measures: Mapping[int, Any], *, checkpoints: int | None = None) -> Parameters:
        """dJ/dp of J = Σ Jₙ(xₙ, p), n from 1 for the state after the first step: through every step and the start.

        Args:
            measures: step → functional of the unknowns and the problem; the problem has the history after that step,
                with which its forces are those of the step's balance.
            checkpoints: states kept besides the start; all of them by default.

        Raises:
            SolverError: a step has no balance, or a measure stands at no step.
        """
        check_measures(measures, self.count, type(self).__name__)

        def seed(index: int, state: At) -> tuple[At | None, Parameters | None]:
            return self.measured(measures[index], state, index) if index in measures else (None, None)

        cotangent, total = reverse_sweep(self, self.start(), self.count, seed, checkpoints=checkpoints)
        return gathered(self.pull_start(cotangent), total)

    def after_step(self, problem: Problem, rows: Any, fraction: float) -> History:
        """The history after a step that converged at rows (rows, 3), found on the host as the solvers do."""
        moved = problem.advanced(np.asarray(rows), fraction)
        return self.remembered.of(advanced(moved, State.of_rows(fraction, rows, problem.model.nodes)))

    def moving_on(self, fixed: Any, fraction: float) -> Callable[[Any, Parameters], History]:
        """Float arrays of the history after a step that ends at rows (rows, 3), a function of those and all others."""

        def move(rows: Any, given: Parameters) -> History:
            return split(self.remembered.of(moved_on(eqx.combine(given, fixed), rows, fraction)))[0]

        return move

    def at_rest(self) -> Callable[[Parameters], History]:
        """Float arrays of the history of the body at rest, a function of the parameters."""
        fixed = split(self.problem)[1]
        rest = self.problem.bound_at(np.zeros_like(self.base.points), 0.0)

        def first(given: Parameters) -> History:
            return split(self.remembered.of(begun(eqx.combine(given, fixed), rest)))[0]

        return first

    def way(self, change: History, along: Parameters, like: Parameters) -> Parameters:
        """A change of the history and of the parameters as one of all float arrays of a problem with pairs."""
        return _spread(eqx.combine(change, _spread(along, split(self.rest)[0])), like)

    def parted(self, slope: Parameters) -> tuple[History, Parameters]:
        """A cotangent of all float arrays of a problem with pairs: of the history, of the problem at rest."""
        return self.remembered.taken(eqx.tree_at(lambda p: p.pairings, slope, None, is_leaf=lambda leaf: leaf is None))


def check_measures(measures: Mapping[int, Any], count: int, where: str) -> None:
    """There is one, and each stands at a step.

    Raises:
        SolverError: it does not.
    """
    if not measures or min(measures) < 1 or max(measures) > count:
        told = f"measures at {sorted(measures)} of {count} steps"
        raise SolverError(told, where=where, advice="Number the steps from 1")


def gathered(own: Parameters, total: Parameters) -> Parameters:
    """The sum of a cotangent of the problem and one of the same at rest, with more arrays, which are left out."""
    return jax.tree.map(lambda a, b: None if a is None else a + b, own, total, is_leaf=lambda leaf: leaf is None)


def added(own: Parameters, total: Parameters) -> Parameters:
    """As `gathered`, with all arrays of the problem at rest."""
    return jax.tree.map(lambda a, b: b if a is None else a + b, own, total, is_leaf=lambda leaf: leaf is None)


def _spread(direction: Parameters, like: Parameters) -> Parameters:
    """A direction of a problem as one of the same with more arrays (history, pairs), which do not change."""

    def leaf(own: Any, more: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, more) if own is None else own

    return jax.tree.map(leaf, direction, like, is_leaf=lambda own: own is None)
