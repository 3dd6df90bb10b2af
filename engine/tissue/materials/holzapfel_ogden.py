"""Holzapfel and Ogden's orthotropic law: passive heart muscle with fibres and sheets."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..tensors import Scalar, Tensor, along, trace
from .decoupled import Decoupled
from .fiber_term import fiber_energy
from .parameters import as_array, fiber_problems, frame_problems, number_problems, stiffness_problems


class HolzapfelOgden(Decoupled):
    """W = a/2b (exp(b (Ī₁ − 3)) − 1) + Σ_{f,s} aᵢ/2bᵢ (exp(bᵢ ⟨Ī₄ᵢ − 1⟩²) − 1) + a_fs/2b_fs (exp(b_fs Ī₈²) − 1) + K/2
    (ln J)².

    | symbol | meaning | unit |
    |---|---|---|
    | a, a_f, a_s, a_fs `a`, `a_f`, `a_s`, `a_fs` | moduli; a is the shear modulus at rest across the fibres | Pa |
    | b, b_f, b_s, b_fs `b`, `b_f`, `b_s`, `b_fs` | exponents | – |
    | f `fiber`, s `sheet` | unit vectors (E, 3) at right angles, LPS | – |
    | Ī₄ᵢ, Ī₈ | i · C̄ i, f · C̄ s | – |
    | K `bulk_modulus` | bulk modulus | Pa |

    ⟨x⟩ = max(x, 0): fibres and sheets bear no compression; stress is continuous there, the tangent jumps. Source:
    Holzapfel and Ogden, Phil Trans R Soc A 367:3445 (2009), eq. 5.38.
    """

    a: Scalar
    b: Scalar
    a_f: Scalar
    b_f: Scalar
    a_s: Scalar
    b_s: Scalar
    a_fs: Scalar
    b_fs: Scalar
    fiber: Any = eqx.field(converter=as_array)
    sheet: Any = eqx.field(converter=as_array)
    name: ClassVar[str] = "holzapfel-ogden"
    isotropic: ClassVar[bool] = False
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"fiber": (3,), "sheet": (3,)}
    frames: ClassVar[tuple[tuple[str, ...], ...]] = (("fiber", "sheet"),)

    @classmethod
    def example(cls) -> HolzapfelOgden:
        """Fit of Holzapfel and Ogden (2009, table 1) to sheared porcine heart muscle; slanted frame, K = 100 kPa."""
        fiber, sheet = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([1.0, 2.0, 2.0]) / 3.0
        moduli = (59.0, 8.023, 18472.0, 16.026, 2481.0, 11.12, 216.0, 11.436)
        return cls(*moduli, fiber, sheet, bulk_modulus=1e5)

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """W̄ [J/m³]."""
        total = 0.5 * self.a / self.b * jnp.expm1(self.b * (trace(stretch) - 3.0))
        for direction, modulus, exponent in ((self.fiber, self.a_f, self.b_f), (self.sheet, self.a_s, self.b_s)):
            total = total + fiber_energy(along(stretch, direction) - 1.0, modulus, exponent)
        sheared = along(stretch, self.fiber, self.sheet)
        return total + 0.5 * self.a_fs / self.b_fs * jnp.expm1(self.b_fs * sheared * sheared)

    def problems(self) -> list[str]:
        """Moduli and exponents out of range, directions that are not at right angles."""
        found = fiber_problems(a_f=self.a_f, a_s=self.a_s, a_fs=self.a_fs)
        found += number_problems(strict=True, b=self.b, b_f=self.b_f, b_s=self.b_s, b_fs=self.b_fs)
        return found or frame_problems(self.fiber, self.sheet) or stiffness_problems(self.a, self.bulk_modulus)
