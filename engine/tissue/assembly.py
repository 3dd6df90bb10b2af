"""The assembled tangent of one problem: what its elements and terms add, and where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..linear.held import Held, Rim
from ..linear.shares import in_order
from .elements.couplings import coupled_pairs
from .kernels import BlockKernel, TermKernel
from .mass import MassMatrix
from .pattern import BlockScatter, PairScatter, Pattern


class Assembly:
    """Pattern and scatters of one problem."""

    def __init__(self, blocks: list[BlockKernel], terms: list[TermKernel], count: int) -> None:
        self.blocks, self.terms = blocks, terms
        self.pattern = Pattern([block.nodes for block in blocks] + [term.nodes for term in terms], count)
        self.scatters = [self._scatter(block) for block in blocks]
        self.term_scatters = [BlockScatter(self._term_slots(term.nodes), self.pattern.slots_count) for term in terms]
        self._lower = np.empty((self.pattern.kept, 9))  # kept: new memory takes longer than filling it
        self._rim: Rim | None = None
        self._mass: tuple[MassMatrix, NDArray] | None = None

    def _scatter(self, block: BlockKernel) -> PairScatter:
        first, second = coupled_pairs(block.nodes.shape[1], translates=block.element.translates)
        return PairScatter(self.pattern, block.nodes[:, first], block.nodes[:, second])

    def _term_slots(self, nodes: NDArray) -> NDArray:
        first, second = np.broadcast_arrays(nodes[:, :, None], nodes[:, None, :])
        return self.pattern.slots(first, second).ravel()

    def data(self, displacement: NDArray, fraction: float, *, tissue_alone: bool = False) -> NDArray:
        """Blocks (nnz, 3, 3) of the tangent, or of what its elements add."""
        parts = []
        for translates in (True, False):
            chosen = [k for k, block in enumerate(self.blocks) if block.element.translates is translates]
            if chosen:
                self._lower.fill(0.0)
                for k in chosen:
                    self._add(self._lower, self.blocks[k], self.scatters[k], displacement, fraction)
                parts.append(self.pattern.complete(self._lower, balanced=translates))
        data = sum(parts[1:], parts[0])
        if tissue_alone:
            return data
        for term, scatter in zip(self.terms, self.term_scatters, strict=True):
            blocks = term.tangents(displacement, fraction)
            if term.symmetric:
                blocks = 0.5 * (blocks + np.transpose(blocks, (0, 2, 1, 4, 3)))
            scatter.add(data.reshape(-1, 9), blocks.reshape(-1, 9))
        return data

    def _add(
        self, data: NDArray, block: BlockKernel, scatter: PairScatter, displacement: NDArray, fraction: float
    ) -> None:
        """What the elements of one block add, but for the diagonal where it follows from the rest."""
        starts = [rows.start for rows in block.chunks.slices()]
        # Added by this thread in the order of the chunks, so that the sum does not depend on who was faster.
        found = in_order(lambda chunk: block.couplings(displacement, chunk, fraction), range(len(starts)))
        for start, couplings in zip(starts, found, strict=True):
            scatter.add(data, couplings, start)

    def mass_slots(self, mass: MassMatrix) -> NDArray:
        """Where the entries of a mass matrix lie in the pattern."""
        if self._mass is None or self._mass[0] is not mass:
            self._mass = (mass, self.pattern.slots(mass.rows, mass.columns))
        return self._mass[1]

    def rim(self, free: NDArray) -> Rim:
        """The blocks that touch a held component, (rows, 3) not `free`."""
        if self._rim is None:
            self._rim = Rim(free, *self.pattern.held(free), self.pattern.diagonal)
        return self._rim

    def constrained(self, matrix: sparse.bsr_matrix, free: NDArray) -> sparse.bsr_matrix:
        """The matrix with unit rows and columns for held components."""
        return Held(matrix, self.rim(free)).whole
