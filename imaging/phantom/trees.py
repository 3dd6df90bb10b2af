"""Vascular trees that fill a territory, with radii after Murray's law."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .parameters import Tumour
from .shapes import Solid, Tube

Points = NDArray[np.float64]
MURRAY = 3.0
"""Exponent of r_parent^n = r_1^n + r_2^n (Murray, PNAS 12 (1926) 207)."""
REACH = 0.62
"""Share of the way to the middle of its territory that a branch runs before it divides."""
LEAF_POINTS = 12


@dataclass
class Segments:
    """Growing list of tapered segments (LPS mm)."""

    starts: list[Points] = field(default_factory=list)
    ends: list[Points] = field(default_factory=list)
    start_radii: list[float] = field(default_factory=list)
    end_radii: list[float] = field(default_factory=list)

    def add(self, start: Points, end: Points, start_radius: float, end_radius: float) -> None:
        """Append one segment."""
        self.starts.append(np.asarray(start, np.float64))
        self.ends.append(np.asarray(end, np.float64))
        self.start_radii.append(start_radius)
        self.end_radii.append(end_radius)

    def tube(self, minimum_radius: float = 0.0) -> Tube:
        """The segments whose thinner end has at least this radius."""
        thin = np.minimum(self.start_radii, self.end_radii)
        keep = np.flatnonzero(thin >= minimum_radius)
        starts, ends = (np.array(a, np.float64).reshape(-1, 3)[keep] for a in (self.starts, self.ends))
        return Tube(starts, ends, np.array(self.start_radii)[keep], np.array(self.end_radii)[keep])


def grow(
    segments: Segments,
    root: Points,
    radius: float,
    territory: Points,
    direction: Points,
    smallest: float,
    avoid: tuple[Tumour, ...],
) -> None:
    """Grow a tree from `root` that supplies the points of `territory`.

    Flow is shared by the number of points; so are the radii, by Murray's law. Every
    branch runs part of the way to the middle of its territory, and divides it in two
    across its longest extent.

    Args:
        root: (3,) LPS mm.
        radius: mm at the root.
        territory: (n, 3) LPS mm.
        direction: (3,) in which the parent arrives; the branch leaves curved towards it.
        smallest: mm; thinner branches are left out.
        avoid: tumours, which push branches aside.
    """
    middle = territory.mean(axis=0)
    towards = middle - root
    length = float(np.linalg.norm(towards))
    end = _around(root + REACH * towards, avoid)
    bend = _around(0.5 * (root + end) + 0.12 * length * direction, avoid)
    segments.add(root, bend, radius, radius * 0.97)
    segments.add(bend, end, radius * 0.97, radius * 0.94)
    if len(territory) < LEAF_POINTS:
        return
    centred = territory - middle
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    # Unequal halves: symmetric trees look like a candelabrum.
    low = along < np.quantile(along, 0.5 + 0.12 * np.sin(7.0 * middle.sum()))
    forward = (end - bend) / max(float(np.linalg.norm(end - bend)), 1e-6)
    for part in (low, ~low):
        child = 0.94 * radius * float(part.mean()) ** (1 / MURRAY)
        if child >= smallest:
            grow(segments, end, child, territory[part], forward, smallest, avoid)


def _around(point: Points, tumours: tuple[Tumour, ...]) -> Points:
    """Tumours push vessels aside."""
    for tumour in tumours:
        radii = np.array(tumour.radii) + 4.0
        out = (point - tumour.centre) / radii
        distance = float(np.linalg.norm(out))
        if 1e-6 < distance < 1:
            point = np.array(tumour.centre) + out / distance * radii
    return point


def inside_points(solid: Solid, count: int, margin: float, rng: np.random.Generator) -> Points:
    """(count, 3) random points at least `margin` mm inside a solid, LPS mm."""
    low, high = solid.bounds
    axes = [np.arange(a, b, 5.0) for a, b in zip(np.maximum(low, -300), np.minimum(high, 300), strict=True)]
    value = solid.distance(*(a.astype(np.float32) for a in axes))
    k, j, i = np.nonzero(value < -margin)
    points = np.stack([axes[0][i], axes[1][j], axes[2][k]], axis=1)
    points = points + rng.uniform(-2.5, 2.5, points.shape)
    return points[rng.permutation(len(points))[:count]]
