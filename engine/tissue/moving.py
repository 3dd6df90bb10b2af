"""Contacts whose pairs change, on the host: search, forces, and a stiffness beside the fixed pattern.

A search is a pure function of the displacement, so the residual is one too and the line search sees the true forces.
Pairs are cut into chunks of one size: how many meet changes at every iteration, what is compiled does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .kernels import TermKernel
from .system import Timer
from .terms import MovingTerm

CHUNK = 256
"""Groups per compiled call, the last one padded: the only shape that is compiled."""


class MovingForces:
    """The pairs at the last displacement that was asked for."""

    def __init__(self, terms: Sequence[MovingTerm], points: NDArray, timer: Timer) -> None:
        self.terms, self.points, self.timer = list(terms), points, timer
        self.symmetric = all(term.symmetric for term in self.terms)
        self._at: tuple[NDArray, float] | None = None
        self._kernels: list[TermKernel] = []

    def forces(self, displacement: NDArray, fraction: float) -> NDArray:
        """On every row (rows, 3) N."""
        total = np.zeros_like(self.points)
        for kernel in self._found(displacement, fraction):
            force = kernel.forces(displacement, fraction).reshape(-1, 3)
            at = kernel.nodes.ravel()
            for axis in range(3):
                total[:, axis] += np.bincount(at, force[:, axis], minlength=len(total))
        return total

    def stiffness(self, displacement: NDArray, fraction: float) -> sparse.bsr_matrix | None:
        """What the pairs add to the tangent, on a pattern of its own; None where nothing meets."""
        parts = [
            (kernel.nodes, kernel.tangents(displacement, fraction)) for kernel in self._found(displacement, fraction)
        ]
        if not parts:
            return None
        rows = np.concatenate([np.repeat(nodes, nodes.shape[1], axis=1).ravel() for nodes, _ in parts])
        cols = np.concatenate([np.tile(nodes, (1, nodes.shape[1])).ravel() for nodes, _ in parts])
        return block_sum(rows, cols, np.concatenate([t.reshape(-1, 3, 3) for _, t in parts]), len(self.points))

    def stride(self, displacement: NDArray, step: NDArray) -> float:
        """The largest share of a step that passes no surface unseen."""
        with self.timer.part("search"):
            return min((term.stride(displacement, step) for term in self.terms), default=1.0)

    def _found(self, displacement: NDArray, fraction: float) -> list[TermKernel]:
        at = self._at
        if at is None or at[1] != fraction or not np.array_equal(at[0], displacement):
            with self.timer.part("search"):
                found = [term.search(displacement, fraction) for term in self.terms]
            self._kernels = [TermKernel(term, self.points, CHUNK) for term in found if len(term.nodes)]
            self._at = (displacement.copy(), fraction)
        return self._kernels


def block_sum(rows: NDArray, cols: NDArray, blocks: NDArray, count: int) -> sparse.bsr_matrix:
    """The block matrix (3 count, 3 count) that sums blocks (n, 3, 3) by their place."""
    key = rows.astype(np.int64) * count + cols
    unique, place = np.unique(key, return_inverse=True)
    data = np.zeros((len(unique), 9))
    flat = blocks.reshape(-1, 9)
    for entry in range(9):
        data[:, entry] = np.bincount(place.ravel(), flat[:, entry], minlength=len(unique))
    indptr = np.searchsorted(unique // count, np.arange(count + 1)).astype(np.int32)
    indices = (unique % count).astype(np.int32)
    return sparse.bsr_matrix((data.reshape(-1, 3, 3), indices, indptr), shape=(3 * count, 3 * count))


def without_held(matrix: sparse.bsr_matrix, free: NDArray) -> sparse.bsr_matrix:
    """The matrix with empty rows and columns for held components."""
    rows = np.repeat(np.arange(len(free)), np.diff(matrix.indptr))
    data = matrix.data * free[rows][:, :, None] * free[matrix.indices][:, None, :]
    return sparse.bsr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
