"""The implicit midpoint rule: keeps linear and angular momentum exactly, and the energy without drift."""

from __future__ import annotations

from typing import ClassVar

from .base import Integrator


class Midpoint(Integrator):
    """M (v⁺ − v)/Δt + r((u + u⁺)/2) = 0, u⁺ = u + Δt (v + v⁺)/2: Newmark with β = ¼, γ = ½, αm = αf = ½.

    The forces of the middle configuration are those of an objective energy there: they have no resultant and no
    moment about it, so that momentum and angular momentum of a free body change by round-off only. The rule is
    symplectic: the energy of a smooth motion swings by O(Δt²) and does not drift (Hairer, Lubich and Wanner,
    *Geometric Numerical Integration*, chapters VI and IX). Source: Simo and Tarnow (1992), *ZAMP* 43:757, section 3.
    """

    name: ClassVar[str] = "midpoint"

    @property
    def beta(self) -> float:
        """¼."""
        return 0.25

    @property
    def gamma(self) -> float:
        """½."""
        return 0.5

    @property
    def inertia_lag(self) -> float:
        """½."""
        return 0.5

    @property
    def force_lag(self) -> float:
        """½."""
        return 0.5
