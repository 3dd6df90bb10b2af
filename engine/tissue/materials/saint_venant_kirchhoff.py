"""St. Venant–Kirchhoff material: Hooke's law in Green–Lagrange strain; for stiff parts, not for compression."""

from __future__ import annotations

from typing import ClassVar

from ..tensors import Scalar, Tensor, green_lagrange, squared_norm
from .base import Material
from .parameters import lame_parameters, lame_problems


class SaintVenantKirchhoff(Material):
    """W = λ/2 (tr E)² + μ E : E with E = (FᵀF − I)/2.

    | symbol | meaning | unit |
    |---|---|---|
    | μ `shear_modulus` | shear modulus | Pa |
    | λ `lame` | Lamé's first parameter | Pa |

    It softens without limit in compression (Bonet and Wood, section 6.4): use it where stretches stay near one.
    λ = ∞ keeps tr E at zero, which is not the volume.
    """

    shear_modulus: Scalar
    lame: Scalar
    name: ClassVar[str] = "saint-venant-kirchhoff"

    @classmethod
    def from_young(cls, young_modulus: Scalar, poisson_ratio: Scalar) -> SaintVenantKirchhoff:
        """From E [Pa] and ν of small strains.

        Raises:
            SolverError: E not positive or below 10 Pa, ν > 0.5.
        """
        return cls(*lame_parameters(young_modulus, poisson_ratio))

    @classmethod
    def example(cls) -> SaintVenantKirchhoff:
        """Soft tissue: E = 10 kPa, ν = 0.4."""
        return cls.from_young(1e4, 0.4)

    def shape_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """μ E : E [J/m³]."""
        return self.shear_modulus * squared_norm(green_lagrange(deformation_gradient))

    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g = tr E = (I₁ − 3)/2."""
        return 0.5 * (squared_norm(deformation_gradient) - 3.0)

    @property
    def volume_modulus(self) -> Scalar:
        """K = λ [Pa]."""
        return self.lame

    def problems(self) -> list[str]:
        """Moduli that are not finite, not positive or implausibly small."""
        return lame_problems(self.shear_modulus, self.lame)
