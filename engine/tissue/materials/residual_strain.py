"""Residual strain and prestress: the reference shape of the body is not the one its pieces would take alone."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..tensors import EnergyDensity, Scalar, Tensor, determinant, product
from ..terms import schedule
from .base import Material
from .neo_hookean import NeoHookean
from .parameters import as_array, number_problems
from .wrapper import Wrapper


class ResidualStrain(Wrapper):
    """W = W_base(F A)/det A, A = G⁻¹: each piece of the body is stressed by F A, not by F.

    | symbol | meaning | unit |
    |---|---|---|
    | G | what takes a stress-free piece to its place in the reference shape's stead: growth, opening | – |
    | A `elastic` | G⁻¹, the strain that a piece has at F = I; (3, 3), (E, 3, 3) or (E, Q, 3, 3), entry [i, j] | – |
    | `share` | of A − I that is there; set by `at` | – |
    | `during` | load fractions between which A grows from I; (0, 0): at once | – |

    W is per volume of the reference shape, so that σ = σ_base(F A). A need be no gradient of a motion: what does not
    fit is the residual stress. With A the deformation gradient of a loaded state, the body begins under that state's
    stress (prestress). Sources: Rodriguez, Hoger and McCulloch, J Biomech 27:455 (1994); Weisbecker, Pierce and
    Holzapfel, Int J Numer Meth Biomed Eng 30:1069 (2014), for prestress by a stored deformation gradient.
    """

    elastic: Any = eqx.field(converter=as_array)
    share: Scalar = 1.0
    during: tuple[float, float] = eqx.field(static=True, default=(0.0, 1.0))
    name: ClassVar[str] = "residual-strain"
    isotropic: ClassVar[bool] = False
    stress_free: ClassVar[bool] = False
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"elastic": (3, 3)}

    @classmethod
    def from_growth(cls, base: Material, growth: Any, during: tuple[float, float] = (0.0, 1.0)) -> ResidualStrain:
        """From G (..., 3, 3) that would free each piece of stress; diag(1.1, 1, 1) lets it grow by a tenth along x."""
        return cls(base, np.linalg.inv(np.asarray(growth, float)), during=during)

    @classmethod
    def example(cls) -> ResidualStrain:
        """Grown by a tenth along x, sheared a little; E = 10 kPa, ν = 0.4."""
        growth = np.array([[1.1, 0.05, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.97]])
        return cls.from_growth(NeoHookean.example(), growth)

    def modified(self, shape_energy: EnergyDensity, deformation_gradient: Tensor) -> Scalar:
        """W_shape(F A)/det A [J/m³]."""
        elastic = self._elastic()
        return shape_energy(product(deformation_gradient, elastic)) / determinant(elastic)

    def volume_measure(self, deformation_gradient: Tensor) -> Scalar:
        """g(F A) of the base."""
        return self.base.volume_measure(product(deformation_gradient, self._elastic()))

    @property
    def volume_modulus(self) -> Scalar:
        """K/det A [Pa]."""
        return self.base.volume_modulus / determinant(self._elastic())

    def volume_energy_density(self, deformation_gradient: Tensor) -> Scalar:
        """That of the base at F A, over det A [J/m³]."""
        elastic = self._elastic()
        return self.base.volume_energy_density(product(deformation_gradient, elastic)) / determinant(elastic)

    def mixed_volume_energy_density(self, deformation_gradient: Tensor, pressure: Scalar) -> Scalar:
        """That of the base at F A and p det A, over det A [J/m³]."""
        elastic = self._elastic()
        volume = determinant(elastic)
        moved = product(deformation_gradient, elastic)
        return self.base.mixed_volume_energy_density(moved, pressure * volume) / volume

    def at(self, fraction: Scalar) -> Self:
        """With the share of A reached at a load fraction: I + s (A − I)."""
        share = jnp.broadcast_to(schedule(self.during)(fraction), jnp.shape(self.share))
        return eqx.tree_at(lambda m: m.share, super().at(fraction), share)

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With the base's history moved on to F A."""
        return self.rebased(self.base.advanced(product(deformation_gradient, self._elastic())))

    def problems(self) -> list[str]:
        """What is wrong with the base; A that is not finite or turns pieces inside out."""
        with np.errstate(invalid="ignore"):
            volume = np.atleast_1d(np.linalg.det(np.asarray(self.elastic, float)))
        found = self.base.problems() + number_problems(high=1.0, share=self.share)
        if not np.isfinite(volume).all():
            found.append("a residual strain is not finite")
        elif (volume <= 0).any():
            found.append(f"a residual strain has the determinant {volume.min():g}; it must be positive")
        return found

    def _elastic(self) -> Tensor:
        """I + s (A − I); the indices of A are reversed in what energies see."""
        unit = np.eye(3)
        return Tensor([unit[i, j] + self.share * (self.elastic[j, i] - unit[i, j]) for i in range(3) for j in range(3)])
