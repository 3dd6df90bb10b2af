"""Solves with the tangent of a balance and with its transpose, to the last digits: R_u⁻¹ and R_u⁻ᵀ.

With held rows R_u = [K_ff K_fc; 0 I], so that λ_f = K_ff⁻ᵀ j_f and λ_c = j_c − K_fcᵀ λ_f.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ....imaging.errors import SolverError
from ..host_system import HostSystem, HostTangent
from ..newton import norm
from ..solution import ResultCode

REFINEMENTS = 3


class Solves:
    """Of an assembled tangent in scaled rows: fields in and out are in m, N, Pa and m³.

    Args:
        system: whose tangent it is.
        tangent: as it was linearised; anything with its `product` and `solve`.
        tolerance: relative residual, checked on the true one.
        where: what a message says of the place.
    """

    def __init__(self, system: HostSystem, tangent: HostTangent, tolerance: float, where: str) -> None:
        self.tangent: Any = tangent
        self.tolerance, self.where = tolerance, where
        self.free, self.scale, self.symmetric = system.free, system.row_scale, system.symmetric

    @cached_property
    def transposed(self) -> Any:
        """The tangent's transpose: itself where it is symmetric."""
        return self.tangent if self.symmetric else transpose(self.tangent)

    def forward(self, rate: NDArray) -> NDArray[np.float64]:
        """u̇ (rows, 3) with R_u u̇ = −rate: `rate` is ∂R/∂p ṗ, in N on free rows and m on held ones."""
        held = -rate * (1.0 - self.free)
        return self.inverse(-(rate + self.from_held(held)) * self.free) + held

    def adjoint(self, right: NDArray) -> NDArray[np.float64]:
        """λ (rows, 3) with R_uᵀ λ = right."""
        inside = self.inverse_transposed(right * self.free)
        return inside + (right - self.to_held(inside)) * (1.0 - self.free)

    def from_held(self, held: NDArray) -> NDArray[np.float64]:
        """K d of a motion of held components alone."""
        return self._scaled_product(self.tangent, held)

    def to_held(self, inside: NDArray) -> NDArray[np.float64]:
        """Kᵀ λ, of which the held rows are read."""
        return self._scaled_product(self.transposed, inside)

    def inverse(self, right: NDArray) -> NDArray[np.float64]:
        """K_ff⁻¹ of a field that is zero where held."""
        return self.scale * self._solve(self.tangent, self.scale * right)

    def inverse_transposed(self, right: NDArray) -> NDArray[np.float64]:
        """K_ff⁻ᵀ of a field that is zero where held."""
        return self.scale * self._solve(self.transposed, self.scale * right)

    def _scaled_product(self, tangent: Any, direction: NDArray) -> NDArray[np.float64]:
        """K d in N and m³ of d in m and Pa: the system's own tangent is that of scaled rows."""
        return tangent.product(direction / self.scale) / self.scale

    def _solve(self, tangent: Any, rhs: NDArray) -> NDArray[np.float64]:
        """By refinement until the true residual is small: the recursive one of Krylov methods drifts away from it."""
        size = norm(rhs)
        total = np.zeros_like(rhs)
        if size == 0.0:
            return total
        if not np.isfinite(size):
            raise SolverError("the right-hand side is not finite", where="linearization", advice="Look for NaN in it")
        left, reached = rhs, 1.0
        for _ in range(REFINEMENTS):
            outcome = tangent.solve(left, min(0.1, 0.5 * self.tolerance / reached))
            if outcome.indefinite:
                raise SolverError(
                    "the tangent at this state has negative curvature: " + ResultCode.unstable.value,
                    where=self.where,
                    advice=ResultCode.unstable.advice,
                )
            total = total + outcome.solution * self.free
            left = (rhs - tangent.product(total)) * self.free
            before, reached = reached, norm(left) / size
            if reached <= self.tolerance:
                return total
            if reached > 0.5 * before:
                break
        if reached <= 1e3 * self.tolerance and reached < 1e-8:
            return total  # as far as round-off lets it come
        raise SolverError(
            f"the tangent is close to singular: its solve stalled at {reached:.1e}",
            where=self.where,
            advice="A limit of the load, a part that is hardly held, or slivers in the mesh; " + _advice(),
        )


def transpose(tangent: HostTangent) -> HostTangent:
    """The same system's tangent, turned."""
    extra = tangent.extra
    return replace(tangent, matrix=_turned(tangent.matrix), extra=None if extra is None else _turned(extra))


def _turned(matrix: sparse.bsr_matrix) -> sparse.bsr_matrix:
    turned = matrix.transpose().tobsr(blocksize=(3, 3))
    turned.sort_indices()
    return turned


def _advice() -> str:
    return ResultCode.linear_solver_stalled.advice[0].lower() + ResultCode.linear_solver_stalled.advice[1:]
