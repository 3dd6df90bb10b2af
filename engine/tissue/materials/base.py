"""What a material is: parameters and one energy density W(F); stress and tangent come from autodiff."""

from __future__ import annotations

import abc
from typing import ClassVar, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ....imaging.errors import SolverError
from ..tensors import Scalar, Tensor, elasticity, first_piola, from_array

IMPLAUSIBLE_MODULUS = 10.0
"""Pa. The softest tissues measured (fat, brain) lie above 100 Pa; less means that kPa or MPa was typed as Pa."""

Tree = TypeVar("Tree")


class Material(eqx.Module):
    """Parameters and an energy density W = W_shape(F) + K/2 g(F)².

    A leaf class names itself in `name`, lists its parameters as fields, and writes the energy with the functions of
    `preop.engine.tissue.tensors`. Parameters are stored element first, scalars as (), (E,) or (E, Q) and vectors as
    (3,), (E, 3) or (E, Q, 3); energies see them transposed (`batch_last`), so that `self.fiber[0]` has the shape of an
    entry of F or broadcasts to it.

    Attributes:
        vectors: trailing shape of each field that is no scalar: (3,) for a direction, (3, 3) for a tensor.
    """

    name: ClassVar[str] = ""
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {}

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
        measure = self.volume_measure(deformation_gradient)
        return self.shape_energy_density(deformation_gradient) + 0.5 * self.volume_modulus * measure * measure

    def mixed_energy_density(self, deformation_gradient: Tensor, pressure: Scalar) -> Scalar:
        """W_shape + p g − p²/2K [J/m³], whose stationary value over p [Pa] is W (p = K g, positive in tension)."""
        shape, measure = self.shape_energy_density(deformation_gradient), self.volume_measure(deformation_gradient)
        return shape + pressure * measure - 0.5 * pressure * (pressure / self.volume_modulus)

    def at(self, fraction: Scalar) -> Self:
        """This material at a load fraction in [0, 1]; parameters element first. Itself unless the load moves it."""
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


def young_problems(young_modulus: float, poisson_ratio: float) -> list[str]:
    """What is wrong with E [Pa] and ν of an isotropic material."""
    found = []
    if not np.isfinite(young_modulus) or young_modulus <= 0:
        found.append(f"Young's modulus is {young_modulus:g} Pa; it must be positive")
    elif young_modulus < IMPLAUSIBLE_MODULUS:
        found.append(f"Young's modulus is {young_modulus:g} Pa, softer than any tissue; give it in Pa, not kPa or MPa")
    if not np.isfinite(poisson_ratio) or not -1 < poisson_ratio <= 0.5:
        found.append(
            f"Poisson's ratio is {poisson_ratio:g}; it must be above -1 and below 0.5 (0.5 itself with mixed elements)"
        )
    return found


def lame_parameters(young_modulus: float, poisson_ratio: float) -> tuple[float, float]:
    """Shear modulus μ and Lamé's λ [Pa] from E [Pa] and ν; λ is infinite for ν = 0.5.

    Raises:
        SolverError: E or ν out of range.
    """
    found = young_problems(young_modulus, poisson_ratio)
    if found:
        raise SolverError(found[0], where="material")
    shear = young_modulus / (2 * (1 + poisson_ratio))
    if poisson_ratio == 0.5:
        return shear, float("inf")
    return shear, young_modulus * poisson_ratio / ((1 + poisson_ratio) * (1 - 2 * poisson_ratio))


def lame_problems(shear_modulus: Scalar, lame: Scalar) -> list[str]:
    """What is wrong with μ and λ [Pa]: moduli must be positive and plausible; λ alone may be infinite."""
    shear, lam = np.atleast_1d(np.asarray(shear_modulus, float)), np.atleast_1d(np.asarray(lame, float))
    if not np.isfinite(shear).all() or np.isnan(lam).any():
        return ["a modulus is not finite"]
    if (shear <= 0).any() or (lam + 2 * shear / 3 <= 0).any():
        return ["the shear and bulk moduli must be positive"]
    ratio = shear / (lam + shear)
    young = (shear * (3 - ratio)).min()
    if young < IMPLAUSIBLE_MODULUS:
        return young_problems(float(young), 0.0)
    return []
