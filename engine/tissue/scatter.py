"""Compiled loops that add what elements give to the blocks of an assembled matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..linear.sweeps import compiled


@compiled
def add_pairs(couplings: NDArray, there: NDArray, back: NDArray, data: NDArray, start: int, count: int) -> None:
    """Adds blocks to their slots and their transposes to the mirrored ones.

    Args:
        couplings: (9, pairs, chunk) N/m, row by row.
        there, back: (elements, pairs) slots of (a, b) and of (b, a).
        data: (9·nnz,) of the matrix, changed.
        start, count: the first of the chunk's elements, and how many are true ones.
    """
    for e in range(count):
        for p in range(there.shape[1]):
            to, fro = np.uint64(9 * there[start + e, p]), np.uint64(9 * back[start + e, p])
            for i in range(3):
                for j in range(3):
                    value = couplings[3 * i + j, p, e]
                    data[to + np.uint64(3 * i + j)] += value
                    data[fro + np.uint64(3 * j + i)] += value


@compiled
def balance(starts: NDArray, own: NDArray, data: NDArray) -> None:
    """Subtracts the sum of each row's blocks (9·nnz,) from its diagonal block, whose slot `own` (rows,) names."""
    total = np.empty(9)
    for i in range(len(own)):
        total[:] = 0.0
        for k in range(starts[i], starts[i + 1]):
            for n in range(9):
                total[n] += data[np.uint64(9 * k + n)]
        for n in range(9):
            data[np.uint64(9 * own[i] + n)] -= total[n]
