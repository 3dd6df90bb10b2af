"""Multipliers at their limit: what Uzawa's iteration would end in, by Newton's method on the multipliers.

`solve` stops augmenting where no point is deeper than it was asked to be. Points that are still to open press then, and
the derivative is that of another active set. Here F(m) = M(u(m), m) − m = 0 is solved with the Schur complement of
`multipliers` as its derivative: a primal-dual active set method (Hintermüller, Ito and Kunisch 2003, *SIAM J. Optim.*
13:865). Where more points press than their facets can follow no multipliers close them all; α in (F' − α) ṁ = −F then
keeps the step of the size of the multipliers until enough of them have let go, and falls to nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..host_system import HostSystem
from ..newton import newton
from ..problem import Problem
from ..solution import ResultCode, State
from ..system import Timer
from .linearization import Linearization
from .multipliers import schur
from .saddle import Saddle

STEPS = 40
SOFTEST = 1e-2
LIMIT, ROUND_OFF = 1e-10, 1e-12
"""Of the change that one more augmentation would make, over the largest multiplier. Below the first, Newton's method
takes one more step: points in the rounded part of the law are told apart by little, and a slope by differences of such
states was off by 4e-6 without it, by 3e-9 with it."""

Balanced = tuple[Problem, NDArray[np.float64]]
"""A problem with its pairs, and the unknowns (rows, 3) [m and Pa] that balance it."""


def settled(problem: Problem, state: State, *, tolerance: float = 1e-12) -> tuple[Problem, State]:
    """The problem with its multipliers at their limit, and its equilibrium: what derivatives are taken of.

    Args:
        problem: of `Solution.problems`, with multipliers and history as they are there.
        state: its equilibrium.
        tolerance: of the equilibria.

    Raises:
        SolverError: the set of pressed points was not found, or an equilibrium was not.
    """
    fraction, nodes = float(state.load_fraction), problem.model.nodes

    def linearized(at: Problem, rows: NDArray) -> Saddle:
        return Linearization(at, State.of_rows(fraction, rows, nodes), settled=False)

    def balanced(at: Problem, rows: NDArray) -> Balanced | None:
        system = HostSystem(at, Timer())
        guess = system.array(rows) / system.row_scale
        done = newton(system, guess, fraction, tolerance=tolerance, max_iterations=40, tell=lambda *_: None)
        if done.result is not ResultCode.converged:
            return None
        moved = done.displacement
        return system.bound(moved, fraction), np.asarray(system.state_of(fraction, moved).rows)

    where = f"settled, at {100 * fraction:.4g} % of the load"
    found, rows = settle((problem, np.asarray(state.rows)), linearized, balanced, where)
    return found, State.of_rows(fraction, rows, nodes)


def settle(
    start: Balanced,
    linearized: Callable[[Problem, NDArray], Saddle],
    balanced: Callable[[Problem, NDArray], Balanced | None],
    where: str,
) -> Balanced:
    """A balance whose multipliers are at their limit.

    Args:
        start: a balance.
        linearized: of a balance.
        balanced: the balance of a problem near some unknowns; None where none is found.
        where: what the message says of the place.

    Raises:
        SolverError: the set of pressed points was not found.
    """
    now, softness, near_enough = start, SOFTEST, False
    for _ in range(STEPS):
        near = linearized(*now)
        kept = near.multipliers
        if not kept.size:
            return now
        left, old = kept.left(), kept.taken(now[0])
        size = max(np.abs(old).max(), np.abs(left).max())
        off, known = np.abs(left).max(), near_enough
        near_enough = bool(off <= LIMIT * size)
        if off <= ROUND_OFF * size or (known and near_enough):
            return now
        change, softness = _change(near, left, size, softness)
        rows = now[1] + near.forward(kept.forces(change))
        found = balanced(kept.put(now[0], old + change), rows)
        now = found or now
        if found is None:
            softness = max(100.0 * softness, SOFTEST)
    raise SolverError(
        "the points that press were not found",
        where=where,
        advice="Use the penalty method (no penetration), or facets that fit the body better",
    )


def _change(near: Saddle, left: NDArray, size: float, softness: float) -> tuple[NDArray, float]:
    """A change of the multipliers no larger than they are, and the softness to begin the next one with."""
    while True:
        change = schur(lambda m, s=softness: near.closing_product(m) - s * m, -left, strict=False)
        if np.abs(change).max() <= size or softness >= 1.0:
            return change, 0.1 * softness if softness > 1e-9 else 0.0
        softness = max(10.0 * softness, 1e-9)
