"""The balance of a step in time linearised: what `linearization` is for an equilibrium.

With u_α = (1 − α) u⁺ + α u, v_α alike, I the inertia and what is prescribed, f internal minus external force and K₀ its
slope at the start of the step,

    R(u⁺, x, p) = I(u⁺, x, p) + f(u_α, h, p) + b K₀(u, h, p) v_α,      R_u⁺ = (1 − α) K_α + c M + s K₀,

all but M and K in closed form of Newmark. I is one small compiled function; forces are differentiated chunk by chunk.
Columns of pressures, which are unknowns of u_α itself, are not shared with the step before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..host_system import HostTangent
from ..step_tangent import CompletedTangent
from ..time_step import StepSystem
from .drag import Drag
from .saddle import Saddle
from .solves import Solves, transpose

Product = Callable[[NDArray], NDArray]


class StepSolves(Solves):
    """R_u⁺⁻¹ and its transpose.

    Args:
        system: with the problem of the step, `begin` called.
        middle: tangent where forces are taken.
        early: tangent at the start of the step, where stiffness damps.
        beyond: what forces that conserve energy add to (1 − α) K_α as products, and its transpose.
    """

    def __init__(
        self,
        system: StepSystem,
        middle: HostTangent,
        early: HostTangent | None,
        beyond: tuple[Product, Product] | None,
        tolerance: float,
        where: str,
    ) -> None:
        base: Any = system.base
        rule, damping, step = system.integrator, system.damping, system.step
        inner = (1.0 - rule.force_lag) * rule.velocity_scale(step)
        self.part, self.damped = 1.0 - rule.force_lag, inner * float(damping.stiffness)
        inertia = (1.0 - rule.inertia_lag) * rule.acceleration_scale(step) + inner * float(damping.mass)
        super().__init__(base, _sum(middle, early, self.part, self.damped, system, inertia), tolerance, where)
        self.middle, self.beyond = middle, beyond
        self.pressed = 1.0 - np.asarray(system.pressureless)
        self.columns = 1.0 - rule.force_lag * self.pressed
        if early is not None and self.pressed.any():
            turned = early if self.symmetric else transpose(early)
            self._complete(
                lambda d: -self.damped * early.product(self.pressed * d),
                lambda d: -self.damped * self.pressed * turned.product(d),
            )
        elif beyond is not None:
            self._complete(*beyond)

    def _complete(self, lacking: Product, turned: Product) -> None:
        matrix, other = self.tangent, self.transposed
        self.tangent, self.transposed = CompletedTangent(matrix, lacking), CompletedTangent(other, turned)

    def from_held(self, held: NDArray) -> NDArray[np.float64]:
        """(1 − α) K_α d: held components have a given velocity and acceleration."""
        own = self.part * self._scaled_product(self.middle, held)
        return own if self.beyond is None else own + self.beyond[0](held)

    def to_held(self, inside: NDArray) -> NDArray[np.float64]:
        """Its transpose."""
        turned = self.middle if self.symmetric else transpose(self.middle)
        own = self.part * self._scaled_product(turned, inside)
        return own if self.beyond is None else own + self.beyond[1](inside)

    def inverse(self, right: NDArray) -> NDArray[np.float64]:
        """R_ff⁻¹ of a field that is zero where held."""
        return self.columns * super().inverse(right)

    def inverse_transposed(self, right: NDArray) -> NDArray[np.float64]:
        """R_ff⁻ᵀ of a field that is zero where held."""
        return super().inverse_transposed(self.columns * right)


class StepBalance(Saddle):
    """Of one step: R_u⁺, how forces depend on the parameters where they are taken, and what damps by stiffness."""

    drag: Drag | None = None


def _sum(
    middle: HostTangent, early: HostTangent | None, part: float, damped: float, system: StepSystem, inertia: float
) -> HostTangent:
    """part K_α + damped K₀ + inertia M, a new matrix."""
    kept = replace(middle, matrix=middle.assembly.pattern.matrix(middle.matrix.data.copy()))
    whole = kept.shifted(part, inertia, system.mass)
    return whole if early is None else whole.plus(damped, early)
