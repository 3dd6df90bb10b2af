"""Yeoh material: a polynomial in the first invariant; stiffens with strain. Vessel walls, skin, elastomers."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..tensors import Scalar, Tensor, trace
from .decoupled import Decoupled
from .parameters import number_problems, stiffness_problems


class Yeoh(Decoupled):
    """W = Σₖ cₖ (Ī₁ − 3)ᵏ + K/2 (ln J)², k = 1, 2, …

    | symbol | meaning | unit |
    |---|---|---|
    | cₖ `coefficients` | as many as are given; the shear modulus at rest is 2 c₁ | Pa |
    | K `bulk_modulus` | bulk modulus | Pa |
    | Ī₁ | tr C̄, C̄ = J^(−2/3) FᵀF | – |

    Sources: Yeoh, Rubber Chem Technol 66:754 (1993). With two terms it is Raghavan and Vorp's law of the aneurysm wall
    (J Biomech 33:475, 2000).
    """

    coefficients: tuple[Scalar, ...]
    name: ClassVar[str] = "yeoh"

    @classmethod
    def example(cls) -> Yeoh:
        """An aneurysm's wall: 174 and 1881 kPa (Raghavan and Vorp 2000), K = 10 μ."""
        return cls((174e3, 1.881e6), bulk_modulus=3.48e6)

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """Σ cₖ (Ī₁ − 3)ᵏ [J/m³], by Horner's scheme."""
        measure = trace(stretch) - 3.0
        total = self.coefficients[-1]
        for coefficient in self.coefficients[-2::-1]:
            total = coefficient + total * measure
        return total * measure

    def problems(self) -> list[str]:
        """No coefficients, one that is not finite, or a shear or bulk modulus that is not plausible."""
        if not self.coefficients:
            return ["a Yeoh material needs at least one coefficient"]
        names = {f"coefficient_{k + 1}": value for k, value in enumerate(self.coefficients)}
        found = number_problems(-np.inf, **names)
        return found or stiffness_problems(2.0 * np.asarray(self.coefficients[0]), self.bulk_modulus)
