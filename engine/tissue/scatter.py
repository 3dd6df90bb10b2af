"""Compiled loops between nodes and chunks of elements: what kernels are given, and what they give added up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..linear.sweeps import compiled


@compiled
def gather_last(values: NDArray, nodes: NDArray, start: int, out: NDArray) -> None:
    """Values (rows, 3) of a chunk, elements `start` on, as (n, 3, chunk): each node's; the last element is repeated."""
    for e in range(out.shape[2]):
        row = min(start + e, len(nodes) - 1)
        for a in range(nodes.shape[1]):
            for axis in range(3):
                out[a, axis, e] = values[nodes[row, a], axis]


@compiled
def add_last(forces: NDArray, nodes: NDArray, start: int, count: int, total: NDArray) -> float:
    """Adds forces (n, 3, chunk) of the elements `start` … to the total (rows, 3); gives the sum of their squares."""
    square = 0.0
    for e in range(count):
        for a in range(nodes.shape[1]):
            row = nodes[start + e, a]
            for axis in range(3):
                value = forces[a, axis, e]
                total[row, axis] += value
                square += value * value
    return square


@compiled
def add_pairs(couplings: NDArray, places: NDArray, lower: NDArray, start: int, count: int) -> None:
    """Adds blocks to their places in the lower half of a symmetric matrix.

    Args:
        couplings: (9, pairs, chunk) N/m, row by row.
        places: (elements, pairs) of (a, b); ~place where it is (b, a) that is kept.
        lower: (9·kept,), changed.
        start, count: the first of the chunk's elements, and how many are true ones.
    """
    pairs, size = places.shape[1], np.uint64(couplings.shape[2])
    flat, stride = couplings.reshape(-1), np.uint64(pairs) * size
    for p in range(pairs):  # outside, so that a tenth of the blocks' entries is read at a time
        for e in range(count):
            place = places[start + e, p]
            down, right = (np.uint64(3), np.uint64(1)) if place >= 0 else (np.uint64(1), np.uint64(3))
            to, at = np.uint64(9 * max(place, ~place)), np.uint64(p) * size + np.uint64(e)
            for i in range(3):
                for j in range(3):
                    entry = to + np.uint64(i) * down + np.uint64(j) * right
                    lower[entry] += flat[at + np.uint64(3 * i + j) * stride]


@compiled
def complete(
    starts: NDArray,
    places: NDArray,
    own: NDArray,
    lower: NDArray,
    out: NDArray,
    balanced: bool,
    first: int,
    last: int,
) -> None:
    """The rows first … last − 1 of a symmetric matrix from its lower half, whose diagonal blocks are halved.

    Args:
        starts: block CSR structure of a symmetric pattern.
        places: (nnz,) of each block in the lower half, ~place of those above the diagonal.
        own: (rows,) slots of the diagonal.
        lower, out: (9·kept,) and (9·nnz,).
        balanced: whether the blocks of each row are to sum to zero in place of what the lower half has as diagonal.
    """
    total = np.empty(9)
    for row in range(first, last):
        total[:] = 0.0
        diagonal = np.uint64(9 * own[row])
        for k in range(starts[row], starts[row + 1]):
            place = places[k]
            down, right = (np.uint64(3), np.uint64(1)) if place >= 0 else (np.uint64(1), np.uint64(3))
            to, at = np.uint64(9 * k), np.uint64(9 * max(place, ~place))
            for i in range(3):
                for j in range(3):
                    value = lower[at + np.uint64(i) * down + np.uint64(j) * right]
                    out[to + np.uint64(3 * i + j)] = value
                    total[3 * i + j] += value
        for i in range(3):
            for j in range(i, 3):
                p, q = diagonal + np.uint64(3 * i + j), diagonal + np.uint64(3 * j + i)
                a, b = out[p], out[q]
                out[p] = a - total[3 * i + j] if balanced else a + b
                out[q] = b - total[3 * j + i] if balanced else a + b
