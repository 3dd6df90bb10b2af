"""Vascular trees that fill an organ, with radii after Murray's law; caval vein."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..anatomy import SEGMENTS
from .frame import Frame
from .parameters import Tumour
from .render import Layer, Part
from .shapes import Implicit, Tube, polyline_tube, union

Points = NDArray[np.float64]
MURRAY = 3.0
"""Exponent of r_parent^n = r_1^n + r_2^n (Murray, PNAS 12 (1926) 207)."""


@dataclass
class Segments:
    """Growing list of tapered segments (LPS mm)."""

    starts: list[Points] = field(default_factory=list)
    ends: list[Points] = field(default_factory=list)
    start_radii: list[float] = field(default_factory=list)
    end_radii: list[float] = field(default_factory=list)

    def add(self, start: Points, end: Points, start_radius: float, end_radius: float) -> None:
        self.starts.append(np.asarray(start, float))
        self.ends.append(np.asarray(end, float))
        self.start_radii.append(start_radius)
        self.end_radii.append(end_radius)

    def tube(self, minimum_radius: float = 0.0) -> Tube:
        """The segments whose thinner end has at least this radius."""
        keep = np.minimum(self.start_radii, self.end_radii) >= minimum_radius
        arrays = (self.starts, self.ends, self.start_radii, self.end_radii)
        return Tube(*(np.array(a, float)[keep] for a in arrays))


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
    """
    middle = territory.mean(axis=0)
    towards = middle - root
    length = float(np.linalg.norm(towards))
    end = root + 0.62 * towards
    bend = root + 0.31 * towards + 0.14 * length * direction
    end = _around(end, avoid)
    bend = _around(0.5 * (bend + 0.5 * (root + end)), avoid)
    segments.add(root, bend, radius, radius * 0.97)
    segments.add(bend, end, radius * 0.97, radius * 0.94)
    if len(territory) < 12:
        return
    centred = territory - middle
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    along = centred @ axis
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
        offset = (point - tumour.centre) / radii
        distance = float(np.linalg.norm(offset))
        if 1e-6 < distance < 1:
            point = np.array(tumour.centre) + offset / distance * radii
    return point


def inside_points(solid: Implicit, count: int, margin: float, rng: np.random.Generator) -> Points:
    """(count, 3) random points at least `margin` mm inside a solid."""
    low, high = solid.bounds
    axes = [np.arange(a, b, 5.0) for a, b in zip(low, high, strict=True)]
    value = solid.distance(*(a.astype(np.float32) for a in axes))
    k, j, i = np.nonzero(value < -margin)
    points = np.stack([axes[0][i], axes[1][j], axes[2][k]], axis=1)
    points = points + rng.uniform(-2.5, 2.5, points.shape)
    return points[rng.permutation(len(points))[:count]]


@dataclass(frozen=True, eq=False)
class LiverVessels:
    """Trees of the liver (LPS mm)."""

    portal: Segments
    hepatic: Segments
    trunk: Tube


def liver_vessels(frame: Frame, liver: Implicit, rng: np.random.Generator) -> LiverVessels:
    """Portal and hepatic-venous trees inside the liver and the portal trunk below it."""
    s, avoid = frame.scale, frame.parameters.tumours
    place = np.array([s[0], s[1], 1.0])
    territory = inside_points(liver, 1500, 7.0, rng)
    for tumour in avoid:
        territory = territory[np.linalg.norm((territory - tumour.centre) / (np.array(tumour.radii) + 2), axis=1) > 1]
    hilum = np.array([-34, -2, 84.0]) * place
    portal = Segments()
    trunk = np.array([[-2, -2, 42], [-10, -2, 56], [-22, -4, 71], [-34, -2, 84]]) * place
    right = territory[:, 0] < -38 * s[0]
    for part, bend in ((right, (-1.0, 0, 0.3)), (~right, (0.7, -0.6, 0.4))):
        radius = 7.0 * float(part.mean()) ** (1 / MURRAY)
        grow(portal, hilum, radius, territory[part], np.array(bend), 1.1, avoid)
    hepatic = Segments()
    confluence = np.array([-26, 17, 150.0]) * place
    angle = np.arctan2(territory[:, 1] - 25 * s[1], territory[:, 0] + 20 * s[0])
    left = territory[:, 0] > -18 * s[0]
    middle = ~left & (angle < -1.95)
    for part in (left, middle, ~left & ~middle):
        radius = 7.2 * float(part.mean()) ** (1 / MURRAY)
        grow(hepatic, confluence, radius, territory[part], np.array([0, -0.3, 0.9]), 1.1, avoid)
    return LiverVessels(portal, hepatic, polyline_tube(trunk, (6.5, 6.8, 7.0, 7.0)))


def liver_vessel_parts(vessels: LiverVessels, resolvable: float) -> list[Part]:
    """Parts of all liver vessels; branches thinner than `resolvable` (mm) are seen but not labelled."""
    parts = []
    for name, tree, tissue in (
        ("hepatic_vein", vessels.hepatic, "hepatic_vein"),
        ("portal_vein_intrahepatic", vessels.portal, "portal_vein"),
    ):
        parts.append(Part(f"{name}_twigs", tree.tube(), (Layer(0, tissue),)))
        parts.append(Part(name, tree.tube(resolvable), (Layer(0, tissue, SEGMENTS[name].label),)))
    return parts


def portal_trunk(vessels: LiverVessels, frame: Frame) -> Part:
    """Portal trunk with its splenic and superior mesenteric roots."""
    s = np.array([frame.scale[0], frame.scale[1], 1])
    splenic = polyline_tube(np.array([[-4, -2, 46], [20, 2, 62], [46, 18, 74], [76, 28, 92]]) * s, (5.0, 4.5, 4.0, 3.5))
    mesenteric = polyline_tube(
        np.array([[-2, -2, 43], [-6, -18, 10], [-8, -26, -30], [-14, -28, -70]]) * s, (6.0, 5.5, 4.5, 3.0)
    )
    solid = union(vessels.trunk, splenic, mesenteric)
    return Part(
        "portal_vein", solid, (Layer(-0.8, "vessel_wall"), Layer(0, "portal_vein", SEGMENTS["portal_vein"].label))
    )


def caval_vein(frame: Frame) -> list[Part]:
    """Inferior vena cava through the liver's bare area to the right atrium, iliac and renal veins."""
    s = frame.scale
    z = np.array([-88, -60, -28, 0, 25, 60, 95, 125, 150, 172, 195.0])
    x = np.array([-14, -24, -31, -28, -24, -22, -23, -25, -26, -24, -16]) * s[0]
    y = np.array([frame.in_front_of_spine(v) for v in z]) + np.array([-9, -7, -5, -7, -8, -8, -9, -12, -20, -32, -42])
    tube = polyline_tube(
        np.stack([x, y, z], axis=1), (9, 9.5, 10, 10, 10.5, 11, 11.5, 12, 13, 13, 13), (1.12, 0.9, 1.0)
    )
    parts = []
    for side in (-1, 1):
        points = np.array(
            [
                [-14 * s[0], y[0], -88],
                [side * 22 - 6, y[0] + 14, -118],
                [side * 52, y[0] + 22, -165],
                [side * 68, y[0] - 18, -235],
            ]
        )
        parts.append(
            Part("iliac_vein", polyline_tube(points, (8.5, 7, 6.5, 6)), (Layer(0, "vein", SEGMENTS["body"].label),))
        )
    label = SEGMENTS["inferior_vena_cava"].label
    parts.append(Part("inferior_vena_cava", tube, (Layer(-1.0, "vessel_wall"), Layer(0, "vein", label))))
    return parts
