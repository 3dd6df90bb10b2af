"""The generalised-α method: second order, with as much damping of what the step cannot resolve as is asked for."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx

from ....imaging.errors import SolverError
from .base import Integrator


class GeneralizedAlpha(Integrator):
    """αm = (2ρ − 1)/(ρ + 1), αf = ρ/(ρ + 1), γ = ½ − αm + αf, β = ¼ (1 − αm + αf)².

    | symbol | meaning |
    |---|---|
    | ρ `radius` | what is left, per step, of a vibration much faster than the step: 1 all of it, 0 nothing |

    Source: Chung and Hulbert (1993), *J. Appl. Mech.* 60:371. ρ = 1 is the midpoint rule.

    Raises:
        SolverError: ρ outside [0, 1].
    """

    radius: float = eqx.field(static=True, default=0.8)
    name: ClassVar[str] = "generalized-alpha"

    def __post_init__(self) -> None:
        if not 0.0 <= self.radius <= 1.0:
            raise SolverError(
                f"a spectral radius of {self.radius} is not possible", where="GeneralizedAlpha", advice="Use 0 to 1"
            )

    @property
    def inertia_lag(self) -> float:
        """αm."""
        return (2.0 * self.radius - 1.0) / (self.radius + 1.0)

    @property
    def force_lag(self) -> float:
        """αf."""
        return self.radius / (self.radius + 1.0)

    @property
    def gamma(self) -> float:
        """½ − αm + αf, for second order."""
        return 0.5 - self.inertia_lag + self.force_lag

    @property
    def beta(self) -> float:
        """¼ (1 − αm + αf)², for the most damping of what is fast."""
        return 0.25 * (1.0 - self.inertia_lag + self.force_lag) ** 2
