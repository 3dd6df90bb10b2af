"""A symmetric block matrix by half of its blocks: products, and the two Gauss–Seidel sweeps of a smoother.

rows = HalfRows(matrix, Halves.of(Turns.of(matrix)))
image = rows @ vector
x, left = rows.forward(rhs)      # from zero: (D + L) x = b, and b − A x (diagonal blocks as `inverse` has them)
rows.backward(rhs, x)            # in place: (D + U) x' = b − L x

A product, a sweep and the residual after it each read L once, which is less than half of the matrix; as much is copied
for each new tangent, in the order in which the rows have their turn.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gauss_seidel import Turns
from .shares import share


@dataclass(frozen=True)
class Halves:
    """Which blocks are kept, for one sparsity pattern.

    Attributes:
        turns: the pattern, and which rows are swept at once.
        order: rows by turn, part after part, those between the parts last.
        parts, between: (first, last) turns of each.
        starts, columns: structure of L by turn.
        slots: where its blocks lie in the matrix.
        own: slots of the diagonal blocks by turn.
    """

    turns: Turns
    order: NDArray[np.int32]
    parts: list[tuple[int, int]]
    between: tuple[int, int]
    starts: NDArray[np.int32]
    columns: NDArray[np.int32]
    slots: NDArray[np.int32]
    own: NDArray[np.int32]

    @classmethod
    def of(cls, turns: Turns) -> Halves:
        """For the turns of a symmetric pattern."""
        groups = [*turns.parts, turns.between]
        order, cuts = np.concatenate(groups), np.cumsum([0, *map(len, groups)]).tolist()
        count = len(order)
        turn = np.empty(count, np.int32)
        turn[order] = np.arange(count, dtype=np.int32)
        turn_of_row = np.repeat(turn, np.diff(turns.starts))
        slots = np.flatnonzero(turn[turns.columns] < turn_of_row).astype(np.int32)
        lengths = np.bincount(turn_of_row[slots], minlength=count)
        if len(groups) > 2:
            slots = slots[np.argsort(turn_of_row[slots], kind="stable")]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        parts = list(itertools.pairwise(cuts))
        own = turns.own[order].astype(np.int32)
        return cls(turns, order, parts[:-1], parts[-1], starts, turns.columns[slots], slots, own)


class HalfRows:
    """One matrix of a pattern.

    Attributes:
        source: the matrix this was made from.
        shape: of it.
    """

    def __init__(self, matrix: Any, halves: Halves) -> None:
        """Of a `bsr_matrix`, or of a `Held` one, which need not be made whole for it."""
        from .half_sweeps import take
        from .sweeps import inverse_blocks

        self.source, self.shape, self.halves = matrix, matrix.shape, halves
        rim = getattr(matrix, "rim", None)
        blocks = (matrix if rim is None else matrix.opened).data.reshape(-1)
        self.lower, self.diagonal = np.empty(9 * len(halves.slots)), np.empty(9 * len(halves.own))
        self.inverse = np.empty_like(self.diagonal)
        ranges = [tuple(halves.starts[list(part)].tolist()) for part in (*halves.parts, halves.between)]
        share(lambda some: take(halves.slots, blocks, self.lower, *some), ranges)
        take(halves.own, blocks, self.diagonal, 0, len(halves.own))
        if rim is not None:
            rim.close_half(halves, self.lower.reshape(-1, 3, 3), self.diagonal.reshape(-1, 3, 3))
        inverse_blocks(np.arange(len(halves.own)), self.diagonal, self.inverse)
        self.structure = halves.order, halves.starts, halves.columns, self.lower

    def __matmul__(self, vector: NDArray) -> NDArray:
        """A x for x (n,)."""
        from .half_sweeps import half_product

        vector, out = np.ascontiguousarray(vector), np.empty(self.shape[0])
        share(lambda part: half_product(*self.structure, self.diagonal, vector, out, *part), self.halves.parts)
        half_product(*self.structure, self.diagonal, vector, out, *self.halves.between)
        return out

    def forward(self, rhs: NDArray) -> tuple[NDArray, NDArray]:
        """x of one sweep from zero, and b − A x."""
        from .half_sweeps import half_forward

        solution, left = np.empty_like(rhs), np.empty_like(rhs)
        share(lambda part: half_forward(*self.structure, self.inverse, rhs, solution, left, *part), self.halves.parts)
        half_forward(*self.structure, self.inverse, rhs, solution, left, *self.halves.between)
        return solution, left

    def backward(self, rhs: NDArray, solution: NDArray) -> None:
        """One sweep in the opposite order, in place."""
        from .half_sweeps import half_backward

        left = rhs.copy()
        half_backward(*self.structure, self.inverse, left, solution, *self.halves.between)
        share(lambda part: half_backward(*self.structure, self.inverse, left, solution, *part), self.halves.parts)
