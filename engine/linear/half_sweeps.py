"""Compiled loops over half of a symmetric matrix of 3×3 blocks: each block is read once and used for both triangles.

Rows take their turn in a given order. Of row i the blocks A_ij of the rows j that come before it are stored, those of
later rows are A_ijᵀ of theirs: what row i reads from them and what it adds to them is done in its own turn. That is
half the memory of a sweep over whole rows, and a sweep leaves the residual behind. Common arguments: `order` (rows,),
`starts` (rows + 1,) by turn, `columns` and `lower` (9·entries,) of the stored blocks, `diagonal` or `inverse` (9·rows,)
by turn, vectors (3·rows,), the turns first … last − 1. Every function lets go of the interpreter's lock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sweeps import EIGHT, FIVE, FOUR, ONE, SEVEN, SIX, THREE, TWO, compiled


@compiled
def take(slots: NDArray, blocks: NDArray, out: NDArray, first: int, last: int) -> None:
    """Copies the blocks in the given slots, number first … last − 1 of them."""
    for n in range(first, last):
        q, p = np.uint64(9 * slots[n]), np.uint64(9 * n)
        for entry in range(9):
            out[p + np.uint64(entry)] = blocks[q + np.uint64(entry)]


@compiled
def half_product(
    order: NDArray,
    starts: NDArray,
    columns: NDArray,
    lower: NDArray,
    diagonal: NDArray,
    x: NDArray,
    out: NDArray,
    first: int,
    last: int,
) -> None:
    """out = A x; what the rows of these turns and those before them give."""
    for turn in range(first, last):
        p, q = np.uint64(3 * order[turn]), np.uint64(9 * turn)
        x0, x1, x2 = x[p], x[p + ONE], x[p + TWO]
        a = diagonal[q] * x0 + diagonal[q + ONE] * x1 + diagonal[q + TWO] * x2
        b = diagonal[q + THREE] * x0 + diagonal[q + FOUR] * x1 + diagonal[q + FIVE] * x2
        c = diagonal[q + SIX] * x0 + diagonal[q + SEVEN] * x1 + diagonal[q + EIGHT] * x2
        for k in range(starts[turn], starts[turn + 1]):
            q, j = np.uint64(9 * k), np.uint64(3 * columns[k])
            u, v, w = x[j], x[j + ONE], x[j + TWO]
            a += lower[q] * u + lower[q + ONE] * v + lower[q + TWO] * w
            b += lower[q + THREE] * u + lower[q + FOUR] * v + lower[q + FIVE] * w
            c += lower[q + SIX] * u + lower[q + SEVEN] * v + lower[q + EIGHT] * w
            out[j] += lower[q] * x0 + lower[q + THREE] * x1 + lower[q + SIX] * x2
            out[j + ONE] += lower[q + ONE] * x0 + lower[q + FOUR] * x1 + lower[q + SEVEN] * x2
            out[j + TWO] += lower[q + TWO] * x0 + lower[q + FIVE] * x1 + lower[q + EIGHT] * x2
        out[p], out[p + ONE], out[p + TWO] = a, b, c


@compiled
def _spread(
    starts: NDArray, columns: NDArray, lower: NDArray, out: NDArray, turn: int, x0: float, x1: float, x2: float
) -> None:
    """out_j −= A_ijᵀ x_i for the stored blocks of the row whose turn it is."""
    for k in range(starts[turn], starts[turn + 1]):
        r, j = np.uint64(9 * k), np.uint64(3 * columns[k])
        out[j] -= lower[r] * x0 + lower[r + THREE] * x1 + lower[r + SIX] * x2
        out[j + ONE] -= lower[r + ONE] * x0 + lower[r + FOUR] * x1 + lower[r + SEVEN] * x2
        out[j + TWO] -= lower[r + TWO] * x0 + lower[r + FIVE] * x1 + lower[r + EIGHT] * x2


@compiled
def half_forward(
    order: NDArray,
    starts: NDArray,
    columns: NDArray,
    lower: NDArray,
    inverse: NDArray,
    rhs: NDArray,
    x: NDArray,
    residual: NDArray,
    first: int,
    last: int,
) -> None:
    """x of (D + L) x = b, and b − A x; of A with their substitute where diagonal blocks are singular."""
    for turn in range(first, last):
        p, q = np.uint64(3 * order[turn]), np.uint64(9 * turn)
        a, b, c = rhs[p], rhs[p + ONE], rhs[p + TWO]
        for k in range(starts[turn], starts[turn + 1]):
            r, j = np.uint64(9 * k), np.uint64(3 * columns[k])
            u, v, w = x[j], x[j + ONE], x[j + TWO]
            a -= lower[r] * u + lower[r + ONE] * v + lower[r + TWO] * w
            b -= lower[r + THREE] * u + lower[r + FOUR] * v + lower[r + FIVE] * w
            c -= lower[r + SIX] * u + lower[r + SEVEN] * v + lower[r + EIGHT] * w
        x0 = inverse[q] * a + inverse[q + ONE] * b + inverse[q + TWO] * c
        x1 = inverse[q + THREE] * a + inverse[q + FOUR] * b + inverse[q + FIVE] * c
        x2 = inverse[q + SIX] * a + inverse[q + SEVEN] * b + inverse[q + EIGHT] * c
        x[p], x[p + ONE], x[p + TWO] = x0, x1, x2
        residual[p], residual[p + ONE], residual[p + TWO] = 0.0, 0.0, 0.0
        _spread(starts, columns, lower, residual, turn, x0, x1, x2)


@compiled
def half_backward(
    order: NDArray,
    starts: NDArray,
    columns: NDArray,
    lower: NDArray,
    inverse: NDArray,
    left: NDArray,
    x: NDArray,
    first: int,
    last: int,
) -> None:
    """In place, the turns from the last to the first: (D + U) x' = b − L x; `left` is b before, b − U x' after."""
    for turn in range(last - 1, first - 1, -1):
        p, q = np.uint64(3 * order[turn]), np.uint64(9 * turn)
        a, b, c = left[p], left[p + ONE], left[p + TWO]
        for k in range(starts[turn + 1] - 1, starts[turn] - 1, -1):
            r, j = np.uint64(9 * k), np.uint64(3 * columns[k])
            u, v, w = x[j], x[j + ONE], x[j + TWO]
            a -= lower[r] * u + lower[r + ONE] * v + lower[r + TWO] * w
            b -= lower[r + THREE] * u + lower[r + FOUR] * v + lower[r + FIVE] * w
            c -= lower[r + SIX] * u + lower[r + SEVEN] * v + lower[r + EIGHT] * w
        x0 = inverse[q] * a + inverse[q + ONE] * b + inverse[q + TWO] * c
        x1 = inverse[q + THREE] * a + inverse[q + FOUR] * b + inverse[q + FIVE] * c
        x2 = inverse[q + SIX] * a + inverse[q + SEVEN] * b + inverse[q + EIGHT] * c
        x[p], x[p + ONE], x[p + TWO] = x0, x1, x2
        _spread(starts, columns, lower, left, turn, x0, x1, x2)
