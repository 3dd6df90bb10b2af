"""Solids as implicit functions: negative inside, about the signed distance in mm near the surface.

A solid is evaluated on the tensor product of three ascending 1-D coordinate arrays, so
terms in one or two coordinates stay small arrays until they are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]
FAR = np.float32(30.0)
"""mm: what a solid may answer where it is at least that far away."""


class Solid(Protocol):
    """An implicit solid.

    `bounds` is (2, 3) LPS mm: outside this box the function is positive. Its slope is at
    most about 1.5 and not far below 1 at the surface: it is distance-like, in mm.
    """

    @property
    def bounds(self) -> NDArray[np.float64]: ...

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Coordinates (nx,), (ny,), (nz,) LPS mm → (nz, ny, nx) mm, negative inside."""
        ...


def box(*limits: Sequence[float]) -> NDArray[np.float64]:
    """((x0, x1), (y0, y1), (z0, z1)) → (2, 3) bounds."""
    return np.array(limits, dtype=np.float64).T


@dataclass(frozen=True, eq=False)
class Implicit:
    """A solid given by f(x, y, z) of broadcastable (1, 1, nx), (1, ny, 1), (nz, 1, 1) arrays."""

    function: Callable[[Array, Array, Array], Array]
    bounds: NDArray[np.float64]

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        value = self.function(x[None, None, :], y[None, :, None], z[:, None, None])
        return np.broadcast_to(np.asarray(value, dtype=np.float32), (len(z), len(y), len(x)))


