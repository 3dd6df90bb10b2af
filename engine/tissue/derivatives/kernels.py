"""Derivatives of the force of a batch of elements or groups, chunk by chunk: bounded memory, one compiled shape each.

With f(X, u, m) the nodal forces of one group (reference X, displacement u, parameters m) and weights λ:

    push       ḟ = ∂f/∂X Ẋ + ∂f/∂u u̇ + ∂f/∂m ṁ
    pull       (X̄, ū, m̄) = ∂(λ·f)/∂(X, u, m)
    pull_rate  the derivative of `pull` along (Ẋ, u̇, ṁ): second derivatives of f
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ..elements.base import Element
from ..kernels import TERM_CHUNK, Chunks
from .parameters import Parameters, split

Place = tuple[Array, Array, Parameters]
"""Reference (G, n, 3) m, displacement (G, n, 3) m, float parameters with one row per group."""


def _force(law: Element | None, place: Place, rest: Any, fraction: Array) -> Array:
    """Forces (G, n, 3) N: internal ones of elements, minus the external ones of a term (law None)."""
    reference, displacement, parameters = place
    content = eqx.combine(parameters, rest)
    if law is None:
        return -content.forces(reference, displacement, fraction)
    return law.evaluate(reference, displacement, content).force


@partial(jax.jit, static_argnames="law")
def _push(law: Element | None, place: Place, rest: Any, fraction: Array, along: Place) -> Array:
    return jax.jvp(lambda p: _force(law, p, rest, fraction), (place,), (along,))[1]


@partial(jax.jit, static_argnames="law")
def _pull(law: Element | None, place: Place, rest: Any, fraction: Array, weight: Array) -> Place:
    return jax.vjp(lambda p: _force(law, p, rest, fraction), place)[1](weight)[0]


@partial(jax.jit, static_argnames="law")
def _pull_rate(law: Element | None, place: Place, rest: Any, fraction: Array, weight: Array, along: Place) -> Place:
    def pull(at: Place) -> Place:
        return jax.vjp(lambda p: _force(law, p, rest, fraction), at)[1](weight)[0]

    return jax.jvp(pull, (place,), (along,))[1]


class Batch:
    """Elements of one block, or groups of one term, at one displacement.

    Args:
        law: the element; None for a term.
        nodes: (G, n) rows of each group.
        content: the material or the term, one row of each array per group.
        points, displacement: (rows, 3) m.
    """

    def __init__(
        self, law: Element | None, nodes: NDArray, content: Any, points: NDArray, displacement: NDArray, fraction: float
    ) -> None:
        self.law, self.nodes, self.fraction = law, nodes, np.float64(fraction)
        count = len(nodes)
        size = min(TERM_CHUNK, 1 << max(count - 1, 63).bit_length()) if law is None else law.chunk
        self.chunks = Chunks(count, size)
        self.parameters, rest = split(content)
        self.rest = [_rows(rest, rows) for rows in self.chunks.rows]
        self.places = [
            (points[nodes[rows]], displacement[nodes[rows]], _rows(self.parameters, rows)) for rows in self.chunks.rows
        ]

    def push(self, along_points: NDArray, along: NDArray, along_parameters: Parameters) -> NDArray[np.float64]:
        """Rate of the forces (G, n, 3) [N] along (rows, 3), (rows, 3) and a tree of parameters."""
        calls = [
            _push(self.law, place, rest, self.fraction, way)
            for place, rest, way in zip(
                self.places, self.rest, self._along(along_points, along, along_parameters), strict=True
            )
        ]
        return np.concatenate([np.asarray(call)[:true] for call, true in zip(calls, self._true(), strict=True)])

    def pull(self, weight: NDArray) -> Place:
        """∂(λ·f)/∂(X, u, m) for weights λ (rows, 3): by group, to be summed over nodes."""
        weights = (weight[self.nodes[rows]] for rows in self.chunks.rows)
        calls = [
            _pull(self.law, place, rest, self.fraction, w)
            for place, rest, w in zip(self.places, self.rest, weights, strict=True)
        ]
        return self._joined(calls)

    def pull_rate(self, weight: NDArray, along_points: NDArray, along: NDArray, along_parameters: Parameters) -> Place:
        """The derivative of `pull(weight)` along a direction, weights constant."""
        weights = (weight[self.nodes[rows]] for rows in self.chunks.rows)
        ways = self._along(along_points, along, along_parameters)
        calls = [
            _pull_rate(self.law, place, rest, self.fraction, w, way)
            for place, rest, w, way in zip(self.places, self.rest, weights, ways, strict=True)
        ]
        return self._joined(calls)

    def _along(self, points: NDArray, displacement: NDArray, parameters: Parameters) -> Iterator[Place]:
        for rows in self.chunks.rows:
            yield points[self.nodes[rows]], displacement[self.nodes[rows]], _rows(parameters, rows)

    def _true(self) -> list[int]:
        return [rows.stop - rows.start for rows in self.chunks.slices()]

    def _joined(self, calls: list[Place]) -> Place:
        """Chunks side by side, without the rows that fill up the last one."""
        true = self._true()
        return jax.tree.map(
            lambda *leaves: np.concatenate([np.asarray(a)[:n] for a, n in zip(leaves, true, strict=True)]), *calls
        )


def _rows(tree: Any, rows: NDArray) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], tree)


def as_arrays(tree: Any) -> Any:
    """A tree of JAX arrays from one of NumPy arrays."""
    return jax.tree.map(jnp.asarray, tree)
