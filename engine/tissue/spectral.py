"""Powers of symmetric 3×3 tensors, with derivatives that hold where eigenvalues are equal.

tr Cʳ has the derivative r Cʳ⁻¹, and Cʳ that of Daleckii and Krein: in the frame of C, entry ij of the change is the
divided difference (λᵢʳ − λⱼʳ)/(λᵢ − λⱼ) times the change of C. Both are smooth; only eigenvectors are not, so they are
never differentiated: each derivative is a rule of its own, to the third of tr Cʳ (the second of a stress). Sources:
Daleckii and Krein (1965); Higham, *Functions of Matrices* (2008), theorem 3.11.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .tensors import Tensor

SWEEPS = 5
"""Of Jacobi's method: it converges quadratically, and five bring any 3×3 matrix to round-off."""
NEAR = 3e-3
"""Three eigenvalues whose logarithms lie closer: their second divided difference comes from its Taylor series."""

Symmetric = Float[Array, "3 3 ..."]


def trace_power(tensor: Tensor, exponent: Array | float) -> Array:
    """tr Cʳ of a symmetric positive definite C; the exponent is no parameter that can be differentiated."""
    return _trace_power(tensor.array, jax.lax.stop_gradient(jnp.asarray(exponent, float)))


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


@jax.custom_jvp
def _trace_power(matrix: Symmetric, exponent: Array) -> Array:
    values, _ = principal(matrix)
    return jnp.sum(values**exponent, axis=0)


@_trace_power.defjvp
def _trace_power_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    matrix, exponent = primals
    power = _power(matrix, exponent - 1.0)
    return _trace_power(matrix, exponent), exponent * jnp.sum(power * tangents[0], axis=(0, 1))


@jax.custom_jvp
def _power(matrix: Symmetric, exponent: Array) -> Symmetric:
    """Cʳ."""
    values, vectors = principal(matrix)
    return _from_frame(vectors, values**exponent * jnp.eye(3).reshape(3, 3, *[1] * (matrix.ndim - 2)))


@_power.defjvp
def _power_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    matrix, exponent = primals
    change = jnp.sum(_power_slope(matrix, exponent) * tangents[0], axis=(2, 3))
    return _power(matrix, exponent), change


@jax.custom_jvp
def _power_slope(matrix: Symmetric, exponent: Array) -> Float[Array, "3 3 3 3 ..."]:
    """∂Cʳᵢⱼ/∂Cₖₗ = Σₐᵦ f[λₐ, λᵦ] qₐᵢ qᵦⱼ qₐₖ qᵦₗ."""
    values, vectors = principal(matrix)
    squares = vectors[:, None] * vectors[None]  # (i, k, a)
    weighted = jnp.sum(_first_differences(jnp.log(values), exponent)[None, None] * squares[:, :, None], axis=3)
    return jnp.sum(squares[:, None, :, None] * weighted[None, :, None], axis=4)


@_power_slope.defjvp
def _power_slope_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The second change along A and B: in the frame of C, Σₖ f[λᵢ, λₖ, λⱼ] (Aᵢₖ Bₖⱼ + Bᵢₖ Aₖⱼ)."""
    matrix, exponent = primals
    values, vectors = principal(matrix)
    weight = _second_differences(values, exponent)  # (i, k, j)
    turned = jnp.einsum("ai...,ab...,bj...->ij...", vectors, tangents[0], vectors)
    change = jnp.einsum("ik,ilj...,lj...->ijkl...", jnp.eye(3), weight, turned)
    change = change + jnp.einsum("jl,ikj...,ik...->ijkl...", jnp.eye(3), weight, turned)
    change = jnp.einsum("ijkl...,ai...,bj...->abkl...", change, vectors, vectors)
    return _power_slope(matrix, exponent), jnp.einsum("abkl...,ck...,dl...->abcd...", change, vectors, vectors)


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
