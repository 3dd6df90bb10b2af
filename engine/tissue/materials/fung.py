"""Fung's orthotropic exponential law: arteries, skin, heart muscle with sheets."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..tensors import Scalar, Tensor, along, cross
from .decoupled import Decoupled
from .parameters import as_array, frame_problems, number_problems, stiffness_problems


class Fung(Decoupled):
    """W = c/2 (exp Q − 1) + K/2 (ln J)².

    Q = Σₐ bₐ E_aa² + 2 (b₁₂ E_ff E_ss + b₂₃ E_ss E_nn + b₃₁ E_nn E_ff) + 4 (g₁₂ E_fs² + g₂₃ E_sn² + g₃₁ E_nf²)

    | symbol | meaning | unit |
    |---|---|---|
    | c `stiffness` | scale | Pa |
    | bₐ `axial` | along f, s, n | – |
    | b₁₂, b₂₃, b₃₁ `coupling` | between f and s, s and n, n and f | – |
    | g₁₂, g₂₃, g₃₁ `shear` | in the planes of f and s, s and n, n and f | – |
    | f `fiber`, s `sheet` | unit vectors (E, 3) at right angles, LPS; n = f × s | – |
    | E | (C̄ − I)/2 | – |
    | K `bulk_modulus` | bulk modulus | Pa |

    At rest c gₐᵦ are the three shear moduli. Sources: Fung, Fronek and Patitucci, Am J Physiol 237:H620 (1979); Chuong
    and Fung, J Biomech Eng 105:268 (1983).
    """

    stiffness: Scalar
    axial: tuple[Scalar, Scalar, Scalar]
    coupling: tuple[Scalar, Scalar, Scalar]
    shear: tuple[Scalar, Scalar, Scalar]
    fiber: Any = eqx.field(converter=as_array)
    sheet: Any = eqx.field(converter=as_array)
    name: ClassVar[str] = "fung"
    isotropic: ClassVar[bool] = False
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"fiber": (3,), "sheet": (3,)}
    frames: ClassVar[tuple[tuple[str, ...], ...]] = (("fiber", "sheet"),)

    @classmethod
    def example(cls) -> Fung:
        """A slanted frame; c = 5 kPa."""
        fiber, sheet = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([1.0, 2.0, 2.0]) / 3.0
        return cls(5e3, (6.0, 3.0, 2.0), (0.6, 0.4, 0.5), (1.5, 0.8, 1.2), fiber, sheet, bulk_modulus=1e5)

    def isochoric_energy_density(self, stretch: Tensor) -> Scalar:
        """c/2 (exp Q − 1) [J/m³]."""
        frame = (self.fiber, self.sheet, cross(self.fiber, self.sheet))
        normal = [0.5 * (along(stretch, axis) - 1.0) for axis in frame]
        exponent = 0.0
        for a in range(3):
            b = (a + 1) % 3
            sheared = 0.5 * along(stretch, frame[a], frame[b])
            exponent = exponent + self.axial[a] * normal[a] * normal[a]
            exponent = (
                exponent + 2.0 * self.coupling[a] * normal[a] * normal[b] + 4.0 * self.shear[a] * sheared * sheared
            )
        return 0.5 * self.stiffness * jnp.expm1(exponent)

    def problems(self) -> list[str]:
        """Moduli that are not plausible, a Q that is not positive, directions that are not at right angles."""
        named = {f"axial_{k + 1}": value for k, value in enumerate(self.axial)}
        named |= {f"shear_{k + 1}": value for k, value in enumerate(self.shear)}
        found = number_problems(strict=True, stiffness=self.stiffness, **named)
        found += number_problems(-np.inf, **{f"coupling_{k + 1}": value for k, value in enumerate(self.coupling)})
        if found:
            return found
        first, second, third = (np.asarray(value, float) for value in self.axial)
        one, two, three = (np.asarray(value, float) for value in self.coupling)
        minors = (first * second - one**2, second * third - two**2, third * first - three**2)
        whole = first * second * third + 2 * one * two * three - first * two**2 - second * three**2 - third * one**2
        if any(np.any(minor < 0) for minor in (*minors, whole)):
            return ["the couplings are so large that Q is not positive: some stretch would lower the energy"]
        lowest = np.minimum(np.minimum(self.shear[0], self.shear[1]), self.shear[2])
        return frame_problems(self.fiber, self.sheet) or stiffness_problems(self.stiffness * lowest, self.bulk_modulus)
