"""Compiled kernels of the host path: one shape per element type, so that another mesh compiles nothing new."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ..linear.shares import beside, cores, share
from .block import ElementBlock
from .elements.base import geometry_of
from .materials import Material
from .terms import Term

TERM_CHUNK = 4096
_PREPARED: set[tuple[Any, type, int]] = set()


@jax.jit
def term_forces(term: Term, reference: Array, displacement: Array, fraction: Array) -> Array:
    """Forces (chunk, m, 3) of a chunk of groups."""
    return term.forces(reference, displacement, fraction)


@jax.jit
def term_tangents(term: Term, reference: Array, displacement: Array, fraction: Array) -> Array:
    """Stiffness (chunk, m, m, 3, 3) of a chunk of groups."""
    return term.tangents(reference, displacement, fraction)


class Chunks:
    """Rows 0 … count cut into chunks of one size; the last one repeats its last row."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self.rows = [np.minimum(np.arange(s, s + size), count - 1) for s in range(0, count, size)]

    def slices(self) -> list[slice]:
        """Where each chunk's true rows lie."""
        return [slice(s, min(s + self.size, self.count)) for s in range(0, self.count, self.size)]


class BlockEvaluation(NamedTuple):
    """Of an element block: force (rows, 3) N, energy J, the smallest det F (E,) of each element.

    `square`: the sum of squares of all element forces before they cancel.
    """

    force: NDArray
    energy: float
    min_jacobian: NDArray
    square: float


def aligned(*shape: int) -> NDArray[np.float64]:
    """Room for an array that XLA takes as it is: others, not on a border of 64 bytes, are copied at each call."""
    size = math.prod(shape)
    room = np.empty(size + 8)
    first = -room.__array_interface__["data"][0] % 64 // 8
    return room[first : first + size].reshape(shape)


class BlockKernel:
    """Chunked kernels of one element block."""

    def __init__(self, block: ElementBlock, points: NDArray) -> None:
        self.element = block.element
        self.nodes = np.asarray(block.nodes)
        self.chunks = Chunks(len(self.nodes), block.element.chunk)
        self.reference: list[Any] = jax.device_put([points[self.nodes[rows]] for rows in self.chunks.rows])
        if self.element.keeps_geometry:
            self.reference = [geometry_of(self.element, reference) for reference in self.reference]
        self.use(block.material)

    def use(self, material: Material) -> None:
        """Go on with another history of the same material."""
        host = jax.tree.map(np.asarray, material)
        parts = [jax.tree.map(lambda leaf, r=rows: leaf[r], host) for rows in self.chunks.rows]
        self.material: list[Material] = jax.device_put(parts)
        self._loaded: tuple[float, list[Material]] | None = None

    def loaded(self, fraction: float) -> list[Material]:
        """The material of each chunk at a load fraction."""
        kept = self._loaded
        if kept is None or kept[0] != fraction:  # `prepare` asks in another thread, at another fraction
            kept = self._loaded = fraction, [material.at(fraction) for material in self.material]
        return kept[1]

    def moved(self, displacement: NDArray, chunk: int) -> NDArray:
        """(n, 3, chunk) m of a displacement (rows, 3)."""
        from .scatter import gather_last

        out = aligned(self.nodes.shape[1], 3, self.chunks.size)
        gather_last(np.ascontiguousarray(displacement), self.nodes, chunk * self.chunks.size, out)
        return out

    def evaluate(self, displacement: NDArray, fraction: float) -> BlockEvaluation:
        """At a displacement (rows, 3) m and a load fraction."""
        from .scatter import add_last

        jacobian = np.empty(len(self.nodes))
        materials, slices = self.loaded(fraction), self.chunks.slices()

        def part(chunks: range) -> tuple[NDArray, float, float]:
            total, energy, square = np.zeros(np.shape(displacement)), 0.0, 0.0
            for k in chunks:
                moved, true = self.moved(displacement, k), slices[k].stop - slices[k].start
                call = self.element.evaluate_last(self.reference[k], moved, materials[k])  # pyright: ignore[reportArgumentType]
                square += add_last(np.asarray(call.force), self.nodes, slices[k].start, true, total)
                jacobian[slices[k]] = np.asarray(call.min_jacobian)[:true]
                energy += float(np.asarray(call.energy)[:true].sum())
            return total, energy, square

        count, parts = len(slices), cores()
        found = share(part, [range(count * p // parts, count * (p + 1) // parts) for p in range(parts)])
        forces, energies, squares = zip(*found, strict=True)
        return BlockEvaluation(np.sum(forces, axis=0), sum(energies), jacobian, sum(squares))

    def prepare(self) -> None:
        """Compile the tangent in another thread, beside the first residual, with which it shares little."""
        key = (self.element, type(self.material[0]), self.chunks.size)
        if key not in _PREPARED:
            _PREPARED.add(key)
            beside(lambda: self.couplings(np.zeros((int(self.nodes.max()) + 1, 3)), 0, 0.0))

    def tangents(self, displacement: NDArray, chunk: int, fraction: float) -> Array:
        """Stiffness blocks (chunk, pairs, 9) N/m of one chunk, padding included."""
        moved = displacement[self.nodes[self.chunks.rows[chunk]]]
        material = self.loaded(fraction)[chunk]
        return self.element.tangent(self.reference[chunk], moved, material)  # pyright: ignore[reportArgumentType]

    def couplings(self, displacement: NDArray, chunk: int, fraction: float) -> NDArray:
        """Stiffness blocks (9, pairs, chunk) N/m of one chunk as `Element.couplings` gives them, padding included."""
        moved, material = self.moved(displacement, chunk), self.loaded(fraction)[chunk]
        return np.asarray(self.element.couplings(self.reference[chunk], moved, material))  # pyright: ignore[reportArgumentType]


class TermKernel:
    """Chunked kernels of one term."""

    def __init__(self, term: Term, points: NDArray, size: int | None = None) -> None:
        self.dead, self.symmetric = term.dead, term.symmetric
        self.nodes = np.asarray(term.nodes)
        count = len(self.nodes)
        self.chunks = Chunks(count, size or min(TERM_CHUNK, 1 << max(count - 1, 63).bit_length()))
        self.gather = [self.nodes[rows] for rows in self.chunks.rows]
        self.reference = [points[nodes] for nodes in self.gather]
        self.term = [term.rows(rows) for rows in self.chunks.rows]

    def forces(self, displacement: NDArray, fraction: float) -> NDArray:
        """Forces (groups, m, 3) N."""
        return self._collect(term_forces, displacement, fraction)

    def tangents(self, displacement: NDArray, fraction: float) -> NDArray:
        """Stiffness (groups, m, m, 3, 3) N/m."""
        return self._collect(term_tangents, displacement, fraction)

    def _collect(self, kernel: Any, displacement: NDArray, fraction: float) -> NDArray:
        calls = [
            kernel(term, reference, displacement[nodes], np.float64(fraction))
            for term, reference, nodes in zip(self.term, self.reference, self.gather, strict=True)
        ]
        return np.concatenate([np.asarray(call) for call in calls])[: len(self.nodes)]
