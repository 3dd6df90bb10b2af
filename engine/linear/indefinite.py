"""Matrices that are symmetric or not and have eigenvalues of both signs: tangents beyond a limit point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, minres, splu

DIRECT_UNKNOWNS = 60_000
"""Up to here a factorisation with row exchanges; above, MINRES with the last definite preconditioner."""


class IndefiniteSolver:
    """Solves with one matrix, several times."""

    def __init__(self, matrix: sparse.bsr_matrix, cycle: Any, *, symmetric: bool) -> None:
        self.matrix, self.cycle = matrix, cycle
        direct = matrix.shape[0] <= DIRECT_UNKNOWNS or cycle is None or not symmetric
        self.factor = splu(sparse.csc_matrix(matrix), permc_spec="COLAMD") if direct else None

    def solve(self, rhs: NDArray, tolerance: float) -> tuple[NDArray, bool]:
        """(nodes, 3), and whether it is as exact as was asked for."""
        flat = np.ascontiguousarray(rhs).ravel()
        if self.factor is not None:
            found = self.factor.solve(flat)
        else:
            size = self.matrix.shape
            precondition = LinearOperator(size, matvec=self.cycle.__matmul__, dtype=float)  # pyright: ignore[reportCallIssue]
            found, _ = minres(self.matrix, flat, rtol=tolerance, maxiter=2000, M=precondition)
        left = np.linalg.norm(flat - self.matrix @ found)
        good = bool(np.isfinite(found).all() and left <= 10.0 * max(tolerance, 1e-9) * np.linalg.norm(flat))
        return found.reshape(rhs.shape), good
