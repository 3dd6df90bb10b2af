"""Aorta with an infrarenal aneurysm, eccentric thrombus, bifurcation and iliac arteries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ..anatomy import SEGMENTS
from .frame import Frame
from .render import Layer, Part
from .shapes import Array, Implicit, Solid, box, intersection, polyline_tube, union

RENAL_Z = 30.0
"""Height (mm) of the lower renal artery."""
WALL_MM = 1.2


@dataclass(frozen=True, eq=False)
class Aorta:
    """Centrelines and radii of the aorta over its height z (LPS mm)."""

    frame: Frame

    @property
    def bifurcation_z(self) -> float:
        """Height of the aortic bifurcation."""
        a = self.frame.parameters.aneurysm
        return RENAL_Z - 86.0 if a is None else RENAL_Z - a.neck_length - a.sac_length

    @property
    def neck_radius(self) -> float:
        a = self.frame.parameters.aneurysm
        return 10.5 if a is None else a.neck_diameter / 2

    @property
    def end_radius(self) -> float:
        """Lumen radius just above the bifurcation."""
        return 0.9 * self.neck_radius

    @cached_property
    def sac(self) -> tuple[float, float]:
        """(top, bottom) height of the sac."""
        a = self.frame.parameters.aneurysm
        if a is None:
            return (RENAL_Z, RENAL_Z)
        return (RENAL_Z - a.neck_length, self.bifurcation_z + 6)

    def bulge(self, z: float | Array) -> NDArray[np.float64]:
        """0 outside of the sac to 1 at its widest; the lower part is fuller (asymmetric)."""
        top, bottom = self.sac
        t = np.clip((top - np.asarray(z, np.float64)) / max(top - bottom, 1e-6), 0, 1)
        return np.sin(np.pi * t**0.9) ** 1.6

    def plain_radius(self, z: float | Array) -> NDArray[np.float64]:
        """Lumen radius of the aorta without aneurysm."""
        low, high = self.bifurcation_z, RENAL_Z
        wider = (self.end_radius, self.neck_radius, self.neck_radius * 1.12, self.neck_radius * 1.25)
        return np.asarray(np.interp(z, (low, high, high + 60, high + 220), wider))

    def outer_radius(self, z: float | Array) -> NDArray[np.float64]:
        """Radius of the outer wall."""
        a = self.frame.parameters.aneurysm
        plain = self.plain_radius(z)
        return plain if a is None else plain + self.bulge(z) * (a.maximum_diameter / 2 - plain)

    def centre(self, z: float | Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(x, y) of the outer wall's centre: the sac bulges forward and to the left."""
        z = np.asarray(z, np.float64)
        extra = self.outer_radius(z) - self.plain_radius(z)
        x = np.interp(z, (-80, 30, 120, 230), (2.0, 7.0, 9.0, 16.0)) * self.frame.scale[0] + 0.25 * extra
        y = self.frame.spine_y(z) - 17 * self.frame.scale[1] - 3.5 - self.outer_radius(z)
        return x, y

    def lumen(self, z: float | Array) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(x, y, radius) of the lumen: the thrombus lies thickest in front."""
        a = self.frame.parameters.aneurysm
        x, y = self.centre(z)
        outer = self.outer_radius(z)
        if a is None:
            return x, y, outer
        # Thickness t(θ) runs from `thick` in front to a fifth of it behind.
        thick = np.minimum(self.bulge(z) * a.thrombus_thickness, outer - self.plain_radius(z) * 0.75)
        thick = np.maximum(thick, 0)
        radius = outer - 0.6 * thick
        return x - 0.12 * thick, y + 0.38 * thick, radius

    def _column(self, lumen: bool) -> Implicit:
        low, high = self.bifurcation_z - 4, 300.0
        grid = np.linspace(low - 10, high, 700)
        x, y, radius = self.lumen(grid) if lumen else (*self.centre(grid), self.outer_radius(grid))
        curves = [PchipInterpolator(grid, v) for v in (x, y, radius)]

        def function(px: Array, py: Array, pz: Array) -> Array:
            cx, cy, r = (c(np.clip(pz, low - 10, high)).astype(np.float32) for c in curves)
            across = np.sqrt((px - cx) ** 2 + (py - cy) ** 2) - r
            return np.maximum(across, np.float32(low) - pz)

        reach = float(radius.max()) + 2
        return Implicit(
            function, box((x.min() - reach, x.max() + reach), (y.min() - reach, y.max() + reach), (low, 400))
        )

    @property
    def bifurcation(self) -> NDArray[np.float64]:
        """(3,) LPS mm: where the iliac axes meet."""
        z = self.bifurcation_z
        x, y, _ = self.lumen(z)
        return np.array([float(x), float(y), z])

    def iliac(self, side: int) -> NDArray[np.float64]:
        """(P, 3) axis of the iliac artery on one side (+1 left), to under the field of view."""
        a = self.frame.parameters.aneurysm
        angle = np.radians(26.0 if a is None else a.iliac_angle_deg)
        start = np.add(self.bifurcation, (side * 2.5, 0, 5.0))
        s = self.frame.scale
        t = np.linspace(0, 1, 24)
        z = start[2] + (-262 - start[2]) * t
        down = start[2] - z
        x = start[0] + side * np.tan(angle) * down * np.exp(-(down / 190))
        y = (
            start[1]
            + 26 * np.sin(np.clip(down / 120, 0, 1) * np.pi / 2) * s[1]
            - 46 * np.clip((down - 80) / 110, 0, 1) ** 1.5
        )
        return np.stack([x, y, z], axis=1)

    def parts(self) -> list[Part]:
        """Outer wall and thrombus, lumen, iliac arteries, renal arteries; from outside in."""
        a = self.frame.parameters.aneurysm
        radius = (12.0 if a is None else a.iliac_diameter) / 2
        outer, lumen = self._column(False), self._column(True)
        top, bottom = self.sac
        parts = []
        if a is not None:
            sac: Solid = intersection(
                outer,
                Implicit(
                    lambda x, y, z: np.maximum(bottom - z, z - top) + 0 * (x + y),
                    box((-400, 400), (-400, 400), (bottom, top)),
                ),
            )
            layers = (
                Layer(-WALL_MM, "vessel_wall", SEGMENTS["body"].label),
                Layer(0, "thrombus", SEGMENTS["aortic_thrombus"].label),
            )
            parts.append(Part("aneurysm", sac, layers))
        renal = [
            polyline_tube(
                [
                    [float(self.centre(z)[0]), float(self.centre(z)[1]), z],
                    [side * 30, 12, z + 2],
                    [side * 52, 28, z - 8],
                ],
                2.6,
            )
            for side, z in ((-1, RENAL_Z), (1, RENAL_Z + 4))
        ]
        parts.append(Part("renal_arteries", union(*renal), (Layer(0, "aorta", SEGMENTS["body"].label),)))
        for side, name in ((1, "iliac_artery_left"), (-1, "iliac_artery_right")):
            tube = polyline_tube(self.iliac(side), radius)
            parts.append(Part(name, tube, (Layer(-0.9, "vessel_wall"), Layer(0, "aorta", SEGMENTS[name].label))))
        parts.append(
            Part("aorta_wall", outer, (Layer(-WALL_MM, "vessel_wall"),))
            if a is None
            else Part("aorta_wall", lumen, (Layer(-0.8, "vessel_wall"),))
        )
        parts.append(Part("aorta", lumen, (Layer(0, "aorta", SEGMENTS["aorta"].label),)))
        return parts
