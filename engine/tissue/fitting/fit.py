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
from ..problem import Problem, require_problem
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
        settings: each problem with the best numbers in place; `setting`, `problem` are the first.
        states: their equilibria; `state` is the first.
        noises: standard deviation of each observation's residuals, given or found.
        residuals: of each observation, in its unit.
        weights: of each residual; 1, or less for what the robust law holds for an outlier.
        slopes: (rows, 3, n) derivative of the displacement [m] by the coordinates, of each; `slope` is the first.
        converged: whether the last minimisation did.
        solves: equilibria that were computed.
        spans: where each unknown's coordinates lie.
        unknowns, observations: what was looked for, and labels of what was seen.
    """

    estimates: tuple[Estimate, ...]
    statement: str
    posterior: Posterior
    settings: tuple[Setting, ...]
    states: tuple[State, ...]
    noises: tuple[float, ...]
    residuals: tuple[NDArray, ...]
    weights: tuple[NDArray, ...]
    slopes: tuple[Float[np.ndarray, "rows 3 n"], ...]
    converged: bool
    solves: int
    spans: tuple[slice, ...]
    unknowns: tuple[Unknown, ...]
    observations: tuple[str, ...]

    @property
    def setting(self) -> Setting:
        """Of the first problem, with the best numbers in place."""
        return self.settings[0]

    @property
    def state(self) -> State:
        """Equilibrium of the first problem."""
        return self.states[0]

    @property
    def slope(self) -> Float[np.ndarray, "rows 3 n"]:
        """∂u/∂ξ [m] of the first problem."""
        return self.slopes[0]

    @property
    def problem(self) -> Problem:
        """The first, with the best numbers in place."""
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
    problem: Problem | Setting | Sequence[Problem | Setting],
    unknowns: Sequence[Unknown],
    observations: Sequence[Observation] | Sequence[Sequence[Observation]],
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
            Several, as of the load states of one body: the unknowns are the same in all, and so are first guesses.
        unknowns: what is looked for.
        observations: what was seen; of several problems a list for each.
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
    unknowns = _listed(unknowns, Unknown, "unknowns")
    problems, groups = _cases(problem, observations)
    tolerance, iterations = given.tolerance(tolerance, "fit"), given.whole(iterations, "iterations", "fit")
    settings = [_checked(one, group) for one, group in zip(problems, groups, strict=True)]
    seen = [observation for group in groups for observation in group]
    _enough(unknowns, seen)
    cases = [Equilibria(setting, unknowns, tolerance=tolerance, load_steps=load_steps) for setting in settings]
    owners = [k for k, group in enumerate(groups) for _ in group]
    squares = LeastSquares(cases, seen, [o.noise or 1.0 for o in seen], owners)
    coordinates = np.zeros(cases[0].size)
    if start is not None:
        coordinates = np.asarray(given.array(start, "first coordinates", "fit", (cases[0].size,)))
    point = squares.solve(coordinates, None)
    first_noises(squares, point)
    point, linear, converged = _rounds(squares, squares.at(point.coordinates, point.states), iterations, progress)
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
    equilibria, seen = squares.cases[0], squares.observations
    settings = squares.settings(point.coordinates)
    states = [
        solve(setting.problem, start=state, tolerance=equilibria.tolerance).final
        for setting, state in zip(settings, point.states, strict=True)
    ]
    lefts = _leftovers(squares, point, settings)
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
        settings=tuple(settings),
        states=tuple(states),
        noises=tuple(squares.noises),
        residuals=tuple(left.residual for left in lefts),
        weights=tuple(point.weights),
        slopes=linear.slopes,
        converged=True,
        solves=sum(case.solves for case in squares.cases),
        spans=tuple(equilibria.spans),
        unknowns=equilibria.unknowns,
        observations=tuple(o.label for o in seen),
    )


def _leftovers(squares: LeastSquares, point: Point, settings: Sequence[Setting]) -> list[Leftover]:
    """Of every observation, in its unit."""
    found = []
    for k, (observation, width) in enumerate(zip(squares.observations, squares.widths(), strict=True)):
        owner = squares.owners[k]
        motion = point.bound[k].motion(jnp.asarray(point.states[owner].rows), settings[owner])
        found.append(
            Leftover(
                observation.label,
                observation.unit,
                observation.noise,
                squares.noises[k],
                observation.robust,
                point.residuals[k] * width,
                np.asarray(motion),
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


def _listed(given_items: object, kind: type | tuple[type, ...], name: str) -> list:
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


def _cases(problem: object, observations: object) -> tuple[list[Problem | Setting], list[list[Observation]]]:
    """The problems and the observations of each.

    Raises:
        SolverError: no problems, or not a list of observations for each.
    """
    if isinstance(problem, (Problem, Setting)):
        return [problem], [_listed(observations, Observation, "observations")]
    if not isinstance(problem, (list, tuple)):
        require_problem(problem, "fit")
    problems = _listed(problem, (Problem, Setting), "problems")
    groups = [_listed(group, Observation, "observations") for group in _listed(observations, (list, tuple), "lists")]
    if len(groups) != len(problems) or not problems:
        told = f"{len(problems)} problems, but observations of {len(groups)}"
        raise SolverError(told, where="fit", advice="Give one list of observations for each problem")
    return problems, groups


def _checked(problem: Problem | Setting, observations: Sequence[Observation]) -> Setting:
    """The setting, once observations fit it."""
    if not isinstance(problem, Setting):
        require_held(problem, "fit")
    setting = problem if isinstance(problem, Setting) else Setting.of(problem)
    for observation in observations:
        observation.check(setting)
    return setting


def _enough(unknowns: Sequence[Unknown], observations: Sequence[Observation]) -> None:
    """Raise where unknowns or observations are missing, or fewer than numbers without a prior."""
    if not unknowns:
        raise SolverError("nothing is unknown", where="fit", advice="Name at least one unknown")
    if not observations:
        raise SolverError("there are no observations", where="fit", advice="Give what was seen")
    free = int(sum(unknown.flat.sum() for unknown in unknowns))
    count = sum(observation.count for observation in observations)
    if free > count:
        raise SolverError(
            f"{free} unknown numbers without a prior, but only {count} observed ones",
            where="fit",
            advice="Give a prior (spread=…), fewer unknowns or more data",
        )
