"""A block matrix some of whose unknowns are held, of which a solver takes what it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .half_rows import Halves


@dataclass
class Rim:
    """Which blocks of a pattern touch a held component.

    Attributes:
        free: (rows, 3), 1 where not held.
        slots: of these blocks.
        mask: (slots, 3, 3) what they are multiplied with.
        own: (rows,) slots of the diagonal.
    """

    free: NDArray
    slots: NDArray
    mask: NDArray
    own: NDArray
    _halved: tuple[Halves, NDArray, NDArray] | None = field(default=None, init=False)

    def close(self, blocks: NDArray) -> None:
        """Unit rows and columns for held components, in place in blocks (nnz, 3, 3)."""
        blocks[self.slots] *= self.mask
        blocks[self.own] += (1.0 - self.free)[:, :, None] * np.eye(3)

    def close_half(self, halves: Halves, lower: NDArray, diagonal: NDArray) -> None:
        """The same in the blocks (…, 3, 3) that half of the matrix is kept by."""
        if self._halved is None or self._halved[0] is not halves:
            number = np.full(len(halves.turns.columns), -1, np.int32)
            number[halves.slots] = np.arange(len(halves.slots), dtype=np.int32)
            touched = number[self.slots]
            self._halved = halves, touched[touched >= 0], self.mask[touched >= 0]
        _, places, mask = self._halved
        lower[places] *= mask
        free = self.free[halves.order]
        diagonal *= free[:, :, None] * free[:, None, :]
        diagonal += (1.0 - free)[:, :, None] * np.eye(3)


class Held:
    """A matrix that is open, with the rim that closes it; a copy of all of it is made where `whole` is asked for.

    Attributes:
        opened: the matrix with all couplings of held components.
        rim: which these are.
    """

    def __init__(self, opened: sparse.bsr_matrix, rim: Rim) -> None:
        self.opened, self.rim = opened, rim
        self.shape, self.indices, self.indptr = opened.shape, opened.indices, opened.indptr

    @cached_property
    def whole(self) -> sparse.bsr_matrix:
        """With unit rows and columns for held components."""
        data = np.array(self.opened.data)
        self.rim.close(data)
        return sparse.bsr_matrix((data, self.indices, self.indptr), shape=self.shape)


def whole_of(matrix: sparse.bsr_matrix | Held) -> sparse.bsr_matrix:
    """The matrix itself, or the closed copy of one that is held."""
    return matrix.whole if isinstance(matrix, Held) else matrix
