"""The fixed sparsity pattern of the tangent, and the scatters into it, made once per problem."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..linear.shares import RowShares, row_ranges, share

UNUSED = 2
"""References to an array in a list, the argument that counts them being one; views refer to what they are a part of."""
BATCH = 32768
"""Tetrahedra of four nodes per scatter: bounds the memory of what is in between."""


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


class PairScatter:
    """Adds the blocks of pairs of an element's rows to the lower half of a matrix."""

    def __init__(self, pattern: Pattern, first: NDArray, second: NDArray) -> None:
        """Of the nodes (elements, pairs) at both ends of each pair."""
        self.places = pattern.places[pattern.slots(first, second)]

    def add(self, lower: NDArray, couplings: NDArray, start: int) -> None:
        """To blocks (kept, 9), of a chunk (9, pairs, size) whose first element is number `start`."""
        from .scatter import add_pairs

        count = min(couplings.shape[2], len(self.places) - start)
        add_pairs(couplings, self.places, lower.reshape(-1), start, count)


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
        self._rooms: list[NDArray[np.float64]] = []

    def slots(self, a: NDArray, b: NDArray) -> NDArray[np.int32]:
        """Slots of the blocks (a, b), which must be in the pattern."""
        return np.asarray(self._slot[a.ravel(), b.ravel()]).reshape(a.shape)

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """(nnz,) of each block among those on and below the diagonal; ~place of those above it."""
        below = self.indices <= np.repeat(np.arange(self.count, dtype=np.int32), np.diff(self.indptr))
        number = np.cumsum(below, dtype=np.int32) - 1
        mirrored = self._slot.T.tocsr().data
        return np.where(below, number, ~number[mirrored])

    @property
    def kept(self) -> int:
        """How many blocks lie on and below the diagonal."""
        return (self.slots_count + self.count) // 2

    def complete(self, lower: NDArray, *, balanced: bool) -> NDArray:
        """All blocks (nnz, 3, 3) of a symmetric matrix from the lower half (kept, 9), diagonal blocks halved.

        Args:
            balanced: whether the diagonal is instead such that the blocks of each row sum to zero.
        """
        from .scatter import complete

        out = self._room()
        given = self.indptr, self.places, self.diagonal, lower.reshape(-1), out.reshape(-1), balanced
        share(lambda rows: complete(*given, *rows), row_ranges(self.indptr, out.size))
        return out

    def _room(self) -> NDArray[np.float64]:
        """Room for all blocks (nnz, 3, 3): that of a matrix which nobody refers to any more, since to be given new
        memory takes longer than to fill it. There are two as long as a tangent is made before the last is given up."""
        for k in range(len(self._rooms)):
            if sys.getrefcount(self._rooms[k]) == UNUSED:
                return self._rooms[k]
        self._rooms = [*self._rooms[-1:], np.empty((self.slots_count, 3, 3))]
        return self._rooms[-1]

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
