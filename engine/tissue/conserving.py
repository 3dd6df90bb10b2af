"""Forces of `discrete_gradient` and their derivative on the host, in pieces of the one shape that is compiled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from .discrete_gradient import check_conserving, conserving_forces, mean_forces
from .elements.base import Element
from .materials import Material
from .problem import Problem

SMALLEST = 64
"""Elements in a piece of a small body: powers of two from here to the element's own chunk are compiled."""
_mean_forces = jax.jit(mean_forces)


class ConservingForces:
    """Of a problem, between two displacements (rows, 3) [m].

    Raises:
        SolverError: the problem has no such forces.
    """

    def __init__(self, problem: Problem) -> None:
        check_conserving(problem)
        self.problem, self.points = problem, np.asarray(problem.model.row_points)
        self.terms = [term for term in problem.begun().fixed_terms() if term.conserving]

    def __call__(self, before: Any, after: Any, fraction: float) -> NDArray[np.float64]:
        """(rows, 3) N of the elements."""
        moved, total = (np.asarray(before), np.asarray(after)), np.zeros_like(self.points)
        for element, nodes, true, material in self.pieces(fraction):
            force = conserving_forces(element, self.points[nodes], moved[0][nodes], moved[1][nodes], material)  # pyright: ignore[reportArgumentType]
            np.add.at(total, nodes[:true], np.asarray(force)[:true])
        return total

    def pieces(self, fraction: float) -> Iterator[tuple[Element, NDArray, int, Material]]:
        """Element, nodes (chunk, n), how many of them count, and their material."""
        for block in self.problem.model.blocks:
            nodes, material = np.asarray(block.nodes), block.material.at(fraction)
            size = min(block.element.chunk, 1 << max(len(nodes) - 1, SMALLEST - 1).bit_length())
            for start in range(0, len(nodes), size):
                rows = np.minimum(np.arange(start, start + size), len(nodes) - 1)
                part = jax.tree.map(lambda leaf, r=rows: np.asarray(leaf)[r], material)
                yield block.element, nodes[rows], min(size, len(nodes) - start), part

    def external(self, before: Any, after: Any, fraction: float) -> Any:
        """What supports push beyond their force half way (rows, 3) [N]."""
        return _mean_forces(self.terms, self.points, np.asarray(before), np.asarray(after), fraction)


class ConservingSlope:
    """The derivative of these forces by the displacement after, beyond that of the forces half way."""

    def __init__(self, forces: ConservingForces, before: Any, after: Any, fraction: float) -> None:
        self.forces, self.ends, self.fraction = forces, (np.asarray(before), np.asarray(after)), fraction
        self.pieces = [
            (element, (forces.points[nodes], self.ends[0][nodes], self.ends[1][nodes], material), nodes, true)
            for element, nodes, true, material in forces.pieces(fraction)
        ]

    def __matmul__(self, way: NDArray) -> NDArray[np.float64]:
        """Of internal minus external force (rows, 3) [N] along (rows, 3) [m]."""
        total = np.zeros_like(way)
        rates = [_rate_beyond(element, *place, way[nodes]) for element, place, nodes, _ in self.pieces]
        for rate, (_, _, nodes, true) in zip(rates, self.pieces, strict=True):
            np.add.at(total, nodes[:true], np.asarray(rate)[:true])
        if self.forces.terms:
            total -= np.asarray(_external_rate(self.forces.terms, self.forces.points, *self.ends, self.fraction, way))
        return total


@partial(jax.jit, static_argnums=0)
def _rate_beyond(
    element: Element, reference: Array, before: Array, after: Array, material: Material, way: Array
) -> Float[Array, "elements nodes 3"]:
    def beyond(moved: Array) -> Array:
        half_way = element.evaluate(reference, 0.5 * (before + moved), material).force
        return conserving_forces(element, reference, before, moved, material) - half_way

    return jax.jvp(beyond, (after,), (way,))[1]


@jax.jit
def _external_rate(terms: Any, points: Array, before: Array, after: Array, fraction: Any, way: Array) -> Array:
    return jax.jvp(lambda moved: mean_forces(terms, points, before, moved, fraction), (jnp.asarray(after),), (way,))[1]
