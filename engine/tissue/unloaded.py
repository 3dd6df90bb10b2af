"""The load-free shape of a body that was seen under load: inverse design.

A scan shows x. Sought is X, so that the loads carry it to x: R(u = x − X, reference X) = 0, Newton's method on X.

    found = unloaded_shape(problem)          # `problem` has the loads and supports, on the scanned shape
    found.problem, found.state               # the load-free body, and its equilibrium in the scanned shape
    found.miss                               # m: how far from the scan a solve from rest ends, at most

Govindjee and Mihalic (1996), *Comput. Methods Appl. Mech. Eng.* 136:47, state the inverse problem; where Newton's
method on it fails, Sellier's fixed point X ← X − (x(X) − x) takes over (2011, *J. Fluids Struct.* 27:1461), mixed after
Anderson (1965).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, part, silent
from ..precision import require_float64
from . import given
from .anderson import Anderson
from .floating import check_held
from .inverse_system import InverseSystem
from .model import MM
from .newton import force_scale, norm
from .problem import Problem
from .solution import State
from .static import require_held, solve
from .supports import Springs

ACCURACY = 1e-4
"""m: how far from the scan the loaded shape may end."""
MAX_ROUNDS = 25
MAX_CUTBACKS = 6
SHORTEST = 2.0**-10
STALLED = 4
"""Rounds in which Newton's method on X at least halves the residual, or the load step is given up: where there is no
load-free shape it would creep on for all its rounds at every one of the halved steps."""


@dataclass(frozen=True, eq=False)
class Unloaded:
    """A load-free body.

    Attributes:
        problem: the body on its load-free shape, with the loads and supports.
        state: its equilibrium in the scanned shape.
        offset: load-free minus scanned position, m.
        miss: largest distance [m] of the scanned shape from where a solve from rest ends; NaN where it was not tried.
        residual: ‖residual‖ / force scale of the scanned shape.
        iterations: Newton iterations, or solves of the fixed point.
        method: "newton" or "fixed point".
    """

    problem: Problem
    state: State
    offset: Float[np.ndarray, "nodes 3"]
    miss: float
    residual: float
    iterations: int
    method: str


def unloaded_shape(
    problem: Problem,
    *,
    method: str = "auto",
    beds_at_rest: str = "unloaded",
    load_steps: int = 1,
    tolerance: float = 1e-8,
    accuracy: float = ACCURACY,
    verify: bool = True,
    progress: Progress = silent,
) -> Unloaded:
    """The shape X without load that the loads of a problem bring to the shape it is given in.

    Springs and ligaments are at rest in the load-free shape, beds there or in the scan; beds have the normals and areas
    of the load-free shape. Held nodes stay where the scan shows them, less their prescribed motion. Material parameters
    belong to elements and go along.

    Args:
        problem: loads and supports on the scanned shape.
        method: "newton", "fixed point", or "auto": the second where the first finds nothing.
        beds_at_rest: "unloaded", or "scan": beds (`Springs`) that exert nothing on the scanned shape, so that other
            supports carry the load; the problem found has their `rest` at its own displacement.
        load_steps: of the inverse and of the verifying solve; steps that fail are halved.
        tolerance: on ‖residual‖ / force scale of the scanned shape.
        accuracy: m; a loaded shape further from the scan is an error.
        verify: solve from rest, without the inverse solution's help, and measure `miss`.

    Raises:
        SolverError: no load-free shape was found, or loading it leads to another shape than the scanned one.
    """
    require_float64()
    require_held(problem, "unloaded_shape")
    given.tolerance(tolerance, "unloaded_shape")
    given.whole(load_steps, "load steps", "unloaded_shape")
    given.number(accuracy, "an accuracy", "unloaded_shape", above=0.0, advice="Give m")
    if method not in ("auto", "newton", "fixed point"):
        raise SolverError(f"no method is named {method!r}", where="unloaded_shape", advice="Use newton or fixed point")
    if beds_at_rest not in ("unloaded", "scan"):
        raise SolverError(f"beds cannot be at rest in {beds_at_rest!r}", where="unloaded_shape", advice="Use scan")
    loaded = problem if beds_at_rest == "unloaded" else _without_beds(problem)
    if len(problem.model.pressure_corners) or problem.moving():
        method = "fixed point"  # unknown pressures and contact searches have no inverse tangent here
    search = part(progress, 0.0, 0.7)
    found: Unloaded | None = None
    if method != "fixed point":
        try:
            found = _newton(loaded, load_steps, tolerance, search)
        except SolverError:
            if method == "newton":
                raise
    if found is None:
        found = _fixed_point(loaded, load_steps, tolerance, 0.01 * accuracy, search)
    if loaded is not problem:
        found = replace(found, problem=_with_beds(found, problem))
    return _verified(found, problem, load_steps, accuracy, part(progress, 0.7, 1.0)) if verify else found


def _newton(problem: Problem, load_steps: int, tolerance: float, progress: Progress) -> Unloaded:
    """Newton's method on X, load step by load step; a step that fails is halved."""
    inverse = InverseSystem(problem)
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
                raise SolverError(
                    f"no load-free shape was found beyond {100 * reached:.3g} % of the load",
                    where="unloaded_shape",
                    advice="Stiffen the supports or the tissue, or check the load: it carries the body too far",
                )
            continue
        before, shape, reached, length = (reached, shape), after, goal, length * (1.5 if rounds <= 5 else 1.0)
    free = inverse.at(shape)
    moved = np.asarray(problem.model.points) - shape
    return Unloaded(free, State.of_rows(1.0, moved, len(moved)), -moved, np.nan, share, total, "newton")


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


