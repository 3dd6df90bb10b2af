"""The lines that all organs refer to: trunk outline, body cavity, diaphragm, spine.

LPS mm. The origin lies in the middle of the trunk; z = 0 is between L2 and L3.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from .parameters import PhantomParameters
from .shapes import Array, Implicit, box, smooth_minimum

# level: z of the vertebral body's centre, height of the body, height of the disc below (mm)
VERTEBRAE: dict[str, tuple[float, float, float]] = {
    "L5": (-96.0, 27.0, 10.0),
    "L4": (-59.0, 27.0, 10.0),
    "L3": (-22.0, 27.5, 9.5),
    "L2": (15.0, 27.5, 9.5),
    "L1": (51.5, 27.0, 8.5),
    "T12": (86.0, 26.0, 7.0),
    "T11": (117.5, 24.5, 5.5),
    "T10": (146.5, 23.5, 5.0),
    "T9": (174.0, 22.5, 4.5),
    "T8": (200.5, 22.0, 4.5),
    "T7": (226.5, 21.5, 4.5),
    "T6": (252.0, 21.0, 4.5),
}
_SPINE_Z = (-300.0, -220.0, -180.0, -150.0, -115.0, -59.0, -22.0, 15.0, 51.0, 86.0, 117.0, 174.0, 226.0, 300.0)
_SPINE_Y = (84.0, 84.0, 76.0, 65.0, 49.0, 35.0, 32.0, 34.0, 39.0, 45.0, 50.0, 57.0, 61.0, 62.0)
_OUTLINE_Z = (-300.0, -180.0, -110.0, -40.0, 40.0, 120.0, 200.0, 300.0)
_OUTLINE_X = (1.06, 1.06, 1.03, 0.985, 0.975, 0.965, 0.955, 0.95)
_FRONT = (0.88, 0.91, 0.97, 1.0, 0.985, 0.955, 0.93, 0.90)
_BACK = (0.97, 0.98, 0.94, 0.90, 0.91, 0.95, 0.97, 0.96)
_FAT = (1.5, 1.4, 1.2, 1.0, 1.0, 0.85, 0.7, 0.6)
EXPONENT = 2.5
FAT_MM = (15.0, 18.0, 13.0)
"""Subcutaneous fat at the side, front and back of the waist."""
Triple = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Frame:
    """The patient's outline and the curves inside it; functions take LPS mm."""

    parameters: PhantomParameters

    @property
    def scale(self) -> NDArray[np.float64]:
        """(2,) size of this trunk against the textbook one along x and y."""
        return np.array(self.parameters.body_half_axes_mm) / (170.0, 118.0)

    def shift(self, organ: str, deviation: float) -> NDArray[np.float64]:
        """(3,) mm: how far this patient's organ lies from the textbook place, by seed and variation."""
        rng = np.random.default_rng([self.parameters.seed, zlib.crc32(organ.encode())])
        return self.parameters.variation * deviation * np.clip(rng.normal(size=3), -2, 2)

    @cached_property
    def _spine(self) -> PchipInterpolator:
        return PchipInterpolator(_SPINE_Z, np.array(_SPINE_Y) * self.scale[1] + self.shift("spine", 1.5)[1])

    def spine_y(self, z: float | Array) -> NDArray[np.float64]:
        """y of the centre of the vertebral bodies at height z."""
        return self._spine(z)

    def outline(self, fat: tuple[float, float, float], muscle: tuple[float, float, float]) -> Implicit:
        """A rounded cylinder under the skin, which has a furrow along the back.

        Args:
            fat: mm of subcutaneous fat at the side, front and back of the waist; thicker
                at the hips and thinner over the ribs.
            muscle: mm of wall below it.
        """
        a0, b0 = self.parameters.body_half_axes_mm
        width, belly, spine, padding = (PchipInterpolator(_OUTLINE_Z, v) for v in (_OUTLINE_X, _FRONT, _BACK, _FAT))
        furrow = 6.0

        def function(x: Array, y: Array, z: Array) -> Array:
            pad = padding(z) * self.parameters.fat_scale
            side, front, back = (fat[n] * pad + muscle[n] for n in range(3))
            a = (a0 * width(z) - side).astype(np.float32)
            forward = (b0 * belly(z) - front).astype(np.float32)
            backward = b0 * spine(z) - back - furrow * np.exp(-((x / 17.0) ** 2))
            depth = np.where(y < 0, forward, backward.astype(np.float32))
            ratio = ((np.abs(x) / a) ** EXPONENT + (np.abs(y) / depth) ** EXPONENT) ** np.float32(1 / EXPONENT)
            # Radial distance: zero on the outline, and about 1 mm per mm around it.
            ratio = np.maximum(ratio, np.float32(0.05))
            return np.maximum(np.sqrt(x * x + y * y) * (1 - 1 / ratio), -0.9 * min(a0, b0)).astype(np.float32)

        return Implicit(function, box((-1.1 * a0, 1.1 * a0), (-1.05 * b0, 1.05 * b0), (-400, 400)))

    @cached_property
    def skin(self) -> Implicit:
        return self.outline((0, 0, 0), (0, 0, 0))

    @cached_property
    def wall(self) -> Implicit:
        """Outer face of the muscular wall."""
        return self.outline(FAT_MM, (0, 0, 0))

    @cached_property
    def cavity(self) -> Implicit:
        """Inner face of the muscular wall: pleural, peritoneal and retroperitoneal space."""
        return self.outline(FAT_MM, (13, 10, 14))

    @cached_property
    def abdomen(self) -> Implicit:
        """Everything under the two domes of the diaphragm (open downwards)."""
        s = self.scale

        def dome(x: Array, y: Array, z: Array, centre: Triple, radii: Triple) -> Array:
            c, r = np.array(centre) * [s[0], s[1], 1], np.array(radii) * [s[0], s[1], 1]
            up = np.maximum(z - np.float32(c[2]), 0) / np.float32(r[2])
            square = ((x - np.float32(c[0])) / np.float32(r[0])) ** 2 + ((y - np.float32(c[1])) / np.float32(r[1])) ** 2
            return (np.sqrt(square + up * up) - 1) * np.float32(min(r))

        def function(x: Array, y: Array, z: Array) -> Array:
            right = dome(x, y, z, (-62, -4, 80), (94, 98, 92))
            left = dome(x, y, z, (68, 2, 70), (86, 96, 90))
            front = dome(x, y, z, (4, -52, 70), (80, 70, 76))
            return smooth_minimum(smooth_minimum(right, left, 24), front, 12)

        return Implicit(function, box((-400, 400), (-400, 400), (-400, 180)))

    def in_front_of_spine(self, z: float, gap: float = 0.0) -> float:
        """y of the front of the vertebral bodies at z, less `gap` mm."""
        return float(self.spine_y(z)) - 17.0 * self.scale[1] - gap
