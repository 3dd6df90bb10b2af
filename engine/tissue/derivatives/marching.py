"""The discrete adjoint of a march: reverse sweeps over steps x_{n+1} = Φ(x_n, p), with checkpoints.

Each step is given implicitly, R(x_{n+1}, x_n, p) = 0. With J a sum over steps of j_n(x_n, p),

    R_x⁺ᵀ λ_n = x̄_n,      x̄_{n-1} = ∂j_{n-1}/∂x − R_xᵀ λ_n,      dJ/dp = Σ ∂j_n/∂p − R_pᵀ λ_n,

from the last step to the first. Where not all states fit, a few are kept and the others are made again by marching from
them, in the binomial order of Griewank (1992), *Optim. Methods Softw.* 1:35: with c checkpoints and each step taken at
most r times, C(c + r, c) steps are reached.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any, Protocol

import jax

from ....imaging.errors import SolverError

March = Any
"""A state of the march: any tree of arrays."""


class Steps(Protocol):
    """A march that can be taken forwards step by step, and backwards."""

    def advance(self, before: March, index: int) -> March:
        """The state after step `index` (0 leads from state 0 to state 1)."""
        ...

    def pull(self, before: March, after: March, index: int, cotangent: March) -> tuple[March, Any]:
        """A cotangent of the state after a step, carried to (the state before, the parameters)."""
        ...


Seed = Callable[[int, March], tuple[March | None, Any | None]]
"""∂j_n/∂(x_n, p) of what is measured at state n; None for zero."""


def reverse_sweep(steps: Steps, start: March, count: int, seed: Seed, *, checkpoints: int | None = None) -> Any:
    """(dJ/d start, dJ/dp) of J = Σ j_n over the states 0 … count.

    Args:
        steps: the march.
        start: state 0.
        count: how many steps.
        seed: what is measured at each state.
        checkpoints: states kept besides the start; all of them by default.

    Raises:
        SolverError: there is no step, or nothing is measured.
    """
    if count < 1 or (checkpoints is not None and checkpoints < 0):
        raise SolverError(f"{count} steps with {checkpoints} checkpoints are not possible", where="reverse_sweep")
    sweep = _Sweep(steps, seed)
    sweep.run(start, 0, count, count if checkpoints is None else checkpoints)
    before, parameters = seed(0, start)
    cotangent, total = _sum(sweep.cotangent, before), _sum(sweep.parameters, parameters)
    if cotangent is None:
        raise SolverError(
            "nothing is measured at any step", where="reverse_sweep", advice="See that `seed` gives slopes"
        )
    return cotangent, total


def repeats(count: int, checkpoints: int) -> int:
    """How often the most often taken of so many steps is taken: the least r with C(c + r, c) ≥ count."""
    if checkpoints == 0:
        return max(count - 1, 0)
    found = 0
    while comb(checkpoints + found, checkpoints) < count:
        found += 1
    return found


class _Sweep:
    def __init__(self, steps: Steps, seed: Seed) -> None:
        self.steps, self.seed = steps, seed
        self.cotangent: March | None = None
        self.parameters: Any = None

    def run(self, state: March, first: int, last: int, checkpoints: int) -> None:
        """Backwards over the steps first … last − 1, from the state before the first."""
        while last - first > 1:
            split = first + self._lead(last - first, checkpoints)
            middle = state
            for index in range(first, split):
                middle = self.steps.advance(middle, index)
            self.run(middle, split, last, max(checkpoints - 1, 0))
            last = split
        self._back(state, first)

    @staticmethod
    def _lead(count: int, checkpoints: int) -> int:
        """How far to march before the next checkpoint."""
        if checkpoints == 0:
            return count - 1
        rounds = repeats(count, checkpoints)
        return min(max(comb(checkpoints + rounds - 1, checkpoints), 1), count - 1)

    def _back(self, before: March, index: int) -> None:
        after = self.steps.advance(before, index)
        by_state, by_parameters = self.seed(index + 1, after)
        self.cotangent, self.parameters = _sum(self.cotangent, by_state), _sum(self.parameters, by_parameters)
        if self.cotangent is None:
            return
        self.cotangent, through = self.steps.pull(before, after, index, self.cotangent)
        self.parameters = _sum(self.parameters, through)


def _sum(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    return jax.tree.map(lambda a, b: a + b, left, right)
