"""A multigrid hierarchy of a block matrix by smoothed aggregation, and its V-cycle.

hierarchy = Hierarchy.of(matrix, rigid_body_modes(positions) * free.reshape(-1, 1))
cycle = hierarchy.cycle(matrix)  # or a later tangent of the same pattern
better = cycle @ residual

Vaněk, Mandel and Brezina (1996): nodes that couple strongly form aggregates; the near null space on each aggregate is
the tentative prolongation T; P = (I − 4/(3ρ) D⁻¹A) T, the coarse matrix Pᵀ A P, ρ the spectral radius of D⁻¹A.

The finest level of a cycle is the tangent at hand, not the one the hierarchy was made from: smoothing and residuals are
those of the equation that is solved, and only what the coarse levels do is old. On the stretched cube this saves a
third of the iterations (`docs/decisions/011-linear-solvers.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from .gauss_seidel import GaussSeidel, Turns
from .half_rows import HalfRows, Halves
from .held import Held, whole_of
from .shares import BlockRows, RowShares, block_product, in_threes, transposed

STRENGTH = 0.04
"""Couplings below this share of the diagonals do not aggregate."""
COARSEST = 1000
"""Unknowns that are solved for directly."""
MOST_LEVELS = 12
STEPS = 10
"""Of Lanczos' method for λ_max."""


Smoother = GaussSeidel | HalfRows


@dataclass
class Level:
    """A matrix and the way to the next coarser one.

    Attributes:
        matrix: the level's matrix, in blocks of 3×3.
        height: how many of their rows make a node.
        inverse_diagonal: (n,) 1 / |a_ii|.
        largest: largest eigenvalue of D⁻¹A.
        transfer: P and Pᵀ; None on the coarsest level.
        smoother: of the levels below the finest; None on the coarsest, which is solved for.
    """

    matrix: sparse.bsr_matrix
    height: int
    inverse_diagonal: NDArray
    largest: float = 1.0
    transfer: tuple[BlockRows, BlockRows] | None = None
    smoother: Smoother | None = None


class Hierarchy:
    """Levels from fine to coarse. Make one with `Hierarchy.of`.

    Attributes:
        sizes, entries: unknowns and stored entries of each level's matrix.
    """

    def __init__(self, levels: list[Level], *, symmetric: bool = True) -> None:
        self.sizes = [level.matrix.shape[0] for level in levels]
        self.entries = [level.matrix.data.size for level in levels]
        # The finest matrix is not kept: a cycle brings the tangent at hand.
        self.transfer, self.coarser, self.symmetric = levels[0].transfer, levels[1:], symmetric
        self.coarse = CoarseDirect(levels[-1].matrix) if self.coarser else None
        self.halves: Halves | None = None
        self.turns: Turns | None = None
        for level in self.coarser[:-1]:
            level.smoother = self.smoother(level.matrix)

    @classmethod
    def of(cls, matrix: sparse.bsr_matrix, modes: NDArray, *, symmetric: bool = True) -> Hierarchy:
        """From a positive definite matrix of 3×3 blocks, unit rows where held, and its near null space.

        Args:
            matrix: (n, n).
            modes: (n, k) vectors that the operator nearly annihilates, zero where held; k a multiple of three.
            symmetric: whether it is, and those that cycles are made for.
        """
        levels, height = [Level(matrix, 1, inverse_diagonal(matrix))], modes.shape[1] // 3
        while levels[-1].matrix.shape[0] > COARSEST and len(levels) < MOST_LEVELS:
            fine = levels[-1]
            fine.largest = largest_eigenvalue(BlockRows(fine.matrix), fine.inverse_diagonal)
            found = _coarsen(fine, modes, smooth_modes=len(levels) == 1)
            if found is None:
                break
            coarse, modes = found
            levels.append(Level(coarse, height, inverse_diagonal(coarse)))
        return cls(levels, symmetric=symmetric)

    @property
    def complexity(self) -> float:
        """Entries of all levels' matrices over those of the finest."""
        return sum(self.entries) / max(self.entries[0], 1)

    def cycle(self, matrix: sparse.bsr_matrix | Held) -> Cycle:
        """The V-cycle for a matrix like the one this was made from (n, n)."""
        return Cycle(self, self.smoother(matrix) if self.coarser else known_rows(matrix))

    def smoother(self, matrix: sparse.bsr_matrix | Held) -> Smoother:
        """For a matrix of 3×3 blocks; what follows from its pattern is kept for the next one."""
        if self.turns is None or not self.turns.fits(matrix):
            self.turns, self.halves = Turns.of(matrix), None
        if not self.symmetric:
            return GaussSeidel(known_rows(matrix), self.turns)
        self.halves = self.halves or Halves.of(self.turns)
        return HalfRows(matrix, self.halves)


def known_rows(matrix: sparse.bsr_matrix | Held) -> BlockRows:
    """All rows of a matrix, known by it: a held one is not renewed for every solve with it."""
    rows = BlockRows(whole_of(matrix))
    rows.source = matrix
    return rows


class Cycle:
    """x = V b: one V-cycle from zero, symmetric, with a Gauss–Seidel sweep before and the opposite one after.

    Attributes:
        matrix: the one on the finest level, for products with vectors.
    """

    def __init__(self, hierarchy: Hierarchy, finest: Smoother | BlockRows) -> None:
        self.matrix = finest.matrix if isinstance(finest, GaussSeidel) else finest
        coarser = hierarchy.coarser
        self.transfers = [hierarchy.transfer, *(level.transfer for level in coarser)]
        self.smoothers = [] if isinstance(finest, BlockRows) else [finest, *(level.smoother for level in coarser)]
        self.coarse = hierarchy.coarse or CoarseDirect(whole_of(self.matrix.source))

    @property
    def exact(self) -> bool:
        """Whether it is a factorisation."""
        return not self.smoothers

    def __matmul__(self, rhs: NDArray) -> NDArray:
        return self._descend(0, rhs)

    def _descend(self, depth: int, rhs: NDArray) -> NDArray:
        smoother = self.smoothers[depth] if depth < len(self.smoothers) else None
        transfer = self.transfers[depth]
        if smoother is None or transfer is None:
            return self.coarse @ rhs
        prolongation, restriction = transfer
        solution, residual = smoother.forward(rhs)
        solution += prolongation @ self._descend(depth + 1, restriction @ residual)
        smoother.backward(rhs, solution)
        return solution


