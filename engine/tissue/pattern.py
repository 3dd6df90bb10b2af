"""The fixed sparsity pattern of the tangent, and the scatters into it, made once per problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..linear.shares import RowShares, cores, share

BATCH = 32768
"""Tetrahedra of four nodes per scatter: bounds the memory of what is in between."""
MOST_GAPS = 4
"""A range of slots is added to as a whole where no more than this many times those that are meant lie in it."""
RANGE = 8192
"""Slots at a time that stay in the cache."""
TRANSPOSED = np.arange(9).reshape(3, 3).T.ravel()


class VectorScatter:
    """Adds (groups, m, 3) to nodes."""

    def __init__(self, nodes: NDArray, count: int) -> None:
        self.matrix = RowShares(_summation(nodes.ravel(), count))

    def __call__(self, values: NDArray) -> NDArray:
        """(count, 3)."""
        return self.matrix @ values.reshape(-1, 3)


class BlockScatter:
    """Adds 3×3 blocks (entries, 9) to the slots they belong to."""

    def __init__(self, slots: NDArray, count: int) -> None:
        touched = np.zeros(count, bool)
        touched[slots] = True
        self.rows = np.flatnonzero(touched)
        place = np.cumsum(touched, dtype=np.int32) - 1
        self.matrix = _summation(place[slots], len(self.rows))

    @property
    def entries(self) -> int:
        """How many blocks it sums."""
        return self.matrix.shape[1]

    def sums(self, blocks: NDArray) -> NDArray:
        """What is added to `rows` (rows, 9)."""
        return self.matrix @ blocks

    def add(self, data: NDArray, blocks: NDArray) -> None:
        """data[slot] += block, for all blocks."""
        data[self.rows] += self.sums(blocks)


class EntryScatter:
    """Adds the blocks of one chunk of elements, given entry by entry (9, pairs, chunk), to their slots (9, nnz)."""

    def __init__(self, slots: NDArray, size: int) -> None:
        """Of slots (pairs, elements), elements ≤ size: what a chunk has beyond them is left out."""
        pairs, count = slots.shape
        low, high = int(slots.min()), int(slots.max()) + 1
        touched = np.zeros(high - low, bool)
        touched[slots - low] = True
        self.rows: NDArray | slice = low + np.flatnonzero(touched)
        if high - low <= MOST_GAPS * len(self.rows):
            self.rows, place, height = slice(low, high), slots - low, high - low
        else:
            place, height = (np.cumsum(touched, dtype=np.int32) - 1)[slots - low], len(self.rows)
        columns = size * np.arange(pairs)[:, None] + np.arange(count)
        entries = (np.ones(slots.size), (place.ravel(), columns.ravel()))
        self.matrix = sparse.coo_matrix(entries, shape=(height, size * pairs)).tocsr()

    def sums(self, blocks: NDArray) -> list[NDArray]:
        """What is added to `rows`, for each of the nine entries."""
        return [self.matrix @ entry.ravel() for entry in blocks]

    def add(self, total: NDArray, sums: list[NDArray]) -> None:
        """total[:, rows] += sums."""
        for entry, values in zip(total, sums, strict=True):
            entry[self.rows] += values


def _summation(targets: NDArray, count: int) -> sparse.csr_matrix:
    """The 0/1 matrix (count, len(targets)) that sums entries by target."""
    return _incidence(targets.reshape(-1, 1), count).T.tocsr()


def _incidence(nodes: NDArray, count: int) -> sparse.csr_matrix:
    """(groups, count): 1 where a node belongs to a group."""
    groups, size = nodes.shape
    starts = np.arange(0, groups * size + 1, size, dtype=np.int32)
    return sparse.csr_matrix((np.ones(groups * size), nodes.ravel().astype(np.int32), starts), (groups, count))


class Pattern:
    """Which pairs of nodes couple: a symmetric block pattern, rows sorted.

    Attributes:
        indptr, indices: block CSR structure.
        slots_count: how many blocks are stored.
        diagonal: (nodes,) slot of each node's own block.
        mirror: (nnz,) slot of the block (b, a) for each block (a, b).
    """

    def __init__(self, groups: Sequence[NDArray], count: int) -> None:
        total = sparse.eye_array(count, format="csr")
        for nodes in groups:
            if len(nodes):
                each = _incidence(nodes, count)
                total = total + each.T.tocsr() @ each
        total = sparse.csr_array(total)
        total.sort_indices()
        self.count = count
        self.indices, self.indptr = total.indices.astype(np.int32), total.indptr.astype(np.int32)
        numbers = np.arange(len(self.indices), dtype=np.int32)
        self._slot = sparse.csr_array((numbers, self.indices, self.indptr), shape=(count, count))
        self.slots_count = len(self.indices)
        self.diagonal = self.slots(np.arange(count), np.arange(count))
        self.mirror = self._slot.T.tocsr().data.astype(np.intp)

    def slots(self, a: NDArray, b: NDArray) -> NDArray[np.int32]:
        """Slots of the blocks (a, b), which must be in the pattern."""
        return np.asarray(self._slot[a.ravel(), b.ravel()]).reshape(a.shape)

    def completed(self, half: NDArray, *, balanced: bool) -> NDArray:
        """A + Aᵀ as blocks (nnz, 3, 3), of A given entry by entry (9, nnz).

        Args:
            half: A.
            balanced: the sum over each row of blocks is to be zero, and the diagonal of A, empty as yet, follows.
        """
        data = np.empty((self.slots_count, 9))

        def fill(rows: range) -> None:
            for start in range(rows.start, rows.stop, RANGE):
                part = slice(start, min(start + RANGE, rows.stop))
                for k in range(9):
                    np.add(half[k, part], half[TRANSPOSED[k]].take(self.mirror[part]), out=data[part, k])

        parts = cores()
        share(fill, [range(self.slots_count * p // parts, self.slots_count * (p + 1) // parts) for p in range(parts)])
        if balanced:
            numbers = np.arange(self.slots_count, dtype=np.int32)
            summed = sparse.csr_array((np.ones(self.slots_count), numbers, self.indptr)) @ data
            data[self.diagonal] = -0.5 * (summed + summed[:, TRANSPOSED])
        return data.reshape(-1, 3, 3)

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
