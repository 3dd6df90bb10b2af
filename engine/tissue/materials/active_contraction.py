"""Active contraction along fibres, on top of any passive material: heart and skeletal muscle."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..tensors import EnergyDensity, Scalar, Tensor, along, right_cauchy_green
from ..terms import schedule
from .guccione import Guccione
from .parameters import STIFFEST, as_array, number_problems
from .wrapper import Wrapper

WEAKEST = 100.0
"""Pa. A hundredth of what muscle reaches: a number of kPa typed as Pa lies below."""


class ActiveContraction(Wrapper):
    """W = W_passive + T [(1 − β) (λ² − 1)/2 + β (λ³ − 1)/3], λ² = f · C f; S_active = T h(λ) f ⊗ f, h = 1 + β (λ − 1).

    | symbol | meaning | unit |
    |---|---|---|
    | T `tension` | active tension at full load (second Piola–Kirchhoff) | Pa |
    | f `fiber` | unit vector (E, 3), LPS | – |
    | β `length_dependence` | how much h grows with the stretch of the fibre; 0: constant T | – |
    | `share` | of T that acts; set by `at` | – |
    | `during` | load fractions between which T grows from zero | – |

    With β = 0 the active part is T/2 (f · C f − 1), as in Land et al., Proc R Soc A 471:20150641 (2015), problem 3; the
    linear length dependence is that of Niederer, Hunter and Smith, Biophys J 90:1697 (2006). h = 0 below λ = 1 − 1/β.
    The body is not stress free at rest once T acts.
    """

    tension: Scalar
    fiber: Any = eqx.field(converter=as_array)
    length_dependence: Scalar = 0.0
    share: Scalar = 1.0
    during: tuple[float, float] = eqx.field(static=True, default=(0.0, 1.0))
    name: ClassVar[str] = "active-contraction"
    isotropic: ClassVar[bool] = False
    stress_free: ClassVar[bool] = False
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"fiber": (3,)}
    frames: ClassVar[tuple[tuple[str, ...], ...]] = (("fiber",),)

    @classmethod
    def example(cls) -> ActiveContraction:
        """Guccione's law with a tension of 20 kPa."""
        base = Guccione.example()
        return cls(base, 2e4, base.fiber, 1.4)

    def modified(self, shape_energy: EnergyDensity, deformation_gradient: Tensor) -> Scalar:
        """The passive energy and the active potential [J/m³]."""
        square = along(right_cauchy_green(deformation_gradient), self.fiber)
        slope = self.length_dependence
        lowest = jnp.where(slope > 1.0, 1.0 - 1.0 / jnp.where(slope > 1.0, slope, 2.0), 0.0)
        stretch = jnp.maximum(jnp.sqrt(square), lowest)
        floor = jnp.where(stretch > lowest, square, lowest * lowest)
        cubic = slope * (stretch * floor - 1.0) / 3.0
        active = self.share * self.tension * (0.5 * (1.0 - slope) * (floor - 1.0) + cubic)
        return shape_energy(deformation_gradient) + active

    def at(self, fraction: Scalar) -> Self:
        """With the tension reached at a load fraction."""
        share = jnp.broadcast_to(schedule(self.during)(fraction), jnp.shape(self.share))
        return eqx.tree_at(lambda m: m.share, super().at(fraction), share)

    def problems(self) -> list[str]:
        """What is wrong with the passive material, a tension that is not plausible, β negative."""
        found = self.base.problems() + number_problems(tension=self.tension, length_dependence=self.length_dependence)
        found += number_problems(high=1.0, share=self.share)
        tension = np.ravel(np.asarray(self.tension, float))
        odd = tension[((tension > 0) & (tension < WEAKEST)) | (tension > STIFFEST)]
        if not found and odd.size:
            found = [f"tension is {odd[0]:g} Pa; muscle reaches 10 to 300 kPa: give it in Pa"]
        return found
