"""3×3 tensors as nine scalars, so that derivatives stay sparse and kernels vectorise over elements.

An energy density is written with these functions. `Tensor` indexes like an array (`F[i, j]`), and each entry may be
a number, a tracer, or an array over elements and quadrature points. Differentiating entry by entry lets JAX drop what
is zero: on 197k tetrahedra the neo-Hookean tangent takes 0.2 s this way and 1.1 s through `jacfwd` of a (3, 3) array
(`docs/decisions/006-tissue-solver.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

Scalar = Any
"""A float, or an array over (quadrature, element); every entry of one tensor has the same shape."""


Vector = Any
"""Three scalars, component first: an array (3, ...) or a list."""


class Tensor:
    """A second-order tensor of nine scalars, row by row."""

    def __init__(self, entries: Sequence[Scalar]) -> None:
        self.entries = tuple(entries)

    def __getitem__(self, index: tuple[int, int]) -> Scalar:
        return self.entries[3 * index[0] + index[1]]

    def trace(self) -> Scalar:
        """tr T."""
        return self[0, 0] + self[1, 1] + self[2, 2]

    def form(self, first: Vector, second: Vector) -> Scalar:
        """a · T b."""
        return sum(first[i] * self[i, j] * second[j] for i in range(3) for j in range(3))

    @property
    def array(self) -> jax.Array:
        """(3, 3, ...) for energies that need linear algebra on arrays (eigenvalues); slower."""
        stacked = jnp.stack([jnp.asarray(e) for e in self.entries])
        return stacked.reshape((3, 3, *stacked.shape[1:]))


class IsochoricStretch(Tensor):
    """C̄ = J^(−2/3) FᵀF, whose determinant is 1: tr C̄ = s F : F and a · C̄ b = s Fa · Fb without the product FᵀF.

    Half the operations of a law of fibres, and half of the time it takes to compile.
    """

    def __init__(self, gradient: Tensor) -> None:
        self.gradient = gradient
        self.scale = jnp.exp(-2.0 / 3.0 * jnp.log(determinant(gradient)))
        self._moved: dict[int, tuple[Vector, list[Scalar]]] = {}

    @cached_property
    def entries(self) -> tuple[Scalar, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Only of laws that need all of them."""
        return tuple(self.scale * entry for entry in right_cauchy_green(self.gradient).entries)

    def trace(self) -> Scalar:
        """Ī₁."""
        return self.scale * squared_norm(self.gradient)

    def form(self, first: Vector, second: Vector) -> Scalar:
        """a · C̄ b."""
        return self.scale * sum(a * b for a, b in zip(self.moved(first), self.moved(second), strict=True))

    def moved(self, direction: Vector) -> list[Scalar]:
        """F a, once per direction."""
        if id(direction) not in self._moved:  # which is kept, so that no other object takes its id
            self._moved[id(direction)] = (direction, applied(self.gradient, direction))
        return self._moved[id(direction)][1]


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
    upper = {(i, j): sum(tensor[k, i] * tensor[k, j] for k in range(3)) for i in range(3) for j in range(i, 3)}
    return Tensor([upper[min(i, j), max(i, j)] for i in range(3) for j in range(3)])


def trace(tensor: Tensor) -> Scalar:
    """tr T."""
    return tensor.trace()


def second_invariant(tensor: Tensor) -> Scalar:
    """I₂ = ((tr T)² − tr T²)/2 of a symmetric T: the sum of its principal minors."""
    t = tensor
    return (
        t[0, 0] * t[1, 1]
        + t[1, 1] * t[2, 2]
        + t[2, 2] * t[0, 0]
        - t[0, 1] * t[0, 1]
        - t[1, 2] * t[1, 2]
        - t[0, 2] * t[0, 2]
    )


def along(tensor: Tensor, direction: Vector, other: Vector | None = None) -> Scalar:
    """a · T b of vectors indexed component first; b = a where it is not given."""
    return tensor.form(direction, direction if other is None else other)


def applied(tensor: Tensor, direction: Vector) -> list[Scalar]:
    """T b."""
    return [sum(tensor[i, j] * direction[j] for j in range(3)) for i in range(3)]


