"""Newton's method on the reference shape X of a body whose loaded shape is known.

Govindjee and Mihalic (1996), *Comput. Methods Appl. Mech. Eng.* 136:47.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, part
from .carried import Placing, carried_to
from .inverse_system import InverseSystem, LoadFree
from .newton import force_scale, norm
from .problem import Problem
from .solution import State

MAX_ROUNDS = 25
MAX_CUTBACKS = 6
SHORTEST = 2.0**-10
STALLED = 4
"""Rounds in which the residual at least halves, or the load step is given up: where there is no load-free shape it
would creep on for all its rounds at every one of the halved steps."""


def newton_on_shape(
    problem: Problem, load_steps: int, tolerance: float, progress: Progress, place: Placing = carried_to
) -> LoadFree | None:
    """Load step by load step; a step that fails is halved. None where even the smallest first step fails.

    That happens where fibres that bear no compression, most of them just slack or just taut, make the tangent jump at
    rest: whichever side Newton's method takes, the step leads to the other.

    Raises:
        SolverError: no load-free shape is found; tells from which share of the load on.
    """
    inverse = InverseSystem(problem, place)
    shape, reached, length = np.asarray(problem.model.points), 0.0, 1.0 / load_steps
    before: tuple[float, NDArray] | None = None
    total, share = 0, np.inf
    while reached < 1.0:
        goal = min(reached + length, 1.0)
        guess = shape
        if before is not None and reached > before[0]:
            guess = shape + (goal - reached) / (reached - before[0]) * (shape - before[1])
        after, rounds, share = _reach(inverse, guess, goal, tolerance, part(progress, reached, goal))
        if after is None and guess is not shape:
            after, rounds, share = _reach(inverse, shape, goal, tolerance, part(progress, reached, goal))
        total += rounds
        if after is None:
            length *= 0.5
            if length < 2.0**-MAX_CUTBACKS / load_steps:
                if reached == 0.0:
                    return None
                raise SolverError(
                    f"no load-free shape was found beyond {100 * reached:.3g} % of the load",
                    where="unloaded_shape",
                    advice="Stiffen the supports or the tissue, or check the load: it carries the body too far",
                )
            continue
        before, shape, reached, length = (reached, shape), after, goal, length * (1.5 if rounds <= 5 else 1.0)
    moved = np.asarray(problem.model.points) - shape
    return LoadFree(inverse.at(shape), State.of_rows(1.0, moved, len(moved)), share, total)


def _reach(
    inverse: InverseSystem, shape: NDArray, fraction: float, tolerance: float, progress: Progress
) -> tuple[NDArray | None, int, float]:
    """The load-free shape at one load fraction, None where it is not found; iterations; ‖residual‖ / force scale."""
    now, shares = inverse.look(shape, fraction), []
    for rounds in range(MAX_ROUNDS):
        gap = inverse.gap(shape, fraction)
        size = norm(now.residual * inverse.free)
        scale = force_scale(now, inverse.free)
        share = size / scale if scale > 0 else size
        progress(min(rounds / 6.0, 0.99), f"load-free shape, iteration {rounds}, residual {share:.1e}")
        if not (np.isfinite(size) and now.min_jacobian > 0):
            return None, rounds, share
        if share <= tolerance and np.abs(gap).max() <= 1e-12 + 1e-9 * np.abs(shape).max():
            return shape, rounds, share
        shares.append(share)
        if rounds >= STALLED and share > 0.5 * shares[-1 - STALLED]:
            return None, rounds, share
        way = inverse.step(shape, fraction, now, min(0.1, max(share, 0.3 * tolerance / share, 1e-8)))
        length = 1.0
        while length >= SHORTEST:
            after = inverse.look(shape + length * way, fraction)
            lower = norm(after.residual * inverse.free) <= (1.0 - 1e-4 * length) * size
            moving = np.abs(gap).max() > 0 and length == 1.0
            if after.min_jacobian > 0.2 * min(now.min_jacobian, 1.0) and (lower or moving):
                break
            length *= 0.5
        else:
            return None, rounds, share
        shape, now = shape + length * way, after
    return None, MAX_ROUNDS, np.inf
