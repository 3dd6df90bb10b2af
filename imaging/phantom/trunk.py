"""Skin, fat, muscles, lungs, heart and the scanner's table."""

from __future__ import annotations

import numpy as np

from ..anatomy import SEGMENTS
from .frame import Frame
from .render import Layer, Part
from .shapes import Array, Implicit, box, difference, ellipsoid, intersection, polyline_tube, union

BODY = SEGMENTS["body"].label


def table(frame: Frame) -> Part:
    """A curved carbon-fibre shell with a foam core under the back."""
    top = frame.parameters.body_half_axes_mm[1] * 0.985 + 6.0

    def function(x: Array, y: Array, z: Array) -> Array:
        sag = y - np.float32(top) + x * x * np.float32(1 / 1900.0)
        return np.maximum(np.maximum(-sag, sag - 32), np.abs(x) - 215) + 0 * z

    solid = Implicit(function, box((-215, 215), (top - 30, top + 34), (-400, 400)))
    return Part("table", solid, (Layer(0, "table_shell"), Layer(2.2, "table_core")))


def skin_and_fat(frame: Frame) -> Part:
    """The whole body, to be filled by everything else."""
    return Part("body", frame.skin, (Layer(0, "skin", BODY), Layer(2.0, "fat", BODY)))


def wall(frame: Frame) -> Part:
    """Abdominal and thoracic wall muscles, with the linea alba left as fat."""
    return Part("wall", difference(frame.wall, frame.cavity), (Layer(0, "muscle", BODY),))


def lungs(frame: Frame) -> list[Part]:
    """Both lung bases over the diaphragm, which is painted as their outermost layer."""
    parts = []
    for side, name in ((-1, "lung_right"), (1, "lung_left")):
        middle = _mediastinum(frame, side)
        solid = difference(intersection(frame.cavity, middle), frame.abdomen)
        bounds = solid.bounds
        bounds = np.array([np.maximum(bounds[0], (-400, -400, 40)), bounds[1]])
        solid = Implicit(solid.function, bounds)
        parts.append(Part(name, solid, (Layer(-3.0, "muscle", BODY), Layer(0, "lung", SEGMENTS[name].label))))
    return parts


def _mediastinum(frame: Frame, side: int) -> Implicit:
    """The half of the chest on one side of the mediastinum."""

    def function(x: Array, y: Array, z: Array) -> Array:
        # Narrow behind the heart, wide in front of it.
        edge = 26 + 16 * np.exp(-(((y + 45) / 45) ** 2))
        return (edge.astype(np.float32) - side * x) + 0 * z

    limits = (0.0, 400.0) if side > 0 else (-400.0, 0.0)
    return Implicit(function, box(limits, (-400, 400), (-400, 400)))


def heart(frame: Frame) -> list[Part]:
    """The underside of the heart in its fat, resting on the diaphragm."""
    s = frame.scale
    centre = np.array([22 * s[0], -38 * s[1], 205])
    sac = ellipsoid(centre, (66 * s[0], 50 * s[1], 52))
    muscle = ellipsoid(centre + [4, 2, 5], (56 * s[0], 42 * s[1], 46))
    left = ellipsoid(centre + [24, 8, 12], (24, 22, 36))
    right = ellipsoid(centre + [-24, -4, 12], (20, 22, 38))
    return [
        Part("pericardium", sac, (Layer(0, "fat", BODY),)),
        Part("heart", muscle, (Layer(0, "myocardium", BODY),)),
        Part("heart_chambers", union(left, right), (Layer(0, "aorta", BODY),)),
    ]


def muscles(frame: Frame) -> list[Part]:
    """Psoas, erector spinae, quadratus lumborum and gluteal muscles of both sides."""
    s, parts = frame.scale, []
    for side in (-1, 1):
        heights = np.array([80, 50, 15, -22, -59, -96, -130, -170, -225.0, -260])
        out = np.array([24, 30, 36, 41, 45, 50, 56, 66, 80, 84.0]) * s[0]
        radii = np.array([4, 9, 14, 17.5, 20, 21, 21, 21, 20, 20.0])
        back = frame.spine_y(np.maximum(heights, -100)) + np.array([4, 6, 5, 3, 0, -4, -12, -28, -44, -52])
        points = np.stack([side * out, back, heights], axis=1)
        parts.append(Part("psoas", polyline_tube(points, radii), (Layer(0, "muscle", BODY),)))
        heights = np.array([-190, -130, -90, -40, 20, 80, 140, 200, 280.0])
        radii = np.array([8, 17, 22, 24, 24, 22, 18, 16, 15.0])
        points = np.stack([side * 28 * s[0] + 0 * heights, frame.spine_y(heights) + 41, heights], axis=1)
        erector = intersection(polyline_tube(points, radii, (1.25, 0.9, 1.0)), frame.wall)
        parts.append(Part("erector_spinae", erector, (Layer(0, "muscle", BODY),)))
        points = [[side * 68 * s[0], 55 * s[1], -66], [side * 50 * s[0], 62 * s[1], 60]]
        parts.append(Part("quadratus", polyline_tube(points, (14, 9), (1.3, 0.75, 1)), (Layer(0, "muscle", BODY),)))
        points = [[side * 112 * s[0], 35, -128], [side * 105 * s[0], 52, -190], [side * 100 * s[0], 55, -260]]
        gluteal = intersection(polyline_tube(points, (30, 42, 46), (1.1, 1.0, 1.4)), frame.wall)
        parts.append(Part("gluteal", gluteal, (Layer(0, "muscle", BODY),)))
    return parts