def product(left: Tensor, right: Tensor) -> Tensor:
    """A B."""
    return Tensor([sum(left[i, k] * right[k, j] for k in range(3)) for i in range(3) for j in range(3)])


def cross(left: Vector, right: Vector) -> list[Scalar]:
    """a × b."""
    return [left[(i + 1) % 3] * right[(i + 2) % 3] - left[(i + 2) % 3] * right[(i + 1) % 3] for i in range(3)]


def green_lagrange(tensor: Tensor) -> Tensor:
    """E = (FᵀF − I)/2."""
    return strain_of(right_cauchy_green(tensor))


def strain_of(stretch: Tensor) -> Tensor:
    """(C − I)/2 of a symmetric C; equal entries are one."""
    upper = {(i, j): 0.5 * (stretch[i, j] - (1.0 if i == j else 0.0)) for i in range(3) for j in range(i, 3)}
    return Tensor([upper[min(i, j), max(i, j)] for i in range(3) for j in range(3)])


def symmetric_square(tensor: Tensor) -> Scalar:
    """T : T of a symmetric T."""
    t = tensor
    diagonal = t[0, 0] * t[0, 0] + t[1, 1] * t[1, 1] + t[2, 2] * t[2, 2]
    return diagonal + 2.0 * (t[0, 1] * t[0, 1] + t[1, 2] * t[1, 2] + t[0, 2] * t[0, 2])


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
    density, slopes = first_derivatives(lambda entries: energy(Tensor(entries)), deformation_gradient.entries)
    return density, Tensor(slopes)


def elasticity(energy: EnergyDensity, deformation_gradient: Tensor) -> list[list[Scalar]]:
    """A[m][n] = ∂²W/∂Fₘ∂Fₙ [Pa] (m, n number the nine entries)."""
    return second_derivatives(lambda entries: energy(Tensor(entries)), deformation_gradient.entries)


Entries = Sequence[Scalar]


def first_derivatives(energy: Callable[[Entries], Scalar], entries: Entries) -> tuple[Scalar, tuple[Scalar, ...]]:
    """An energy of some scalars, and its slope in each of them."""

    def total(*values: Scalar) -> tuple[Scalar, Scalar]:
        density = energy(values)
        return jnp.sum(density), density

    slopes, density = jax.grad(total, argnums=tuple(range(len(entries))), has_aux=True)(*entries)
    return density, slopes


def second_derivatives(energy: Callable[[Entries], Scalar], entries: Entries) -> list[list[Scalar]]:
    """Its second derivatives, one forward derivative per column.

    Only entries with row ≥ column are differentiated; the rest follow from symmetry.
    """
    count = len(entries)
    full: list[list[Scalar]] = [[None] * count for _ in range(count)]
    for column in range(count):

        def slopes(x: Scalar, column: int = column) -> tuple[Scalar, ...]:
            moved = [x if m == column else e for m, e in enumerate(entries)]
            return first_derivatives(energy, moved)[1][column:]

        _, rates = jax.jvp(slopes, (entries[column],), (jnp.ones_like(entries[column]),))
        for row, rate in zip(range(column, count), rates, strict=True):
            full[row][column] = full[column][row] = rate
    return full


def dense_second_derivatives(energy: Callable[[Entries], Scalar], entries: Entries) -> jax.Array:
    """All second derivatives (n, n, ...) by one linearisation of the slopes.

    For energies whose entries all couple it takes as long as `second_derivatives` and compiles several times as fast.
    """
    stacked = jnp.stack([jnp.asarray(entry) for entry in entries])

    def slopes(values: jax.Array) -> jax.Array:
        return jax.grad(lambda v: jnp.sum(energy(list(v))))(values)

    _, push = jax.linearize(slopes, stacked)
    ways = jnp.eye(len(entries)).reshape(len(entries), len(entries), *[1] * (stacked.ndim - 1))
    return jax.vmap(lambda way: push(jnp.broadcast_to(way, stacked.shape)))(ways)
