"""Neo-Hookean material whose volumetric and isochoric parts are apart: for comparison with codes that use it."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from ..tensors import Scalar, Tensor, determinant, squared_norm
from .base import Material, lame_parameters, lame_problems


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
    def from_young(cls, young_modulus: float, poisson_ratio: float) -> DecoupledNeoHookean:
        """From E [Pa] and ν of small strains.

        Raises:
            SolverError: E not positive or below 10 Pa, ν ≥ 0.5.
        """
        shear, lame = lame_parameters(young_modulus, poisson_ratio)
        return cls(shear, lame + 2.0 * shear / 3.0)

    def energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """W(F) [J/m³]."""
        jacobian = determinant(deformation_gradient)
        log_volume = jnp.log(jacobian)
        isochoric = jnp.exp(-2.0 / 3.0 * log_volume) * squared_norm(deformation_gradient) - 3.0
        volumetric = jacobian * jacobian - 1.0 - 2.0 * log_volume
        return 0.5 * self.shear_modulus * isochoric + 0.25 * self.bulk_modulus * volumetric

    def problems(self) -> list[str]:
        """Moduli that are not finite, not positive or implausibly small."""
        return lame_problems(self.shear_modulus, self.bulk_modulus - 2.0 * self.shear_modulus / 3.0)
