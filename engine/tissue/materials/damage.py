"""Continuum damage: what a tissue has borne too much of, it bears less of for good."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from ..tensors import EnergyDensity, Scalar, Tensor
from .neo_hookean_decoupled import DecoupledNeoHookean
from .parameters import number_problems
from .wrapper import Wrapper


class Damage(Wrapper):
    """S_shape = (1 − d) S_base,shape, d = d_∞ (1 − exp(−⟨α − α₀⟩/ι)), α the largest W_shape of the base so far.

    | symbol | meaning | unit |
    |---|---|---|
    | α `largest` | (E, Q); grows only | J/m³ |
    | α₀ `threshold` | energy below which nothing is damaged | J/m³ |
    | ι `saturation` | energy over which damage grows | J/m³ |
    | d_∞ `limit` | damage in the end, below 1 | – |

    The potential of a step is ∫ (1 − d) dW with d at max(W, α). The volume law is not damaged. Local: where it softens
    past the peak of stress, the answer depends on the mesh and the equilibrium may be unstable. Sources: Simo, Comput
    Meth Appl Mech Eng 60:153 (1987); Miehe, Eur J Mech A 14:697 (1995), discontinuous damage.
    """

    threshold: Scalar
    saturation: Scalar
    limit: Scalar
    largest: Any = 0.0
    name: ClassVar[str] = "damage"

    @classmethod
    def example(cls) -> Damage:
        """Loses at most 60 %, from 200 J/m³ on."""
        return cls(DecoupledNeoHookean.example(), 200.0, 500.0, 0.6)

    @property
    def isotropic(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the base."""
        return self.base.isotropic

    @property
    def damage(self) -> Scalar:
        """d of the history."""
        return -self.limit * jnp.expm1(-self._excess(self.largest) / self.saturation)

    def modified(self, shape_energy: EnergyDensity, deformation_gradient: Tensor) -> Scalar:
        """The potential of the step [J/m³]."""
        energy = shape_energy(deformation_gradient)
        worst = jnp.maximum(self.largest, self.threshold)
        beyond = jnp.where(energy > worst, energy, worst) - worst
        kept = 1.0 - self.limit  # share of the stress that is kept in the end
        left = self.limit * jnp.exp(-self._excess(worst) / self.saturation)
        grown = kept * beyond - left * self.saturation * jnp.expm1(-beyond / self.saturation)
        return (kept + left) * jnp.where(energy > worst, worst, energy) + grown

    def prepared(self, points: int) -> Self:
        """With room for α at so many points."""
        largest = jnp.asarray(self.largest)
        largest = largest[:, None] if largest.ndim == 1 else largest
        largest = jnp.broadcast_to(largest, (len(jax.tree.leaves(self)[0]), points))
        return eqx.tree_at(lambda m: m.largest, super().prepared(points), largest)

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With α raised to W_shape at a converged F."""
        largest = jnp.maximum(self.largest, self.base.shape_energy_density(deformation_gradient))
        return eqx.tree_at(lambda m: m.largest, super().advanced(deformation_gradient), largest)

    def problems(self) -> list[str]:
        """What is wrong with the base; energies that are not positive, d_∞ outside [0, 1[."""
        found = self.base.problems() + number_problems(strict=True, saturation=self.saturation)
        found += number_problems(threshold=self.threshold, largest=self.largest)
        return found + number_problems(high=0.9999, limit=self.limit)

    def _excess(self, energy: Scalar) -> Scalar:
        return jnp.maximum(energy - self.threshold, 0.0)
