"""Compiled loops over block CSR matrices of 3×3 blocks: products, and Gauss–Seidel sweeps over given rows.

SciPy's kernel for blocks of any size takes 1.6 times as long, and it has no sweeps. Every function lets go of the
interpreter's lock, so that threads may share the rows. Common arguments: `starts` and `columns` of the block CSR
structure, `blocks` (9·nnz,) row by row, vectors (3·rows,). Offsets are unsigned, or each access would ask for its sign.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numpy.typing import NDArray

ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT = map(np.uint64, range(1, 9))


def compiled(loop: Callable[..., Any]) -> Any:
    """The loop as machine code, kept between processes beside its source or in the user's cache."""
    machine = numba.njit(loop, nogil=True, fastmath={"contract"})
    with suppress(RuntimeError):  # neither can be written to
        machine._cache = Kept(loop)  # pyright: ignore[reportAttributeAccessIssue]
    return machine


class Kept(FunctionCache):
    """Numba's cache, of which a damaged file or a full disk costs a compilation and nothing else."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """None where it cannot be read; it is written anew then."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever unpickling or linking makes of a damaged file
            with suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """As far as there is room."""
        with suppress(Exception):
            super().save_overload(sig, data)


@compiled
def product(
    starts: NDArray,
    columns: NDArray,
    blocks: NDArray,
    x: NDArray,
    scale: float,
    base: NDArray,
    out: NDArray,
    first: int,
    last: int,
) -> None:
    """out = base + scale A x in the rows first … last − 1; `base` may be `out`."""
    for i in range(first, last):
        a, b, c = 0.0, 0.0, 0.0
        for k in range(starts[i], starts[i + 1]):
            q, j = np.uint64(9 * k), np.uint64(3 * columns[k])
            u, v, w = x[j], x[j + ONE], x[j + TWO]
            a += blocks[q] * u + blocks[q + ONE] * v + blocks[q + TWO] * w
            b += blocks[q + THREE] * u + blocks[q + FOUR] * v + blocks[q + FIVE] * w
            c += blocks[q + SIX] * u + blocks[q + SEVEN] * v + blocks[q + EIGHT] * w
        p = np.uint64(3 * i)
        out[p] = base[p] + scale * a
        out[p + ONE] = base[p + ONE] + scale * b
        out[p + TWO] = base[p + TWO] + scale * c


@compiled
def sweep(
    rows: NDArray,
    step: int,
    starts: NDArray,
    columns: NDArray,
    blocks: NDArray,
    inverse: NDArray,
    rhs: NDArray,
    x: NDArray,
) -> None:
    """x_i = A_ii⁻¹ (b_i − Σ_{j≠i} A_ij x_j) for the rows one after the other, with x as it is by then.

    Args:
        rows: which, in this order.
        step: 1 or −1, the direction in which `rows` mostly run: entries are read in it too, a quarter of the time.
        inverse: (9·rows,) of the diagonal blocks.
    """
    for i in rows:
        p = np.uint64(3 * i)
        a, b, c = rhs[p], rhs[p + ONE], rhs[p + TWO]
        begin = starts[i] if step > 0 else starts[i + 1] - 1
        for n in range(starts[i + 1] - starts[i]):
            k = begin + step * n
            if columns[k] == i:
                continue
            q, j = np.uint64(9 * k), np.uint64(3 * columns[k])
            u, v, w = x[j], x[j + ONE], x[j + TWO]
            a -= blocks[q] * u + blocks[q + ONE] * v + blocks[q + TWO] * w
            b -= blocks[q + THREE] * u + blocks[q + FOUR] * v + blocks[q + FIVE] * w
            c -= blocks[q + SIX] * u + blocks[q + SEVEN] * v + blocks[q + EIGHT] * w
        q = np.uint64(9 * i)
        x[p] = inverse[q] * a + inverse[q + ONE] * b + inverse[q + TWO] * c
        x[p + ONE] = inverse[q + THREE] * a + inverse[q + FOUR] * b + inverse[q + FIVE] * c
        x[p + TWO] = inverse[q + SIX] * a + inverse[q + SEVEN] * b + inverse[q + EIGHT] * c


@compiled
def inverse_blocks(slots: NDArray, blocks: NDArray, out: NDArray) -> None:
    """The inverse of the 3×3 block in each slot; of a singular one that of its diagonal, 1 where that is zero."""
    for i in range(len(slots)):
        q, p = 9 * slots[i], 9 * i
        a, b, c = blocks[q], blocks[q + 1], blocks[q + 2]
        d, e, f = blocks[q + 3], blocks[q + 4], blocks[q + 5]
        g, h, m = blocks[q + 6], blocks[q + 7], blocks[q + 8]
        x, y, z = e * m - f * h, f * g - d * m, d * h - e * g
        determinant = a * x + b * y + c * z
        singular = abs(determinant) <= 1e-14 * abs(a * e * m)
        scale = 0.0 if singular else 1.0 / determinant
        out[p], out[p + 1], out[p + 2] = scale * x, scale * (c * h - b * m), scale * (b * f - c * e)
        out[p + 3], out[p + 4], out[p + 5] = scale * y, scale * (a * m - c * g), scale * (c * d - a * f)
        out[p + 6], out[p + 7], out[p + 8] = scale * z, scale * (b * g - a * h), scale * (a * e - b * d)
        if singular:
            for k in range(0, 9, 4):
                own = abs(blocks[q + k])
                out[p + k] = 1.0 / own if own > 0.0 else 1.0
