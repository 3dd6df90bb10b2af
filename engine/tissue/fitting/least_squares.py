"""Gauss–Newton with Levenberg and Marquardt's damping on residuals and a standard normal prior.

Minimises ½ Σ ρ(r_i(ξ)) + ½ Σ_prior ξ_k², r in units of their noise, ρ(r) = r² or Student's −2 ln of the density.
Pairings (which place of the surface belongs to a point) are found anew at every state that is tried, so that what is
compared is the true misfit and not that of old pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ....imaging.progress import Progress
from ..solution import State
from .correlation import Together, gathered, measured
from .equilibria import Equilibria
from .observation import STUDENT_FREEDOM, Bound, Observation
from .posterior import Posterior
from .setting import Setting

DAMPING_START, DAMPING_LEAST, DAMPING_MOST = 1e-3, 1e-9, 1e9
STEP_DONE = 1e-4
"""Converged when a step is this share of the posterior's width, squared: ΔᵀHΔ < STEP_DONE · n."""


@dataclass
class Point:
    """One tried ξ: a state per problem; of all observations pairings, residuals over noise, weights; the cost."""

    coordinates: NDArray
    states: tuple[State, ...]
    bound: list[Bound]
    residuals: list[NDArray]
    weights: list[NDArray]
    cost: float


@dataclass
class Linear:
    """Jacobians (m, n) of the residuals of each observation in their unit, and ∂u/∂ξ (rows, 3, n) of each problem."""

    raw: list[NDArray]
    slopes: tuple[Float[np.ndarray, "rows 3 n"], ...]

    def jacobians(self, widths: list[float]) -> list[NDArray]:
        """(m, n) in units of noise."""
        return [jacobian / width for jacobian, width in zip(self.raw, widths, strict=True)]

    def normal(self, point: Point, widths: list[float]) -> tuple[NDArray, NDArray]:
        """JᵀWJ and JᵀWr."""
        size = self.slopes[0].shape[2]
        matrix, right = np.zeros((size, size)), np.zeros(size)
        for jacobian, residual, weight in zip(self.jacobians(widths), point.residuals, point.weights, strict=True):
            matrix += jacobian.T @ (weight[:, None] * jacobian)
            right += jacobian.T @ (weight * residual)
        return matrix, right


