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

from .shares import RowShares, shared_product

STRENGTH = 0.04
"""Couplings below this share of the diagonals do not aggregate."""
COARSEST = 1000
"""Unknowns that are solved for directly."""
MOST_LEVELS = 12
SPREAD = 30.0
"""The smoother damps eigenvalues between λ_max/SPREAD and λ_max."""
MARGIN = 1.1
"""Lanczos steps find λ_max from below."""
FIRST_STEPS, LATER_STEPS = 10, 3
"""Lanczos steps from a random start, and from the vector found for the tangent before."""


@dataclass
class Level:
    """A matrix and the way to the next coarser one.

    Attributes:
        matrix: the level's matrix.
        inverse_diagonal: (n,) 1 / |a_ii|.
        largest: largest eigenvalue of D⁻¹A.
        steepest: (n,) its eigenvector of D^-½ A D^-½, roughly.
        transfer: P and Pᵀ; None on the coarsest level.
    """

    matrix: RowShares
    inverse_diagonal: NDArray
    largest: float = 1.0
    steepest: NDArray | None = None
    transfer: tuple[RowShares, RowShares] | None = None

    def find_largest(self, start: NDArray | None = None) -> None:
        """The spectral radius, from a vector that is already near."""
        self.largest, self.steepest = largest_eigenvalue(self.matrix, self.inverse_diagonal, start)


class Hierarchy:
    """Levels from fine to coarse. Make one with `Hierarchy.of`.

    Attributes:
        sizes, entries: unknowns and stored entries of each level's matrix.
    """

    def __init__(self, levels: list[Level]) -> None:
        self.sizes = [level.matrix.shape[0] for level in levels]
        self.entries = [level.matrix.whole.data.size for level in levels]
        # The finest matrix is not kept: a cycle brings the tangent at hand.
        self.transfer, self.steepest, self.coarser = levels[0].transfer, levels[0].steepest, levels[1:]
        self.largest = levels[0].largest
        self.coarse = CoarseDirect(levels[-1].matrix.whole) if self.coarser else None

    @classmethod
    def of(cls, matrix: sparse.bsr_matrix, modes: NDArray) -> Hierarchy:
        """From a symmetric, positive definite matrix of square blocks, unit rows where held, and its near null space.

        Args:
            matrix: (n, n).
            modes: (n, k) vectors that the operator nearly annihilates, zero where held.
        """
        levels = [Level(RowShares(matrix), inverse_diagonal(matrix))]
        while levels[-1].matrix.shape[0] > COARSEST and len(levels) < MOST_LEVELS:
            levels[-1].find_largest()
            found = _coarsen(levels[-1], modes, smooth_modes=len(levels) == 1)
            if found is None:
                break
            coarse, modes = found
            levels.append(Level(RowShares(coarse), inverse_diagonal(coarse)))
        return cls(levels)

    @property
    def complexity(self) -> float:
        """Entries of all levels' matrices over those of the finest."""
        return sum(self.entries) / max(self.entries[0], 1)

    def cycle(self, matrix: Any, *, own: bool = False) -> Cycle:
        """The V-cycle for a matrix like the one this was made from (n, n), or for its `own`."""
        return Cycle(self, matrix, self.largest if own else None)


class Cycle:
    """x = V b: one V-cycle from zero, symmetric, with Chebyshev smoothing of degree 2 before and after.

    Attributes:
        matrix: the one on the finest level.
    """

    def __init__(self, hierarchy: Hierarchy, matrix: Any, largest: float | None = None) -> None:
        shares = matrix if isinstance(matrix, RowShares) else RowShares(matrix)
        self.matrix = shares
        finest = Level(shares, inverse_diagonal(shares.whole), transfer=hierarchy.transfer)
        if largest is not None:
            finest.largest = largest
        elif hierarchy.coarser:
            finest.find_largest(hierarchy.steepest)
            hierarchy.steepest = finest.steepest
        self.levels = [finest, *hierarchy.coarser]
        self.coarse = hierarchy.coarse or CoarseDirect(shares.whole)

    def __matmul__(self, rhs: NDArray) -> NDArray:
        return self._descend(0, rhs)

    def _descend(self, depth: int, rhs: NDArray) -> NDArray:
        level = self.levels[depth]
        if level.transfer is None:
            return self.coarse @ rhs
        prolongation, restriction = level.transfer
        solution, residual = smooth(level, rhs, residual_after=True)
        correction = prolongation @ self._descend(depth + 1, restriction @ residual)
        solution += correction
        residual -= level.matrix @ correction
        solution += smooth(level, residual)[0]
        return solution


