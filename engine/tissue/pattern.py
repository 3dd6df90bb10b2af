"""The fixed sparsity pattern of the tangent, and the scatters into it, made once per problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

BATCH = 32768
"""Elements per scatter, block pairs per pass: bounds the memory of what is in between."""


class VectorScatter:
    """Adds (groups, m, 3) to nodes."""

    def __init__(self, nodes: NDArray, count: int) -> None:
        self.matrix = _summation(nodes.ravel(), count)

    def __call__(self, values: NDArray) -> NDArray:
        """(count, 3)."""
        return self.matrix @ values.reshape(-1, 3)


class BlockScatter:
    """Adds 3×3 blocks (entries, 9) to the slots they belong to."""

    def __init__(self, slots: NDArray) -> None:
        self.rows, inverse = np.unique(slots, return_inverse=True)
        self.matrix = _summation(inverse.ravel(), len(self.rows))

    def add(self, data: NDArray, blocks: NDArray) -> None:
        """data[slot] += block, for all blocks."""
        data[self.rows] += self.matrix @ blocks


def _summation(targets: NDArray, count: int) -> sparse.csr_matrix:
    """The 0/1 matrix (count, len(targets)) that sums entries by target."""
    size = len(targets)
    each = sparse.csr_matrix(
        (np.ones(size), targets.astype(np.int32), np.arange(size + 1, dtype=np.int32)), (size, count)
    )
    return each.T.tocsr()


class Pattern:
    """Which pairs of nodes couple: a symmetric block pattern, rows sorted.

    Attributes:
        indptr, indices: block CSR structure.
        diagonal: (nodes,) slot of each node's own block.
    """

    def __init__(self, groups: Sequence[NDArray], count: int) -> None:
        keys = [self._keys(nodes, count) for nodes in groups] + [np.arange(count, dtype=np.int64) * (count + 1)]
        unique = np.unique(np.concatenate([np.unique(k) for k in keys]))
        low, high = unique // count, unique % count
        off = low != high
        rows, cols = np.concatenate([low, high[off]]), np.concatenate([high, low[off]])
        order = np.lexsort((cols, rows))
        self.count, self.unique = count, unique
        slot = np.empty(len(order), np.int64)
        slot[order] = np.arange(len(order))
        self._upper, self._lower = slot[: len(unique)], slot[: len(unique)].copy()
        self._lower[off] = slot[len(unique) :]
        self.indices = cols[order].astype(np.int32)
        self.indptr = np.searchsorted(rows[order], np.arange(count + 1)).astype(np.int32)
        self.diagonal = self._upper[~off]

    @staticmethod
    def _keys(nodes: NDArray, count: int) -> NDArray[np.int64]:
        first, second = np.triu_indices(nodes.shape[1])
        a, b = nodes[:, first].astype(np.int64), nodes[:, second].astype(np.int64)
        return (np.minimum(a, b) * count + np.maximum(a, b)).ravel()

    def slots(self, a: NDArray, b: NDArray) -> NDArray[np.int64]:
        """Slots of the blocks (a, b)."""
        a, b = a.astype(np.int64), b.astype(np.int64)
        index = np.searchsorted(self.unique, np.minimum(a, b) * self.count + np.maximum(a, b))
        return np.where(a <= b, self._upper[index], self._lower[index])

    def add_transposed(self, data: NDArray, sign: float = 1.0) -> None:
        """A + sign Aᵀ in place of the blocks (nnz, 3, 3) of A, a pass of block pairs at a time."""
        for start in range(0, len(self._upper), BATCH):
            upper, lower = self._upper[start : start + BATCH], self._lower[start : start + BATCH]
            total = data[upper] + sign * data[lower].transpose(0, 2, 1)
            data[upper], data[lower] = total, sign * total.transpose(0, 2, 1)

    def held(self, free: NDArray) -> tuple[NDArray[np.int64], NDArray]:
        """Slots of blocks that touch a held component, and what to multiply them with (…, 3, 3)."""
        rows = np.repeat(np.arange(self.count), np.diff(self.indptr))
        touched: NDArray[np.bool_] = np.any(free < 1.0, axis=1)
        slots = np.flatnonzero(np.logical_or(touched[rows], touched[self.indices]))
        return slots, free[rows[slots]][:, :, None] * free[self.indices[slots]][:, None, :]

    def pair_products(self, values: NDArray) -> NDArray:
        """values[row] × values[column] of each slot (nnz,)."""
        return np.repeat(values, np.diff(self.indptr)) * values[self.indices]

    def matrix(self, data: NDArray) -> sparse.bsr_matrix:
        """The block matrix (3·nodes, 3·nodes) of data (nnz, 3, 3)."""
        size = 3 * self.count
        return sparse.bsr_matrix((data, self.indices, self.indptr), shape=(size, size))
