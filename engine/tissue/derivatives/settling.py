"""Multipliers at their limit: what Uzawa's iteration would end in, by Newton's method on the multipliers.

`solve` stops augmenting where no point is deeper than it was asked to be. Points that are still to open press then, and
the derivative is that of another active set. Here F(m) = M(u(m), m) − m = 0 is solved with the Schur complement of
`multipliers` as its derivative: a primal-dual active set method (Hintermüller, Ito and Kunisch 2003, *SIAM J. Optim.*
13:865). Where more points press than their facets can follow no multipliers close them all; α in (F' − α) ṁ = −F then
keeps the step of the size of the multipliers until enough of them have let go, and falls to nothing afterwards.
"""

from __future__ import annotations

import numpy as np

from ....imaging.errors import SolverError
from ..host_system import HostSystem
from ..newton import newton
from ..problem import Problem
from ..solution import ResultCode, State
from ..system import Timer
from .linearization import Linearization
from .multipliers import schur

STEPS = 40
SOFTEST = 1e-2
LIMIT = 1e-10
"""Of the change that one more augmentation would make, over the largest multiplier."""


def settled(problem: Problem, state: State, *, tolerance: float = 1e-12) -> tuple[Problem, State]:
    """The problem with its multipliers at their limit, and its equilibrium: what derivatives are taken of.

    Args:
        problem: of `Solution.problems`, with multipliers and history as they are there.
        state: its equilibrium.
        tolerance: of the equilibria.

    Raises:
        SolverError: the set of pressed points was not found, or an equilibrium was not.
    """
    softness = SOFTEST
    for _ in range(STEPS):
        near = Linearization(problem, state, settled=False)
        kept = near.multipliers
        if not kept.size:
            return problem, state
        left, now = kept.left(), kept.taken(near.problem)
        size = max(np.abs(now).max(), np.abs(left).max())
        if np.abs(left).max() <= LIMIT * size:
            return near.problem, state
        change, softness = _change(near, left, size, softness)
        field = near.displacement + near.forward(kept.forces(change))
        found = _balanced(kept.put(near.problem, now + change), field, near.fraction, tolerance)
        problem, state = found or (problem, state)
        if found is None:
            softness = max(100.0 * softness, SOFTEST)
    raise SolverError(
        "the points that press were not found",
        where=f"settled, at {100 * float(state.load_fraction):.4g} % of the load",
        advice="Use the penalty method (no penetration), or facets that fit the body better",
    )


def _change(near: Linearization, left: np.ndarray, size: float, softness: float) -> tuple[np.ndarray, float]:
    """A change of the multipliers no larger than they are, and the softness to begin the next one with."""
    while True:
        change = schur(lambda m, s=softness: near.closing_product(m) - s * m, -left, strict=False)
        if np.abs(change).max() <= size or softness >= 1.0:
            return change, 0.1 * softness if softness > 1e-9 else 0.0
        softness = max(10.0 * softness, 1e-9)


def _balanced(problem: Problem, field: np.ndarray, fraction: float, tolerance: float) -> tuple[Problem, State] | None:
    """The problem with its pairs, and its equilibrium near a field of rows; None where none was found."""
    system = HostSystem(problem, Timer())
    guess = system.array(field) / system.row_scale
    done = newton(system, guess, fraction, tolerance=tolerance, max_iterations=40, tell=lambda *_: None)
    if done.result is not ResultCode.converged:
        return None
    return system.bound(done.displacement, fraction), system.state_of(fraction, done.displacement)
