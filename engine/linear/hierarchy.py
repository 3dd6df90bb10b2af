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
from .shares import BlockRows, in_threes, shared_product

STRENGTH = 0.04
"""Couplings below this share of the diagonals do not aggregate."""
COARSEST = 1000
"""Unknowns that are solved for directly."""
MOST_LEVELS = 12
STEPS = 10
"""Of Lanczos' method for λ_max."""


@dataclass
class Level:
    """A matrix and the way to the next coarser one.

    Attributes:
        matrix: the level's matrix, by the blocks it was made with.
        inverse_diagonal: (n,) 1 / |a_ii|.
        largest: largest eigenvalue of D⁻¹A.
        transfer: P and Pᵀ; None on the coarsest level.
        smoother: of the levels below the finest; None on the coarsest, which is solved for.
    """

    matrix: sparse.bsr_matrix
    inverse_diagonal: NDArray
    largest: float = 1.0
    transfer: tuple[BlockRows, BlockRows] | None = None
    smoother: GaussSeidel | None = None


class Hierarchy:
    """Levels from fine to coarse. Make one with `Hierarchy.of`.

    Attributes:
        sizes, entries: unknowns and stored entries of each level's matrix.
    """

    def __init__(self, levels: list[Level]) -> None:
        self.sizes = [level.matrix.shape[0] for level in levels]
        self.entries = [level.matrix.data.size for level in levels]
        # The finest matrix is not kept: a cycle brings the tangent at hand.
        self.transfer, self.coarser, self.turns = levels[0].transfer, levels[1:], None
        self.coarse = CoarseDirect(levels[-1].matrix) if self.coarser else None
        for level in self.coarser[:-1]:
            blocks = in_threes(level.matrix)
            level.smoother = GaussSeidel(blocks, Turns.of(blocks.whole))

    @classmethod
    def of(cls, matrix: sparse.bsr_matrix, modes: NDArray) -> Hierarchy:
        """From a symmetric, positive definite matrix of 3×3 blocks, unit rows where held, and its near null space.

        Args:
            matrix: (n, n).
            modes: (n, k) vectors that the operator nearly annihilates, zero where held; k a multiple of three.
        """
        levels = [Level(matrix, inverse_diagonal(matrix))]
        while levels[-1].matrix.shape[0] > COARSEST and len(levels) < MOST_LEVELS:
            fine = levels[-1]
            fine.largest = largest_eigenvalue(in_threes(fine.matrix), fine.inverse_diagonal)
            found = _coarsen(fine, modes, smooth_modes=len(levels) == 1)
            if found is None:
                break
            coarse, modes = found
            levels.append(Level(coarse, inverse_diagonal(coarse)))
        return cls(levels)

    @property
    def complexity(self) -> float:
        """Entries of all levels' matrices over those of the finest."""
        return sum(self.entries) / max(self.entries[0], 1)

    def cycle(self, matrix: sparse.bsr_matrix | BlockRows) -> Cycle:
        """The V-cycle for a matrix like the one this was made from (n, n)."""
        rows = matrix if isinstance(matrix, BlockRows) else BlockRows(matrix)
        if self.coarser and (self.turns is None or not self.turns.fits(rows.whole)):
            self.turns = Turns.of(rows.whole)
        return Cycle(self, rows)


class Cycle:
    """x = V b: one V-cycle from zero, symmetric, with a Gauss–Seidel sweep before and the opposite one after.

    Attributes:
        matrix: the one on the finest level.
    """

    def __init__(self, hierarchy: Hierarchy, matrix: BlockRows) -> None:
        self.matrix = matrix
        coarser = hierarchy.coarser
        self.transfers = [hierarchy.transfer, *(level.transfer for level in coarser)]
        finest = [GaussSeidel(matrix, hierarchy.turns)] if hierarchy.turns is not None else []
        self.smoothers = [*finest, *(level.smoother for level in coarser)]
        self.coarse = hierarchy.coarse or CoarseDirect(matrix.whole)

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
        solution = smoother.forward(rhs)
        residual = smoother.matrix.left(rhs, solution)
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

    matrix = fine.matrix
    aggregates = standard_aggregation(strong_couplings(matrix))[0]
    if not 0 < aggregates.shape[1] < aggregates.shape[0]:
        return None
    damping = 4.0 / 3.0 / fine.largest * fine.inverse_diagonal
    if smooth_modes:
        # Where the body is held the modes end abruptly, which no coarse level could follow.
        modes = modes - damping[:, None] * (matrix @ modes)
    tentative, modes = fit_candidates(aggregates, modes)
    step = shared_product(matrix, tentative)
    height = step.blocksize[0]
    rows = np.repeat(np.arange(step.shape[0] // height), np.diff(step.indptr))
    step.data *= damping.reshape(-1, height)[rows][:, :, None]
    prolongation = (tentative - step).tobsr(blocksize=step.blocksize)
    prolongation.sort_indices()
    restriction = prolongation.T.tobsr(blocksize=step.blocksize[::-1])
    coarse = shared_product(restriction, shared_product(matrix, prolongation))
    coarse.sort_indices()
    fine.transfer = in_threes(prolongation), in_threes(restriction)
    return coarse, modes


def strong_couplings(matrix: sparse.bsr_matrix) -> sparse.csr_matrix:
    """Which nodes aggregate: ‖A_ij‖ ≥ θ (‖A_ii‖ ‖A_jj‖)^½."""
    size = np.sqrt(np.einsum("bij,bij->b", matrix.data, matrix.data))
    count = len(matrix.indptr) - 1
    rows = np.repeat(np.arange(count), np.diff(matrix.indptr))
    own = np.zeros(count)
    diagonal = rows == matrix.indices
    own[rows[diagonal]] = size[diagonal]
    strong = (size >= STRENGTH * np.sqrt(own[rows] * own[matrix.indices])) & (size > 0)
    starts = np.concatenate([[0], np.cumsum(strong)])[matrix.indptr].astype(np.int32)
    return sparse.csr_matrix((np.ones(int(starts[-1])), matrix.indices[strong], starts), shape=(count, count))


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