def inverse_diagonal(matrix: Any) -> NDArray[np.float64]:
    """1 / |a_ii|, 1 where it is zero."""
    diagonal = np.abs(matrix.diagonal())
    return 1.0 / np.where(diagonal > 0.0, diagonal, 1.0)


def largest_eigenvalue(matrix: Any, inverse: NDArray) -> float:
    """Of D⁻¹A, by Lanczos steps (Golub and Van Loan, *Matrix Computations*, section 10.1)."""
    root = np.sqrt(inverse)
    vector = np.random.default_rng(0).standard_normal(len(inverse))
    basis, diagonal, off = [vector / np.linalg.norm(vector)], [], []
    for step in range(min(STEPS, len(inverse))):
        image = root * (matrix @ (root * basis[-1]))
        if step:
            image -= off[-1] * basis[-2]
        diagonal.append(float(image @ basis[-1]))
        image -= diagonal[-1] * basis[-1]
        off.append(float(np.linalg.norm(image)))
        if not off[-1] > 1e-12 * abs(diagonal[0]):
            break
        basis.append(image / off[-1])
    values = linalg.eigh_tridiagonal(diagonal, off[: len(diagonal) - 1], eigvals_only=True)
    return max(float(values[-1]), 1e-300)


def _coarsen(fine: Level, modes: NDArray, *, smooth_modes: bool) -> tuple[sparse.bsr_matrix, NDArray] | None:
    """Fills in P and Pᵀ of a level; the coarse matrix and its near null space, or None where nothing aggregates."""
    from pyamg.aggregation.aggregate import standard_aggregation
    from pyamg.aggregation.tentative import fit_candidates

    from .block_products import smooth

    aggregates = standard_aggregation(strong_couplings(fine.matrix, fine.height))[0]
    if not 0 < aggregates.shape[1] < aggregates.shape[0]:
        return None
    matrix, damping = BlockRows(fine.matrix), 4.0 / 3.0 / fine.largest * fine.inverse_diagonal
    if smooth_modes:
        # Where the body is held the modes end abruptly, which no coarse level could follow.
        modes = modes - damping[:, None] * (RowShares(fine.matrix) @ modes)
    tentative, modes = fit_candidates(aggregates, modes)
    tentative = in_threes(tentative)
    prolongation = block_product(matrix, tentative)
    smooth(*prolongation.arrays, damping, *tentative.arrays)
    restriction = transposed(prolongation)
    fine.transfer = prolongation, restriction
    return block_product(restriction, block_product(matrix, prolongation)).whole, modes


def strong_couplings(matrix: sparse.bsr_matrix, height: int) -> sparse.csr_matrix:
    """Which nodes aggregate: ‖A_ij‖ ≥ θ (‖A_ii‖ ‖A_jj‖)^½, a node having so many rows of blocks."""
    squares, count = np.einsum("bij,bij->b", matrix.data, matrix.data), len(matrix.indptr) - 1
    sizes = sparse.csr_matrix((squares, matrix.indices, matrix.indptr), shape=(count, count))
    if height > 1:
        entries, count = sizes.tocoo(), count // height
        place = entries.row // height, entries.col // height
        sizes = sparse.csr_matrix((entries.data, place), shape=(count, count))
    rows, columns = np.repeat(np.arange(count), np.diff(sizes.indptr)), sizes.indices
    own = np.sqrt(sizes.diagonal())
    strong = (sizes.data >= STRENGTH**2 * own[rows] * own[columns]) & (sizes.data > 0)
    starts = np.concatenate([[0], np.cumsum(strong)])[sizes.indptr].astype(np.int32)
    return sparse.csr_matrix((np.ones(int(starts[-1])), columns[strong], starts), shape=(count, count))


class CoarseDirect:
    """Exact solve on the coarsest level, factorised once.

    Aggregates of held nodes leave empty rows, which get a unit diagonal. LU, not Cholesky: far from equilibrium a
    tangent may be indefinite, which conjugate gradients notice themselves.
    """

    def __init__(self, matrix: Any) -> None:
        dense = matrix.toarray()
        diagonal = dense.diagonal()
        shift = np.where(diagonal > 0, 1e-12 * np.abs(diagonal).max(initial=0.0), 1.0)
        self.factor = linalg.lu_factor(dense + np.diag(shift), check_finite=False)

    def __matmul__(self, rhs: NDArray) -> NDArray:
        """A⁻¹ b."""
        return linalg.lu_solve(self.factor, rhs, check_finite=False)


def rigid_body_modes(positions: NDArray) -> NDArray[np.float64]:
    """(3·nodes, 6): three translations and three infinitesimal rotations about the centroid, of like size."""
    arm = positions - positions.mean(axis=0)
    arm = arm / max(np.sqrt((arm**2).mean()), 1e-30)
    modes = np.zeros((len(arm), 3, 6))
    for axis in range(3):
        modes[:, axis, axis] = 1.0
        modes[:, :, 3 + axis] = np.cross(np.eye(3)[axis], arm)
    return modes.reshape(-1, 6)
