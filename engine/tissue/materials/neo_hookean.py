"""Compressible neo-Hookean material: the first choice for soft tissue at moderate strain."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from ..tensors import Scalar, Tensor, determinant, squared_norm
from .base import Material
from .parameters import lame_parameters, lame_problems


class NeoHookean(Material):
    """W = μ/2 (I₁ − 3) − μ ln J + λ/2 (ln J)².

    | symbol | meaning | unit |
    |---|---|---|
    | μ `shear_modulus` | shear modulus | Pa |
    | λ `lame` | Lamé's first parameter | Pa |
    | I₁ | F : F | – |
    | J | det F | – |

    P = μ (F − F⁻ᵀ) + λ ln J F⁻ᵀ. Source: Bonet and Wood, *Nonlinear Continuum Mechanics for Finite Element
    Analysis*, 2nd ed., eq. 6.27.
    """

    shear_modulus: Scalar
    lame: Scalar
    name: ClassVar[str] = "neo-hookean"

    @classmethod
    def from_young(cls, young_modulus: Scalar, poisson_ratio: Scalar) -> NeoHookean:
        """From E [Pa] and ν of small strains.

        Raises:
            SolverError: E not positive or below 10 Pa, ν > 0.5.
        """
        return cls(*lame_parameters(young_modulus, poisson_ratio))

    @classmethod
    def example(cls) -> NeoHookean:
        """Soft tissue: E = 10 kPa, ν = 0.4."""
        return cls.from_young(1e4, 0.4)

    def shape_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """μ/2 (I₁ − 3) − μ ln J [J/m³]."""
        stretch = 0.5 * self.shear_modulus * (squared_norm(deformation_gradient) - 3.0)
        return stretch - self.shear_modulus * self.volume_measure(deformation_gradient)

    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g = ln J."""
        return jnp.log(determinant(deformation_gradient))

    @property
    def volume_modulus(self) -> Scalar:
        """K = λ [Pa]."""
        return self.lame

    def problems(self) -> list[str]:
        """Moduli that are not finite, not positive or implausibly small."""
        return lame_problems(self.shear_modulus, self.lame)