class LeastSquares:
    """The misfit of observations over the equilibria of one or several problems that share the unknowns.

    `owners`: of which problem each observation is; of the first by default.
    """

    def __init__(
        self,
        cases: Sequence[Equilibria],
        observations: Sequence[Observation],
        noises: Sequence[float],
        owners: Sequence[int] | None = None,
    ) -> None:
        self.cases, self.observations = tuple(cases), list(observations)
        self.owners = [0] * len(self.observations) if owners is None else list(owners)
        self.noises = list(noises)
        unknowns = self.cases[0].unknowns
        self.flat = np.concatenate([u.flat for u in unknowns])
        self.prior = np.where(self.flat, 0.0, 1.0)
        self.limits = np.concatenate([np.full(u.size, u.limit) for u in unknowns])
        self.low, self.high = np.concatenate([np.tile(u.bounds, (u.size, 1)) for u in unknowns]).T
        self.effects = [1.0] * len(self.observations)

    def widths(self) -> list[float]:
        """What residuals are divided by: noise × √design effect."""
        return [n * np.sqrt(e) for n, e in zip(self.noises, self.effects, strict=True)]

    def weigh(self, point: Point) -> None:
        """Takes the design effects from the pairings of a point, for all that follows."""
        self.effects = [o.design_effect(b) for o, b in zip(self.observations, point.bound, strict=True)]

    def settings(self, coordinates: NDArray | Array) -> list[Setting]:
        """Each problem with all unknown numbers in place."""
        return [case.setting(coordinates) for case in self.cases]

    def at(self, coordinates: NDArray, states: Sequence[State]) -> Point:
        """Pairings, residuals and cost at equilibria."""
        settings, moved = self.settings(coordinates), [np.asarray(state.rows) for state in states]
        bound = [o.bind(settings[c], moved[c]) for o, c in zip(self.observations, self.owners, strict=True)]
        raw = [
            np.asarray(b.residuals(jnp.asarray(moved[c]), settings[c])) for b, c in zip(bound, self.owners, strict=True)
        ]
        residuals = [r / w for r, w in zip(raw, self.widths(), strict=True)]
        cost, weights = 0.5 * float(self.prior @ coordinates**2), []
        for residual, observation in zip(residuals, self.observations, strict=True):
            part, weight = _law(residual, observation.robust)
            cost, weights = cost + part, [*weights, weight]
        return Point(coordinates, tuple(states), bound, residuals, weights, cost)

    def solve(self, coordinates: NDArray, starts: Sequence[State] | None) -> Point:
        """Equilibria first, then `at`."""
        near = [None] * len(self.cases) if starts is None else starts
        return self.at(
            coordinates, [case.solve(coordinates, start) for case, start in zip(self.cases, near, strict=True)]
        )

    def posterior(self, point: Point, linear: Linear, together: Sequence[Together | None] | None = None) -> Posterior:
        """Laplace's approximation at a point, with what residuals that go together add to its width.

        They do as their observation says (`kernel`), or as was measured (`together`).
        """
        widths = self.widths()
        normal, jacobians = linear.normal(point, widths)[0], linear.jacobians(widths)
        found = [None] * len(self.observations) if together is None else together
        if all(o.kernel is None and t is None for o, t in zip(self.observations, found, strict=True)):
            return Posterior.of(point.coordinates, normal, self.flat)
        scatter = np.zeros_like(normal)
        for k, (observation, one) in enumerate(zip(self.observations, found, strict=True)):
            weighted = np.sqrt(point.weights[k])[:, None] * jacobians[k]
            if one is None:
                scatter += observation.gathered(point.bound[k], weighted) / self.effects[k]
            else:
                scatter += self._scatter(point, k, weighted, one)
        return Posterior.of(point.coordinates, normal, self.flat, scatter)

    def _scatter(self, point: Point, k: int, jacobian: NDArray, one: Together) -> NDArray:
        """Jᵀ cov(r) J in units of noise: of what goes together as much as there is of it, whatever noise was given."""
        places = self.observations[k].positions
        assert places is not None
        share = one.share * float((point.weights[k] * point.residuals[k] ** 2).mean())
        alike = gathered(places, point.bound[k].directions(), jacobian, one.length)
        return max(1.0 - share, 0.0) * jacobian.T @ jacobian + share * alike

    def together(self, point: Point) -> list[Together | None]:
        """How the residuals of each observation go together where it was not said that they do."""
        found: list[Together | None] = []
        for k, observation in enumerate(self.observations):
            places = observation.positions
            if observation.correlation or places is None:
                found.append(None)
                continue
            left = np.sqrt(point.weights[k]) * point.residuals[k]
            found.append(measured(places, left, point.bound[k].directions()))
        return found

    def linearize(self, point: Point) -> Linear:
        """Derivatives of all residuals with fixed pairings."""
        pairs = zip(self.cases, point.states, strict=True)
        slopes = tuple(case.slope(point.coordinates, state) for case, state in pairs)
        return Linear(self.jacobians(point, slopes), slopes)

    def jacobians(self, point: Point, slopes: Sequence[NDArray]) -> list[NDArray]:
        """(m, n) for each observation, in its unit."""
        at, found = jnp.asarray(point.coordinates), []
        for bound, owner in zip(point.bound, self.owners, strict=True):
            moved, slope, case = jnp.asarray(point.states[owner].rows), slopes[owner], self.cases[owner]

            def value(xi: Array, u: Array, bound: Bound = bound, case: Equilibria = case) -> Array:
                return bound.residuals(u, case.setting(xi))

            rate = jax.vmap(
                lambda d, s, value=value, moved=moved: jax.jvp(value, (at, moved), (d, s))[1]  # pyright: ignore[reportArgumentType]
            )
            parts = []
            for first in range(0, len(at), 32):
                chosen = slice(first, min(first + 32, len(at)))
                columns = jnp.asarray(np.moveaxis(slope[:, :, chosen], -1, 0))
                parts.append(np.asarray(rate(jnp.eye(len(at))[chosen], columns)))
            found.append(np.concatenate(parts).T)
        return found

    def minimise(
        self, start: Point, *, iterations: int, progress: Progress, tell: str = ""
    ) -> tuple[Point, Linear, bool]:
        """The best point, the derivatives there, and whether it converged."""
        point, damping = start, DAMPING_START
        linear = self.linearize(point)
        for iteration in range(iterations):
            matrix, right = linear.normal(point, self.widths())
            gradient = right + self.prior * point.coordinates
            hessian = matrix + np.diag(self.prior)
            progress(iteration / iterations, f"{tell}step {iteration + 1}, misfit {point.cost:.4g}")
            step, after = self._step(point, hessian, gradient, damping)
            if after is None:
                return point, linear, _small(step, hessian)
            damping = max(after[1], DAMPING_LEAST)
            gained = point.cost - after[0].cost
            point = after[0]
            linear = self.linearize(point)
            if _small(step, hessian) or gained < 1e-7 * max(1.0, point.cost):
                return point, linear, True
        return point, linear, False

    def _step(
        self, point: Point, hessian: NDArray, gradient: NDArray, damping: float
    ) -> tuple[NDArray, tuple[Point, float] | None]:
        """A step that lowers the cost and the damping for the next; None where there is none."""
        scale = np.maximum(np.diag(hessian), 1e-12 * max(np.diag(hessian).max(), 1e-300))
        step, at = np.zeros_like(gradient), point.coordinates
        free = ~((at <= self.low) & (gradient > 0) | (at >= self.high) & (gradient < 0))
        while damping < DAMPING_MOST:
            inner = (hessian + damping * np.diag(scale))[np.ix_(free, free)]
            step[free] = -np.linalg.solve(inner, gradient[free])
            step *= min(1.0, float(np.min(self.limits / np.maximum(np.abs(step), 1e-300))))
            step = np.clip(at + step, self.low, self.high) - at
            if _small(step, hessian, 1e-4 * STEP_DONE):
                return step, None
            try:
                after = self.solve(np.clip(at + step, self.low, self.high), point.states)
            except SolverError:
                damping = max(10.0 * damping, 1e-2)
                continue
            expected = -(gradient @ step) - 0.5 * step @ hessian @ step
            gain = (point.cost - after.cost) / max(expected, 1e-300)
            if after.cost < point.cost:
                return step, (after, damping * (0.2 if gain > 0.5 else 1.0 if gain > 0.1 else 4.0))
            if _small(step, hessian):
                return step, None
            damping = max(10.0 * damping, 1e-3)
        return step, None


def _small(step: NDArray, hessian: NDArray, share: float = STEP_DONE) -> bool:
    return float(step @ hessian @ step) < share * len(step)


def _law(residual: NDArray, robust: bool) -> tuple[float, NDArray]:
    """Cost ½ Σ ρ and the weights ρ'(r)/(2r) of iteratively reweighted least squares."""
    square = residual**2
    if not robust:
        return 0.5 * float(square.sum()), np.ones_like(residual)
    freedom = STUDENT_FREEDOM
    return 0.5 * (freedom + 1.0) * float(np.log1p(square / freedom).sum()), (freedom + 1.0) / (freedom + square)
