"""Powers of symmetric 3×3 tensors, with derivatives that hold where eigenvalues are equal.

tr Cʳ has the derivative r Cʳ⁻¹, and Cʳ that of Daleckii and Krein: in the frame of C, entry ij of the change is the
divided difference (λᵢʳ − λⱼʳ)/(λᵢ − λⱼ) times the change of C. Both are smooth; only eigenvectors are not, so they are
never differentiated: each derivative is a rule of its own, to the third of tr Cʳ (the second of a stress). The
derivative by r puts ln C in: ∂ᵏCʳ/∂rᵏ = Cʳ lnᵏ C has the same rules with f = xʳ lnᵏ x, to any k. Sources:
Daleckii and Krein (1965); Higham, *Functions of Matrices* (2008), theorem 3.11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from .tensors import Tensor

SWEEPS = 5
"""Of Jacobi's method: it converges quadratically, and five bring any 3×3 matrix to round-off."""
NEAR = 3e-3
"""Three eigenvalues whose logarithms lie closer: their second divided difference comes from its Taylor series."""

Symmetric = Float[Array, "3 3 ..."]


def trace_power(tensor: Tensor, exponent: Array | float) -> Array:
    """tr Cʳ of a symmetric positive definite C; smooth in C and in r."""
    return _trace_power(tensor.array, jnp.asarray(exponent, float), 0)


def trace_powers(tensor: Tensor, exponents: Sequence[Array | float]) -> list[Array]:
    """tr Cʳ for each exponent, as one batch: compiled once for all."""
    entries = jnp.broadcast_arrays(*tensor.entries)
    shape = jnp.broadcast_shapes(entries[0].shape, *(jnp.shape(exponent) for exponent in exponents))
    batch = [jnp.broadcast_to(entry, (len(exponents), *shape)) for entry in entries]
    stacked = jnp.stack([jnp.broadcast_to(jnp.asarray(exponent, float), shape) for exponent in exponents])
    return list(trace_power(Tensor(batch), stacked))


def principal(matrix: Symmetric) -> tuple[Float[Array, "3 ..."], Symmetric]:
    """Eigenvalues and eigenvectors (columns) of symmetric C, by Jacobi's rotations: accurate however close they lie."""
    one, zero = jnp.ones_like(matrix[0, 0]), jnp.zeros_like(matrix[0, 0])
    start = [matrix[i, j] for i in range(3) for j in range(i, 3)]
    start += [one if i == j else zero for i in range(3) for j in range(3)]
    # A loop, not five copies: the tangent differentiates column by column, and each copy is compiled nine times.
    done = jax.lax.fori_loop(0, SWEEPS, _sweep, start)
    return jnp.stack([done[0], done[3], done[5]]), jnp.stack(done[6:]).reshape(3, *matrix.shape[1:])


def _sweep(_: Array, entries: list[Array]) -> list[Array]:
    """One turn in each of the three planes: the six entries of the matrix, then the nine of the vectors."""
    a = dict(zip([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)], entries[:6], strict=True))
    vectors = [entries[6 + 3 * i : 9 + 3 * i] for i in range(3)]
    for p, q in ((0, 1), (0, 2), (1, 2)):
        off, gap, r = a[p, q], a[q, q] - a[p, p], 3 - p - q
        size = jnp.abs(gap) + jnp.sqrt(gap * gap + 4.0 * off * off)
        slope = jnp.where(gap < 0.0, -2.0, 2.0) * off / jnp.where(size > 0.0, size, 1.0)
        cosine = 1.0 / jnp.sqrt(1.0 + slope * slope)
        sine = slope * cosine
        a[p, p], a[q, q], a[p, q] = a[p, p] - slope * off, a[q, q] + slope * off, jnp.zeros_like(off)
        first, second = (min(p, r), max(p, r)), (min(q, r), max(q, r))
        a[first], a[second] = cosine * a[first] - sine * a[second], sine * a[first] + cosine * a[second]
        for row in vectors:
            row[p], row[q] = cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]
    return [*a.values(), *(entry for row in vectors for entry in row)]


