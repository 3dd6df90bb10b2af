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

DAMPING_START, DAMPING_LEAST, DAMPING_MOST = 1e-3, 1e-9, 1e9
STEP_DONE = 1e-4
"""Converged when a step is this share of the posterior's width, squared: ΔᵀHΔ < STEP_DONE · n."""


@dataclass
class Point:
    """One tried ξ: state, pairings, residuals in units of noise, weights (1 without robust law), the cost."""

    coordinates: NDArray
    state: State
    bound: list[Bound]
    residuals: list[NDArray]
    weights: list[NDArray]
    cost: float


@dataclass
class Linear:
    """Jacobians (m, n) of the residuals of each observation in their unit, and ∂u/∂ξ (rows, 3, n)."""

    raw: list[NDArray]
    slope: Float[np.ndarray, "rows 3 n"]

    def jacobians(self, widths: list[float]) -> list[NDArray]:
        """(m, n) in units of noise."""
        return [jacobian / width for jacobian, width in zip(self.raw, widths, strict=True)]

    def normal(self, point: Point, widths: list[float]) -> tuple[NDArray, NDArray]:
        """JᵀWJ and JᵀWr."""
        size = self.slope.shape[2]
        matrix, right = np.zeros((size, size)), np.zeros(size)
        for jacobian, residual, weight in zip(self.jacobians(widths), point.residuals, point.weights, strict=True):
            matrix += jacobian.T @ (weight[:, None] * jacobian)
            right += jacobian.T @ (weight * residual)
        return matrix, right


class LeastSquares:
    """The misfit of observations over the equilibria of a setting."""

    def __init__(
        self,
        equilibria: Equilibria,
        observations: Sequence[Observation],
        noises: Sequence[float],
    ) -> None:
        self.equilibria, self.observations = equilibria, list(observations)
        self.noises = list(noises)
        unknowns = equilibria.unknowns
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

    def at(self, coordinates: NDArray, state: State) -> Point:
        """Pairings, residuals and cost at an equilibrium."""
        setting, moved = self.equilibria.setting(coordinates), np.asarray(state.rows)
        bound = [o.bind(setting, moved) for o in self.observations]
        raw = [np.asarray(b.residuals(jnp.asarray(moved), setting)) for b in bound]
        residuals = [r / w for r, w in zip(raw, self.widths(), strict=True)]
        cost, weights = 0.5 * float(self.prior @ coordinates**2), []
        for residual, observation in zip(residuals, self.observations, strict=True):
            part, weight = _law(residual, observation.robust)
            cost, weights = cost + part, [*weights, weight]
        return Point(coordinates, state, bound, residuals, weights, cost)

    def solve(self, coordinates: NDArray, start: State | None) -> Point:
        """Equilibrium first, then `at`."""
        return self.at(coordinates, self.equilibria.solve(coordinates, start))

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
        slope = self.equilibria.slope(point.coordinates, point.state)
        return Linear(self.jacobians(point, slope), slope)

    def jacobians(self, point: Point, slope: NDArray) -> list[NDArray]:
        """(m, n) for each observation, in its unit."""
        at, moved = jnp.asarray(point.coordinates), jnp.asarray(point.state.rows)
        found = []
        for bound in point.bound:

            def value(xi: Array, u: Array, bound: Bound = bound) -> Array:
                return bound.residuals(u, self.equilibria.setting(xi))

            rate = jax.vmap(
                lambda d, s, value=value: jax.jvp(value, (at, moved), (d, s))[1]  # pyright: ignore[reportArgumentType]
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
                after = self.solve(np.clip(at + step, self.low, self.high), point.state)
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