def _fixed_point(problem: Problem, load_steps: int, tolerance: float, accuracy: float, progress: Progress) -> Unloaded:
    """Sellier's fixed point with Anderson mixing; every solve starts from the last one's displacement."""
    scanned = np.asarray(problem.model.points)
    shape, settled, state, mixing = scanned, None, None, Anderson(depth=4)
    off = np.inf
    for rounds in range(1, MAX_ROUNDS + 1):
        progress(min(rounds / MAX_ROUNDS, 0.99), f"load-free shape, round {rounds}, {off / MM:.3g} mm off")
        at = moved_to(problem, shape)
        solution = solve(at, load_steps=1 if state is not None else load_steps, tolerance=tolerance, start=state)
        if not solution.converged:
            if settled is None:
                solution.require_converged()
            shape, mixing = 0.5 * (np.asarray(settled) + shape), Anderson(depth=4)
            continue
        settled, state = shape, solution.final
        miss = shape + np.asarray(state.displacement) - scanned
        off = float(np.linalg.norm(miss, axis=1).max())
        if off <= accuracy:
            share = solution.statistics.steps[-1].residuals[-1]
            return Unloaded(at, state, shape - scanned, off, share, rounds, "fixed point")
        shape = mixing.next(shape, -miss)
    raise SolverError(
        f"the load-free shape does not settle ({off / MM:.3g} mm off after {MAX_ROUNDS} rounds)",
        where="unloaded_shape",
        advice="Stiffen the supports or the tissue, or check the load: it carries the body too far",
    )


def _verified(found: Unloaded, problem: Problem, load_steps: int, accuracy: float, progress: Progress) -> Unloaded:
    """Loads the body from rest and measures where it ends."""
    solution = solve(found.problem, load_steps=load_steps, tolerance=1e-8, progress=progress).require_converged()
    scanned = np.asarray(problem.model.points)
    ended = np.asarray(found.problem.model.points) + np.asarray(solution.final.displacement)
    miss = np.linalg.norm(ended - scanned, axis=1)
    if miss.max() > accuracy:
        worst = int(np.argmax(miss))
        raise SolverError(
            f"loading the load-free shape ends {miss.max() / MM:.3g} mm from the scan",
            where=f"node {worst} at {np.round(scanned[worst] / MM, 2)} mm",
            advice="The load has more than one balance here; use more load steps",
        )
    return replace(found, miss=float(miss.max()))


def _without_beds(problem: Problem) -> Problem:
    """The problem that is left where beds exert nothing; raises where the body floats then."""
    others = [support for support in problem.supports if not isinstance(support, Springs)]
    left = replace(problem, supports=tuple(others))
    check_held(left)
    return left


def _with_beds(found: Unloaded, problem: Problem) -> Problem:
    """The load-free body on the problem's supports, beds at rest where it is loaded."""

    def rested(support: Any) -> Any:
        if not isinstance(support, Springs):
            return support
        return eqx.tree_at(lambda s: s.rest, support, found.state.displacement, is_leaf=lambda leaf: leaf is None)

    return replace(found.problem, supports=tuple(rested(support) for support in problem.supports))


def moved_to(problem: Problem, points: Any) -> Problem:
    """The problem on other reference positions (nodes, 3) m."""
    return eqx.tree_at(lambda p: p.model.points, problem, jnp.asarray(points))
