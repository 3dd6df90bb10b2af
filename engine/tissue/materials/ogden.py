"""Ogden's material: a sum of powers of the principal stretches; brain, fat, silicone, any rubber-like tissue."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..spectral import trace_powers
from ..tensors import Scalar, Tensor
from .decoupled import Decoupled
from .parameters import number_problems, stiffness_problems


class Ogden(Decoupled):
    """W = Σₚ 2 μₚ/αₚ² (λ̄₁^αₚ + λ̄₂^αₚ + λ̄₃^αₚ − 3) + K/2 (ln J)².

    | symbol | meaning | unit |
    |---|---|---|
    | μₚ `moduli` | as many as are given; their sum is the shear modulus at rest | Pa |
    | αₚ `exponents` | as many, none zero | – |
    | λ̄ᵢ | principal stretches J^(−1/3) λᵢ | – |
    | K `bulk_modulus` | bulk modulus | Pa |

    Source: Ogden, Proc R Soc A 326:565 (1972), with 2 μₚ/αₚ² in place of his μₚ/αₚ. λ̄ᵅ are the eigenvalues of
    C̄^(α/2), whose trace and derivatives hold at equal stretches (`tissue.spectral`), those by αₚ among them.
    """

    moduli: tuple[Scalar, ...]
    exponents: tuple[Scalar, ...]
    name: ClassVar[str] = "ogden"

    @classmethod
    def example(cls) -> Ogden:
        """Two terms, one of them with the exponent −4.7 of brain; μ = 3 kPa, K = 30 kPa."""
        return cls((2e3, 1e3), (-4.7, 3.0), bulk_modulus=3e4)

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """Σ 2 μₚ/αₚ² (tr C̄^(αₚ/2) − 3) [J/m³]."""
        powers = trace_powers(stretch, [0.5 * exponent for exponent in self.exponents])
        terms = zip(self.moduli, self.exponents, powers, strict=True)
        return sum(2.0 * modulus / exponent**2 * (power - 3.0) for modulus, exponent, power in terms)

    def problems(self) -> list[str]:
        """No terms, not as many exponents as moduli, an exponent of zero, moduli that are not plausible."""
        if not self.moduli or len(self.moduli) != len(self.exponents):
            return [
                f"an Ogden material needs as many moduli as exponents, not {len(self.moduli)} and {len(self.exponents)}"
            ]
        named = {f"exponent_{k + 1}": value for k, value in enumerate(self.exponents)}
        named |= {f"modulus_{k + 1}": value for k, value in enumerate(self.moduli)}
        found = number_problems(-np.inf, **named)
        if not found and any(np.any(np.asarray(value) == 0) for value in self.exponents):
            found = ["an exponent is zero; take one that is not, or leave the term out"]
        return found or stiffness_problems(sum(np.asarray(value, float) for value in self.moduli), self.bulk_modulus)
