"""Matrices that are symmetric or not and have eigenvalues of both signs: tangents beyond a limit point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, minres

from .direct import Factorisation

DIRECT_UNKNOWNS = 60_000
"""Up to here a factorisation; above, MINRES with the last definite preconditioner."""
ROUND_OFF = 100.0 * np.finfo(float).eps
"""Of ‖|A| |x|‖: what a factorisation leaves at best. Beside a limit point, where x is long, that is more than b."""


class IndefiniteSolver:
    """Solves with one matrix, several times.

    Attributes:
        negative: how many eigenvalues are negative (Sylvester); None where the matrix is not symmetric, too large to be
            factorised, or its rows had to be exchanged.
    """

    def __init__(self, matrix: sparse.bsr_matrix, cycle: Any, *, symmetric: bool) -> None:
        self.matrix, self.cycle = matrix, cycle
        self.factor: Factorisation | None = None
        self.negative: int | None = None
        if matrix.shape[0] > DIRECT_UNKNOWNS and cycle is not None and symmetric:
            return
        if symmetric:
            self._factorise_symmetric()
        if self.factor is None:
            self.factor = Factorisation(matrix, symmetric=False)

    def _factorise_symmetric(self) -> None:
        """Without exchanges of rows, so that the pivots tell the inertia; kept only where that is exact enough."""
        try:
            factor = Factorisation(self.matrix, symmetric=True)
        except RuntimeError:  # a pivot is zero
            return
        probe = np.random.default_rng(0).standard_normal(self.matrix.shape[0])
        if factor.negative is not None and self._good(factor @ probe, probe, 0.0):
            self.factor, self.negative = factor, factor.negative

    def solve(self, rhs: NDArray, tolerance: float) -> tuple[NDArray, bool]:
        """(nodes, 3), and whether it is as exact as was asked for, or as round-off lets it be."""
        flat = np.ascontiguousarray(rhs).ravel()
        if self.factor is not None:
            found = self.factor @ flat
        else:
            size = self.matrix.shape
            precondition = LinearOperator(size, matvec=self.cycle.__matmul__, dtype=float)  # pyright: ignore[reportCallIssue]
            found, _ = minres(self.matrix, flat, rtol=tolerance, maxiter=2000, M=precondition)
        return found.reshape(rhs.shape), self._good(found, flat, 10.0 * max(tolerance, 1e-9))

    def _good(self, found: NDArray, right: NDArray, tolerance: float) -> bool:
        if not np.isfinite(found).all():
            return False
        left = np.linalg.norm(right - self.matrix @ found)
        floor = ROUND_OFF * np.linalg.norm(abs(self.matrix) @ np.abs(found))
        return bool(left <= max(tolerance * np.linalg.norm(right), floor))
