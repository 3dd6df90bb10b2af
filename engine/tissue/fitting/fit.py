"""`fit`: the most probable unknown numbers given observations, how sure they are, and what stays open.

found = fit(problem, [RegionStiffness(("body", "tumour"))], [NodeDisplacements("seen", u, noise=1e-4)])
print(found)                     # estimates with intervals, the noise, the statement, what is taken as given
found.problem, found.state       # the problem with the best numbers, and its equilibrium
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ....imaging.progress import Progress, silent
from ...precision import require_float64
from .. import given
from ..problem import Problem
from ..solution import State
from ..static import require_held, solve
from .contradictions import Leftover, alike, conflicts, drowned, misfit, refuse_worse
from .equilibria import Equilibria
from .estimate import Estimate, estimates
from .least_squares import LeastSquares, Linear, Point
from .noise import first_noises, update
from .observation import Observation
from .posterior import Posterior
from .setting import Setting, Unknown
from .statement import at_ends, conditions, statement

ROUNDS = 8
"""Of noise estimates, each followed by a minimisation from the last best point."""
SETTLED = 0.02
"""Relative change of noise at which the rounds end."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit found.

    Attributes:
        estimates: the numbers that have names, fields left out.
        statement: what the data cannot tell.
        posterior: of the standard coordinates of all unknowns in order.
        setting: with the best numbers in place; `problem` is the one in it.
        state: its equilibrium.
        noises: standard deviation of each observation's residuals, given or found.
        residuals: of each observation, in its unit.
        weights: of each residual; 1, or less for what the robust law holds for an outlier.
        slope: (rows, 3, n) derivative of the displacement [m] by the coordinates.
        converged: whether the last minimisation did.
        solves: equilibria that were computed.
        spans: where each unknown's coordinates lie.
        unknowns, observations: what was looked for, and labels of what was seen.
    """

    estimates: tuple[Estimate, ...]
    statement: str
    posterior: Posterior
    setting: Setting
    state: State
    noises: tuple[float, ...]
    residuals: tuple[NDArray, ...]
    weights: tuple[NDArray, ...]
    slope: Float[np.ndarray, "rows 3 n"]
    converged: bool
    solves: int
    spans: tuple[slice, ...]
    unknowns: tuple[Unknown, ...]
    observations: tuple[str, ...]

    @property
    def problem(self) -> Problem:
        """With the best numbers in place."""
        return self.setting.problem

    @property
    def conditions(self) -> str:
        """What the intervals take as given: mesh, elements, ν."""
        return conditions(self.problem.model)

    def __str__(self) -> str:
        lines = [str(estimate) for estimate in self.estimates]
        for label, noise, residual in zip(self.observations, self.noises, self.residuals, strict=True):
            rms = float(np.sqrt((residual**2).mean()))
            lines.append(f"{label}: {len(residual)} residuals, RMS {rms:.3g}, noise {noise:.3g}")
        return "\n".join([*lines, self.statement, self.conditions])


def fit(
    problem: Problem | Setting,
    unknowns: Sequence[Unknown],
    observations: Sequence[Observation],
    *,
    start: NDArray | None = None,
    load_steps: int = 1,
    tolerance: float = 1e-9,
    iterations: int = 20,
    progress: Progress = silent,
) -> Fit:
    """The most probable values of the unknowns.

    Args:
        problem: with the values that the unknowns change as first guess (or a setting, where the frames differ).
        unknowns: what is looked for.
        observations: what was seen.
        start: (n,) first coordinates; zero by default.
        load_steps: of the solves that have no state nearby to start from.
        tolerance: of the equilibria.
        iterations: of each minimisation.
        progress: told of each step.

    Raises:
        SolverError: no unknowns or observations; more numbers without a prior than residuals; an observation that
            does not fit the model (NaN, far points, unknown sets); no equilibrium at the first guess; no convergence; a
            motion that matches data of unknown noise worse than the body at rest.
    """
    require_float64()
    unknowns, observations = _listed(unknowns, Unknown, "unknowns"), _listed(observations, Observation, "observations")
    tolerance, iterations = given.tolerance(tolerance, "fit"), given.whole(iterations, "iterations", "fit")
    setting = _checked(problem, unknowns, observations)
    equilibria = Equilibria(setting, unknowns, tolerance=tolerance, load_steps=load_steps)
    squares = LeastSquares(equilibria, observations, [o.noise or 1.0 for o in observations])
    coordinates = np.zeros(equilibria.size)
    if start is not None:
        coordinates = np.asarray(given.array(start, "first coordinates", "fit", (equilibria.size,)))
    point = squares.solve(coordinates, None)
    first_noises(squares, point)
    point, linear, converged = _rounds(squares, squares.at(point.coordinates, point.state), iterations, progress)
    if not converged:
        raise SolverError(
            f"the fit did not settle in {iterations} steps", where="fit", advice="Give priors, or a better first guess"
        )
    return _result(squares, point, linear)


def _rounds(squares: LeastSquares, point: Point, iterations: int, progress: Progress) -> tuple[Point, Linear, bool]:
    """Minimised; where a noise is to be found, again and again until it settles."""
    rounds = ROUNDS if any(o.noise is None for o in squares.observations) else 0
    point, linear, converged = squares.minimise(
        point, iterations=iterations, progress=progress, tell="round 1, " if rounds else ""
    )
    for number in range(1, rounds + 1):
        point, change = update(squares, point, linear, squares.posterior(point, linear))
        if change < SETTLED or number == rounds:
            break
        tell = f"round {number + 1}, "
        point, linear, converged = squares.minimise(point, iterations=iterations, progress=progress, tell=tell)
    return point, linear, converged


def _result(squares: LeastSquares, point: Point, linear: Linear) -> Fit:
    equilibria, seen = squares.equilibria, squares.observations
    setting = equilibria.setting(point.coordinates)
    state = solve(setting.problem, start=point.state, tolerance=equilibria.tolerance).final
    lefts = _leftovers(squares, point, setting)
    for left in lefts:
        refuse_worse(left)
    posterior, told_alike = _widened(squares, point, linear)
    told = [statement(posterior, equilibria.unknowns, equilibria.spans)]
    told += at_ends(posterior, equilibria.unknowns, equilibria.spans)
    told += conflicts(posterior, equilibria.unknowns, equilibria.spans)
    told += [sentence for left in lefts for sentence in (*misfit(left), *drowned(left))] + told_alike
    return Fit(
        estimates=tuple(estimates(posterior, equilibria.unknowns, equilibria.spans)),
        statement=" ".join(told),
        posterior=posterior,
        setting=setting,
        state=state,
        noises=tuple(squares.noises),
        residuals=tuple(left.residual for left in lefts),
        weights=tuple(point.weights),
        slope=linear.slope,
        converged=True,
        solves=equilibria.solves,
        spans=tuple(equilibria.spans),
        unknowns=equilibria.unknowns,
        observations=tuple(o.label for o in seen),
    )


def _leftovers(squares: LeastSquares, point: Point, setting: Setting) -> list[Leftover]:
    """Of every observation, in its unit."""
    found, moved = [], jnp.asarray(point.state.rows)
    for k, (observation, width) in enumerate(zip(squares.observations, squares.widths(), strict=True)):
        found.append(
            Leftover(
                observation.label,
                observation.unit,
                observation.noise,
                squares.noises[k],
                observation.robust,
                point.residuals[k] * width,
                np.asarray(point.bound[k].motion(moved, setting)),
                observation.unit == "m",
                squares.effects[k],
            )
        )
    return found


def _widened(squares: LeastSquares, point: Point, linear: Linear) -> tuple[Posterior, list[str]]:
    """The posterior, wider where residuals go together of which it was not said; and what is told of it."""
    together, seen = squares.together(point), squares.observations
    narrow = squares.posterior(point, linear)
    if all(one is None for one in together):
        return narrow, []
    whole = squares.posterior(point, linear, together)
    asked = [one if o.correlation is None else None for one, o in zip(together, seen, strict=True)]
    factor = float((whole.spread / np.maximum(narrow.spread, 1e-300)).max())
    told = [
        alike(o.label, o.count, one, factor, widened=o.correlation is None)
        for one, o in zip(together, seen, strict=True)
        if one is not None
    ]
    return squares.posterior(point, linear, asked), told


def _listed(given_items: object, kind: type, name: str) -> list:
    """The items as a list.

    Raises:
        SolverError: no list, or something else among them.
    """
    if not isinstance(given_items, (list, tuple)):
        raise SolverError(f"{name} are a {type(given_items).__name__}", where="fit", advice="Give a list")
    for item in given_items:
        if not isinstance(item, kind):
            raise SolverError(f"a {type(item).__name__} is none of the {name}", where="fit", advice="See docs/how-to")
    return list(given_items)


def _checked(problem: Problem | Setting, unknowns: Sequence[Unknown], observations: Sequence[Observation]) -> Setting:
    """The setting, once unknowns and observations fit it and each other."""
    if not unknowns:
        raise SolverError("nothing is unknown", where="fit", advice="Name at least one unknown")
    if not observations:
        raise SolverError("there are no observations", where="fit", advice="Give what was seen")
    if not isinstance(problem, Setting):
        require_held(problem, "fit")
    setting = problem if isinstance(problem, Setting) else Setting.of(problem)
    for observation in observations:
        observation.check(setting)
    free = int(sum(unknown.flat.sum() for unknown in unknowns))
    count = sum(observation.count for observation in observations)
    if free > count:
        raise SolverError(
            f"{free} unknown numbers without a prior, but only {count} observed ones",
            where="fit",
            advice="Give a prior (spread=…), fewer unknowns or more data",
        )
    return setting
