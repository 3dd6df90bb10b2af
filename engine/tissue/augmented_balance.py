"""Multipliers of contacts and ties inside a pure function: rounds of Uzawa's iteration as one compiled loop.

The rules are those of `augmentation`, but rounds go on beyond what was asked for until multipliers settle: derivatives
are those of the limit, m = M(u, m), which a state that stops before does not have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .device_newton import Newton, Options
from .problem import Problem

DEPTH = 5
"""Earlier rounds that Anderson's mixing takes part of."""
SETTLED = 100.0
"""Change of the multipliers in a round, over the largest, below which they have settled: so many times the tolerance of
the balance, which the penalty hands on to them."""


class Found(NamedTuple):
    """A balance: displacement and pressures (rows, 3), NaN where there is none; multipliers (n,) Pa; a record.

    The record is (converged, ‖residual‖ / force scale, Newton iterations, multipliers settled).
    """

    rows: Float[Array, "rows 3"]
    multipliers: Float[Array, " n"]
    record: Float[Array, "4"]


class Round(NamedTuple):
    """After a round: what is found, what the next one would add to the multipliers, and earlier ones."""

    rows: Array
    multipliers: Array
    change: Array
    pressed: Bool[Array, " n"]
    close: Array
    failed: Array
    rounds: Array
    iterations: Array
    share: Array
    points: Float[Array, "depth n"]
    steps: Float[Array, "depth n"]


def multipliers_of(problem: Problem) -> Float[Array, " n"]:
    """All multipliers of contacts and ties [Pa], in their order."""
    parts = [jnp.ravel(part) for contact in problem.contacts for part in contact.multipliers()]
    return jnp.concatenate(parts) if parts else jnp.zeros(0)


def with_multipliers(problem: Problem, values: Float[Array, " n"]) -> Problem:
    """The problem with others: the one whose forces a balance of `equilibrium.balance` is a zero of."""
    begun, contacts, start = problem.begun(), [], 0
    for contact in begun.contacts:
        parts = []
        for part in contact.multipliers():
            parts.append(values[start : start + part.size].reshape(part.shape))
            start += part.size
        contacts.append(contact.with_multipliers(parts))
    return replace(begun, contacts=tuple(contacts))


def renewed(problem: Problem, rows: Array, fraction: Any) -> tuple[Float[Array, " n"], Bool[Array, ""]]:
    """M(u, m): what one more round makes of the multipliers; and whether all is as close as asked."""
    parts, close = [jnp.zeros(0)], jnp.ones((), bool)
    for contact in problem.contacts:
        if contact.multipliers():
            found, near = contact.renewed(problem.model, rows, fraction)
            parts += [jnp.ravel(part) for part in found]
            close = close & near
    return jnp.concatenate(parts), close


def balanced(problem: Problem, options: Options, first: Array, fraction: Array) -> Found:
    """Equilibrium with multipliers at their limit."""
    if not multipliers_of(problem).size:
        rows, record = Newton(problem, options).run(first, fraction)
        return Found(rows, jnp.zeros(0), jnp.append(record, record[0]))
    rows, record = Newton(problem, options._replace(check_stability=False)).run(first, fraction)
    last = jax.lax.while_loop(
        _going(options), _round(problem, options, fraction), _begun(problem, rows, record, fraction)
    )
    good = ~last.failed & last.close & jnp.all(jnp.isfinite(last.rows))
    newton = Newton(with_multipliers(problem, last.multipliers), options)
    if options.check_stability and newton.symmetric and newton.definite:
        good = good & ~newton.unstable(last.rows / newton.scale, fraction)
    settled = good & _settled(last, options)
    record = jnp.stack([good.astype(float), last.share, last.iterations, settled.astype(float)])
    return Found(jnp.where(good, last.rows, jnp.nan), last.multipliers, record)


def _begun(problem: Problem, rows: Array, record: Array, fraction: Array) -> Round:
    """The penalty method's balance, as the first round."""
    known = multipliers_of(problem)
    found, close = renewed(problem, rows, fraction)
    none = jnp.zeros((DEPTH + 1, known.size))
    start = (jnp.zeros((), int), record[2], record[1], none, none)
    return Round(rows, known, found - known, found > 0, close, record[0] < 0.5, *start)


def _going(options: Options) -> Any:
    def go(now: Round) -> Array:
        return ~_settled(now, options) & ~now.failed & (now.rounds < options.rounds)

    return go


def _settled(now: Round, options: Options) -> Bool[Array, ""]:
    """Whether another round would leave the multipliers as they are."""
    size = jnp.max(jnp.abs(now.multipliers + now.change))
    return now.close & (jnp.max(jnp.abs(now.change)) <= SETTLED * options.tolerance * size)


def _round(problem: Problem, options: Options, fraction: Array) -> Any:
    """Multipliers moved on, and the balance with them."""
    sided = _one_sided(problem)

    def step(now: Round) -> Round:
        points, steps = (
            jnp.concatenate([kept[1:], new[None]])
            for kept, new in ((now.points, now.multipliers), (now.steps, now.change))
        )
        mixed = _mixed(points, steps, now.rounds)
        values = jnp.where(sided, jnp.where(now.pressed, jnp.maximum(mixed, 0.0), 0.0), mixed)
        posed = with_multipliers(problem, values)
        newton = Newton(posed, options)
        end = newton.iterate(now.rows / newton.scale, fraction)
        rows = end.displacement * newton.scale
        found, close = renewed(posed, rows, fraction)
        failed, spent = end.failed | ~end.done, now.iterations + end.iteration
        return Round(
            rows, values, found - values, found > 0, close, failed, now.rounds + 1, spent, end.share, points, steps
        )

    return step


def _mixed(points: Array, steps: Array, count: Array) -> Array:
    """Anderson's next point from the last ones, of which those before the first round are left out."""
    known = (jnp.arange(DEPTH) >= DEPTH - count)[:, None]
    by_step, by_point = (jnp.where(known, jnp.diff(part, axis=0), 0.0).T for part in (steps, points))
    share = jnp.linalg.lstsq(by_step, steps[-1], rcond=1e-10)[0]
    return points[-1] + steps[-1] - (by_point + by_step) @ share


def _one_sided(problem: Problem) -> np.ndarray:
    """Which multipliers only press."""
    parts = [
        np.full(part.size, not contact.two_sided) for contact in problem.contacts for part in contact.multipliers()
    ]
    return np.concatenate(parts)
