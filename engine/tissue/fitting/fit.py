"""`fit`: the most probable unknown numbers given observations, how sure they are, and what stays open.

found = fit(problem, [RegionStiffness(("body", "tumour"))], [NodeDisplacements("seen", u, noise=1e-4)])
print(found)                     # estimates with intervals, the noise, the statement, what is taken as given
found.problem, found.state       # the problem with the best numbers, and its equilibrium
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from .equilibria import Equilibria
from .least_squares import LeastSquares, Linear, Point
from .observation import Observation
from .posterior import Posterior
from .setting import Setting, Unknown
from .statement import conditions, misfits, statement

ROUNDS = 8
"""Of noise estimates, each followed by a minimisation from the last best point."""
SETTLED = 0.02
"""Relative change of noise at which the rounds end."""


@dataclass(frozen=True)
class Estimate:
    """One number found.

    Attributes:
        name, unit: what it is.
        value: the most probable.
        interval_68, interval_95: (low, high), of one and 1.96 standard deviations of Laplace's approximation.
        explained: share of the prior's variance that the data removed (of a natural unit's where there is no prior).
    """

    name: str
    unit: str
    value: float
    interval_68: tuple[float, float]
    interval_95: tuple[float, float]
    explained: float

    def __str__(self) -> str:
        low, high = self.interval_95
        return f"{self.name}: {self.value:.5g} {self.unit} (95 %: {low:.5g} to {high:.5g})"


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
            does not fit the model (NaN, far points, unknown sets); no equilibrium at the first guess; no convergence.
    """
    require_float64()
    unknowns, observations = _listed(unknowns, Unknown, "unknowns"), _listed(observations, Observation, "observations")
    if isinstance(problem, Setting):
        setting = problem
    else:
        require_held(problem, "fit")
        setting = Setting.of(problem)
    tolerance, iterations = given.tolerance(tolerance, "fit"), given.whole(iterations, "iterations", "fit")
    _check(setting, unknowns, observations)
    equilibria = Equilibria(setting, unknowns, tolerance=tolerance, load_steps=load_steps)
    flat = np.concatenate([u.flat for u in unknowns])
    limits = np.concatenate([np.full(u.size, u.limit) for u in unknowns])
    squares = LeastSquares(equilibria, observations, [o.noise or 1.0 for o in observations], flat, limits)
    coordinates = np.zeros(equilibria.size)
    if start is not None:
        coordinates = np.asarray(given.array(start, "first coordinates", "fit", (equilibria.size,)))
    point = squares.solve(coordinates, None)
    _first_noises(squares, point)
    point = squares.at(point.coordinates, point.state)
    free_noise = any(o.noise is None for o in observations)
    rounds = ROUNDS if free_noise else 1
    linear, converged = squares.linearize(point), False
    for number in range(rounds):
        point, linear, converged = squares.minimise(
            point, iterations=iterations, progress=progress, tell=f"round {number + 1}, " if rounds > 1 else ""
        )
        posterior = Posterior.of(point.coordinates, linear.normal(point, squares.widths())[0], flat)
        if rounds == 1:
            break
        point, change = _update(squares, point, linear, posterior)
        if change < SETTLED:
            break
    if not converged:
        raise SolverError(
            f"the fit did not settle in {iterations} steps", where="fit", advice="Give priors, or a better first guess"
        )
    return _result(squares, point, linear, unknowns, flat)


def _result(squares: LeastSquares, point: Point, linear: Linear, unknowns: Sequence[Unknown], flat: NDArray) -> Fit:
    equilibria = squares.equilibria
    setting = equilibria.setting(point.coordinates)
    checked = solve(setting.problem, start=point.state, tolerance=equilibria.tolerance)
    state = checked.final
    widths = squares.widths()
    posterior = Posterior.of(point.coordinates, linear.normal(point, widths)[0], flat)
    seen = squares.observations
    residuals = tuple(r * w for r, w in zip(point.residuals, widths, strict=True))
    unexplained = misfits([o.label for o in seen], [None if o.robust else o.noise for o in seen], residuals)
    return Fit(
        estimates=tuple(_estimates(posterior, unknowns, equilibria)),
        statement=" ".join([statement(posterior, unknowns, equilibria.spans), *unexplained]),
        posterior=posterior,
        setting=setting,
        state=state,
        noises=tuple(squares.noises),
        residuals=residuals,
        weights=tuple(point.weights),
        slope=linear.slope,
        converged=True,
        solves=equilibria.solves,
        spans=tuple(equilibria.spans),
        observations=tuple(o.label for o in squares.observations),
    )


def _estimates(posterior: Posterior, unknowns: Sequence[Unknown], equilibria: Equilibria) -> list[Estimate]:
    found = []
    for unknown, span in zip(unknowns, equilibria.spans, strict=True):
        mean, spread = posterior.mean[span], posterior.spread[span]
        for k, reported in enumerate(unknown.report(mean)):
            at = [float(reported.value(mean[k] + z * spread[k])) for z in (0.0, -1.0, 1.0, -1.96, 1.96)]
            found.append(
                Estimate(
                    reported.name,
                    reported.unit,
                    at[0],
                    (at[1], at[2]),
                    (at[3], at[4]),
                    float(np.clip(1.0 - spread[k] ** 2, 0.0, 1.0)),
                )
            )
    return found


def _first_noises(squares: LeastSquares, point: Point) -> None:
    """Noise to begin with where none is given: what is left at the first guess."""
    for k, observation in enumerate(squares.observations):
        if observation.noise is None:
            raw = point.residuals[k] * squares.widths()[k]
            squares.noises[k] = max(_size(raw, observation.robust), 1e-12)


def _update(squares: LeastSquares, point: Point, linear: Linear, posterior: Posterior) -> tuple[Point, float]:
    """Noise that makes the evidence stationary (MacKay, Neural Computation 4:415, 1992)."""
    change = 0.0
    for k, observation in enumerate(squares.observations):
        if observation.noise is not None:
            continue
        used = posterior.freedom(linear.jacobians(squares.widths())[k], point.weights[k])
        raw = point.residuals[k] * squares.widths()[k]
        count = len(raw) / squares.effects[k]
        share = max(count - used, 1.0) / count
        noise = max(_size(raw, observation.robust) / np.sqrt(share), 1e-12)
        change = max(change, abs(np.log(noise / squares.noises[k])))
        squares.noises[k] = noise
    return squares.at(point.coordinates, point.state), change


def _size(residual: NDArray, robust: bool) -> float:
    """Standard deviation about zero; of the core of the residuals where there may be outliers."""
    if robust:
        return float(1.4826 * np.median(np.abs(residual)))
    return float(np.sqrt((residual**2).mean()))


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


def _check(setting: Setting, unknowns: Sequence[Unknown], observations: Sequence[Observation]) -> None:
    if not unknowns:
        raise SolverError("nothing is unknown", where="fit", advice="Name at least one unknown")
    if not observations:
        raise SolverError("there are no observations", where="fit", advice="Give what was seen")
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
