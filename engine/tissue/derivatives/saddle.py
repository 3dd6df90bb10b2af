"""A linearised balance with its multipliers: R_u u̇ + R_m ṁ = −r, Q_u u̇ + Q_m ṁ = −q, forwards and transposed."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .multipliers import Multipliers, schur
from .parameters import Parameters
from .sensitivity import Sensitivity
from .solves import Solves


class Saddle:
    """Of an equilibrium, or of the balance of a step in time.

    Args:
        solves: of R_u alone.
        sensitivity: how forces depend on the parameters, where forces are taken.
        share: how far the place where forces are taken, and Q holds, goes with the unknowns: 1 at an equilibrium.
    """

    def __init__(self, solves: Solves, sensitivity: Sensitivity, share: float = 1.0) -> None:
        self.solves, self.sensitivity, self.share = solves, sensitivity, share

    @cached_property
    def multipliers(self) -> Multipliers:
        """Those that hold at the state; none where no contact has any."""
        return Multipliers(self.sensitivity, self.sensitivity.displacement)

    def forward(self, rate: NDArray) -> NDArray[np.float64]:
        """u̇ (rows, 3) with R_u u̇ = −rate: `rate` is ∂R/∂p ṗ, in N on free rows and m on held ones."""
        return self.solves.forward(rate)

    def adjoint(self, right: NDArray) -> NDArray[np.float64]:
        """λ (rows, 3) with R_uᵀ λ = right."""
        return self.solves.adjoint(right)

    def answered(self, rate: NDArray, move: NDArray, by_terms: Any, beside: Any = 0.0) -> tuple[NDArray, NDArray]:
        """(u̇, ṁ) for a rate of R, and of Q as places, arrays of the terms and, by `beside`, displacements change."""
        kept, start = self.multipliers, self.forward(rate)
        if not kept.size:
            return start, np.zeros(0)
        left = kept.closing(self.share * start + beside, by_terms=by_terms, move=move)
        change = schur(self.closing_product, -left)
        return start + self.forward(kept.forces(change)), change

    def closing_product(self, change: NDArray) -> NDArray[np.float64]:
        """(Q_m − Q_u R_u⁻¹ R_m) ṁ."""
        kept = self.multipliers
        return kept.closing(self.share * self.forward(kept.forces(change)), change)

    def adjoints(self, by_displacement: NDArray, direct: Parameters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(λ, ν) with R_uᵀ λ + Q_uᵀ ν = J_u and R_mᵀ λ + Q_mᵀ ν = J_m; ν is empty without multipliers."""
        kept, first = self.multipliers, self.adjoint(by_displacement)
        if not kept.size:
            return first, np.zeros(0)
        nothing = np.zeros(kept.size)

        def product(own: NDArray) -> NDArray:
            return kept.pulled(-self.adjoint(self.share * kept.spread(own)), own)

        own = schur(product, kept.taken(direct) - kept.pulled(first, nothing))
        return first - self.adjoint(self.share * kept.spread(own)), own
