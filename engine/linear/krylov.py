"""Krylov methods on the host: conjugate gradients that notice negative curvature; GMRES for unsymmetric matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_ITERATIONS = 400
RESTART = 60
BASIS_BYTES = 1 << 30
"""GMRES keeps no more vectors, two an iteration, than fit into this, and of 20 iterations at least."""


class Krylov(NamedTuple):
    """Solution, iterations, converged, negative curvature met, and ‖residual‖ / ‖right-hand side‖ by iteration.

    `probed`: negative curvature would have been met wherever there is some.
    """

    solution: NDArray
    iterations: int
    converged: bool
    indefinite: bool = False
    residuals: tuple[float, ...] = ()
    probed: bool = False


def conjugate_gradients(
    matrix: Any,
    rhs: NDArray,
    precondition: Any,
    tolerance: float,
    limit: int,
    *,
    own: bool = True,
    start: NDArray | None = None,
) -> Krylov:
    """Preconditioned conjugate gradients that stop at negative curvature (Nocedal and Wright, section 7.1).

    A preconditioner that is not positive proves the matrix it was made from indefinite: this one where it is its `own`.
    From a `start` other than zero the residual is still compared with the right-hand side.
    """
    solution, residual = (np.zeros_like(rhs), rhs.copy()) if start is None else (start.copy(), rhs - matrix @ start)
    size = float(np.linalg.norm(rhs))
    if size == 0.0:
        return Krylov(solution, 0, True)
    direction, before, told = np.zeros_like(rhs), 1.0, [1.0]
    for iteration in range(1, limit + 1):
        better = precondition @ residual
        now = residual @ better
        if not now > 0.0:
            return Krylov(-better if iteration == 1 else solution, iteration, False, own, tuple(told))
        direction *= now / before if iteration > 1 else 0.0
        direction += better
        image = matrix @ direction
        curvature = direction @ image
        if not curvature > 0.0:
            return Krylov(better if iteration == 1 else solution, iteration, False, True, tuple(told))
        step = now / curvature
        solution += step * direction
        image *= step
        residual -= image
        before = now
        told.append(float(np.linalg.norm(residual)) / size)
        if told[-1] <= tolerance:
            return Krylov(solution, iteration, True, False, tuple(told))
    return Krylov(solution, limit, False, False, tuple(told))


def gmres(
    product: Callable[[NDArray], NDArray], rhs: NDArray, precondition: Any, tolerance: float, limit: int = 600
) -> Krylov:
    """Right-preconditioned, restarted GMRES, whose residual is the true one; flexible: the preconditioner need not be
    linear, and may itself be a solve (Saad, *Iterative Methods*, 9.3.2 and 9.4.1).
    """
    solution, size, done = np.zeros_like(rhs), float(np.linalg.norm(rhs)), 0
    if size == 0.0:
        return Krylov(solution, 0, True)
    restart = int(np.clip(BASIS_BYTES // (16 * len(rhs)), 20, RESTART))
    told = [1.0]
    while done < limit:
        residual = rhs - product(solution) if done else rhs.copy()
        if not np.isfinite(residual).all():
            return Krylov(np.zeros_like(rhs), done, False, residuals=tuple(told))
        ways, hessenberg, sizes = arnoldi(product, residual, precondition, tolerance * size, restart)
        count = len(sizes)
        right = np.zeros(count + 1)
        right[0] = np.linalg.norm(residual)
        weights = np.linalg.lstsq(hessenberg[: count + 1, :count], right, rcond=None)[0]
        for weight, way in zip(weights, ways, strict=True):
            solution += weight * way
        done += count
        told += [float(value) / size for value in sizes]
        if told[-1] <= tolerance:
            return Krylov(solution, done, True, residuals=tuple(told))
    return Krylov(solution, done, False, residuals=tuple(told))


def arnoldi(
    product: Callable[[NDArray], NDArray], residual: NDArray, precondition: Any, goal: float, restart: int
) -> tuple[list[NDArray], NDArray, list[float]]:
    """The preconditioned vectors of the Krylov space, Hessenberg's matrix, ‖residual‖ by step down to the goal."""
    ways: list[NDArray] = []
    basis, hessenberg = [residual / np.linalg.norm(residual)], np.zeros((restart + 1, restart))
    cosines, sines, tail, sizes = np.zeros(restart), np.zeros(restart), float(np.linalg.norm(residual)), []
    for k in range(restart):
        ways.append(precondition @ basis[k])
        image = product(ways[k])
        scale = float(np.linalg.norm(image))
        for _ in range(2):  # a second pass keeps the basis orthogonal to round-off
            known = np.array([vector @ image for vector in basis])
            hessenberg[: k + 1, k] += known
            for weight, vector in zip(known, basis, strict=True):
                image -= weight * vector
        hessenberg[k + 1, k] = np.linalg.norm(image)
        column = _rotated(hessenberg[: k + 2, k], cosines, sines, k)
        size = float(np.hypot(column[k], column[k + 1])) or 1e-300
        cosines[k], sines[k] = column[k] / size, column[k + 1] / size
        tail *= abs(sines[k])
        sizes.append(tail)
        # Below round-off of the product the space is exhausted, and its next vector would be noise.
        if tail <= goal or not hessenberg[k + 1, k] > 1e-14 * scale:
            break
        basis.append(image / hessenberg[k + 1, k])
    return ways, hessenberg, sizes


def _rotated(column: NDArray, cosines: NDArray, sines: NDArray, count: int) -> NDArray:
    """A column of the Hessenberg matrix after the earlier Givens rotations."""
    turned = column.copy()
    for k in range(count):
        upper, lower = turned[k], turned[k + 1]
        turned[k], turned[k + 1] = cosines[k] * upper + sines[k] * lower, cosines[k] * lower - sines[k] * upper
    return turned
