"""Guccione's transversely isotropic exponential law: passive heart muscle."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..tensors import Scalar, Tensor, applied, strain_of, symmetric_square
from .decoupled import Decoupled
from .parameters import as_array, number_problems, stiffness_problems


class Guccione(Decoupled):
    """W = C/2 (exp Q − 1) + K/2 (ln J)², Q = b_f E_ff² + b_t (E_ss² + E_nn² + 2 E_sn²) + 2 b_fs (E_fs² + E_fn²).

    | symbol | meaning | unit |
    |---|---|---|
    | C `stiffness` | scale | Pa |
    | b_f `along_fiber`, b_t `across_fiber`, b_fs `fiber_shear` | exponents | – |
    | f `fiber` | unit vector (E, 3), LPS | – |
    | E | (C̄ − I)/2 in a frame whose first axis is f | – |
    | K `bulk_modulus` | bulk modulus | Pa |

    Sources: Guccione, McCulloch and Waldman, J Biomech Eng 113:42 (1991); the form of Land et al., Proc R Soc A
    471:20150641 (2015), where K = ∞. Sheets s and n need not be known: Σ over them follows from E : E, |E f|² and f · E
    f.
    """

    stiffness: Scalar
    along_fiber: Scalar
    across_fiber: Scalar
    fiber_shear: Scalar
    fiber: Any = eqx.field(converter=as_array)
    name: ClassVar[str] = "guccione"
    isotropic: ClassVar[bool] = False
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"fiber": (3,)}
    frames: ClassVar[tuple[tuple[str, ...], ...]] = (("fiber",),)

    @classmethod
    def example(cls) -> Guccione:
        """Land's first problem (C = 2 kPa; 8, 2, 4) with a slanted fibre and K = 100 kPa."""
        return cls(2e3, 8.0, 2.0, 4.0, np.array([2.0, 1.0, -2.0]) / 3.0, bulk_modulus=1e5)

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """C/2 (exp Q − 1) [J/m³]."""
        strain = strain_of(stretch)
        pulled = applied(strain, self.fiber)
        fiber = sum(self.fiber[i] * pulled[i] for i in range(3))
        square = sum(entry * entry for entry in pulled)
        shear = square - fiber * fiber  # E_fs² + E_fn²
        across = symmetric_square(strain) - 2.0 * square + fiber * fiber  # E_ss² + E_nn² + 2 E_sn²
        exponent = self.along_fiber * fiber * fiber + self.across_fiber * across + 2.0 * self.fiber_shear * shear
        return 0.5 * self.stiffness * jnp.expm1(exponent)

    def problems(self) -> list[str]:
        """Exponents or moduli that are not positive or not plausible."""
        found = number_problems(
            strict=True,
            stiffness=self.stiffness,
            along_fiber=self.along_fiber,
            across_fiber=self.across_fiber,
            fiber_shear=self.fiber_shear,
        )
        return found or stiffness_problems(0.5 * np.asarray(self.stiffness) * self.across_fiber, self.bulk_modulus)
