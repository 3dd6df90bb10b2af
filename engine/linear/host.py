"""Conjugate gradients with smoothed aggregation on the host; GMRES where the matrix is not symmetric."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

MAX_ITERATIONS = 400
REBUILD_GROWTH = 2.0
"""The hierarchy is rebuilt when iterations per digit grow by this factor since it was new."""


STRENGTH = 0.04
"""Couplings below this share of the diagonals do not aggregate."""
SMOOTHER = ("chebyshev", {"degree": 2, "iterations": 1})
"""Half the time of block Gauss-Seidel to the same residual (`docs/decisions/006-tissue-solver.md`)."""


IMPROVEMENT = (("block_gauss_seidel", {"sweep": "symmetric", "iterations": 1}), None)
"""Relaxation of the rigid body modes where the body is held, on the finest level only. PyAMG's four sweeps took half
of the time the hierarchy takes, for not one iteration less."""


class HostLinearSolver:
    """Keeps one multigrid hierarchy over the tangents of a whole solve while it still works."""

    def __init__(self, timer: Any, *, symmetric: bool = True) -> None:
        self.timer, self.symmetric = timer, symmetric
        self.cycle: Any = None
        self.effort_when_new: float | None = None
        self.rebuilds = 0

    def solve(
        self, matrix: sparse.bsr_matrix, rhs: NDArray, tolerance: float, free: NDArray, positions: NDArray
    ) -> Any:
        """Solve to a relative residual; rebuilds the hierarchy once where it has aged."""
        fresh = self.cycle is None
        if fresh:
            self.build(matrix, free, positions)
        outcome = self._krylov(matrix, rhs, tolerance)
        if self._aged(outcome, tolerance, fresh) and not fresh:
            self.cycle = None
            if not outcome.converged and not outcome.indefinite:
                return self.solve(matrix, rhs, tolerance, free, positions)
        return outcome

    def _aged(self, outcome: Krylov, tolerance: float, fresh: bool) -> bool:
        effort = outcome.iterations / max(-np.log10(max(tolerance, 1e-16)), 0.3)
        if fresh or self.effort_when_new is None:
            self.effort_when_new = max(effort, 4.0)
            return False
        return effort > REBUILD_GROWTH * self.effort_when_new or not outcome.converged

    def build(self, matrix: sparse.bsr_matrix, free: NDArray, positions: NDArray) -> None:
        """A hierarchy for a symmetric matrix with unit rows for held components; `cycle` applies it."""
        import pyamg

        with self.timer.part("preconditioner"):
            scale = 1.0 / np.sqrt(np.maximum(np.abs(matrix.diagonal()), 1e-300))
            blocks = scale.reshape(-1, 3)
            rows = np.repeat(np.arange(len(blocks)), np.diff(matrix.indptr))
            data = matrix.data * blocks[rows][:, :, None] * blocks[matrix.indices][:, None, :]
            scaled = sparse.bsr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
            modes = rigid_body_modes(positions) * free.reshape(-1, 1) / scale[:, None]
            self.cycle = ScaledCycle(
                pyamg.smoothed_aggregation_solver(
                    scaled,
                    B=modes,
                    symmetry="symmetric",
                    strength=("symmetric", {"theta": STRENGTH}),
                    smooth=("jacobi", {"omega": 4.0 / 3.0}),
                    improve_candidates=IMPROVEMENT,
                    presmoother=SMOOTHER,
                    postsmoother=SMOOTHER,
                    max_coarse=400,
                    coarse_solver=CoarseDirect(),
                ).aspreconditioner(cycle="V"),
                scale,
            )
            self.rebuilds += 1

    def _krylov(self, matrix: sparse.bsr_matrix, rhs: NDArray, tolerance: float) -> Krylov:
        with self.timer.part("krylov"):
            flat = np.ascontiguousarray(rhs).ravel()
            if self.symmetric:
                outcome = conjugate_gradients(matrix, flat, self.cycle, tolerance, MAX_ITERATIONS)
            else:
                outcome = _gmres(matrix, flat, self.cycle, tolerance)
        return outcome._replace(solution=outcome.solution.reshape(-1, 3))


class CoarseDirect:
    """Exact solve on the coarsest level, factorised once per hierarchy.

    PyAMG's default, a pseudo-inverse by singular values, took longer on an organ's coarsest level (1,500 unknowns)
    than all the rest of a solve. Aggregates of held nodes leave empty rows, which get a unit diagonal.
    LU, not Cholesky: far from equilibrium a tangent may be indefinite, which conjugate gradients notice themselves.
    """

    def __init__(self) -> None:
        self.factor: Any = None

    def __call__(self, matrix: Any, rhs: NDArray) -> NDArray:
        """A⁻¹ b."""
        if self.factor is None:
            dense = matrix.toarray()
            diagonal = dense.diagonal()
            shift = np.where(diagonal > 0, 1e-12 * diagonal.max(), 1.0)
            self.factor = linalg.lu_factor(dense + np.diag(shift), check_finite=False)
        return linalg.lu_solve(self.factor, rhs.ravel(), check_finite=False).reshape(rhs.shape)


class ScaledCycle:
    """x = S V S b: a V-cycle made for S A S, S = diag(A)^-1/2.

    Chebyshev smoothing needs one spectrum for all rows; the scaling gives it where tissues differ in stiffness.
    """

    def __init__(self, cycle: Any, scale: NDArray) -> None:
        self.cycle, self.scale = cycle, scale

    def __matmul__(self, rhs: NDArray) -> NDArray:
        """One cycle."""
        return self.scale * (self.cycle @ (self.scale * rhs))


class Krylov(NamedTuple):
    """Solution, iterations, converged, negative curvature met."""

    solution: NDArray
    iterations: int
    converged: bool
    indefinite: bool = False


def rigid_body_modes(positions: NDArray) -> NDArray[np.float64]:
    """(3·nodes, 6): three translations and three infinitesimal rotations about the centroid, of like size."""
    arm = positions - positions.mean(axis=0)
    arm = arm / max(np.sqrt((arm**2).mean()), 1e-30)
    modes = np.zeros((len(arm), 3, 6))
    for axis in range(3):
        modes[:, axis, axis] = 1.0
        modes[:, :, 3 + axis] = np.cross(np.eye(3)[axis], arm)
    return modes.reshape(-1, 6)


def conjugate_gradients(matrix: Any, rhs: NDArray, precondition: Any, tolerance: float, limit: int) -> Krylov:
    """Preconditioned conjugate gradients that stop at negative curvature (Nocedal and Wright, section 7.1)."""
    solution, residual = np.zeros_like(rhs), rhs.copy()
    goal = tolerance * np.linalg.norm(rhs)
    if goal == 0.0:
        return Krylov(solution, 0, True)
    direction, before = np.zeros_like(rhs), 1.0
    for iteration in range(1, limit + 1):
        better = precondition @ residual
        now = residual @ better
        direction = better + (now / before if iteration > 1 else 0.0) * direction
        image = matrix @ direction
        curvature = direction @ image
        if not curvature > 0.0:
            return Krylov(better if iteration == 1 else solution, iteration, False, True)
        step = now / curvature
        solution += step * direction
        residual -= step * image
        before = now
        if np.linalg.norm(residual) <= goal:
            return Krylov(solution, iteration, True)
    return Krylov(solution, limit, False)


def _gmres(matrix: Any, rhs: NDArray, precondition: Any, tolerance: float) -> Krylov:
    from scipy.sparse.linalg import LinearOperator, gmres

    count = [0]

    def tick(_: Any) -> None:
        count[0] += 1

    solution, info = gmres(
        matrix,
        rhs,
        rtol=tolerance,
        restart=60,
        maxiter=6,
        M=LinearOperator(matrix.shape, matvec=precondition.__matmul__, dtype=float),  # pyright: ignore[reportCallIssue]
        callback=tick,
        callback_type="pr_norm",
    )
    return Krylov(solution, count[0], info == 0)
