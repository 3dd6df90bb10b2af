"""Conjugate gradients on a device over local stiffness matrices, preconditioned by a V-cycle.

Small systems, and those for which no hierarchy was made, take a Chebyshev polynomial over block Jacobi.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .device_cycle import DeviceCycle

MAX_ITERATIONS = 5000
DEGREE = 4
"""Matrix products per application of the preconditioner."""
SPREAD = 30.0
"""The polynomial damps eigenvalues between λ_max/SPREAD and λ_max."""


class LocalStiffness(NamedTuple):
    """Stiffness [N/m] of groups of nodes, laid out once as the matrices that every product multiplies."""

    nodes: Int[Array, "groups m"]
    matrices: Float[Array, "groups 3m 3m"]

    @classmethod
    def of(cls, nodes: Array, blocks: Float[Array, "groups m m 3 3"]) -> LocalStiffness:
        """From the block of each pair of nodes."""
        groups, size = nodes.shape
        return cls(nodes, jnp.transpose(blocks, (0, 1, 3, 2, 4)).reshape(groups, 3 * size, 3 * size))


class Blocks(eqx.Module):
    """A matrix as a sum of local matrices; `free` is 1 where a component is unknown."""

    parts: list[LocalStiffness]
    free: Float[Array, "nodes 3"]

    def product(self, direction: Array) -> Array:
        """K d, held components included."""
        total = jnp.zeros_like(direction)
        for nodes, matrices in self.parts:
            groups, size = nodes.shape
            local = jnp.einsum("gpq,gq->gp", matrices, direction[nodes].reshape(groups, -1)).reshape(groups, size, 3)
            for corner in range(size):
                total = total.at[nodes[:, corner]].add(local[:, corner])
        return total

    def turned(self) -> Blocks:
        """The transpose."""
        return Blocks([LocalStiffness(n, jnp.swapaxes(m, 1, 2)) for n, m in self.parts], self.free)

    def constrained(self, direction: Array) -> Array:
        """K_ff d_f, zero elsewhere."""
        return self.free * self.product(self.free * direction)

    def diagonal(self) -> Float[Array, "nodes 3 3"]:
        """Each node's own block."""
        total = jnp.zeros((*self.free.shape, 3))
        for nodes, matrices in self.parts:
            for corner in range(nodes.shape[1]):
                own = slice(3 * corner, 3 * corner + 3)
                total = total.at[nodes[:, corner]].add(matrices[:, own, own])
        return total

    def inverse_diagonal(self) -> Float[Array, "nodes 3 3"]:
        """Inverse of each node's own block, identity where held."""
        mask = self.free[:, :, None] * self.free[:, None, :]
        return jnp.linalg.inv(self.diagonal() * mask + (1.0 - self.free)[:, :, None] * jnp.eye(3))


class _Progress(NamedTuple):
    solution: Array
    residual: Array
    direction: Array
    before: Array
    iteration: Int[Array, ""]
    indefinite: Bool[Array, ""]


@eqx.filter_jit
def solve_device(
    blocks: Blocks, rhs: Array, tolerance: Array, cycle: DeviceCycle | None = None
) -> tuple[Array, Array, Array, Array]:
    """Solution, iterations, converged, negative curvature."""
    rhs = rhs * blocks.free
    precondition = _polynomial(blocks) if cycle is None else _multigrid(blocks, cycle)
    goal = tolerance * jnp.linalg.norm(rhs)

    def go(state: _Progress) -> Array:
        return (jnp.linalg.norm(state.residual) > goal) & (state.iteration < MAX_ITERATIONS) & ~state.indefinite

    def step(state: _Progress) -> _Progress:
        better = precondition(state.residual)
        now = jnp.sum(state.residual * better)
        direction = better + jnp.where(state.iteration > 0, now / state.before, 0.0) * state.direction
        image = blocks.constrained(direction)
        curvature = jnp.sum(direction * image)
        bad = ~(curvature > 0.0)
        length = jnp.where(bad, 0.0, now / curvature)
        moved = jnp.where(bad & (state.iteration == 0), better, state.solution + length * direction)
        return _Progress(moved, state.residual - length * image, direction, now, state.iteration + 1, bad)

    zero = jnp.zeros_like(rhs)
    first = _Progress(zero, rhs, zero, jnp.ones(()), jnp.zeros((), int), jnp.zeros((), bool))
    last = jax.lax.while_loop(go, step, first)
    return last.solution, last.iteration, jnp.linalg.norm(last.residual) <= goal, last.indefinite


def _polynomial(blocks: Blocks) -> Callable[[Array], Array]:
    inverse = blocks.inverse_diagonal()
    largest = 1.1 * _largest_eigenvalue(blocks, inverse)
    return lambda residual: _chebyshev(blocks, inverse, largest, residual)


def _multigrid(blocks: Blocks, cycle: DeviceCycle) -> Callable[[Array], Array]:
    """The V-cycle with the tangent at hand on its finest level, as on the host."""
    diagonal = jnp.abs(jnp.diagonal(blocks.diagonal(), axis1=1, axis2=2))
    inverse = jnp.where((blocks.free > 0.0) & (diagonal > 0.0), 1.0 / jnp.where(diagonal > 0.0, diagonal, 1.0), 1.0)
    largest = _largest_eigenvalue(blocks, inverse[:, :, None] * jnp.eye(3))
    return lambda residual: blocks.free * cycle.apply(blocks.constrained, inverse, largest, residual)


def _largest_eigenvalue(blocks: Blocks, inverse: Array) -> Array:
    """Of D⁻¹K, by twelve power iterations from a fixed start."""
    start = jax.random.normal(jax.random.key(0), blocks.free.shape, jnp.float64) * blocks.free

    def again(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        vector, _size = carry
        image = jnp.einsum("nij,nj->ni", inverse, blocks.constrained(vector))
        size = jnp.linalg.norm(image)
        return image / size, size

    return jax.lax.fori_loop(0, 12, again, (start / jnp.linalg.norm(start), jnp.ones(())))[1]


def _chebyshev(blocks: Blocks, inverse: Array, largest: Array, rhs: Array) -> Array:
    """The Chebyshev iteration for D⁻¹K x = D⁻¹ b from zero (Saad, *Iterative Methods*, algorithm 12.1)."""
    low = largest / SPREAD
    theta, delta = 0.5 * (largest + low), 0.5 * (largest - low)
    sigma = theta / delta
    rho = 1.0 / sigma
    residual = jnp.einsum("nij,nj->ni", inverse, rhs)
    change = residual / theta
    solution = change
    for _ in range(DEGREE - 1):
        residual = residual - jnp.einsum("nij,nj->ni", inverse, blocks.constrained(change))
        after = 1.0 / (2.0 * sigma - rho)
        change = after * rho * change + 2.0 * after / delta * residual
        solution, rho = solution + change, after
    return solution * blocks.free
