"""A sparse factorisation for small systems: exact, and it counts negative eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

DIRECT_UNKNOWNS = 1000
"""At and below this a system is factorised. A whole solve of a bar is as fast both ways at 1,100 unknowns, of a cube at
500, and loses 0.05 s at 1,200 (`benchmarks/results/direct_or_multigrid.md`); pivots tell more, and below `COARSEST`
there is no coarser level anyway."""


class Factorisation:
    """P A Q = L U by SuperLU, minimum degree ordering.

    Attributes:
        negative: how many eigenvalues of a symmetric matrix are negative, by Sylvester's law of inertia; None where
            rows were exchanged, so that the pivots do not tell.
    """

    def __init__(self, matrix: Any, *, symmetric: bool) -> None:
        columns = sparse.csc_matrix(matrix)
        if symmetric:
            options = {"SymmetricMode": True}
            self.factor = splu(columns, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        else:
            self.factor = splu(columns, permc_spec="COLAMD")
        same = symmetric and bool(np.array_equal(self.factor.perm_r, self.factor.perm_c))
        self.negative = int((self.factor.U.diagonal() < 0.0).sum()) if same else None

    def __matmul__(self, rhs: NDArray) -> NDArray:
        """A⁻¹ b."""
        return self.factor.solve(rhs)
