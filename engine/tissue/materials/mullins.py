"""Ogden and Roxburgh's softening: a tissue stretched once is softer below that stretch ever after."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from ..tensors import EnergyDensity, Scalar, Tensor
from .parameters import number_problems
from .wrapper import Wrapper
from .yeoh import Yeoh


class Mullins(Wrapper):
    """S_shape = η S_base,shape, η = 1 − erf((W_m − W)/(m + β W_m))/r while W < W_m, else 1.

    | symbol | meaning | unit |
    |---|---|---|
    | W, W_m `largest` | W_shape of the base, and the largest value it has had: (E, Q) | J/m³ |
    | r `softening` | above 1; the more, the less it softens | – |
    | m `scale` | energy over which it softens | J/m³ |
    | β `widening` | how much W_m adds to that | – |

    The potential of a step is ∫ η dW: with z = (W_m − W)/b, b = m + β W_m and I(z) = z erf z + exp(−z²)/√π it is
    W − b/r (I(W_m/b) − I(max(z, 0))). The volume law does not soften. Source: Ogden and Roxburgh, Proc R Soc A 455:2861
    (1999); β as in Bose, Hurtado and Ortega (2003).
    """

    softening: Scalar
    scale: Scalar
    widening: Scalar = 0.0
    largest: Any = 0.0
    name: ClassVar[str] = "mullins"

    @classmethod
    def example(cls) -> Mullins:
        """An elastomer-like wall that keeps two thirds of its stress near rest."""
        return cls(Yeoh.example(), 1.5, 2e4, 0.1)

    @property
    def isotropic(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the base."""
        return self.base.isotropic

    def modified(self, shape_energy: EnergyDensity, deformation_gradient: Tensor) -> Scalar:
        """The potential of the step [J/m³]."""
        energy = shape_energy(deformation_gradient)
        width = self.scale + self.widening * self.largest
        below = self.largest - energy
        z = jnp.where(below > 0.0, below, 0.0) / width
        return energy - width / self.softening * (_integral(self.largest / width) - _integral(z))

    def prepared(self, points: int) -> Self:
        """With room for W_m at so many points."""
        largest = jnp.broadcast_to(_by_point(self.largest), (len(jax.tree.leaves(self)[0]), points))
        return eqx.tree_at(lambda m: m.largest, super().prepared(points), largest)

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With W_m raised to W at a converged F."""
        largest = jnp.maximum(self.largest, self.base.shape_energy_density(deformation_gradient))
        return eqx.tree_at(lambda m: m.largest, super().advanced(deformation_gradient), largest)

    def problems(self) -> list[str]:
        """What is wrong with the base; r not above 1, m not positive, β or W_m negative."""
        found = self.base.problems() + number_problems(1.0, strict=True, softening=self.softening)
        found += number_problems(strict=True, scale=self.scale)
        return found + number_problems(widening=self.widening, largest=self.largest)


def _integral(z: Scalar) -> Scalar:
    """∫ erf from −∞ … z, but for a constant: z erf z + exp(−z²)/√π."""
    return z * jax.scipy.special.erf(z) + jnp.exp(-z * z) / jnp.sqrt(jnp.pi)


def _by_point(values: Scalar) -> Scalar:
    """(E,) or (E, Q) as something that broadcasts to (E, Q)."""
    return jnp.asarray(values)[:, None] if jnp.ndim(values) == 1 else values
