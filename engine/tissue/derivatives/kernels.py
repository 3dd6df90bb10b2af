"""Derivatives of the force of a batch of elements or groups, chunk by chunk: bounded memory, one compiled shape each.

With f(X, u, m) the nodal forces of one group (reference X, displacement u, parameters m) and weights λ:

    push       ḟ = ∂f/∂X Ẋ + ∂f/∂u u̇ + ∂f/∂m ṁ
    push_rate  the derivative of ∂f/∂u v along (Ẋ, u̇, ṁ)
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
from ..terms import Term
from . import solids
from .parameters import Parameters, split

Place = tuple[Array, Array, Parameters]
"""Reference (G, n, 3) m, displacement (G, n, 3) m, float parameters with one row per group."""


class Pressing:
    """In place of an element: not the forces of a contact's term but its pressures [Pa] are asked for."""


PRESSING = Pressing()
Law = Element | Pressing | None
"""What is asked for: the force of an element, of a term (None), or the pressures of a contact's term."""


def _force(law: Law, place: Place, rest: Any, fraction: Array) -> Array:
    """Forces (G, n, 3) N: internal ones of elements, minus the external ones of a term; pressures (G, …) Pa."""
    reference, displacement, parameters = place
    content = eqx.combine(parameters, rest)
    if law is None:
        return -content.forces(reference, displacement, fraction)
    if isinstance(law, Pressing):
        return content.points(reference, displacement, fraction).pressure
    return law.evaluate(reference, displacement, content.at(fraction)).force


def _push(law: Law, place: Place, rest: Any, fraction: Array, along: Place) -> Array:
    if isinstance(law, Element) and solids.plain(law):
        return solids.push(law, place, rest, fraction, along)
    return _push_any(law, place, rest, fraction, along)


def _pull(law: Law, place: Place, rest: Any, fraction: Array, weight: Array) -> Place:
    if isinstance(law, Element) and solids.plain(law):
        return solids.pull(law, place, rest, fraction, weight)
    return _pull_any(law, place, rest, fraction, weight)


def _pull_rate(law: Law, place: Place, rest: Any, fraction: Array, weight: Array, along: Place) -> Place:
    if isinstance(law, Element) and solids.plain(law):
        return solids.pull_rate(law, place, rest, fraction, weight, along)
    return _pull_rate_any(law, place, rest, fraction, weight, along)


@partial(jax.jit, static_argnames="law")
def _push_any(law: Law, place: Place, rest: Any, fraction: Array, along: Place) -> Array:
    return jax.jvp(lambda p: _force(law, p, rest, fraction), (place,), (along,))[1]


@partial(jax.jit, static_argnames="law")
def _push_rate(law: Law, place: Place, rest: Any, fraction: Array, first: Array, along: Place) -> Array:
    def rate(at: Place) -> Array:
        return jax.jvp(lambda u: _force(law, (at[0], u, at[2]), rest, fraction), (at[1],), (first,))[1]

    return jax.jvp(rate, (place,), (along,))[1]


@partial(jax.jit, static_argnames="law")
def _pull_any(law: Law, place: Place, rest: Any, fraction: Array, weight: Array) -> Place:
    return jax.vjp(lambda p: _force(law, p, rest, fraction), place)[1](weight)[0]


@partial(jax.jit, static_argnames="law")
def _pull_rate_any(law: Law, place: Place, rest: Any, fraction: Array, weight: Array, along: Place) -> Place:
    def pull(at: Place) -> Place:
        return jax.vjp(lambda p: _force(law, p, rest, fraction), at)[1](weight)[0]

    return jax.jvp(pull, (place,), (along,))[1]


@partial(jax.jit, static_argnames="law")
def _pull_rate_rate(
    law: Law, place: Place, rest: Any, fraction: Array, weight: Array, first: Array, along: Place
) -> Place:
    def rate(at: Place) -> Place:
        def pull(u: Array) -> Place:
            return jax.vjp(lambda p: _force(law, p, rest, fraction), (at[0], u, at[2]))[1](weight)[0]

        return jax.jvp(pull, (at[1],), (first,))[1]

    return jax.jvp(rate, (place,), (along,))[1]


