"""Compiled loops over products and transposes of block matrices of 3×3 blocks, by Gustavson's rows (1978).

Every function lets go of the interpreter's lock, so that threads may share the rows. Arrays are those of
`sweeps`: row starts, columns and blocks (9·nnz,).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sweeps import EIGHT, FIVE, FOUR, ONE, SEVEN, SIX, THREE, TWO, compiled


@compiled
def count_products(
    starts: NDArray,
    columns: NDArray,
    right_starts: NDArray,
    right_columns: NDArray,
    seen: NDArray,
    lengths: NDArray,
    first: int,
    last: int,
) -> None:
    """How many blocks the rows first … last − 1 of A B have; `seen` holds −1 for each column of B."""
    for i in range(first, last):
        found = 0
        for k in range(starts[i], starts[i + 1]):
            for m in range(right_starts[columns[k]], right_starts[columns[k] + 1]):
                if seen[right_columns[m]] != i:
                    seen[right_columns[m]] = i
                    found += 1
        lengths[i] = found


@compiled
def multiply(
    starts: NDArray,
    columns: NDArray,
    blocks: NDArray,
    right_starts: NDArray,
    right_columns: NDArray,
    right: NDArray,
    place: NDArray,
    out_starts: NDArray,
    out_columns: NDArray,
    out: NDArray,
    first: int,
    last: int,
) -> None:
    """The rows first … last − 1 of A B; `place` holds −1 for each column of B."""
    for i in range(first, last):
        begin = end = out_starts[i]
        for k in range(starts[i], starts[i + 1]):
            q = np.uint64(9 * k)
            a, b, c = blocks[q], blocks[q + ONE], blocks[q + TWO]
            d, e, f = blocks[q + THREE], blocks[q + FOUR], blocks[q + FIVE]
            g, h, w = blocks[q + SIX], blocks[q + SEVEN], blocks[q + EIGHT]
            for m in range(right_starts[columns[k]], right_starts[columns[k] + 1]):
                column = right_columns[m]
                if place[column] < begin:  # not met in this row yet
                    place[column], out_columns[end] = end, column
                    out[9 * end : 9 * end + 9] = 0.0
                    end += 1
                p, r = np.uint64(9 * place[column]), np.uint64(9 * m)
                for n in range(3):
                    s = np.uint64(n)
                    x, y, z = right[r + s], right[r + THREE + s], right[r + SIX + s]
                    out[p + s] += a * x + b * y + c * z
                    out[p + THREE + s] += d * x + e * y + f * z
                    out[p + SIX + s] += g * x + h * y + w * z


@compiled
def transpose(
    starts: NDArray, columns: NDArray, blocks: NDArray, ends: NDArray, out_columns: NDArray, out: NDArray
) -> None:
    """Aᵀ, its rows sorted; `ends` holds its row starts and is moved on to the next row's."""
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            to = ends[columns[k]]
            ends[columns[k]] = to + 1
            out_columns[to] = i
            p, q = np.uint64(9 * to), np.uint64(9 * k)
            for n in range(3):
                for m in range(3):
                    out[p + np.uint64(3 * m + n)] = blocks[q + np.uint64(3 * n + m)]


@compiled
def smooth(
    starts: NDArray,
    columns: NDArray,
    blocks: NDArray,
    damping: NDArray,
    kept_starts: NDArray,
    kept_columns: NDArray,
    kept: NDArray,
) -> None:
    """Makes of A T in place T − D A T, D the diagonal `damping` (3·rows,) and T's pattern within that of A T."""
    for i in range(len(starts) - 1):
        for k in range(starts[i], starts[i + 1]):
            for n in range(9):
                blocks[9 * k + n] *= -damping[3 * i + n // 3]
            for m in range(kept_starts[i], kept_starts[i + 1]):
                if kept_columns[m] == columns[k]:
                    for n in range(9):
                        blocks[9 * k + n] += kept[9 * m + n]
