"""What a material is: parameters and one energy density W(F); stress and tangent come from autodiff."""

from __future__ import annotations

import abc
from typing import ClassVar, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..tensors import Scalar, Tensor, elasticity, first_piola, from_array

Tree = TypeVar("Tree")


class Material(eqx.Module):
    """Parameters and an energy density W = W_shape(F) + K/2 g(F)².

    A leaf class names itself in `name`, lists its parameters as fields, and writes the energy with the functions of
    `preop.engine.tissue.tensors`. Parameters are stored element first, scalars as (), (E,) or (E, Q) and vectors as
    (3,), (E, 3) or (E, Q, 3); energies see them transposed (`batch_last`), so that `self.fiber[0]` has the shape of an
    entry of F or broadcasts to it.

    Attributes:
        isotropic: whether turning the body before it is deformed changes nothing.
        objective: whether turning it afterwards changes nothing.
        stress_free: whether F = I carries no stress.
        vectors: trailing shape of each field that is no scalar: (3,) for a direction, (3, 3) for a tensor.
        frames: names of the directions, those together that stay at right angles, the fibre first.
    """

    name: ClassVar[str] = ""
    isotropic: ClassVar[bool] = True
    objective: ClassVar[bool] = True
    stress_free: ClassVar[bool] = True
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {}
    frames: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @abc.abstractmethod
    def shape_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """W_shape(F) in J/m³ of reference volume: what is left of W where g = 0."""

    @abc.abstractmethod
    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g(F): ln J or J − 1, zero at F = I."""

    @property
    @abc.abstractmethod
    def volume_modulus(self) -> Scalar:
        """K [Pa]; infinite where the material is incompressible, which takes mixed elements."""

    @abc.abstractmethod
    def problems(self) -> list[str]:
        """What is wrong with the parameters, one phrase each; empty where all is well."""

    @classmethod
    @abc.abstractmethod
    def example(cls) -> Self:
        """Plausible parameters, for tests and documentation."""

    def energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """W(F) in J/m³ of reference volume; zero and stress free at F = I."""
        return self.shape_energy_density(deformation_gradient) + self.volume_energy_density(deformation_gradient)

    def volume_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """K/2 g² [J/m³]."""
        measure = self.volume_measure(deformation_gradient)
        return 0.5 * self.volume_modulus * measure * measure

    def mixed_energy_density(self, deformation_gradient: Tensor, pressure: Scalar) -> Scalar:
        """W_shape + p g − p²/2K [J/m³], whose stationary value over p [Pa] is W (p = K g, positive in tension)."""
        shape = self.shape_energy_density(deformation_gradient)
        return shape + self.mixed_volume_energy_density(deformation_gradient, pressure)

    def mixed_volume_energy_density(self, deformation_gradient: Tensor, pressure: Scalar) -> Scalar:
        """p g − p²/2K [J/m³]: the volume energy by its Legendre transform, where 1/K may be zero."""
        measure = self.volume_measure(deformation_gradient)
        return pressure * measure - 0.5 * pressure * (pressure / self.volume_modulus)

    def at(self, fraction: Scalar) -> Self:
        """This material at a load fraction in [0, 1]; parameters element first. Itself unless the load moves it.

        Called again and again with other fractions, also on what it returned: the parameters of full load must stay.
        """
        return self

    def prepared(self, points: int) -> Self:
        """With room for its history at so many quadrature points; parameters (E,), element first. Itself by default."""
        return self

    def stepped(self, seconds: Scalar) -> Self:
        """With the length of the time step that comes; `energy_density` is that step's potential then."""
        return self

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With its history moved on to a converged F; parameters as energies see them (`batch_last`)."""
        return self

    def first_piola(self, deformation_gradient: jax.Array) -> jax.Array:
        """P = ∂W/∂F [Pa] for F (3, 3, ...); parameters as energies see them."""
        piola = first_piola(self.energy_density, from_array(deformation_gradient))[1]
        return piola.array

    def elasticity(self, deformation_gradient: jax.Array) -> jax.Array:
        """A = ∂P/∂F [Pa] as (3, 3, 3, 3, ...) for F (3, 3, ...); parameters as energies see them."""
        entries = elasticity(self.energy_density, from_array(deformation_gradient))
        stacked = jnp.stack([jnp.stack([jnp.asarray(e) for e in row]) for row in entries])
        return stacked.reshape((3, 3, 3, 3, *stacked.shape[2:]))


def batch_last(material: Tree) -> Tree:
    """Parameters as energies see them, the element last: (E,), (3, E), (Q, E), (3, Q, E). Its own inverse."""
    return jax.tree.map(jnp.transpose, material)
