"""Saddle points of mixed elements on a device: MINRES over local stiffness matrices.

The matrix is that of `saddle`. MINRES needs a preconditioner that is symmetric and positive: it is block diagonal, a
V-cycle for the displacements, and for the pressures the diagonal of C + B D⁻¹ Bᵀ, summed over elements (Elman,
Silvester and Wathen, *Finite Elements and Fast Iterative Solvers*, 2nd ed., chapter 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .device import MAX_ITERATIONS, Blocks, LocalStiffness, _multigrid, _polynomial
from .device_cycle import DeviceCycle

REFINEMENTS = 6
"""Restarts from the true residual: MINRES sees that of the preconditioned system."""


class Saddle(eqx.Module):
    """The whole matrix, and what its preconditioner needs of it.

    Attributes:
        whole: all rows; pressures in component x of those after the nodes.
        solid: rows of displacements.
        compliance: diag(C + B D⁻¹ Bᵀ) of the pressures.
    """

    whole: Blocks
    solid: Blocks
    compliance: Float[Array, " pressures"]

    @classmethod
    def of(cls, whole: Blocks, counts: Sequence[int], nodes: int) -> Saddle:
        """`counts` tells how many of each part's columns are nodes; the rest are pressures."""
        cut = [
            LocalStiffness(part.nodes[:, :count], part.matrices[:, : 3 * count, : 3 * count])
            for part, count in zip(whole.parts, counts, strict=True)
        ]
        solid = Blocks(cut, whole.free[:nodes])
        return cls(whole, solid, _compliance(whole, solid, counts, nodes))


def _compliance(whole: Blocks, solid: Blocks, counts: Sequence[int], nodes: int) -> Array:
    diagonal = jnp.diagonal(solid.diagonal(), axis1=1, axis2=2)
    inverse = jnp.where(solid.free > 0.0, 1.0 / jnp.where(diagonal > 0.0, diagonal, 1.0), 0.0)
    total = jnp.zeros(len(whole.free) - nodes)
    for part, count in zip(whole.parts, counts, strict=True):
        inner = inverse[part.nodes[:, :count]].reshape(len(part.nodes), -1)
        for corner in range(count, part.nodes.shape[1]):
            row = part.matrices[:, 3 * corner]
            own = jnp.sum(row[:, : 3 * count] ** 2 * inner, axis=1) - row[:, 3 * corner]
            total = total.at[part.nodes[:, corner] - nodes].add(own)
    return jnp.maximum(total, 1e-300)


class Outcome(NamedTuple):
    """Solution (rows, 3), iterations, and whether the residual is as small as it was asked to be."""

    solution: Array
    iterations: Array
    converged: Array


@eqx.filter_jit
def solve_saddle(saddle: Saddle, rhs: Array, tolerance: Array | float, cycle: DeviceCycle | None = None) -> Outcome:
    """To a relative residual."""
    rhs = rhs * saddle.whole.free
    goal = tolerance * jnp.linalg.norm(rhs)

    def go(carry: tuple[Array, ...]) -> Array:
        return (jnp.linalg.norm(carry[1]) > goal) & (carry[3] < REFINEMENTS)

    def again(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        solution, left, iterations, rounds = carry
        share = jnp.maximum(0.3 * goal / jnp.linalg.norm(left), 1e-12)
        step, count = _minres(saddle, left, share, cycle)
        solution = solution + step
        return solution, rhs - saddle.whole.constrained(solution), iterations + count, rounds + 1

    none = jnp.zeros((), int)
    solution, left, iterations, _ = jax.lax.while_loop(go, again, (jnp.zeros_like(rhs), rhs, none, none))
    return Outcome(solution, iterations, jnp.linalg.norm(left) <= goal)


class _State(NamedTuple):
    """Of the iteration: two Lanczos vectors, two directions, and the last turns; `left` is the residual's norm."""

    solution: Array
    before: Array
    now: Array
    better: Array
    older: Array
    old: Array
    sizes: Array
    cosines: Array
    sines: Array
    left: Array
    iteration: Array


def _minres(saddle: Saddle, rhs: Array, tolerance: Array, cycle: DeviceCycle | None) -> tuple[Array, Array]:
    nodes = len(saddle.solid.free)
    inner = _polynomial(saddle.solid) if cycle is None else _multigrid(saddle.solid, cycle)

    def precondition(vector: Array) -> Array:
        pressure = jnp.zeros((len(vector) - nodes, 3)).at[:, 0].set(vector[nodes:, 0] / saddle.compliance)
        return jnp.concatenate([inner(vector[:nodes]), pressure])

    def size_of(vector: Array, better: Array) -> Array:
        return jnp.sqrt(jnp.maximum(jnp.sum(vector * better), 0.0))

    better = precondition(rhs)
    start = size_of(rhs, better)

    def go(s: _State) -> Array:
        return (jnp.abs(s.left) > tolerance * start) & (s.iteration < MAX_ITERATIONS) & (s.sizes[1] > 0.0)

    def step(s: _State) -> _State:
        way = s.better / s.sizes[1]
        image = saddle.whole.constrained(way)
        delta = jnp.sum(image * way)
        after = image - delta / s.sizes[1] * s.now - s.sizes[1] / s.sizes[0] * s.before
        improved = precondition(after)
        size = size_of(after, improved)
        first = s.cosines[1] * delta - s.cosines[0] * s.sines[1] * s.sizes[1]
        turn = jnp.sqrt(first**2 + size**2)
        second = s.sines[1] * delta + s.cosines[0] * s.cosines[1] * s.sizes[1]
        third = s.sines[0] * s.sizes[1]
        direction = (way - third * s.older - second * s.old) / turn
        cosine, sine = first / turn, size / turn
        return _State(
            s.solution + cosine * s.left * direction, s.now, after, improved, s.old, direction,
            jnp.stack([s.sizes[1], size]), jnp.stack([s.cosines[1], cosine]), jnp.stack([s.sines[1], sine]),
            -sine * s.left, s.iteration + 1,
        )  # fmt: skip

    zero, one = jnp.zeros_like(rhs), jnp.ones(2)
    first = _State(
        zero, zero, rhs, better, zero, zero, jnp.stack([jnp.ones(()), start]), one, jnp.zeros(2), start,
        jnp.zeros((), int),
    )  # fmt: skip
    last = jax.lax.while_loop(go, step, first)
    return last.solution, last.iteration
