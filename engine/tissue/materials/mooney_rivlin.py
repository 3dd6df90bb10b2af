"""Mooney–Rivlin material: rubber-like tissue and silicone at moderate strain."""

from __future__ import annotations

from typing import ClassVar

from ..tensors import Scalar, Tensor, second_invariant, trace
from .decoupled import Decoupled
from .parameters import number_problems, stiffness_problems


class MooneyRivlin(Decoupled):
    """W = C₁ (Ī₁ − 3) + C₂ (Ī₂ − 3) + K/2 (ln J)².

    | symbol | meaning | unit |
    |---|---|---|
    | C₁ `c1`, C₂ `c2` | coefficients; the shear modulus at rest is 2 (C₁ + C₂) | Pa |
    | K `bulk_modulus` | bulk modulus | Pa |
    | Ī₁, Ī₂ | invariants of C̄ = J^(−2/3) FᵀF | – |

    Sources: Mooney, J Appl Phys 11:582 (1940); Rivlin, Phil Trans R Soc A 241:379 (1948).
    """

    c1: Scalar
    c2: Scalar
    name: ClassVar[str] = "mooney-rivlin"

    @classmethod
    def example(cls) -> MooneyRivlin:
        """μ = 6 kPa, K = 60 kPa."""
        return cls(2.5e3, 0.5e3, bulk_modulus=6e4)

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """C₁ (Ī₁ − 3) + C₂ (Ī₂ − 3) [J/m³]."""
        return self.c1 * (trace(stretch) - 3.0) + self.c2 * (second_invariant(stretch) - 3.0)

    def problems(self) -> list[str]:
        """Coefficients that are not finite or negative, a shear or bulk modulus that is not plausible."""
        found = number_problems(c1=self.c1, c2=self.c2)
        return found or stiffness_problems(2.0 * (self.c1 + self.c2), self.bulk_modulus)
