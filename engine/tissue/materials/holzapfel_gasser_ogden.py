"""Holzapfel, Gasser and Ogden's law with fibre dispersion: arterial walls."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..tensors import Scalar, Tensor, along, trace
from .decoupled import Decoupled
from .fiber_term import fiber_energy
from .parameters import as_array, fiber_problems, number_problems, stiffness_problems


class HolzapfelGasserOgden(Decoupled):
    """W = μ/2 (Ī₁ − 3) + k₁/2k₂ Σₐ (exp(k₂ ⟨Ēₐ⟩²) − 1) + K/2 (ln J)², Ēₐ = κ (Ī₁ − 3) + (1 − 3κ) (Ī₄ₐ − 1).

    | symbol | meaning | unit |
    |---|---|---|
    | μ `shear_modulus` | of the ground matrix | Pa |
    | k₁ `fiber_modulus` | of the fibres | Pa |
    | k₂ `fiber_exponent` | how fast they stiffen | – |
    | κ `dispersion` | 0: all fibres along aₐ; ⅓: in all directions alike | – |
    | aₐ `first_fiber`, `second_fiber` | mean directions of the two families, unit vectors (E, 3), LPS | – |
    | Ī₄ₐ | aₐ · C̄ aₐ | – |
    | K `bulk_modulus` | bulk modulus | Pa |

    ⟨x⟩ = max(x, 0): a family bears nothing while its mean strain Ēₐ is not positive. This switch (on Ēₐ, not on Ī₄ₐ)
    keeps the stress continuous for every κ; the tangent jumps where Ēₐ = 0. Source: Gasser, Ogden and Holzapfel, J R
    Soc Interface 3:15 (2006).
    """

    shear_modulus: Scalar
    fiber_modulus: Scalar
    fiber_exponent: Scalar
    dispersion: Scalar
    first_fiber: Any = eqx.field(converter=as_array)
    second_fiber: Any = eqx.field(converter=as_array)
    name: ClassVar[str] = "holzapfel-gasser-ogden"
    isotropic: ClassVar[bool] = False
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"first_fiber": (3,), "second_fiber": (3,)}
    frames: ClassVar[tuple[tuple[str, ...], ...]] = (("first_fiber",), ("second_fiber",))

    @classmethod
    def in_wall(
        cls,
        circumferential: Any,
        axial: Any,
        degrees: Any,
        *,
        shear_modulus: Scalar,
        fiber_modulus: Scalar,
        fiber_exponent: Scalar,
        dispersion: Scalar,
        bulk_modulus: Scalar,
    ) -> HolzapfelGasserOgden:
        """Families at ± an angle [°], one or (E,), to the circumferential direction; differentiable in it.

        Both directions (3,) or (E, 3), at right angles.
        """
        angle = jnp.radians(jnp.asarray(degrees, float))[..., None]
        around, along_axis = jnp.cos(angle) * as_array(circumferential), jnp.sin(angle) * as_array(axial)
        families = (around + along_axis, around - along_axis)
        return cls(shear_modulus, fiber_modulus, fiber_exponent, dispersion, *families, bulk_modulus=bulk_modulus)

    @classmethod
    def example(cls) -> HolzapfelGasserOgden:
        """A rabbit's carotid media: 3 kPa, 2.3632 kPa, 0.8393, 29° (Holzapfel et al., J Elasticity 61:1, 2000); κ =
        0.1."""
        return cls.in_wall(
            (1.0, 0.0, 0.0),
            (0.0, 0.6, 0.8),
            29.0,
            shear_modulus=3.0e3,
            fiber_modulus=2.3632e3,
            fiber_exponent=0.8393,
            dispersion=0.1,
            bulk_modulus=3.0e5,
        )

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """Matrix and fibres [J/m³]."""
        measure = trace(stretch) - 3.0
        total = 0.5 * self.shear_modulus * measure
        for fiber in (self.first_fiber, self.second_fiber):
            strain = self.dispersion * measure + (1.0 - 3.0 * self.dispersion) * (along(stretch, fiber) - 1.0)
            total = total + fiber_energy(strain, self.fiber_modulus, self.fiber_exponent)
        return total

    def problems(self) -> list[str]:
        """Moduli that are not plausible, κ outside [0, ⅓]."""
        found = fiber_problems(fiber_modulus=self.fiber_modulus)
        found += number_problems(strict=True, fiber_exponent=self.fiber_exponent)
        found += number_problems(high=1.0 / 3.0, dispersion=self.dispersion)
        return found or stiffness_problems(self.shear_modulus, self.bulk_modulus)
