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

from .host import HostLinearSolver, Krylov

RESTART = 60
MAX_ITERATIONS = 600
REBUILD_GROWTH = 2.0
"""The hierarchy is rebuilt when iterations per digit grow by this factor since it was new."""


class SaddleSolver:
    """Keeps one hierarchy for A over the tangents of a whole solve while it still works."""

    def __init__(self, timer: Any, nodes: int) -> None:
        self.timer, self.nodes = timer, nodes
        self.inner = HostLinearSolver(timer)
        self.split: Split | None = None
        self.effort_when_new: float | None = None

    def solve(
        self, matrix: sparse.bsr_matrix, rhs: NDArray, tolerance: float, free: NDArray, positions: NDArray
    ) -> Krylov:
        """Solve to a relative residual; `rhs` (rows, 3), pressures in component x of the rows after the nodes."""
        if self.split is None:
            self.split = Split(matrix, self.nodes)
        blocks = self.split.blocks(matrix)
        fresh = self.inner.cycle is None
        if fresh:
            self.inner.build(blocks.stiffness, free[: self.nodes], positions[: self.nodes])
        flat = np.concatenate([rhs[: self.nodes].ravel(), rhs[self.nodes :, 0]])
        with self.timer.part("krylov"):
            precondition = BlockTriangular(blocks, self.inner.cycle)
            outcome = gmres(blocks.product, flat, precondition, tolerance)
        solution = np.zeros_like(rhs)
        solution[: self.nodes] = outcome.solution[: 3 * self.nodes].reshape(-1, 3)
        solution[self.nodes :, 0] = outcome.solution[3 * self.nodes :]
        effort = outcome.iterations / max(-np.log10(max(tolerance, 1e-16)), 0.3)
        if fresh or self.effort_when_new is None:
            self.effort_when_new = max(effort, 4.0)
        elif effort > REBUILD_GROWTH * self.effort_when_new or not outcome.converged:
            self.inner.cycle = None
            if not outcome.converged:
                return self.solve(matrix, rhs, tolerance, free, positions)
        return outcome._replace(solution=solution)


class Split:
    """Where A, B and C lie in the block matrix of all rows."""

    def __init__(self, matrix: sparse.bsr_matrix, nodes: int) -> None:
        rows = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
        columns, self.nodes, self.pressures = matrix.indices, nodes, len(matrix.indptr) - 1 - nodes
        self.solid = np.flatnonzero((rows < nodes) & (columns < nodes))
        self.coupling = np.flatnonzero((rows >= nodes) & (columns < nodes))
        self.volume = np.flatnonzero((rows >= nodes) & (columns >= nodes))
        self.structures = [
            self._structure(rows[self.solid], columns[self.solid], nodes),
            self._structure(rows[self.coupling] - nodes, columns[self.coupling], self.pressures),
            self._structure(rows[self.volume] - nodes, columns[self.volume] - nodes, self.pressures),
        ]

    @staticmethod
    def _structure(rows: NDArray, columns: NDArray, count: int) -> tuple[NDArray, NDArray]:
        return columns.astype(np.int32), np.searchsorted(rows, np.arange(count + 1)).astype(np.int32)

    def blocks(self, matrix: sparse.bsr_matrix) -> SaddleBlocks:
        """A, B and −C of a matrix of this pattern."""
        size, data = 3 * self.nodes, matrix.data
        stiffness = sparse.bsr_matrix((data[self.solid], *self.structures[0]), shape=(size, size))
        divergence = sparse.bsr_matrix((data[self.coupling][:, :1], *self.structures[1]), shape=(self.pressures, size))
        volume = sparse.csr_matrix((data[self.volume][:, 0, 0], *self.structures[2]), shape=(self.pressures,) * 2)
        return SaddleBlocks(stiffness, divergence, volume)


