"""What an implicit one-step integrator is: Newmark's formulas, and the instants at which inertia and forces balance."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import equinox as eqx

Field = Any
"""(rows, 3), of numpy on the host and of JAX on a device or inside a differentiated function."""


class Integrator(eqx.Module):
    """M a(t − αm Δt) + C v(t − αf Δt) + r(u(t − αf Δt)) = 0 at the end t of a step, with Newmark's formulas

    u⁺ = u + Δt v + Δt² ((½ − β) a + β a⁺),  v⁺ = v + Δt ((1 − γ) a + γ a⁺).

    Quantities between the instants are blends: q(t − α Δt) = (1 − α) q⁺ + α q. Forces are those *of* the blended
    displacement, not blends of forces, so that a body without loads keeps its angular momentum where αf = ½.

    Attributes:
        beta, gamma: of Newmark's formulas.
        inertia_lag: αm.
        force_lag: αf.
        conserving: whether internal forces are those of `discrete_gradient`, in place of those of the blend.
    """

    name: ClassVar[str] = ""
    conserving: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def beta(self) -> float:
        """Share of the new acceleration in the displacement."""

    @property
    @abc.abstractmethod
    def gamma(self) -> float:
        """Share of the new acceleration in the velocity."""

    @property
    def inertia_lag(self) -> float:
        """αm."""
        return 0.0

    @property
    def force_lag(self) -> float:
        """αf."""
        return 0.0

    def acceleration_scale(self, step: Any) -> Any:
        """∂a⁺/∂u⁺ [1/s²]."""
        return 1.0 / (self.beta * step * step)

    def velocity_scale(self, step: Any) -> Any:
        """∂v⁺/∂u⁺ [1/s]."""
        return self.gamma / (self.beta * step)

    def rates(
        self, moved: Field, displacement: Field, velocity: Field, acceleration: Field, step: Any
    ) -> tuple[Field, Field]:
        """v⁺ [m/s] and a⁺ [m/s²] that go with the displacement `moved` [m] at the end of the step."""
        beta, gamma = self.beta, self.gamma
        predicted = displacement + step * velocity + (0.5 - beta) * step * step * acceleration
        after = (moved - predicted) * self.acceleration_scale(step)
        return velocity + step * ((1.0 - gamma) * acceleration + gamma * after), after

    def error(self, before: Field, after: Field, step: Any) -> Field:
        """Local error of the displacement [m]: what a linear acceleration over the step would have added.

        Δt² |β − 1/6| (a⁺ − a), Zienkiewicz and Xie (1991), *Earthquake Eng. Struct. Dyn.* 20:871. At β = 1/6 the
        formulas are themselves of that order; a quarter of 1/6 then stands in.
        """
        return step * step * max(abs(self.beta - 1.0 / 6.0), 1.0 / 24.0) * (after - before)
