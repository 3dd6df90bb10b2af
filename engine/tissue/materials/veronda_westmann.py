"""Veronda–Westmann material: skin and soft tissue that stiffens exponentially."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from ..tensors import Scalar, Tensor, second_invariant, trace
from .decoupled import Decoupled
from .parameters import number_problems, stiffness_problems


class VerondaWestmann(Decoupled):
    """W = C₁ (exp(C₂ (Ī₁ − 3)) − 1) − C₁ C₂/2 (Ī₂ − 3) + K/2 (ln J)².

    | symbol | meaning | unit |
    |---|---|---|
    | C₁ `c1` | coefficient; the shear modulus at rest is C₁ C₂ | Pa |
    | C₂ `c2` | how fast it stiffens | – |
    | K `bulk_modulus` | bulk modulus | Pa |
    | Ī₁, Ī₂ | invariants of C̄ = J^(−2/3) FᵀF | – |

    Source: Veronda and Westmann, J Biomech 3:111 (1970). The term in Ī₂ lowers the stress: at large equibiaxial stretch
    and small C₂ the law is not convex.
    """

    c1: Scalar
    c2: Scalar
    name: ClassVar[str] = "veronda-westmann"

    @classmethod
    def example(cls) -> VerondaWestmann:
        """μ = 6 kPa, K = 60 kPa."""
        return cls(2e3, 3.0, bulk_modulus=6e4)

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """W̄ [J/m³]."""
        growth = jnp.expm1(self.c2 * (trace(stretch) - 3.0))
        return self.c1 * (growth - 0.5 * self.c2 * (second_invariant(stretch) - 3.0))

    def problems(self) -> list[str]:
        """C₁ or C₂ not positive, a shear or bulk modulus that is not plausible."""
        found = number_problems(strict=True, c1=self.c1, c2=self.c2)
        return found or stiffness_problems(np.asarray(self.c1) * self.c2, self.bulk_modulus)
