"""`Strand`: what a ligament, tendon, suture or cable is made of."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..tensors import Scalar, Tensor
from .base import Material

ONSET = 1e-4
"""Strain over which a cable takes up its load, so that the tangent is continuous."""
SLACK_SHARE = 1e-6
"""Stiffness of a slack cable over that of a taut one."""
KINK = 16.0
"""Stiffness with which a strand that only pulls bounds the step of the explicit solver, over its own.

Where it goes taut within a step Δt it stores up to ½ k (v Δt)² that nothing put in, (ω Δt)² of what moves it: a step at
the limit, ω Δt = 2, lets every catch throw back a multiple; a quarter of it, a sixteenth of that."""


class Strand(eqx.Module):
    """A law of tension, a cross-section and a rest length.

    Energy of a strand of length ℓ, rest length ℓ₀ = r L, strain e = ℓ/ℓ₀ − 1:

        Π = EA ℓ₀ φ(e),  φ = e²/2;   or   Π = A ℓ₀ W(λ),  W at uniaxial stretch λ = ℓ/ℓ₀ and constant volume.

    A cable pulls and does not push: φ' = e²/2w for 0 < e < w = 1e-4, e − w/2 above, 1e-6 e below; of W only the share
    1e-6 is left in compression.

    | symbol | meaning | unit |
    |---|---|---|
    | `law` | EA, tension per strain, or a material | N, – |
    | A `area` | cross-section at rest, for its mass and stress | m² |
    | r `rest` | rest length over the length in the model: above 1 slack, below 1 prestressed | – |
    | `cable` | whether it only pulls | – |
    """

    law: Material | Scalar
    area: Scalar
    rest: Scalar = 1.0
    cable: bool = eqx.field(static=True, default=False)
    dimension: ClassVar[int] = 1

    def line_energy(self, stretch: Scalar, direction: Any) -> Scalar:
        """Energy per rest length [J/m] at λ = ℓ/ℓ₀; `direction` are three components of the unit vector at rest."""
        if isinstance(self.law, Material):
            energy = self.area * self._uniaxial(stretch, direction)
            return jnp.where(stretch > 1.0, energy, SLACK_SHARE * energy) if self.cable else energy
        strain = stretch - 1.0
        return self.law * (taut(strain) + 0.5 * SLACK_SHARE * strain * strain if self.cable else 0.5 * strain * strain)

    def _uniaxial(self, stretch: Scalar, direction: Any) -> Scalar:
        """W at F = λ d⊗d + λ^{-1/2} (I − d⊗d)."""
        across = 1.0 / jnp.sqrt(stretch)
        along = stretch - across
        entries = [
            along * direction[i] * direction[j] + (across if i == j else 0.0) for i in range(3) for j in range(3)
        ]
        return at_constant_volume(self.law, Tensor(entries))

    @property
    def stiffest(self) -> Strand:
        """A cable as if it were taut, `KINK` times as stiff: what bounds the step of the explicit solver."""
        return TautStrand(self.law, self.area, self.rest) if self.cable else self

    def problems(self) -> list[str]:
        """Of the law, the cross-section and the rest length."""
        found = self.law.problems() if isinstance(self.law, Material) else []
        if not isinstance(self.law, Material) and not _positive(self.law):
            found.append("a strand's EA must be positive [N]")
        if not _positive(self.area):
            found.append("a strand's area must be positive [m²]")
        if not _positive(self.rest):
            found.append("a strand's rest length must be positive, over its length in the model")
        return found

    def at(self, fraction: Scalar) -> Self:
        """With its material at a load fraction."""
        return _with_law(self, "at", fraction)

    def prepared(self, points: int) -> Self:
        """With room for its material's history at so many points."""
        return _with_law(self, "prepared", points)

    def stepped(self, seconds: Scalar) -> Self:
        """With its material in a time step of this length."""
        return _with_law(self, "stepped", seconds)

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With its material's history moved on."""
        return _with_law(self, "advanced", deformation_gradient)


class TautStrand(Strand):
    """A cable whose stiffness is not lost when it is slack: it keeps that of its rest length."""

    def line_energy(self, stretch: Scalar, direction: Any) -> Scalar:
        """`KINK` times that of a strand that pushes too, below λ = 1 with the slope that it has there."""
        if not isinstance(self.law, Material):
            return KINK * super().line_energy(stretch, direction)

        def energy(at: Scalar) -> Scalar:
            return self.area * self._uniaxial(at, direction)

        def summed(at: Scalar) -> Scalar:
            return jnp.sum(energy(at))

        one = jnp.ones_like(stretch)
        curvature = jax.grad(lambda at: jnp.sum(jax.grad(summed)(at)))(one)
        short = jnp.minimum(stretch - 1.0, 0.0)
        return KINK * (energy(jnp.maximum(stretch, 1.0)) + 0.5 * curvature * short * short)


def taut(strain: Scalar) -> Scalar:
    """∫ of a tension that is 0 for e < 0, e²/2w up to w, e − w/2 above."""
    onset = jnp.clip(strain, 0.0, ONSET)
    rest = jnp.maximum(strain - ONSET, 0.0)
    return onset**3 / (6 * ONSET) + 0.5 * rest * rest + 0.5 * ONSET * rest


def at_constant_volume(material: Any, deformation_gradient: Tensor) -> Scalar:
    """W at det F = 1, where what a material adds for its change of volume is zero, however stiff it is."""
    energy = getattr(material, "shape_energy_density", material.energy_density)
    return energy(deformation_gradient)


def _with_law(owner: Any, method: str, *arguments: Any) -> Any:
    law = owner.law
    if not isinstance(law, Material):
        return owner
    return eqx.tree_at(lambda whole: whole.law, owner, getattr(law, method)(*arguments))


def _positive(values: Any) -> bool:
    array = np.asarray(values, float)
    return bool(np.isfinite(array).all() and (array > 0).all())
