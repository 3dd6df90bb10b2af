"""The linear solver of the host: multigrid with conjugate gradients or GMRES, a factorisation for small systems."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...imaging.errors import SolverError
from .direct import DIRECT_UNKNOWNS, Factorisation
from .held import Held, whole_of
from .hierarchy import Cycle, Hierarchy, rigid_body_modes
from .krylov import MAX_ITERATIONS, Krylov, conjugate_gradients, gmres

__all__ = ["METHODS", "HostLinearSolver", "Krylov", "rigid_body_modes"]

METHODS = ("auto", "direct", "multigrid")
REBUILD_GROWTH = 2.0
"""The hierarchy is rebuilt when iterations per digit grow by this factor since it was new."""


class HostLinearSolver:
    """Keeps one multigrid hierarchy over the tangents of a whole solve while it still works.

    Attributes:
        method: "direct", "multigrid", or "auto": a factorisation for `DIRECT_UNKNOWNS` or fewer.
        hierarchy: the last one made.
        cycle: the preconditioner for the last matrix, None before the first or after the hierarchy has aged.
    """

    def __init__(self, timer: Any, *, symmetric: bool = True, method: str = "auto") -> None:
        if method not in METHODS:
            raise SolverError(f"no linear method is named {method!r}", where="linear_solver", advice=f"Use {METHODS}")
        self.timer, self.symmetric, self.method = timer, symmetric, method
        self.hierarchy: Hierarchy | None = None
        self.cycle: Cycle | None = None
        self.effort_when_new: float | None = None
        self.rebuilds = 0
        self._factor: tuple[Any, Factorisation] | None = None

    def solve(
        self,
        matrix: sparse.bsr_matrix | Held,
        rhs: NDArray,
        tolerance: float,
        free: NDArray,
        positions: NDArray,
        probe: NDArray | None = None,
    ) -> Krylov:
        """Solve to a relative residual; rebuilds the hierarchy once where it has aged.

        Args:
            matrix: (3 rows, 3 rows) with unit rows and columns where held.
            rhs: (rows, 3), zero where held.
            tolerance: on ‖residual‖ / ‖rhs‖.
            free: (rows, 3), 1 where not held.
            positions: (rows, 3) m, of which rigid body modes are made.
            probe: (rows, 3) a pattern of all modes, zero where held: the solve is to tell as well whether the matrix,
                if symmetric, is positive definite.
        """
        if self.direct(matrix.shape[0]) and (found := self._factorised(whole_of(matrix), rhs)) is not None:
            return found
        known = self.cycle
        fresh = known is None
        if known is None:
            self.build(matrix, free, positions)
        elif known.matrix.source is not matrix:
            self._renew(matrix)
        outcome = self._probed(rhs, tolerance, probe) if probe is not None and self.symmetric else None
        outcome = outcome or self._krylov(rhs, tolerance, own=fresh)
        if self._aged(outcome, tolerance, fresh) and not fresh:
            self.cycle = None
            if not outcome.converged and not outcome.indefinite:
                return self.solve(matrix, rhs, tolerance, free, positions)
        return outcome

    def direct(self, unknowns: int) -> bool:
        """Whether a system of this size is factorised."""
        return self.method == "direct" or (self.method == "auto" and unknowns <= DIRECT_UNKNOWNS)

    def build(self, matrix: sparse.bsr_matrix | Held, free: NDArray, positions: NDArray) -> None:
        """A hierarchy for a matrix with unit rows for held components; `cycle` applies it."""
        with self.timer.part("preconditioner"):
            self.cycle = None
            modes = rigid_body_modes(positions) * free.reshape(-1, 1)
            self.hierarchy = Hierarchy.of(whole_of(matrix), modes, symmetric=self.symmetric)
            self.cycle = self.hierarchy.cycle(matrix)
            self.rebuilds += 1

    def _renew(self, matrix: sparse.bsr_matrix | Held) -> None:
        """The hierarchy as it is, under another tangent."""
        with self.timer.part("krylov"):
            assert self.hierarchy is not None
            self.cycle = self.hierarchy.cycle(matrix)

    def _aged(self, outcome: Krylov, tolerance: float, fresh: bool) -> bool:
        effort = outcome.iterations / max(-np.log10(max(tolerance, 1e-16)), 0.3)
        if fresh or self.effort_when_new is None:
            self.effort_when_new = max(effort, 4.0)
            return False
        return effort > REBUILD_GROWTH * self.effort_when_new or not outcome.converged

    def _probed(self, rhs: NDArray, tolerance: float, probe: NDArray) -> Krylov | None:
        """Conjugate gradients from a start whose residual is about the right-hand side and as much of the probe.

        They look for negative curvature in all of its modes on the way to the same solution, for an iteration or two
        more; None where they met some or did not settle, or where the cycle is exact and would hide it.
        """
        assert self.cycle is not None
        if self.cycle.exact:
            return None
        with self.timer.part("krylov"):
            flat = np.ascontiguousarray(rhs).ravel()
            start = self.cycle @ (probe.ravel() * (np.linalg.norm(flat) / np.linalg.norm(probe)))
            found = conjugate_gradients(self.cycle.matrix, flat, self.cycle, tolerance, MAX_ITERATIONS, start=start)
        return found._replace(solution=found.solution.reshape(-1, 3), probed=True) if found.converged else None

    def _krylov(self, rhs: NDArray, tolerance: float, *, own: bool) -> Krylov:
        with self.timer.part("krylov"):
            assert self.cycle is not None
            matrix = self.cycle.matrix
            flat = np.ascontiguousarray(rhs).ravel()
            if self.symmetric:
                outcome = conjugate_gradients(matrix, flat, self.cycle, tolerance, MAX_ITERATIONS, own=own)
            else:
                outcome = gmres(matrix.__matmul__, flat, self.cycle, tolerance)
        return outcome._replace(solution=outcome.solution.reshape(-1, 3))

    def _factorised(self, matrix: sparse.bsr_matrix, rhs: NDArray) -> Krylov | None:
        """By a factorisation; None where its pivots do not tell whether a symmetric matrix is definite."""
        with self.timer.part("krylov"):
            flat = np.ascontiguousarray(rhs).ravel()
            try:
                if self._factor is None or self._factor[0] is not matrix:
                    self._factor = None  # or two of them would take memory at once
                    self._factor = (matrix, Factorisation(matrix, symmetric=self.symmetric))
                factor = self._factor[1]
            except RuntimeError:  # a zero pivot: exactly singular
                return Krylov(np.zeros_like(rhs), 1, False)
            solution = factor @ flat
            if self.symmetric and factor.negative is None:
                return None
            if self.symmetric and factor.negative:
                # A step along which the energy falls: what conjugate gradients have until they meet the curvature.
                scale = np.maximum(np.abs(matrix.diagonal()), 1e-300)
                found = conjugate_gradients(matrix, flat, Diagonal(1.0 / scale), 1e-2, 3 * len(flat))
                return found._replace(solution=found.solution.reshape(-1, 3), converged=False, indefinite=True)
            size = float(np.linalg.norm(flat))
            left = float(np.linalg.norm(flat - matrix @ solution)) / size if size else 0.0
        return Krylov(solution.reshape(-1, 3), 1, bool(left < 1e-6), residuals=(1.0, left), probed=self.symmetric)


class Diagonal:
    """A diagonal matrix as a preconditioner."""

    def __init__(self, values: NDArray) -> None:
        self.values = values

    def __matmul__(self, rhs: NDArray) -> NDArray:
        return self.values * rhs
