"""Materials made of another material: each adds one thing to a `base` and leaves its volume law alone."""

from __future__ import annotations

import abc
from typing import Self

import equinox as eqx

from ..tensors import EnergyDensity, Scalar, Tensor
from .base import Material


class Wrapper(Material):
    """A law on top of the shape energy of another one; volume, load fraction and history pass through.

    A leaf class writes `modified`.

    Attributes:
        base: the material underneath.
    """

    base: Material

    @abc.abstractmethod
    def modified(self, shape_energy: EnergyDensity, deformation_gradient: Tensor) -> Scalar:
        """W_shape [J/m³] of this material from that of the base, a function of F."""

    def shape_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """W_shape [J/m³]."""
        return self.modified(self.base.shape_energy_density, deformation_gradient)

    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g of the base."""
        return self.base.volume_measure(deformation_gradient)

    @property
    def volume_modulus(self) -> Scalar:
        """K of the base [Pa]."""
        return self.base.volume_modulus

    def volume_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """That of the base [J/m³]."""
        return self.base.volume_energy_density(deformation_gradient)

    def mixed_volume_energy_density(self, deformation_gradient: Tensor, pressure: Scalar) -> Scalar:
        """That of the base [J/m³]."""
        return self.base.mixed_volume_energy_density(deformation_gradient, pressure)

    def at(self, fraction: Scalar) -> Self:
        """With the base at a load fraction."""
        return self.rebased(self.base.at(fraction))

    def prepared(self, points: int) -> Self:
        """With room for the base's history."""
        return self.rebased(self.base.prepared(points))

    def stepped(self, seconds: Scalar) -> Self:
        """With the base's time step known."""
        return self.rebased(self.base.stepped(seconds))

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With the base's history moved on."""
        return self.rebased(self.base.advanced(deformation_gradient))

    def rebased(self, base: Material) -> Self:
        """The same on another base."""
        return self if base is self.base else eqx.tree_at(lambda m: m.base, self, base)
