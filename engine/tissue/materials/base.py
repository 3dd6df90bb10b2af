"""What a material is: parameters and one energy density W(F); stress and tangent come from autodiff."""

from __future__ import annotations

import abc
from typing import ClassVar, TypeVar

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
    """Parameters (floats, or arrays over elements) and an energy density.

    A leaf class names itself in `name`, lists its parameters as fields, and writes `energy_density` with the
    functions of `preop.engine.tissue.tensors`.
    """

    name: ClassVar[str] = ""

    @abc.abstractmethod
    def energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """W(F) in J/m³ of reference volume; zero and stress free at F = I."""

    @abc.abstractmethod
    def problems(self) -> list[str]:
        """What is wrong with the parameters, one phrase each; empty where all is well."""

    def first_piola(self, deformation_gradient: jax.Array) -> jax.Array:
        """P = ∂W/∂F [Pa] for F (3, 3, ...)."""
        piola = first_piola(self.energy_density, from_array(deformation_gradient))[1]
        return piola.array

    def elasticity(self, deformation_gradient: jax.Array) -> jax.Array:
        """A = ∂P/∂F [Pa] as (3, 3, 3, 3, ...) for F (3, 3, ...)."""
        entries = elasticity(self.energy_density, from_array(deformation_gradient))
        stacked = jnp.stack([jnp.stack([jnp.asarray(e) for e in row]) for row in entries])
        return stacked.reshape((3, 3, 3, 3, *stacked.shape[2:]))


def batch_last(material: Tree) -> Tree:
    """Parameters as energies see them, the element last: (E,), (3, E), (Q, E), (3, Q, E). Its own inverse."""
    return jax.tree.map(jnp.transpose, material)


def young_problems(young_modulus: float, poisson_ratio: float) -> list[str]:
    """What is wrong with E [Pa] and ν of an isotropic displacement element."""
    found = []
    if not np.isfinite(young_modulus) or young_modulus <= 0:
        found.append(f"Young's modulus is {young_modulus:g} Pa; it must be positive")
    elif young_modulus < IMPLAUSIBLE_MODULUS:
        found.append(f"Young's modulus is {young_modulus:g} Pa, softer than any tissue; give it in Pa, not kPa or MPa")
    if not np.isfinite(poisson_ratio) or not -1 < poisson_ratio < 0.5:
        found.append(
            f"Poisson's ratio is {poisson_ratio:g}; a displacement element needs -1 < ν < 0.5, say 0.45 to 0.49"
        )
    return found


def lame_parameters(young_modulus: float, poisson_ratio: float) -> tuple[float, float]:
    """Shear modulus μ and Lamé's λ [Pa] from E [Pa] and ν.

    Raises:
        SolverError: E or ν out of range.
    """
    found = young_problems(young_modulus, poisson_ratio)
    if found:
        raise SolverError(found[0], where="material")
    shear = young_modulus / (2 * (1 + poisson_ratio))
    return shear, young_modulus * poisson_ratio / ((1 + poisson_ratio) * (1 - 2 * poisson_ratio))


def lame_problems(shear_modulus: Scalar, lame: Scalar) -> list[str]:
    """What is wrong with μ and λ [Pa]: moduli must be finite, positive and plausible."""
    shear, lam = np.atleast_1d(np.asarray(shear_modulus, float)), np.atleast_1d(np.asarray(lame, float))
    if not (np.isfinite(shear).all() and np.isfinite(lam).all()):
        return ["a modulus is not finite"]
    if (shear <= 0).any() or (lam + 2 * shear / 3 <= 0).any():
        return ["the shear and bulk moduli must be positive"]
    young = (shear * (3 * lam + 2 * shear) / (lam + shear)).min()
    if young < IMPLAUSIBLE_MODULUS:
        return young_problems(float(young), 0.0)
    return []
