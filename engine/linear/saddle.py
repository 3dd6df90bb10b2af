"""Saddle points of mixed elements: GMRES with a block triangular preconditioner.

    ⎡A  Bᵀ⎤ ⎡u⎤   ⎡f⎤
    ⎣B −C ⎦ ⎣p⎦ = ⎣g⎦

A is preconditioned by one multigrid cycle, the Schur complement C + B A⁻¹ Bᵀ by the diagonal of C + B D⁻¹ Bᵀ, D that of
A, which is spectrally like C + M/μ with M the mass matrix of the pressures (Elman, Silvester and Wathen, *Finite
Elements and Fast Iterative Solvers*, 2nd ed., chapter 4).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...imaging.errors import SolverError
from .host import REBUILD_GROWTH, HostLinearSolver
from .krylov import Krylov, gmres
from .shares import BlockRows


class SaddleSolver:
    """Keeps one hierarchy for A over the tangents of a whole solve while it still works."""

    def __init__(self, timer: Any, nodes: int, *, symmetric: bool = True) -> None:
        self.timer, self.nodes = timer, nodes
        self.inner = HostLinearSolver(timer, symmetric=symmetric)
        self.split: Split | None = None
        self.effort_when_new: float | None = None

    def solve(
        self, matrix: sparse.bsr_matrix, rhs: NDArray, tolerance: float, free: NDArray, positions: NDArray
    ) -> Krylov:
        """Solve to a relative residual; `rhs` (rows, 3), pressures in component x of the rows after the nodes."""
        if self.split is None or not self.split.fits(matrix):
            self.split = Split(matrix, self.nodes)
        blocks = self.split.blocks(matrix)
        blocks.check_level()
        hierarchy = self.inner.hierarchy
        fresh = hierarchy is None
        if hierarchy is None:
            self.inner.build(blocks.stiffness.whole, free[: self.nodes], positions[: self.nodes])
        cycle = self.inner.cycle if hierarchy is None else hierarchy.cycle(blocks.stiffness.whole)
        flat = np.concatenate([rhs[: self.nodes].ravel(), rhs[self.nodes :, 0]])
        with self.timer.part("krylov"):
            precondition = BlockTriangular(blocks, cycle)
            outcome = gmres(blocks.product, flat, precondition, tolerance)
        solution = np.zeros_like(rhs)
        solution[: self.nodes] = outcome.solution[: 3 * self.nodes].reshape(-1, 3)
        solution[self.nodes :, 0] = outcome.solution[3 * self.nodes :]
        effort = outcome.iterations / max(-np.log10(max(tolerance, 1e-16)), 0.3)
        if fresh or self.effort_when_new is None:
            self.effort_when_new = max(effort, 4.0)
        elif effort > REBUILD_GROWTH * self.effort_when_new or not outcome.converged:
            self.inner.hierarchy = None
            if not outcome.converged:
                return self.solve(matrix, rhs, tolerance, free, positions)
        return outcome._replace(solution=solution)


class Split:
    """Where A, B and C lie in the block matrix of all rows."""

    def __init__(self, matrix: sparse.bsr_matrix, nodes: int) -> None:
        rows = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
        self.indices = matrix.indices
        columns, self.nodes, self.pressures = matrix.indices, nodes, len(matrix.indptr) - 1 - nodes
        self.solid = np.flatnonzero((rows < nodes) & (columns < nodes))
        self.coupling = np.flatnonzero((rows >= nodes) & (columns < nodes))
        self.volume = np.flatnonzero((rows >= nodes) & (columns >= nodes))
        self.structures = [
            self._structure(rows[self.solid], columns[self.solid], nodes),
            self._structure(rows[self.coupling] - nodes, columns[self.coupling], self.pressures),
            self._structure(rows[self.volume] - nodes, columns[self.volume] - nodes, self.pressures),
        ]

    def fits(self, matrix: sparse.bsr_matrix) -> bool:
        """Whether a matrix has this pattern: contacts come and go."""
        return matrix.indices is self.indices or np.array_equal(matrix.indices, self.indices)

    @staticmethod
    def _structure(rows: NDArray, columns: NDArray, count: int) -> tuple[NDArray, NDArray]:
        return columns.astype(np.int32), np.searchsorted(rows, np.arange(count + 1)).astype(np.int32)

    def blocks(self, matrix: sparse.bsr_matrix) -> SaddleBlocks:
        """A, B and −C of a matrix of this pattern."""
        size, data = 3 * self.nodes, matrix.data
        stiffness = sparse.bsr_matrix((data[self.solid], *self.structures[0]), shape=(size, size))
        divergence = sparse.bsr_matrix((data[self.coupling][:, :1], *self.structures[1]), shape=(self.pressures, size))
        volume = sparse.csr_matrix((data[self.volume][:, 0, 0], *self.structures[2]), shape=(self.pressures,) * 2)
        return SaddleBlocks(BlockRows(stiffness), divergence, volume)


class SaddleBlocks:
    """A, B and −C."""

    def __init__(self, stiffness: BlockRows, divergence: sparse.bsr_matrix, volume: sparse.csr_matrix) -> None:
        self.stiffness, self.divergence, self.volume = stiffness, divergence.tocsr(), volume
        self.gradient = self.divergence.T.tocsr()
        self.size = stiffness.shape[0]

    def product(self, vector: NDArray) -> NDArray:
        """The whole matrix times a vector."""
        solid, pressure = vector[: self.size], vector[self.size :]
        top = self.stiffness @ solid + self.gradient @ pressure
        return np.concatenate([top, self.divergence @ solid + self.volume @ pressure])

    def check_level(self) -> None:
        """A pressure that is the same everywhere must push on something.

        Raises:
            SolverError: it moves no free displacement and compresses nothing, so that any level of it would do.
        """
        level = np.ones(self.volume.shape[0])
        pushed = np.concatenate([self.gradient @ level, self.volume @ level])
        size = np.concatenate([abs(self.gradient) @ level, abs(self.volume) @ level])
        if np.linalg.norm(pushed) <= 1e-10 * np.linalg.norm(size):
            raise SolverError(
                "the pressure of an incompressible body is undetermined: its whole surface is held",
                where="mixed elements",
                advice="Leave a part of the surface free, or take a Poisson's ratio below 0.5",
            )

    def schur_diagonal(self) -> NDArray:
        """diag(B D⁻¹ Bᵀ)."""
        diagonal = self.stiffness.whole.diagonal()
        return np.asarray(self.divergence.multiply(self.divergence) @ (1.0 / np.maximum(diagonal, 1e-300))).ravel()


class BlockTriangular:
    """(f, g) → p = −Ŝ⁻¹ g, u = V (f − Bᵀ p)."""

    def __init__(self, blocks: SaddleBlocks, cycle: Any) -> None:
        self.blocks, self.cycle = blocks, cycle
        self.compliance = np.maximum(blocks.schur_diagonal() - blocks.volume.diagonal(), 1e-300)

    def __matmul__(self, vector: NDArray) -> NDArray:
        size = self.blocks.size
        pressure = -vector[size:] / self.compliance
        solid = self.cycle @ (vector[:size] - self.blocks.gradient @ pressure)
        return np.concatenate([solid, pressure])