def _ruled(function: Callable[[Symmetric, Array, int], Array]) -> Any:
    """Of (C, r, k): derivatives by C and r are rules of their own; no work for the one that is not asked for."""
    return jax.custom_jvp(function, nondiff_argnums=(2,))


@_ruled
def _trace_power(matrix: Symmetric, exponent: Array, logs: int) -> Array:
    """tr Cʳ lnᵏ C, k = `logs`: the k-th derivative of tr Cʳ by r."""
    values, _ = principal(matrix)
    return jnp.sum(values**exponent * jnp.log(values) ** logs, axis=0)


@partial(_trace_power.defjvp, symbolic_zeros=True)
def _trace_power_jvp(logs: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    matrix, exponent = primals
    change = jnp.zeros(())
    if _moves(tangents[0]):  # (xʳ lnᵏ x)′ = r xʳ⁻¹ lnᵏ x + k xʳ⁻¹ lnᵏ⁻¹ x
        slope = exponent * _power(matrix, exponent - 1.0, logs)
        if logs:
            slope = slope + logs * _power(matrix, exponent - 1.0, logs - 1)
        change = jnp.sum(slope * tangents[0], axis=(0, 1))
    if _moves(tangents[1]):
        change = change + _trace_power(matrix, exponent, logs + 1) * tangents[1]
    return _with_change(_trace_power(matrix, exponent, logs), change)


@_ruled
def _power(matrix: Symmetric, exponent: Array, logs: int) -> Symmetric:
    """Cʳ lnᵏ C."""
    values, vectors = principal(matrix)
    seen = values**exponent * jnp.log(values) ** logs
    return _from_frame(vectors, seen * jnp.eye(3).reshape(3, 3, *[1] * (matrix.ndim - 2)))


@partial(_power.defjvp, symbolic_zeros=True)
def _power_jvp(logs: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    matrix, exponent = primals
    change = jnp.zeros(())
    if _moves(tangents[0]):
        change = jnp.sum(_power_slope(matrix, exponent, logs) * tangents[0], axis=(2, 3))
    if _moves(tangents[1]):
        change = change + _power(matrix, exponent, logs + 1) * tangents[1]
    return _with_change(_power(matrix, exponent, logs), change)


@_ruled
def _power_slope(matrix: Symmetric, exponent: Array, logs: int) -> Float[Array, "3 3 3 3 ..."]:
    """∂(Cʳ lnᵏ C)ᵢⱼ/∂Cₖₗ = Σₐᵦ f[λₐ, λᵦ] qₐᵢ qᵦⱼ qₐₖ qᵦₗ."""
    values, vectors = principal(matrix)
    squares = vectors[:, None] * vectors[None]  # (i, k, a)
    differences = _by_exponent(partial(_first_differences, jnp.log(values)), exponent, logs)
    weighted = jnp.sum(differences[None, None] * squares[:, :, None], axis=3)
    return jnp.sum(squares[:, None, :, None] * weighted[None, :, None], axis=4)


@partial(_power_slope.defjvp, symbolic_zeros=True)
def _power_slope_jvp(logs: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The second change along A and B: in the frame of C, Σₖ f[λᵢ, λₖ, λⱼ] (Aᵢₖ Bₖⱼ + Bᵢₖ Aₖⱼ)."""
    matrix, exponent = primals
    total = jnp.zeros(())
    if _moves(tangents[0]):
        values, vectors = principal(matrix)
        weight = _by_exponent(partial(_second_differences, values), exponent, logs)  # (i, k, j)
        turned = jnp.einsum("ai...,ab...,bj...->ij...", vectors, tangents[0], vectors)
        change = jnp.einsum("ik,ilj...,lj...->ijkl...", jnp.eye(3), weight, turned)
        change = change + jnp.einsum("jl,ikj...,ik...->ijkl...", jnp.eye(3), weight, turned)
        change = jnp.einsum("ijkl...,ai...,bj...->abkl...", change, vectors, vectors)
        total = jnp.einsum("abkl...,ck...,dl...->abcd...", change, vectors, vectors)
    if _moves(tangents[1]):
        total = total + _power_slope(matrix, exponent, logs + 1) * tangents[1]
    return _with_change(_power_slope(matrix, exponent, logs), total)


def _moves(tangent: Any) -> bool:
    return not isinstance(tangent, SymbolicZero)


def _with_change(value: Array, change: Array) -> tuple[Array, Array]:
    return value, jnp.broadcast_to(change, value.shape)


def _by_exponent(differences: Callable[[Array], Array], exponent: Array, times: int) -> Array:
    """The derivative by r, k times: divided differences are linear in f, and their closed forms smooth in r."""
    if times == 0:
        return differences(exponent)
    return jax.jvp(partial(_by_exponent, differences, times=times - 1), (exponent,), (jnp.ones_like(exponent),))[1]


def _first_differences(logs: Float[Array, "3 ..."], exponent: Array) -> Symmetric:
    """(xʳ − yʳ)/(x − y) = √(xy)ʳ⁻¹ sinh(rd)/sinh(d) with d = ln(x/y)/2."""
    first, second = logs[:, None], logs[None, :]
    half = 0.5 * (first - second)
    ratio = exponent * _sinhc(exponent * half) / _sinhc(half)
    return jnp.exp(0.5 * (exponent - 1.0) * (first + second)) * ratio


def _sinhc(x: Array) -> Array:
    """sinh(x)/x."""
    small = jnp.abs(x) < 1e-2
    far = jnp.where(small, 1.0, x)
    square = x * x
    return jnp.where(small, 1.0 + square / 6.0 * (1.0 + square / 20.0 * (1.0 + square / 42.0)), jnp.sinh(far) / far)


def _second_differences(values: Float[Array, "3 ..."], exponent: Array) -> Float[Array, "3 3 3 ..."]:
    """f[x, y, z] of f = xʳ: from first differences over the widest pair, or from a series about the mean."""
    logs = jnp.log(values)
    x, y, z = logs[:, None, None], logs[None, :, None], logs[None, None, :]
    x, y, z = jnp.broadcast_arrays(x, y, z)
    low, high = jnp.minimum(jnp.minimum(x, y), z), jnp.maximum(jnp.maximum(x, y), z)
    middle = x + y + z - low - high
    wide = high - low > NEAR
    spread = jnp.where(wide, jnp.exp(high) - jnp.exp(low), 1.0)
    apart = (_difference(middle, high, exponent) - _difference(low, middle, exponent)) / spread
    return jnp.where(wide, apart, _series(jnp.exp(low), jnp.exp(middle), jnp.exp(high), exponent))


def _difference(first: Array, second: Array, exponent: Array) -> Array:
    half = 0.5 * (first - second)
    ratio = exponent * _sinhc(exponent * half) / _sinhc(half)
    return jnp.exp(0.5 * (exponent - 1.0) * (first + second)) * ratio


def _series(x: Array, y: Array, z: Array, r: Array) -> Array:
    """Σₖ f⁽ᵏ⁺²⁾(m)/(k + 2)! hₖ(x − m, y − m, z − m), hₖ the complete symmetric polynomials, m the mean."""
    m = (x + y + z) / 3.0
    a, b, c = x / m - 1.0, y / m - 1.0, z / m - 1.0
    second, third = a * b + b * c + c * a, a * b * c  # a + b + c = 0
    binomial = 0.5 * r * (r - 1.0)
    total = binomial
    binomial = binomial * (r - 2.0) * (r - 3.0) / 12.0
    total = total - binomial * second
    binomial = binomial * (r - 4.0) / 5.0
    total = total + binomial * third
    total = total + binomial * (r - 5.0) / 6.0 * second * second
    return total * m ** (r - 2.0)


def _from_frame(vectors: Symmetric, matrix: Symmetric) -> Symmetric:
    """Q A Qᵀ."""
    half = jnp.sum(matrix[:, :, None] * jnp.swapaxes(vectors, 0, 1)[None], axis=1)
    return jnp.sum(vectors[:, :, None] * half[None], axis=1)
