"""`Sheet`: what a membrane or shell is made of: any material in plane stress, and a thickness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..tensors import Entries, Scalar, Tensor, dense_second_derivatives, first_derivatives
from .base import Material, batch_last
from .strand import _positive, _with_law, at_constant_volume

WRINKLED_SHARE = 1e-4
"""Stiffness left in compression where a sheet may wrinkle: what regularises the tension field."""
SOLVE_STEPS = 12
LONGEST_STEP = 0.5


class Sheet(eqx.Module):
    """Any energy density W(F), reduced to plane stress, and a thickness.

    With columns g₁, g₂ of the surface's deformation gradient in an orthonormal frame E₁, E₂, N at rest and n their unit
    normal, F = g₁⊗E₁ + g₂⊗E₂ + λ₃ n⊗N. Incompressible: λ₃ = 1/|g₁ × g₂|. Else λ₃ makes W smallest, so that the stress
    across the sheet is zero; derivatives of λ₃ follow by the implicit function theorem.

    Where it may wrinkle, W is replaced by the relaxed energy of tension field theory (Pipkin 1986, *IMA J. Appl. Math.*
    36:85), for isotropic materials: with principal stretches λ₁ ≥ λ₂ and the natural width w(λ₁) of a strip that is
    pulled by λ₁, W stays where λ₂ > w, is that of the strip where λ₂ ≤ w and λ₁ > 1, and zero where λ₁ ≤ 1.

    | symbol | meaning | unit |
    |---|---|---|
    | `law` | a material of solids | – |
    | h `thickness` | at rest | m |
    | `incompressible` | keeps its volume, whatever the material's bulk modulus (which may be infinite) | – |
    | `wrinkles` | carries no compression, but for a share of 1e-4 | – |
    """

    law: Material
    thickness: Scalar
    incompressible: bool = eqx.field(static=True, default=False)
    wrinkles: bool = eqx.field(static=True, default=False)
    dimension: ClassVar[int] = 2

    @property
    def stiffest(self) -> Sheet:
        """This sheet as if it could not wrinkle: what bounds the step of the explicit solver."""
        return replace(self, wrinkles=False) if self.wrinkles else self

    def problems(self) -> list[str]:
        """Of the material and the thickness."""
        if not isinstance(self.law, Material):
            return [f"{type(self.law).__name__} is no material of a sheet"]
        found = self.law.problems()
        if not found and not self.incompressible and np.isinf(np.asarray(batch_last(self.law).volume_modulus)).any():
            found.append("the material keeps its volume: say so, Sheet(..., incompressible=True)")
        if not _positive(self.thickness):
            found.append("a sheet's thickness must be positive [m]")
        if self.wrinkles and not self._isotropic():
            found.append("a sheet that may wrinkle needs an isotropic material")
        return found

    def _isotropic(self) -> bool:
        """Whether W(F Q) = W(F) for a turn Q, at the first element's parameters."""
        first = jax.tree.map(lambda leaf: jnp.ravel(leaf)[0] if jnp.ndim(leaf) == 1 else leaf, self.law)
        stretch, turn = (
            jnp.diag(jnp.array([1.2, 0.9, 1.0 / 1.08])),
            jax.scipy.linalg.expm(jnp.array([[0.0, 0.4, -0.3], [-0.4, 0.0, 0.7], [0.3, -0.7, 0.0]])),
        )
        straight, turned = (at_constant_volume(first, Tensor(list(f.ravel()))) for f in (stretch, stretch @ turn))
        return bool(jnp.abs(straight - turned) < 1e-9 * jnp.abs(straight))

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

    def density(self, columns: Entries, across: Entries, frame: Entries) -> Scalar:
        """Energy per volume [J/m³].

        Args:
            columns: the six entries of g₁ and g₂.
            across: the unknowns that make it stationary, as `relaxed` finds them.
            frame: the nine entries of E₁, E₂ and N.
        """
        full = self._flat(columns, across[0] if across else None, frame)
        if not self.wrinkles:
            return full
        wide, narrow = principal_stretches(columns)
        width = 1.0 / jnp.sqrt(wide) if self.incompressible else across[1]
        strip = self._diagonal(wide, width)
        part = jnp.where(narrow > width, full, jnp.where(wide > 1.0, strip, 0.0))
        return WRINKLED_SHARE * full + (1.0 - WRINKLED_SHARE) * part

    def relaxed(self, columns: Entries, frame: Entries) -> tuple[Scalar, ...]:
        """λ₃, and the width of a strip where the sheet may wrinkle; none where it is incompressible."""
        if self.incompressible:
            return ()
        start = 1.0 / _area(columns)
        thin = stationary(
            lambda s, given: given[0]._flat(given[1], s, given[2]), (self, tuple(columns), tuple(frame)), start
        )
        if not self.wrinkles:
            return (thin,)
        wide = principal_stretches(columns)[0]
        width = stationary(lambda s, given: given[0]._diagonal(given[1], s), (self, wide), 1.0 / jnp.sqrt(wide))
        return (thin, width)

    def _flat(self, columns: Entries, thin: Scalar | None, frame: Entries) -> Scalar:
        """W(F); λ₃ from the volume where it is not given."""
        normal, area = _normal(columns)
        across = 1.0 / area if thin is None else thin
        entries = [
            columns[i] * frame[j] + columns[3 + i] * frame[3 + j] + across * normal[i] * frame[6 + j]
            for i in range(3)
            for j in range(3)
        ]
        return (
            at_constant_volume(self.law, Tensor(entries)) if thin is None else self.law.energy_density(Tensor(entries))
        )

    def _diagonal(self, along: Scalar, width: Scalar) -> Scalar:
        """W of a strip of stretches (λ, w, w)."""
        zero = jnp.zeros_like(along)
        tensor = Tensor([along, zero, zero, zero, width, zero, zero, zero, width])
        return at_constant_volume(self.law, tensor) if self.incompressible else self.law.energy_density(tensor)