class Batch:
    """Elements of one block, or groups of one term, at one displacement.

    Args:
        law: the element; None for a term; `PRESSING` for the pressures of a contact's term.
        nodes: (G, n) rows of each group.
        content: the material or the term, one row of each array per group.
        points, displacement: (rows, 3) m.
    """

    def __init__(
        self, law: Law, nodes: NDArray, content: Any, points: NDArray, displacement: NDArray, fraction: float
    ) -> None:
        self.law, self.nodes, self.fraction = law, nodes, np.float64(fraction)
        count = len(nodes)
        size = min(TERM_CHUNK, 1 << max(count - 1, 63).bit_length()) if not isinstance(law, Element) else law.chunk
        self.chunks = Chunks(count, size)
        self.own = _own(content, count)
        self.parameters = split(content)[0]
        parts = [split(_rows(content, rows)) for rows in self.chunks.rows]
        self.rest = [rest for _, rest in parts]
        self.places = [
            (points[nodes[rows]], displacement[nodes[rows]], parameters)
            for rows, (parameters, _) in zip(self.chunks.rows, parts, strict=True)
        ]

    def push(self, along_points: NDArray, along: NDArray, along_parameters: Parameters) -> NDArray[np.float64]:
        """Rate of the forces (G, n, 3) [N] or pressures (G, …) [Pa] along (rows, 3), (rows, 3) and a tree."""
        ways = self._along(along_points, along, along_parameters)
        calls = [
            _push(self.law, place, rest, self.fraction, way)  # pyright: ignore[reportArgumentType]
            for place, rest, way in zip(self.places, self.rest, ways, strict=True)
        ]
        return self._side_by_side(calls)

    def push_rate(
        self, first: NDArray, along_points: NDArray, along: NDArray, along_parameters: Parameters
    ) -> NDArray[np.float64]:
        """The derivative of `push` along displacements `first` (rows, 3) alone, along a direction."""
        ways = self._along(along_points, along, along_parameters)
        calls = [
            _push_rate(self.law, place, rest, self.fraction, first[self.nodes[rows]], way)  # pyright: ignore[reportArgumentType]
            for place, rest, rows, way in zip(self.places, self.rest, self.chunks.rows, ways, strict=True)
        ]
        return self._side_by_side(calls)

    def _side_by_side(self, calls: list[Array]) -> NDArray[np.float64]:
        if not calls:
            return np.zeros((*self.nodes.shape, 3))
        return np.concatenate([np.asarray(call)[:true] for call, true in zip(calls, self._true(), strict=True)])

    def pull(self, weight: NDArray) -> Place:
        """∂(λ·f)/∂(X, u, m) for weights λ (rows, 3), or (G, …) of pressures: by group, to be summed over nodes."""
        calls = [
            _pull(self.law, place, rest, self.fraction, w)  # pyright: ignore[reportArgumentType]
            for place, rest, w in zip(self.places, self.rest, self._weights(weight), strict=True)
        ]
        return self._joined(calls)

    def pull_rate(self, weight: NDArray, along_points: NDArray, along: NDArray, along_parameters: Parameters) -> Place:
        """The derivative of `pull(weight)` along a direction, weights constant."""
        weights = self._weights(weight)
        ways = self._along(along_points, along, along_parameters)
        calls = [
            _pull_rate(self.law, place, rest, self.fraction, w, way)  # pyright: ignore[reportArgumentType]
            for place, rest, w, way in zip(self.places, self.rest, weights, ways, strict=True)
        ]
        return self._joined(calls)

    def pull_rate_rate(
        self, weight: NDArray, first: NDArray, along_points: NDArray, along: NDArray, along_parameters: Parameters
    ) -> Place:
        """The derivative of `pull_rate` along displacements `first` (rows, 3) alone, along a direction."""
        weights, ways = self._weights(weight), self._along(along_points, along, along_parameters)
        calls = [
            _pull_rate_rate(self.law, place, rest, self.fraction, w, first[self.nodes[rows]], way)  # pyright: ignore[reportArgumentType]
            for place, rest, w, rows, way in zip(self.places, self.rest, weights, self.chunks.rows, ways, strict=True)
        ]
        return self._joined(calls)

    def _along(self, points: NDArray, displacement: NDArray, parameters: Parameters) -> Iterator[Place]:
        for rows in self.chunks.rows:
            part = jax.tree.map(lambda own, leaf, r=rows: np.asarray(leaf)[r] if own else leaf, self.own, parameters)
            yield points[self.nodes[rows]], displacement[self.nodes[rows]], part  # pyright: ignore[reportReturnType]

    def _weights(self, weight: NDArray) -> Iterator[NDArray]:
        """Of each chunk; zero for the rows that fill up the last one."""
        for rows, true in zip(self.chunks.rows, self._true(), strict=True):
            part = weight[rows if isinstance(self.law, Pressing) else self.nodes[rows]]
            part[true:] = 0.0
            yield part

    def _true(self) -> list[int]:
        return [rows.stop - rows.start for rows in self.chunks.slices()]

    def _joined(self, calls: list[Place]) -> Place:
        """Chunks side by side; what all groups share, summed; of a contact that meets nothing, zeros."""
        true = self._true()
        if not calls:
            none = np.zeros((*self.nodes.shape, 3))
            return none, none, jax.tree.map(np.zeros_like, self.parameters)  # pyright: ignore[reportReturnType]

        def join(own: bool, *leaves: Array) -> NDArray:
            if not own:
                return np.asarray(sum(leaves[1:], leaves[0]))
            return np.concatenate([np.asarray(a)[:n] for a, n in zip(leaves, true, strict=True)])

        return jax.tree.map(join, (True, True, self.own), *calls)


def _own(content: Any, groups: int) -> Any:
    """A tree like the float parameters: whether a leaf has a row per group, or is shared by all groups."""
    if not groups:
        return jax.tree.map(lambda leaf: np.shape(leaf)[:1] == (0,), split(content)[0])
    three, five = (split(_rows(content, np.zeros(count, int)))[0] for count in (3, 5))
    return jax.tree.map(lambda a, b: np.shape(a)[:1] == (3,) and np.shape(b)[:1] == (5,), three, five)


def _rows(tree: Any, rows: NDArray) -> Any:
    if isinstance(tree, Term):
        return tree.rows(rows)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], tree)


def as_arrays(tree: Any) -> Any:
    """A tree of JAX arrays from one of NumPy arrays."""
    return jax.tree.map(jnp.asarray, tree)
