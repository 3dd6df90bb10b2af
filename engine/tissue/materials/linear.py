"""Linear elasticity at small strain: for comparison with closed forms, and for implants that hardly move."""

from __future__ import annotations

from typing import ClassVar

from ..tensors import Scalar, Tensor, squared_norm, trace
from .base import Material
from .parameters import lame_parameters, lame_problems


class LinearElastic(Material):
    """W = μ ε : ε + λ/2 (tr ε)² with ε = (F + Fᵀ)/2 − I.

    | symbol | meaning | unit |
    |---|---|---|
    | μ `shear_modulus` | shear modulus | Pa |
    | λ `lame` | Lamé's first parameter | Pa |

    P = 2μ ε + λ tr ε I does not depend on the shape the body has moved to. It is *not* objective: a rotation by an
    angle θ is taken for a compression by 1 − cos θ, so loads, rotations and strains must be small (a few per cent).
    Gurtin, *An Introduction to Continuum Mechanics* (1981), chapter 10.
    """

    shear_modulus: Scalar
    lame: Scalar
    name: ClassVar[str] = "linear"
    objective: ClassVar[bool] = False

    @classmethod
    def from_young(cls, young_modulus: Scalar, poisson_ratio: Scalar) -> LinearElastic:
        """From E [Pa] and ν.

        Raises:
            SolverError: E not positive or below 10 Pa, ν > 0.5.
        """
        return cls(*lame_parameters(young_modulus, poisson_ratio))

    @classmethod
    def example(cls) -> LinearElastic:
        """Cortical bone: E = 17 GPa, ν = 0.3."""
        return cls.from_young(17e9, 0.3)

    def shape_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """μ ε : ε [J/m³]."""
        return self.shear_modulus * squared_norm(_small_strain(deformation_gradient))

    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g = tr ε."""
        return trace(deformation_gradient) - 3.0

    @property
    def volume_modulus(self) -> Scalar:
        """K = λ [Pa]."""
        return self.lame

    def problems(self) -> list[str]:
        """Moduli that are not finite, not positive or implausibly small."""
        return lame_problems(self.shear_modulus, self.lame)


def _small_strain(gradient: Tensor) -> Tensor:
    return Tensor([0.5 * (gradient[i, j] + gradient[j, i]) - (i == j) for i in range(3) for j in range(3)])
