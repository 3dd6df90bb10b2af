"""Compiled loops that add what elements give to the blocks of an assembled matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..linear.sweeps import compiled


@compiled
def add_pairs(couplings: NDArray, slots: NDArray, data: NDArray, start: int, count: int) -> None:
    """Adds blocks to their slots.

    Args:
        couplings: (9, pairs, chunk) N/m, row by row.
        slots: (elements, pairs) of (a, b).
        data: (9·nnz,) of the matrix, changed.
        start, count: the first of the chunk's elements, and how many are true ones.
    """
    for e in range(count):
        for p in range(slots.shape[1]):
            to = np.uint64(9 * slots[start + e, p])
            for n in range(9):
                data[to + np.uint64(n)] += couplings[n, p, e]


@compiled
def complete(
    starts: NDArray,
    mirrored: NDArray,
    own: NDArray,
    half: NDArray,
    out: NDArray,
    balanced: bool,
    first: int,
    last: int,
) -> None:
    """The rows first … last − 1 of H + Hᵀ, less on the diagonal where they are to sum to zero.

    Args:
        starts: block CSR structure of a symmetric pattern.
        mirrored: (nnz,) the slot of (b, a) for that of (a, b).
        own: (rows,) slots of the diagonal.
        half, out: (9·nnz,) blocks of H and of what is made of it.
        balanced: whether the blocks of each row are to sum to zero; the diagonal of H is empty then.
    """
    total = np.empty(9)
    for row in range(first, last):
        total[:] = 0.0
        for k in range(starts[row], starts[row + 1]):
            p, q = np.uint64(9 * k), np.uint64(9 * mirrored[k])
            for i in range(3):
                for j in range(3):
                    value = half[p + np.uint64(3 * i + j)] + half[q + np.uint64(3 * j + i)]
                    out[p + np.uint64(3 * i + j)] = value
                    total[3 * i + j] += value
        if balanced:
            for n in range(9):
                out[np.uint64(9 * own[row] + n)] = -total[n]
