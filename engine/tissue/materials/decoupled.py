"""Laws whose shape and volume parts are apart: W = W̄(C̄) + K/2 (ln J)²."""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp

from ..tensors import IsochoricStretch, Scalar, Tensor, determinant
from .base import Material


class Decoupled(Material):
    """W = W̄(C̄) + K/2 (ln J)² with C̄ = J^(−2/3) FᵀF (Flory's split; Holzapfel, *Nonlinear Solid Mechanics*, section
    6.4).

    A leaf class writes `isochoric_energy_density`. Fibre terms take C̄ too, as published; where K is not much larger
    than what the fibres bear they then swell when stretched (Helfenstein et al., Int J Solids Struct 47:2056, 2010):
    use a Poisson's ratio near ½ with a mixed element.

    Attributes:
        bulk_modulus: K, Pa; infinite with mixed elements only.
    """

    bulk_modulus: Scalar = eqx.field(kw_only=True)

    @abc.abstractmethod
    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """W̄ [J/m³] of C̄."""

    def shape_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """W̄ [J/m³]."""
        return self.isochoric_energy_density(IsochoricStretch(deformation_gradient))

    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g = ln J."""
        return jnp.log(determinant(deformation_gradient))

    @property
    def volume_modulus(self) -> Scalar:
        """K [Pa]."""
        return self.bulk_modulus
