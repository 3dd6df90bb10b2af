"""Work shared by the cores: sparse products by rows, and any calls that let go of the interpreter's lock."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

MOST_THREADS = 8
"""Sparse products are limited by memory: more threads than this gain nothing."""
SHARED_ENTRIES = 400_000
"""A product with fewer entries (0.3 ms) is not worth a second thread, whose start takes 0.05 ms."""


def cores() -> int:
    """How many threads share the work: the cores this process may use, `PREOP_THREADS` if set, 8 at most."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("PREOP_THREADS", "")
    return max(1, min(int(asked) if asked.isdigit() else allowed, MOST_THREADS))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="preop")


if hasattr(os, "register_at_fork"):
    # A forked child has none of its parent's threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def beside(call: Callable[[], Any]) -> None:
    """Run a call in another thread, whatever becomes of it: for work that the caller would do again."""
    _pool().submit(call)


def share(call: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """[call(item) for item in items], all at once; the first one in this thread."""
    if len(items) < 2 or cores() == 1:
        return [call(item) for item in items]
    others = [_pool().submit(call, item) for item in items[1:]]
    return [call(items[0]), *(other.result() for other in others)]


def in_order(call: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
    """call(item) for each item, in order, computed a few ahead by the other threads: memory stays bounded."""
    ahead = cores()
    if ahead == 1:
        yield from map(call, items)
        return
    waiting = [_pool().submit(call, item) for item in items[:ahead]]
    for k in range(len(items)):
        result = waiting[k % ahead].result()
        if k + ahead < len(items):
            waiting[k % ahead] = _pool().submit(call, items[k + ahead])
        yield result


def row_ranges(starts: NDArray, entries: int) -> list[tuple[int, int]]:
    """Row ranges of like many entries, one per thread; one range where the matrix is small."""
    parts = cores() if entries >= SHARED_ENTRIES else 1
    goals = starts[-1] * np.arange(1, parts) / parts
    cuts = [0, *np.searchsorted(starts, goals).tolist(), len(starts) - 1]
    return [(a, b) for a, b in itertools.pairwise(cuts) if b > a]


class RowShares:
    """A sparse matrix whose products with vectors are shared by rows. The arrays are those of the matrix."""

    def __init__(self, matrix: Any) -> None:
        self.whole, self.source, self.shape = matrix, matrix, matrix.shape
        self.height = matrix.blocksize[0] if matrix.format == "bsr" else 1
        self.ranges = row_ranges(matrix.indptr, matrix.data.size)
        self.parts = [matrix] if len(self.ranges) < 2 else [rows_of(matrix, a, b) for a, b in self.ranges]

    def __matmul__(self, vector: NDArray) -> NDArray:
        """A x for x (n,) or (n, k)."""
        if len(self.parts) == 1:
            return self.whole @ vector
        out = np.empty((self.shape[0], *vector.shape[1:]))

        def one(k: int) -> None:
            start, stop = self.ranges[k]
            out[self.height * start : self.height * stop] = self.parts[k] @ vector

        share(one, range(len(self.parts)))
        return out


class BlockRows(RowShares):
    """A matrix of 3×3 blocks, whose products take compiled loops of its own.

    Attributes:
        arrays: row starts, columns and blocks (9·nnz,).
    """

    def __init__(self, matrix: Any) -> None:
        super().__init__(matrix)
        self.arrays = matrix.indptr, matrix.indices, matrix.data.reshape(-1)

    @classmethod
    def of(cls, starts: NDArray, columns: NDArray, blocks: NDArray, *, shape: tuple[int, int]) -> BlockRows:
        """From its arrays."""
        return cls(sparse.bsr_matrix((blocks.reshape(-1, 3, 3), columns, starts), shape=shape))

    def __matmul__(self, vector: NDArray) -> NDArray:
        """A x for x (n,)."""
        out = np.zeros(self.shape[0])
        return self._added(vector, 1.0, out, out)

    def left(self, rhs: NDArray, vector: NDArray) -> NDArray:
        """b − A x for x (n,)."""
        return self._added(vector, -1.0, rhs, np.empty(self.shape[0]))

    def _added(self, vector: NDArray, scale: float, base: NDArray, out: NDArray) -> NDArray:
        from .sweeps import product

        vector = np.ascontiguousarray(vector)
        share(lambda rows: product(*self.arrays, vector, scale, base, out, *rows), self.ranges)
        return out


def in_threes(matrix: Any) -> BlockRows:
    """A block matrix cut into blocks of 3×3, in the same order; its blocks' sides are multiples of three."""
    high, wide = matrix.blocksize[0] // 3, matrix.blocksize[1] // 3
    if high == wide == 1:
        return BlockRows(matrix)
    lengths = np.repeat(np.diff(matrix.indptr), high)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    # Each block row is read once for each of its rows of smaller blocks.
    slots = np.arange(starts[-1]) + np.repeat(np.repeat(matrix.indptr[:-1], high) - starts[:-1], lengths)
    inside = np.repeat(np.tile(np.arange(high), matrix.shape[0] // matrix.blocksize[0]), lengths)
    parts = matrix.data.reshape(-1, high, 3, wide, 3)[slots, inside].transpose(0, 2, 1, 3)
    columns = wide * matrix.indices[slots][:, None] + np.arange(wide, dtype=np.int32)
    data, indices = np.ascontiguousarray(parts).reshape(-1, 3, 3), columns.ravel()
    return BlockRows(sparse.bsr_matrix((data, indices, (wide * starts).astype(np.int32)), shape=matrix.shape))


def rows_of(matrix: Any, start: int, stop: int) -> Any:
    """Block rows start … stop of a compressed matrix, without a copy of its entries."""
    inside = slice(matrix.indptr[start], matrix.indptr[stop])
    height = matrix.blocksize[0] if matrix.format == "bsr" else 1
    kind = sparse.bsr_matrix if matrix.format == "bsr" else sparse.csr_matrix
    parts = (matrix.data[inside], matrix.indices[inside], matrix.indptr[start : stop + 1] - matrix.indptr[start])
    return kind(parts, shape=(height * (stop - start), matrix.shape[1]))


def block_product(left: BlockRows, right: BlockRows) -> BlockRows:
    """A B, by rows of A; the blocks of a row are in no order."""
    from .block_products import count_products, multiply

    wide, rows = right.shape[1] // 3, left.shape[0] // 3
    lengths = np.zeros(rows, np.int64)
    scratch = [np.full(wide, -1, np.int32) for _ in left.ranges]
    tasks = list(zip(scratch, left.ranges, strict=True))
    structures = *left.arrays[:2], *right.arrays[:2]
    share(lambda task: count_products(*structures, task[0], lengths, *task[1]), tasks)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    columns, blocks = np.empty(starts[-1], np.int32), np.empty(9 * starts[-1])
    for place in scratch:
        place[:] = -1
    out = starts, columns, blocks
    share(lambda task: multiply(*left.arrays, *right.arrays, task[0], *out, *task[1]), tasks)
    return BlockRows.of(*out, shape=(left.shape[0], right.shape[1]))


def transposed(matrix: BlockRows) -> BlockRows:
    """Aᵀ, the blocks of each row sorted."""
    from .block_products import transpose

    starts, columns, blocks = matrix.arrays
    ends = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=matrix.shape[1] // 3))]).astype(np.int32)
    out = ends.copy(), np.empty_like(columns), np.empty_like(blocks)
    transpose(starts, columns, blocks, ends, *out[1:])
    return BlockRows.of(*out, shape=matrix.shape[::-1])