class SheetResponse(NamedTuple):
    """W, its six slopes [Pa] in the columns, and λ₃ n as three entries."""

    density: Scalar
    slopes: tuple[Scalar, ...]
    normal: tuple[Scalar, ...]


def sheet_stress(sheet: Sheet, columns: Entries, frame: Entries) -> SheetResponse:
    """The slopes ∂W/∂g: those of the stationary energy, since W does not change with λ₃ there."""
    across = sheet.relaxed(columns, frame)
    density, slopes = first_derivatives(lambda entries: sheet.density(entries, across, frame), columns)
    normal, area = _normal(columns)
    thin = across[0] if across else 1.0 / area
    return SheetResponse(density, slopes, tuple(thin * entry for entry in normal))


def sheet_moduli(sheet: Sheet, columns: Entries, frame: Entries) -> Float[Array, "6 6 points elements"]:
    """∂²W/∂g∂g [Pa] with the unknowns across eliminated: A − A_gs A_sg / A_ss for each unknown s."""
    across = jax.lax.stop_gradient(sheet.relaxed(columns, frame))
    full = dense_second_derivatives(lambda all_: sheet.density(all_[:6], all_[6:], frame), [*columns, *across])
    for extra in range(6, len(full)):
        pivot = full[extra, extra]
        share = jnp.where(pivot == 0.0, 0.0, 1.0 / jnp.where(pivot == 0.0, 1.0, pivot))
        full = full - share * full[:, extra, None] * full[None, extra]
    return full[:6, :6]


def stationary(energy: Callable[[Scalar, Any], Scalar], given: Any, start: Scalar) -> Scalar:
    """The positive s at which energy(s, given) is smallest, by Newton's method in ln s; differentiable in `given`.

    One more step from the solution, with its curvature frozen, carries the derivative −(∂²W/∂s²)⁻¹ ∂²W/∂s∂given.
    """

    def slope(x: Scalar, data: Any) -> Scalar:
        return jax.grad(lambda y: jnp.sum(energy(jnp.exp(y), data)))(x)

    def both(x: Scalar, data: Any) -> tuple[Scalar, Scalar]:
        return jax.jvp(lambda y: slope(y, data), (x,), (jnp.ones_like(x),))

    fixed = jax.lax.stop_gradient(given)

    def step(_: int, x: Scalar) -> Scalar:
        first, second = both(x, fixed)
        length = jnp.where(second > 0.0, first / jnp.where(second > 0.0, second, 1.0), 0.2 * jnp.sign(first))
        return x - jnp.clip(length, -LONGEST_STEP, LONGEST_STEP)

    found = jax.lax.fori_loop(0, SOLVE_STEPS, step, jax.lax.stop_gradient(jnp.log(start)))
    curvature = both(found, fixed)[1]
    return jnp.exp(found - slope(found, given) / jax.lax.stop_gradient(curvature))


def principal_stretches(columns: Entries) -> tuple[Scalar, Scalar]:
    """λ₁ ≥ λ₂ of the two columns; smooth but where they are equal, where the larger is a trifle too large."""
    first = sum(columns[i] * columns[i] for i in range(3))
    second = sum(columns[3 + i] * columns[3 + i] for i in range(3))
    mixed = sum(columns[i] * columns[3 + i] for i in range(3))
    half, middle = 0.5 * (first - second), 0.5 * (first + second)
    spread = jnp.sqrt(half * half + mixed * mixed + 1e-20)
    wide = jnp.sqrt(middle + spread)
    return wide, _area(columns) / wide


def _normal(columns: Entries) -> tuple[tuple[Scalar, ...], Scalar]:
    """The unit normal of the two columns, and the length of their cross product."""
    a, b = columns[:3], columns[3:]
    cross = [a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3] for i in range(3)]
    area = jnp.sqrt(sum(c * c for c in cross))
    return tuple(c / area for c in cross), area


def _area(columns: Entries) -> Scalar:
    return _normal(columns)[1]