def rotation(axis: int, degrees: float) -> NDArray[np.float64]:
    """(3, 3) right-handed rotation about x (0), y (1) or z (2)."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[a, a], matrix[b, b], matrix[a, b], matrix[b, a] = cos, cos, -sin, sin
    return matrix


def ellipsoid(centre: ArrayLike, radii: ArrayLike, turn: NDArray[np.float64] | None = None) -> Implicit:
    """An ellipsoid; `turn` (3, 3) maps its own axes to LPS.

    The value is k₀(k₀−1)/k₁ with k₀ = |p/r|, k₁ = |p/r²|: zero on the surface with unit slope there.
    """
    c, r = np.asarray(centre, np.float64), np.asarray(radii, np.float64)
    turn = np.eye(3) if turn is None else turn
    reach = np.sqrt(((turn * r) ** 2).sum(axis=1))
    rows = (turn / r).T.astype(np.float32)

    def function(x: Array, y: Array, z: Array) -> Array:
        x, y, z = x - np.float32(c[0]), y - np.float32(c[1]), z - np.float32(c[2])
        first = second = np.float32(0)
        for row, radius in zip(rows, r, strict=True):
            square = np.square(row[0] * x + row[1] * y + row[2] * z)
            first = first + square
            second = second + square * np.float32(1 / radius**2)
        k0 = np.sqrt(first)
        return k0 * (k0 - 1) / np.sqrt(second + np.float32(1e-12))

    return Implicit(function, np.array([c - reach, c + reach]))


def smooth_maximum(a: Array, b: Array, width: float) -> Array:
    """max(a, b) with the edge rounded over `width` mm (quadratic blend)."""
    blend = np.maximum(np.float32(width) - np.abs(a - b), 0)
    return np.maximum(a, b) + blend * blend * np.float32(0.25 / width)


def smooth_minimum(a: Array, b: Array, width: float) -> Array:
    """min(a, b) with the groove filled over `width` mm."""
    return -smooth_maximum(-a, -b, width)


def clipped(
    solid: Solid, function: Callable[[Array, Array, Array], Array], limits: NDArray[np.float64] | None = None
) -> Implicit:
    """The part of a solid where function(x, y, z) < 0 (mm), optionally known to lie within `limits` (2, 3)."""

    def value(x: Array, y: Array, z: Array) -> Array:
        return np.maximum(solid.distance(x.ravel(), y.ravel(), z.ravel()), function(x, y, z))

    bounds = solid.bounds
    if limits is not None:
        bounds = np.array([np.maximum(bounds[0], limits[0]), np.minimum(bounds[1], limits[1])])
    return Implicit(value, bounds)


def offset(solid: Solid, grow: float) -> Implicit:
    """The solid grown (or shrunk) by some mm."""

    def value(x: Array, y: Array, z: Array) -> Array:
        return solid.distance(x.ravel(), y.ravel(), z.ravel()) - np.float32(grow)

    return Implicit(value, solid.bounds + np.array([[-grow], [grow]]))


def intersection(*solids: Solid) -> Implicit:
    """Inside all of the solids."""
    low = np.max([s.bounds[0] for s in solids], axis=0)
    high = np.min([s.bounds[1] for s in solids], axis=0)
    return _combined(solids, np.maximum, np.array([low, high]))


def union(*solids: Solid) -> Implicit:
    """Inside any of the solids."""
    low = np.min([s.bounds[0] for s in solids], axis=0)
    high = np.max([s.bounds[1] for s in solids], axis=0)
    return _combined(solids, np.minimum, np.array([low, high]))


def difference(solid: Solid, *removed: Solid) -> Implicit:
    """Inside the first and outside all others."""

    def function(x: Array, y: Array, z: Array) -> Array:
        flat = x.ravel(), y.ravel(), z.ravel()
        value = solid.distance(*flat)
        for other in removed:
            value = np.maximum(value, -other.distance(*flat))
        return value

    return Implicit(function, solid.bounds)


def _combined(
    solids: Sequence[Solid], combine: Callable[[Array, Array], Array], bounds: NDArray[np.float64]
) -> Implicit:
    def function(x: Array, y: Array, z: Array) -> Array:
        flat = x.ravel(), y.ravel(), z.ravel()
        value = solids[0].distance(*flat)
        for other in solids[1:]:
            value = combine(value, other.distance(*flat))
        return value

    return Implicit(function, bounds)


def wobbled(solid: Solid, amplitude: float, wavelength: float, rng: np.random.Generator) -> Implicit:
    """The solid with its surface moved in and out by a few slow waves (mm)."""
    directions = rng.normal(size=(4, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    waves = (directions * 2 * np.pi / (wavelength * rng.uniform(0.8, 1.6, (4, 1)))).astype(np.float32)
    shifts = rng.uniform(0, 2 * np.pi, 4).astype(np.float32)
    height = np.float32(amplitude / 2)

    def function(x: Array, y: Array, z: Array) -> Array:
        value = solid.distance(x.ravel(), y.ravel(), z.ravel())
        # cos(a+b) = cos a cos b − sin a sin b keeps the trigonometry in 1-D and 2-D arrays.
        for wave, shift in zip(waves, shifts, strict=True):
            flat = wave[0] * x + wave[1] * y + shift
            value = value + height * (np.cos(flat) * np.cos(wave[2] * z) - np.sin(flat) * np.sin(wave[2] * z))
        return value

    margin = 2 * amplitude
    return Implicit(function, solid.bounds + np.array([[-margin], [margin]]))


@dataclass(frozen=True, eq=False)
class Tube:
    """Tapered segments with rounded ends: vessels, ribs, bowel.

    Attributes:
        starts, ends: (S, 3) LPS mm.
        start_radii, end_radii: (S,) mm.
        stretch: (3,) how much longer the cross-section is along x, y, z than the radius.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    start_radii: NDArray[np.float64]
    end_radii: NDArray[np.float64]
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def bounds(self) -> NDArray[np.float64]:
        reach = np.maximum(self.start_radii, self.end_radii)[:, None] * np.array(self.stretch)
        if len(self.starts) == 0:
            return np.array([np.full(3, np.inf), np.full(3, -np.inf)])
        low = np.minimum(self.starts, self.ends) - reach
        high = np.maximum(self.starts, self.ends) + reach
        return np.array([low.min(axis=0), high.max(axis=0)])

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        value = np.full((len(z), len(y), len(x)), FAR, dtype=np.float32)
        scale = np.asarray(self.stretch)
        coordinates = [(c / s).astype(np.float32) for c, s in zip((x, y, z), scale, strict=True)]
        margin = 8.0
        for a, b, ra, rb in zip(self.starts / scale, self.ends / scale, self.start_radii, self.end_radii, strict=True):
            reach = max(ra, rb) + margin
            cuts = [
                slice(*np.searchsorted(c, (min(p, q) - reach, max(p, q) + reach)))
                for c, p, q in zip(coordinates, a, b, strict=True)
            ]
            if any(cut.start >= cut.stop for cut in cuts):
                continue
            near = value[cuts[2], cuts[1], cuts[0]]
            np.minimum(
                near, _round_cone([c[cut] for c, cut in zip(coordinates, cuts, strict=True)], a, b, ra, rb), out=near
            )
        return value


def _round_cone(coordinates: list[Array], a: NDArray, b: NDArray, ra: float, rb: float) -> Array:
    """Distance to the axis less the radius interpolated along it, (nz, ny, nx)."""
    x, y, z = (c - np.float32(o) for c, o in zip(coordinates, a, strict=True))
    along = (b - a).astype(np.float32)
    length2 = max(float(along @ along), 1e-9)
    dot = (along[0] * x)[None, None, :] + (along[1] * y)[None, :, None] + (along[2] * z)[:, None, None]
    t = np.clip(dot * np.float32(1 / length2), 0, 1)
    square = (x * x)[None, None, :] + (y * y)[None, :, None] + (z * z)[:, None, None]
    # |p − t d|² = |p|² − 2 t p·d + t² d²
    square = square + t * (t * np.float32(length2) - 2 * dot)
    return np.sqrt(np.maximum(square, 0)) - (np.float32(ra) + t * np.float32(rb - ra))


def polyline_tube(points: ArrayLike, radii: ArrayLike, stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Tube:
    """A tube along (P, 3) LPS mm points with (P,) or scalar radii."""
    p = np.asarray(points, np.float64)
    r = np.broadcast_to(np.asarray(radii, np.float64), len(p))
    return Tube(p[:-1], p[1:], r[:-1], r[1:], stretch)
