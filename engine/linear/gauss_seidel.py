"""Block Gauss–Seidel sweeps of a multigrid smoother, forward before the coarse correction and backward after it.

smoother = GaussSeidel(matrix, Turns.of(matrix.whole))
x, left = smoother.forward(rhs)  # from zero: (D + L) x = b, and b − A x
smoother.backward(rhs, x)        # in place: (D + U) x' = b − L x

Together they are symmetric, and a cycle costs three products where two Chebyshev steps before and after cost four, for
as many iterations and without knowing eigenvalues.

Threads share a sweep without changing it: the rows are cut into parts, and those that couple two parts come last, one
after the other. What is left of a part then couples to no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from .shares import BlockRows, row_ranges, share

MOST_BETWEEN = 0.2
"""A sweep is shared where no more than this many of its rows lie between parts."""


@dataclass(frozen=True)
class Turns:
    """When each row's turn comes, for one sparsity pattern.

    Attributes:
        starts, columns: the pattern.
        own: (rows,) slots of the diagonal blocks.
        parts: rows of each part in order; they couple to rows of their part and of `between`.
        between: the remaining rows, whose turn comes last.
    """

    starts: NDArray[np.int32]
    columns: NDArray[np.int32]
    own: NDArray[np.int64]
    parts: list[NDArray[np.int32]]
    between: NDArray[np.int32]

    @classmethod
    def of(cls, matrix: Any) -> Turns:
        """For a block matrix with a full diagonal, of which only `indptr` and `indices` are looked at."""
        starts, columns = matrix.indptr, matrix.indices
        rows = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
        own = np.flatnonzero(rows == columns)
        return cls(starts, columns, own, *_parts(rows, columns, starts, row_ranges(starts, 9 * len(columns))))

    def fits(self, matrix: Any) -> bool:
        """Whether a matrix has this pattern: contacts come and go."""
        if matrix.indices is self.columns:
            return True
        return np.array_equal(matrix.indices, self.columns) and np.array_equal(matrix.indptr, self.starts)


def _parts(
    rows: NDArray, columns: NDArray, starts: NDArray, ranges: list[tuple[int, int]]
) -> tuple[list[NDArray[np.int32]], NDArray[np.int32]]:
    """One part per range and the rows between them; a single part where too many would lie between."""
    count = len(starts) - 1
    natural = np.arange(count, dtype=np.int32)
    graph = sparse.csr_matrix((np.ones(len(columns), np.int8), columns, starts), shape=(count, count))
    # As they are numbered; else by levels from one end of the body, so that only neighbouring parts meet.
    for numbered in (lambda: natural, lambda: reverse_cuthill_mckee(graph, symmetric_mode=True).astype(np.int32)):
        if len(ranges) < 2:
            break
        sequence, part = numbered(), np.empty(count, np.int32)
        for k, (first, last) in enumerate(ranges):
            part[sequence[first:last]] = k
        # Friction's patterns are not symmetric: either end of an entry may be the row that reads it.
        across, meets = part[rows] != part[columns], np.zeros(count, bool)
        meets[np.where(part[rows] < part[columns], rows, columns)[across]] = True
        if meets.sum() <= MOST_BETWEEN * count:
            inside = sequence[~meets[sequence]]
            return [inside[part[inside] == k] for k in range(len(ranges))], sequence[meets[sequence]]
    return [natural], natural[:0]


class GaussSeidel:
    """The sweeps for one matrix, symmetric or not; `half_rows` has those that need half of a symmetric one."""

    def __init__(self, matrix: BlockRows, turns: Turns) -> None:
        from .sweeps import inverse_blocks

        self.matrix, self.turns = matrix, turns
        self.inverse = np.empty(9 * len(turns.own))
        inverse_blocks(turns.own, matrix.arrays[2], self.inverse)

    def forward(self, rhs: NDArray) -> tuple[NDArray, NDArray]:
        """x of one sweep from zero, and b − A x."""
        solution = np.zeros_like(rhs)
        share(lambda rows: self._sweep(rows, 1, rhs, solution), self.turns.parts)
        self._sweep(self.turns.between, 1, rhs, solution)
        return solution, self.matrix.left(rhs, solution)

    def backward(self, rhs: NDArray, solution: NDArray) -> None:
        """One sweep in the opposite order, in place."""
        self._sweep(self.turns.between, -1, rhs, solution)
        share(lambda rows: self._sweep(rows, -1, rhs, solution), self.turns.parts)

    def _sweep(self, rows: NDArray, step: int, rhs: NDArray, solution: NDArray) -> None:
        from .sweeps import sweep

        sweep(rows[::step], step, *self.matrix.arrays, self.inverse, rhs, solution)
