"""The implicit rule of a balance: K u̇ = −∂R/∂p ṗ, and with multipliers the saddle of both.

    [R_u R_m; Q_u Q_m] (u̇, ṁ) = −(r, q),   Q = M(u, m) − m,   by GCR on   Q_m − Q_u R_u⁻¹ R_m

as in `derivatives.multipliers`, but of traced arrays: what is here can be transposed, differentiated again and batched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..linear.device import Blocks
from ..linear.gcr import gcr
from .augmented_balance import renewed, with_multipliers
from .device_newton import Newton, Options
from .problem import Problem
from .residual import external_force, internal_force

LINEAR_TOLERANCE = 1e-12
"""Of the solves of the implicit rule."""
SCHUR_TOLERANCE, SCHUR_ITERATIONS = 1e-10, 300
"""Of GCR on the multipliers' own system, whose eigenvalues lie between −1 and 0, most near −1."""

Pair = tuple[Array, Array]
"""Of rows (rows, 3) and multipliers (n,)."""


def forces(rows: Array, multipliers: Array, problem: Problem, fraction: Array) -> Array:
    """R(u, m): internal less external forces (rows, 3) [N]."""
    posed = with_multipliers(problem, multipliers) if multipliers.size else problem
    return internal_force(rows, posed, fraction) - external_force(rows, posed, fraction)


def closing(rows: Array, multipliers: Array, problem: Problem, fraction: Array) -> Array:
    """Q = M(u, m) − m (n,) [Pa]."""
    return renewed(with_multipliers(problem, multipliers), rows, fraction)[0] - multipliers


def answered(problem: Problem, at: Pair, fraction: Array, right: Pair) -> Pair:
    """(u̇, ṁ) of a right-hand side: zero where held; NaN where a solve did not settle."""
    own = _Own(problem, at, fraction)

    # One vector: of several, each part must depend on what is differentiated.
    def flat(pair: Pair) -> Array:
        return jnp.concatenate([pair[0].ravel(), pair[1]])

    def parts(vector: Array) -> Pair:
        return vector[: right[0].size].reshape(right[0].shape), vector[right[0].size :]

    def solve(_: Any, vector: Array, *, turned: bool = False) -> Array:
        return flat(own.solve(parts(vector), turned=turned))

    rows, change = parts(
        jax.lax.custom_linear_solve(
            lambda way: flat(own.product(parts(way))),
            flat((own.scale * right[0], right[1])),
            solve,
            None if own.symmetric else partial(solve, turned=True),
            symmetric=own.symmetric,
        )
    )
    return own.scale * rows, change


class _Own:
    """The saddle's blocks at one balance, with rows in the units of `row_scale`."""

    def __init__(self, problem: Problem, at: Pair, fraction: Array) -> None:
        self.newton = Newton(problem if not at[1].size else with_multipliers(problem, at[1]), Options())
        self.problem, self.at, self.fraction = problem, at, fraction
        self.free, self.scale = self.newton.free, self.newton.scale
        self.symmetric = self.newton.symmetric and not at[1].size

    def product(self, way: Pair) -> Pair:
        """Of the whole, the identity where held."""
        move = self.scale * way[0] * self.free
        image = jax.jvp(lambda u, m: forces(u, m, self.problem, self.fraction), self.at, (move, way[1]))[1]
        rows = self.scale * image * self.free + way[0] * (1.0 - self.free)
        if not way[1].size:
            return rows, way[1]
        return rows, jax.jvp(lambda u, m: closing(u, m, self.problem, self.fraction), self.at, (move, way[1]))[1]

    def solve(self, right: Pair, *, turned: bool) -> Pair:
        """By the Schur complement of the multipliers; of the transposed matrix if `turned`."""
        inverse = self._inverse(turned)
        if not right[1].size:
            return inverse(right[0]), right[1]
        still = (jnp.zeros_like(self.at[0]), jnp.zeros_like(self.at[1]))
        transposed = jax.linear_transpose(self.product, still) if turned else None

        def product(way: Pair) -> Pair:
            return self.product(way) if transposed is None else transposed(way)[0]

        def to_rows(change: Array) -> Array:
            return product((still[0], change))[0] * self.free

        def schur(change: Array) -> Array:
            own = product((-inverse(to_rows(change)), change))
            return own[1]

        wanted = right[1] - product((inverse(right[0]) * self.free, still[1]))[1]
        change, settled = gcr(schur, wanted, SCHUR_TOLERANCE, SCHUR_ITERATIONS)
        change = jnp.where(settled, change, jnp.nan)
        return inverse(right[0] - to_rows(change)), change

    def _inverse(self, turned: bool) -> Callable[[Array], Array]:
        """R_u⁻¹ on the free components, the identity on those held; NaN where it did not settle."""
        blocks = Blocks(self.newton.stiffness(self.at[0] / self.scale, self.fraction), self.free)
        blocks = blocks.turned() if turned and not self.newton.symmetric else blocks

        def solve(right: Array) -> Array:
            solution, settled = self.newton.solve(blocks, right, jnp.asarray(LINEAR_TOLERANCE))
            return jnp.where(settled, solution, jnp.nan)

        return solve