class SaddleBlocks:
    """A, B and −C."""

    def __init__(self, stiffness: sparse.bsr_matrix, divergence: sparse.bsr_matrix, volume: sparse.csr_matrix) -> None:
        self.stiffness, self.divergence, self.volume = stiffness, divergence.tocsr(), volume
        self.gradient = self.divergence.T.tocsr()
        self.size = stiffness.shape[0]

    def product(self, vector: NDArray) -> NDArray:
        """The whole matrix times a vector."""
        solid, pressure = vector[: self.size], vector[self.size :]
        top = self.stiffness @ solid + self.gradient @ pressure
        return np.concatenate([top, self.divergence @ solid + self.volume @ pressure])

    def schur_diagonal(self) -> NDArray:
        """diag(B D⁻¹ Bᵀ)."""
        diagonal = self.stiffness.diagonal()
        return np.asarray(self.divergence.multiply(self.divergence) @ (1.0 / np.maximum(diagonal, 1e-300))).ravel()


class BlockTriangular:
    """(f, g) → p = −Ŝ⁻¹ g, u = V (f − Bᵀ p)."""

    def __init__(self, blocks: SaddleBlocks, cycle: Any) -> None:
        self.blocks, self.cycle = blocks, cycle
        self.compliance = blocks.schur_diagonal() - blocks.volume.diagonal()

    def __matmul__(self, vector: NDArray) -> NDArray:
        size = self.blocks.size
        pressure = -vector[size:] / self.compliance
        solid = self.cycle @ (vector[:size] - self.blocks.gradient @ pressure)
        return np.concatenate([solid, pressure])


def gmres(product: Any, rhs: NDArray, precondition: Any, tolerance: float) -> Krylov:
    """Right-preconditioned, restarted GMRES, whose residual is the true one (Saad, *Iterative Methods*, 9.3.2)."""
    solution, goal, done = np.zeros_like(rhs), tolerance * float(np.linalg.norm(rhs)), 0
    if goal == 0.0:
        return Krylov(solution, 0, True)
    while done < MAX_ITERATIONS:
        residual = rhs - product(solution) if done else rhs.copy()
        basis, hessenberg, count = arnoldi(product, residual, precondition, goal)
        size = np.zeros(count + 1)
        size[0] = np.linalg.norm(residual)
        weights = np.linalg.lstsq(hessenberg[: count + 1, :count], size, rcond=None)[0]
        solution += precondition @ (basis[:count].T @ weights)
        done += count
        if np.linalg.norm(size - hessenberg[: count + 1, :count] @ weights) <= goal:
            return Krylov(solution, done, True)
    return Krylov(solution, done, False)


def arnoldi(product: Any, residual: NDArray, precondition: Any, goal: float) -> tuple[NDArray, NDArray, int]:
    """An orthonormal basis (k + 1, n) of the Krylov space, the Hessenberg matrix and k, until the residual is met."""
    basis, hessenberg = [residual / np.linalg.norm(residual)], np.zeros((RESTART + 1, RESTART))
    cosines, sines, tail = np.zeros(RESTART), np.zeros(RESTART), float(np.linalg.norm(residual))
    for k in range(RESTART):
        image = product(precondition @ basis[k])
        for _ in range(2):  # a second pass keeps the basis orthogonal to round-off
            known = np.array([vector @ image for vector in basis])
            hessenberg[: k + 1, k] += known
            for weight, vector in zip(known, basis, strict=True):
                image = image - weight * vector
        hessenberg[k + 1, k] = np.linalg.norm(image)
        basis.append(image / max(hessenberg[k + 1, k], 1e-300))
        column = _rotated(hessenberg[: k + 2, k], cosines, sines, k)
        size = float(np.hypot(column[k], column[k + 1])) or 1e-300
        cosines[k], sines[k] = column[k] / size, column[k + 1] / size
        tail *= abs(sines[k])
        if tail <= goal:
            return np.array(basis), hessenberg, k + 1
    return np.array(basis), hessenberg, RESTART


def _rotated(column: NDArray, cosines: NDArray, sines: NDArray, count: int) -> NDArray:
    """A column of the Hessenberg matrix after the earlier Givens rotations."""
    turned = column.copy()
    for k in range(count):
        upper, lower = turned[k], turned[k + 1]
        turned[k], turned[k + 1] = cosines[k] * upper + sines[k] * lower, cosines[k] * lower - sines[k] * upper
    return turned
