"""St. Venant–Kirchhoff material: Hooke's law in Green–Lagrange strain; for stiff parts, not for compression."""

from __future__ import annotations

from typing import ClassVar

from ..tensors import Scalar, Tensor, right_cauchy_green, squared_norm
from .base import Material, lame_parameters, lame_problems


class SaintVenantKirchhoff(Material):
    """W = λ/2 (tr E)² + μ E : E with E = (FᵀF − I)/2.

    | symbol | meaning | unit |
    |---|---|---|
    | μ `shear_modulus` | shear modulus | Pa |
    | λ `lame` | Lamé's first parameter | Pa |

    It softens without limit in compression (Bonet and Wood, section 6.4): use it where stretches stay near one.
    """

    shear_modulus: Scalar
    lame: Scalar
    name: ClassVar[str] = "saint-venant-kirchhoff"

    @classmethod
    def from_young(cls, young_modulus: float, poisson_ratio: float) -> SaintVenantKirchhoff:
        """From E [Pa] and ν of small strains.

        Raises:
            SolverError: E not positive or below 10 Pa, ν ≥ 0.5.
        """
        return cls(*lame_parameters(young_modulus, poisson_ratio))

    def energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """W(F) [J/m³]."""
        stretch = right_cauchy_green(deformation_gradient)
        strain = Tensor([0.5 * (stretch[i, j] - (1.0 if i == j else 0.0)) for i in range(3) for j in range(3)])
        trace = strain[0, 0] + strain[1, 1] + strain[2, 2]
        return 0.5 * self.lame * trace * trace + self.shear_modulus * squared_norm(strain)

    def problems(self) -> list[str]:
        """Moduli that are not finite, not positive or implausibly small."""
        return lame_problems(self.shear_modulus, self.lame)
