"""3×3 tensors as nine scalars, so that derivatives stay sparse and kernels vectorise over elements.

An energy density is written with these functions. `Tensor` indexes like an array (`F[i, j]`), and each entry may be
a number, a tracer, or an array over elements and quadrature points. Differentiating entry by entry lets JAX drop what
is zero: on 197k tetrahedra the neo-Hookean tangent takes 0.2 s this way and 1.1 s through `jacfwd` of a (3, 3) array
(`docs/decisions/006-tissue-solver.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Scalar = Any
"""A float, or an array over (quadrature, element); every entry of one tensor has the same shape."""


class Tensor:
    """A second-order tensor of nine scalars, row by row."""

    def __init__(self, entries: Sequence[Scalar]) -> None:
        self.entries = tuple(entries)

    def __getitem__(self, index: tuple[int, int]) -> Scalar:
        return self.entries[3 * index[0] + index[1]]

    @property
    def array(self) -> jax.Array:
        """(3, 3, ...) for energies that need linear algebra on arrays (eigenvalues); slower."""
        stacked = jnp.stack([jnp.asarray(e) for e in self.entries])
        return stacked.reshape((3, 3, *stacked.shape[1:]))


def from_array(array: jax.Array) -> Tensor:
    """A tensor from a (3, 3, ...) array."""
    return Tensor([array[i, j] for i in range(3) for j in range(3)])


def determinant(tensor: Tensor) -> Scalar:
    """det F, by the first row."""
    t = tensor
    return (
        t[0, 0] * (t[1, 1] * t[2, 2] - t[1, 2] * t[2, 1])
        - t[0, 1] * (t[1, 0] * t[2, 2] - t[1, 2] * t[2, 0])
        + t[0, 2] * (t[1, 0] * t[2, 1] - t[1, 1] * t[2, 0])
    )


def squared_norm(tensor: Tensor) -> Scalar:
    """F : F, the first invariant I₁ of C = FᵀF."""
    return sum(e * e for e in tensor.entries)


def right_cauchy_green(tensor: Tensor) -> Tensor:
    """C = FᵀF."""
    return Tensor([sum(tensor[k, i] * tensor[k, j] for k in range(3)) for i in range(3) for j in range(3)])


def green_lagrange(tensor: Tensor) -> Tensor:
    """E = (FᵀF − I)/2."""
    stretch = right_cauchy_green(tensor)
    return Tensor([0.5 * (stretch[i, j] - (1.0 if i == j else 0.0)) for i in range(3) for j in range(3)])


def inverse(tensor: Tensor) -> tuple[Tensor, Scalar]:
    """The inverse and the determinant, by cofactors."""
    det = determinant(tensor)
    entries = []
    for i in range(3):
        for j in range(3):
            a, b, p, q = (j + 1) % 3, (j + 2) % 3, (i + 1) % 3, (i + 2) % 3
            entries.append((tensor[a, p] * tensor[b, q] - tensor[a, q] * tensor[b, p]) / det)
    return Tensor(entries), det


EnergyDensity = Callable[[Tensor], Scalar]


def first_piola(energy: EnergyDensity, deformation_gradient: Tensor) -> tuple[Scalar, Tensor]:
    """W [J/m³] and P = ∂W/∂F [Pa]. Entries may carry any batch shape: the energies of all points are independent."""

    def total(*entries: Scalar) -> tuple[Scalar, Scalar]:
        density = energy(Tensor(entries))
        return jnp.sum(density), density

    grads, density = jax.grad(total, argnums=tuple(range(9)), has_aux=True)(*deformation_gradient.entries)
    return density, Tensor(grads)


def elasticity(energy: EnergyDensity, deformation_gradient: Tensor) -> list[list[Scalar]]:
    """A[m][n] = ∂²W/∂Fₘ∂Fₙ [Pa] (m, n number the nine entries), one forward derivative per column.

    Only entries with m ≥ n are differentiated; the rest follow from symmetry.
    """
    entries = deformation_gradient.entries
    full: list[list[Scalar]] = [[None] * 9 for _ in range(9)]
    for column in range(9):

        def stress(x: Scalar, column: int = column) -> tuple[Scalar, ...]:
            moved = Tensor([x if m == column else e for m, e in enumerate(entries)])
            return first_piola(energy, moved)[1].entries[column:]

        _, rates = jax.jvp(stress, (entries[column],), (jnp.ones_like(entries[column]),))
        for row, rate in zip(range(column, 9), rates, strict=True):
            full[row][column] = full[column][row] = rate
    return full