def smooth(level: Level, rhs: NDArray, *, residual_after: bool = False) -> tuple[NDArray, NDArray]:
    """Two steps of the Chebyshev iteration for D⁻¹A x = D⁻¹b from zero (Saad, *Iterative Methods*, algorithm 12.1).

    Returns:
        x and, if asked for, b − A x.
    """
    high = MARGIN * level.largest
    low = high / SPREAD
    theta, delta = 0.5 * (high + low), 0.5 * (high - low)
    sigma = theta / delta
    after = 1.0 / (2.0 * sigma - 1.0 / sigma)
    first = level.inverse_diagonal * rhs
    first /= theta
    residual = rhs - level.matrix @ first
    second = level.inverse_diagonal * residual
    second *= 2.0 * after / delta
    second += (after / sigma) * first
    if residual_after:
        residual -= level.matrix @ second
    first += second
    return first, residual


def inverse_diagonal(matrix: Any) -> NDArray[np.float64]:
    """1 / |a_ii|, 1 where it is zero."""
    diagonal = np.abs(matrix.diagonal())
    return 1.0 / np.where(diagonal > 0.0, diagonal, 1.0)


def largest_eigenvalue(matrix: Any, inverse: NDArray, start: NDArray | None = None) -> tuple[float, NDArray]:
    """Of D⁻¹A, and its vector, by Lanczos steps (Golub and Van Loan, *Matrix Computations*, section 10.1)."""
    steps = FIRST_STEPS if start is None else LATER_STEPS
    root = np.sqrt(inverse)
    vector = np.random.default_rng(0).standard_normal(len(inverse)) if start is None else start
    basis, diagonal, off = [vector / np.linalg.norm(vector)], [], []
    for step in range(min(steps, len(inverse))):
        image = root * (matrix @ (root * basis[-1]))
        if step:
            image -= off[-1] * basis[-2]
        diagonal.append(float(image @ basis[-1]))
        image -= diagonal[-1] * basis[-1]
        off.append(float(np.linalg.norm(image)))
        if not off[-1] > 1e-12 * abs(diagonal[0]):
            break
        basis.append(image / off[-1])
    values, vectors = linalg.eigh_tridiagonal(diagonal, off[: len(diagonal) - 1])
    steepest = sum(weight * part for weight, part in zip(vectors[:, -1], basis, strict=False))
    return max(float(values[-1]), 1e-300), np.asarray(steepest)


def _coarsen(fine: Level, modes: NDArray, *, smooth_modes: bool) -> tuple[sparse.bsr_matrix, NDArray] | None:
    """Fills in P and Pᵀ of a level; the coarse matrix and its near null space, or None where nothing aggregates."""
    from pyamg.aggregation.aggregate import standard_aggregation
    from pyamg.aggregation.tentative import fit_candidates

    matrix = fine.matrix.whole
    aggregates = standard_aggregation(strong_couplings(matrix))[0]
    if not 0 < aggregates.shape[1] < aggregates.shape[0]:
        return None
    damping = 4.0 / 3.0 / fine.largest * fine.inverse_diagonal
    if smooth_modes:
        # Where the body is held the modes end abruptly, which no coarse level could follow.
        modes = modes - damping[:, None] * (fine.matrix @ modes)
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
    fine.transfer = RowShares(prolongation), RowShares(restriction)
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
