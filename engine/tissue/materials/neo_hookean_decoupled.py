"""Neo-Hookean material whose volumetric and isochoric parts are apart: for comparison with codes that use it."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from ..tensors import Scalar, Tensor, determinant, squared_norm
from .base import Material
from .parameters import lame_parameters, lame_problems


class DecoupledNeoHookean(Material):
    """W = μ/2 (J^(−2/3) I₁ − 3) + κ/4 (J² − 1 − 2 ln J).

    | symbol | meaning | unit |
    |---|---|---|
    | μ `shear_modulus` | shear modulus | Pa |
    | κ `bulk_modulus` | bulk modulus | Pa |
    | I₁ | F : F | – |
    | J | det F | – |

    Source: Holzapfel, *Nonlinear Solid Mechanics* (2000), section 6.5; the law of the Cook membrane in deal.II's
    code gallery.
    """

    shear_modulus: Scalar
    bulk_modulus: Scalar
    name: ClassVar[str] = "neo-hookean-decoupled"

    @classmethod
    def from_young(cls, young_modulus: Scalar, poisson_ratio: Scalar) -> DecoupledNeoHookean:
        """From E [Pa] and ν of small strains.

        Raises:
            SolverError: E not positive or below 10 Pa, ν > 0.5.
        """
        shear, lame = lame_parameters(young_modulus, poisson_ratio)
        return cls(shear, lame + 2.0 * shear / 3.0)

    @classmethod
    def example(cls) -> DecoupledNeoHookean:
        """Soft tissue: E = 10 kPa, ν = 0.4."""
        return cls.from_young(1e4, 0.4)

    def shape_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """μ/2 (J^(−2/3) I₁ − 3) [J/m³]."""
        scale = jnp.exp(-2.0 / 3.0 * jnp.log(determinant(deformation_gradient)))
        return 0.5 * self.shear_modulus * (scale * squared_norm(deformation_gradient) - 3.0)

    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g = J − 1; U = κ/4 (J² − 1 − 2 ln J) is κ/2 g² only to second order."""
        return determinant(deformation_gradient) - 1.0

    @property
    def volume_modulus(self) -> Scalar:
        """κ [Pa]."""
        return self.bulk_modulus

    def volume_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """U = κ/4 (J² − 1 − 2 ln J) [J/m³]."""
        jacobian = determinant(deformation_gradient)
        return 0.25 * self.bulk_modulus * (jacobian * jacobian - 1.0 - 2.0 * jnp.log(jacobian))

    def mixed_volume_energy_density(self, deformation_gradient: Tensor, pressure: Scalar) -> Scalar:
        """p (J − 1) − U*(p) [J/m³], U* the Legendre transform of U.

        U' = κ/2 (J − 1/J) = p at J* = q + √(1 + q²), q = p/κ, where ln J* = asinh q; so
        U* = p (J* − 1) − U(J*) = p/2 (q + √(1 + q²) − 2 + asinh(q)/q), which is 0 for κ = ∞.
        """
        ratio = pressure / self.bulk_modulus
        small = jnp.abs(ratio) < 1e-3
        square, far = ratio * ratio, jnp.where(small, 1.0, ratio)
        series = 1.0 - square / 6.0 + 3.0 / 40.0 * square * square - 15.0 / 336.0 * square * square * square
        growth = jnp.where(small, series, jnp.arcsinh(far) / far)
        conjugate = 0.5 * pressure * (ratio + jnp.sqrt(1.0 + square) - 2.0 + growth)
        return pressure * self.volume_measure(deformation_gradient) - conjugate

    def problems(self) -> list[str]:
        """Moduli that are not finite, not positive or implausibly small."""
        return lame_problems(self.shear_modulus, self.bulk_modulus - 2.0 * self.shear_modulus / 3.0)
