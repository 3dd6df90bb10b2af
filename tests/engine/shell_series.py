"""Deflections of thin elastic shells by Fourier series and Legendre polynomials; shares nothing with the engine.

Kirchhoff and Love's shell without further neglect (Flügge, *Stresses in Shells*, 1960, chapter 5): normals stay normal
and straight, the plane-stress energy of the layers is summed through the thickness on their true areas. Along or
around the shell every harmonic stands for itself; across, displacements are Legendre polynomials (Ritz).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

Layer = Callable[[float], tuple[NDArray, NDArray, NDArray, NDArray]]
"""Height over the middle surface → strains along, across and shear (points, unknowns), and areas (points,)."""


def stiffness(layer: Layer, young: float, poisson: float, thick: float) -> NDArray[np.float64]:
    """∫ Eᵀ C E dV over all layers, C of plane stress (…, unknowns, unknowns)."""
    heights, weights = (0.5 * thick * one for one in legendre.leggauss(4))
    total: NDArray = np.zeros(())
    for height, weight in zip(heights, weights, strict=True):
        along, across, shear, area = layer(height)
        here = weight * young / (1 - poisson**2) * area[..., None]
        for left, right, share in (
            (along, along, 1.0), (across, across, 1.0), (along, across, poisson), (across, along, poisson),
            (shear, shear, 0.5 * (1 - poisson)),
        ):  # fmt: skip
            total = total + share * np.swapaxes(left * here, -1, -2) @ right
    return total


def polynomials(start: float, stop: float, degree: int) -> tuple[NDArray, NDArray, list[NDArray]]:
    """Gauss points, weights, and Legendre polynomials there with their first and second derivatives."""
    points, weights = legendre.leggauss(2 * degree)
    half, unit = 0.5 * (stop - start), np.eye(degree + 1)
    values = [legendre.legvander(points, degree)]
    values += [legendre.legvander(points, degree - k) @ np.asarray(legendre.legder(unit, k)) / half**k for k in (1, 2)]
    return start + half * (points + 1), weights * half, values


def barrel(wave: NDArray, radius: float, across: list[NDArray], around: list[NDArray], weights: NDArray) -> Layer:
    """Of a cylinder: (u, v, w) = (U cos kx, V sin kx, W sin kx), u along, v around, w outward.

    `across`: what U and W are made of, with first and second derivatives by the angle; `around`: what V is made of.
    """
    value, first, second = across
    none = np.zeros_like(wave * value)

    def layer(z: float) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        away, bent = radius + z, -z * (1 / (radius + z) + 1 / radius)
        along = np.concatenate([none - wave * value, none, z * wave**2 * value], axis=-1)
        turned = np.concatenate([none, none + around[1] / radius, none + (value - z * second / radius) / away], axis=-1)
        shear = np.concatenate([none + first / away, wave * around[0] * away / radius, bent * wave * first], axis=-1)
        return along, turned, shear, weights * away

    return layer


def roof(harmonics: int = 20, degree: int = 32) -> float:
    """Scordelis and Lo's: downward at the middle of the free edge [m], of the sizes and the load of the case."""
    radius, span, edge, load = 25.0, 50.0, np.radians(40.0), 90.0
    angle, weights, across = polynomials(-edge, edge, degree)
    rim = np.ones(degree + 1)  # of a Legendre polynomial at the end of its range
    total = 0.0
    for m in range(1, 2 * harmonics, 2):
        matrix = stiffness(barrel(np.array(m * np.pi / span), radius, across, across, weights), 4.32e8, 0.0, 0.25)
        down, aside = -np.cos(angle) * weights @ across[0], np.sin(angle) * weights @ across[0]
        pull = 4 * load * radius / (m * np.pi) * np.concatenate([np.zeros(degree + 1), aside, down])
        _, around, outward = np.split(np.linalg.solve(matrix, pull), 3)
        total += np.sin(0.5 * m * np.pi) * (rim @ around * np.sin(edge) - rim @ outward * np.cos(edge))
    return float(total)


def cylinder(harmonics: int = 200) -> float:
    """Pinched between diaphragms by two forces of 1: inward under a force [m]; a double series, in closed form.

    What is left after n terms each way goes with n⁻²: the sums of n and n/2 are extrapolated.
    """
    radius, span = 300.0, 600.0
    m = np.arange(1, 2 * harmonics, 2)[:, None, None, None] * np.pi / span
    n = np.arange(0, 2 * harmonics, 2)[None, :, None, None] * np.ones_like(m)
    # u and w go with cos nφ, v with sin nφ; with the weight the mean of their squares over the surface.
    mean = 0.5 * span * np.where(n == 0, 2 * np.pi, np.pi)[..., 0]
    cosine, sine = [np.ones_like(n), -n, -(n**2)], [np.ones_like(n), n, -(n**2)]
    matrix = stiffness(barrel(m, radius, cosine, sine, mean), 3e6, 0.3, 3.0)
    matrix[:, 0, 1, 1] = 1.0  # sin 0φ is no unknown
    inward = 2 * np.linalg.solve(matrix, np.broadcast_to([[0.0], [0.0], [1.0]], (*matrix.shape[:2], 3, 1)))[..., 2, 0]
    whole, half = inward.sum(), inward[: harmonics // 2, : harmonics // 2].sum()
    return float((4 * whole - half) / 3)


def cap(n: int, radius: float, angle: NDArray, down: list[NDArray], weights: NDArray) -> Layer:
    """Of a sphere: (u, v, w) = (U cos nφ, V sin nφ, W cos nφ), u down the meridian, v around, w outward."""
    value, first, second = down
    none, sine, cot = np.zeros_like(value), np.sin(angle)[:, None], 1 / np.tan(angle)[:, None]

    def layer(z: float) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        away, share = radius + z, z / radius
        # Tangential displacements at height z: u + z (u − w,θ)/R and v + z (v + n w/sin θ)/R.
        turn, slope = n * value / sine, n * (first - value * cot) / sine
        meridian = np.hstack([(1 + share) * first, none, value - share * second]) / away
        around = np.hstack([
            (1 + share) * value * cot, (1 + share) * n * value / sine,
            value + share * (n * turn / sine - first * cot),
        ]) / away  # fmt: skip
        shear = np.hstack([
            -(1 + share) * n * value / sine, (1 + share) * (first - value * cot),
            share * (n * first / sine + slope - turn * cot),
        ]) / away  # fmt: skip
        return meridian, around, shear, weights * away**2 * sine[:, 0]

    return layer


def hemisphere(harmonics: int = 25, degree: int = 48) -> float:
    """With a hole of 18°, pulled and pushed by forces of 2 at its equator: outward under a force [m]."""
    angle, weights, down = polynomials(np.radians(18.0), 0.5 * np.pi, degree)
    rim = np.ones(degree + 1)
    total = 0.0
    for n in range(2, 4 * harmonics, 4):  # both pairs together stir up n = 2, 6, 10 …
        matrix = stiffness(cap(n, 10.0, angle, down, np.pi * weights), 6.825e7, 0.3, 0.04)
        pull = np.concatenate([np.zeros(2 * (degree + 1)), 8.0 * rim])
        total += float(rim @ np.linalg.solve(matrix, pull)[-degree - 1 :])
    return total
