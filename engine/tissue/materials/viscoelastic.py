"""Quasi-linear viscoelasticity: any material whose shape stress relaxes by a Prony series."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp

from ..tensors import EnergyDensity, Scalar, Tensor, first_piola, inverse, product, right_cauchy_green
from .neo_hookean_decoupled import DecoupledNeoHookean
from .parameters import number_problems
from .wrapper import Wrapper


class Viscoelastic(Wrapper):
    """S = S_base + Σᵢ Qᵢ, Qᵢ(t) = γᵢ ∫ exp(−(t − s)/τᵢ) dS_shape/ds ds.

    | symbol | meaning | unit |
    |---|---|---|
    | S_base | second Piola–Kirchhoff stress of the base: the *relaxed* material | Pa |
    | S_shape | its part from W_shape; the volume law does not relax | Pa |
    | γᵢ `strengths` | stress that relaxes, over the relaxed stress; as many as are given | – |
    | τᵢ `times` | relaxation times, as many | s |
    | `seconds` | length Δt of the step that comes; 0: it acts at once | s |
    | Qᵢ `overstress`, S_n `before` | history at the last converged step: (E, Q, 3, 3) | Pa |

    Over a step dS_shape/ds is taken as constant: Qᵢ = e^(−x) Qᵢⁿ + γᵢ a (S_shape − S_n) with x = Δt/τᵢ, a = (1 −
    e^(−x))/x (Taylor, Pister and Goudreau, Int J Numer Meth Eng 2:45, 1970), exact for a stress that grows linearly, of
    second order otherwise. The step's energy is W = W_base + Σᵢ (γᵢ a W_shape + Hᵢ : E), Hᵢ = e^(−x) Qᵢⁿ − γᵢ a S_n, so
    stress and tangent derive from it. Sources: Fung, *Biomechanics* (1993), section 7.6; Simo, Comput Meth Appl Mech
    Eng 60:153 (1987); Holzapfel, *Nonlinear Solid Mechanics* (2000), section 6.10.
    Without steps in time (`stepped`) a body answers as it would at once, 1 + Σγᵢ times as stiff.
    """

    strengths: tuple[Scalar, ...]
    times: tuple[Scalar, ...]
    seconds: Scalar = 0.0
    overstress: tuple[Any, ...] = ()
    before: Any = None
    name: ClassVar[str] = "viscoelastic"
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"overstress": (3, 3), "before": (3, 3)}

    @classmethod
    def example(cls) -> Viscoelastic:
        """Relaxes by 0.5 within 0.1 s and by 0.3 within 10 s, on a neo-Hookean base of 10 kPa."""
        return cls(DecoupledNeoHookean.example(), (0.5, 0.3), (0.1, 10.0))

    @property
    def isotropic(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As the base."""
        return self.base.isotropic

    def modified(self, shape_energy: EnergyDensity, deformation_gradient: Tensor) -> Scalar:
        """W_shape of the step [J/m³]."""
        energy = shape_energy(deformation_gradient)
        total = energy
        for gain, _, strength in self._steps():
            total = total + strength * gain * energy
        if self.before is None:
            return total
        stretch, history = right_cauchy_green(deformation_gradient), self._carried()
        strain = [0.5 * (stretch[i, j] - (i == j)) for i in range(3) for j in range(3)]
        return total + sum(history[i, j] * strain[3 * i + j] for i in range(3) for j in range(3))

    def prepared(self, points: int) -> Self:
        """With a history of rest at so many points."""
        ready = super().prepared(points)
        if self.before is not None:
            return ready
        rest = jnp.zeros((len(jax.tree.leaves(self)[0]), points, 3, 3))
        return eqx.tree_at(
            lambda m: (m.overstress, m.before), ready, ((rest,) * len(self.times), rest), is_leaf=lambda x: x is None
        )

    def stepped(self, seconds: Scalar) -> Self:
        """With the length of the step that comes."""
        length = jnp.broadcast_to(jnp.asarray(seconds, float), jnp.shape(self.seconds))
        return eqx.tree_at(lambda m: m.seconds, super().stepped(seconds), length)

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With Qᵢ and S_n at a converged F, and no time left in the step."""
        stress = self._shape_stress(deformation_gradient)
        before = jnp.zeros_like(stress) if self.before is None else self.before
        carried = self.overstress or (jnp.zeros_like(stress),) * len(self.times)
        moved = tuple(
            decay * old + strength * gain * (stress - before)
            for (gain, decay, strength), old in zip(self._steps(), carried, strict=True)
        )
        return eqx.tree_at(
            lambda m: (m.overstress, m.before, m.seconds),
            super().advanced(deformation_gradient),
            (moved, stress, jnp.zeros_like(jnp.asarray(self.seconds, float))),
            is_leaf=lambda x: x is None,
        )

    def problems(self) -> list[str]:
        """What is wrong with the base; strengths that are negative, times that are not positive, unequal numbers."""
        if not self.times or len(self.times) != len(self.strengths):
            return [f"a Prony series needs as many strengths as times, not {len(self.strengths)} and {len(self.times)}"]
        found = self.base.problems() + number_problems(seconds=self.seconds)
        found += number_problems(**{f"strength_{k + 1}": value for k, value in enumerate(self.strengths)})
        return found + number_problems(strict=True, **{f"time_{k + 1}": value for k, value in enumerate(self.times)})

    def _steps(self) -> list[tuple[Scalar, Scalar, Scalar]]:
        """Of each term: a, e^(−x), γ."""
        found = []
        for strength, time in zip(self.strengths, self.times, strict=True):
            x = jnp.asarray(self.seconds / time)
            small = x < 1e-4
            far = jnp.where(small, 1.0, x)
            gain = jnp.where(small, 1.0 - x / 2.0 + x * x / 6.0, -jnp.expm1(-far) / far)
            found.append((gain, jnp.exp(-x), strength))
        return found

    def _carried(self) -> Scalar:
        """Σᵢ Hᵢ (3, 3, ...)."""
        terms = zip(self._steps(), self.overstress, strict=True)
        return sum(decay * old - strength * gain * self.before for (gain, decay, strength), old in terms)

    def _shape_stress(self, deformation_gradient: Tensor) -> jax.Array:
        """S_shape = F⁻¹ ∂W_shape/∂F (3, 3, ...); symmetric, so that its indices may be reversed."""
        _, piola = first_piola(self.base.shape_energy_density, deformation_gradient)
        stress = product(inverse(deformation_gradient)[0], piola).array
        return 0.5 * (stress + jnp.swapaxes(stress, 0, 1))
