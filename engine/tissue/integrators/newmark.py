"""Newmark's method; with β = ¼ and γ = ½ the average acceleration method, which damps nothing."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx

from ....imaging.errors import SolverError
from .base import Integrator


class Newmark(Integrator):
    """Inertia and forces balance at the end of each step.

    | symbol | meaning |
    |---|---|
    | γ `weight` | ½ for second order; more damps and is of first order |
    | β `share` | ¼: average acceleration; unconditionally stable (of linear systems) for 2β ≥ γ ≥ ½ |

    Source: Newmark (1959), *J. Eng. Mech. Div. ASCE* 85:67; Hughes, *The Finite Element Method* (1987), section 9.1.

    Raises:
        SolverError: γ < ½ or 2β < γ, which blow up with any step that is not tiny.
    """

    share: float = eqx.field(static=True, default=0.25)
    weight: float = eqx.field(static=True, default=0.5)
    name: ClassVar[str] = "newmark"

    def __post_init__(self) -> None:
        if not (self.weight >= 0.5 and 2.0 * self.share >= self.weight):
            raise SolverError(
                f"β = {self.share} and γ = {self.weight} are not stable for all steps",
                where="Newmark",
                advice="Choose 2β ≥ γ ≥ ½, or the explicit solver",
            )

    @property
    def beta(self) -> float:
        """β."""
        return self.share

    @property
    def gamma(self) -> float:
        """γ."""
        return self.weight
