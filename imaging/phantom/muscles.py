"""Muscles of the back, loin and hip."""

from __future__ import annotations

import numpy as np

from ..anatomy import SEGMENTS
from .frame import Frame
from .render import Layer, Part
from .shapes import Array, Implicit, box, clipped, intersection, polyline_tube, smooth_maximum
from .skeleton import wing_coordinates

BODY = SEGMENTS["body"].label


def muscles(frame: Frame) -> list[Part]:
    """Psoas, erector spinae, quadratus lumborum, iliacus and gluteal muscles of both sides."""
    parts = []
    for side in (-1, 1):
        parts += [_psoas(frame, side), _erector(frame, side), _quadratus(frame, side), *_hip(frame, side)]
    return parts


def _psoas(frame: Frame, side: int) -> Part:
    heights = np.array([80, 50, 15, -22, -59, -96, -130, -170, -225.0, -260])
    out = np.array([24, 30, 36, 41, 45, 50, 56, 66, 80, 84.0]) * frame.scale[0]
    radii = np.array([4, 9, 14, 17.5, 20, 21, 21, 21, 20, 20.0])
    back = frame.spine_y(np.maximum(heights, -100)) + np.array([4, 6, 5, 3, 0, -4, -12, -28, -44, -52])
    points = np.stack([side * out, back, heights], axis=1)
    return Part("psoas", polyline_tube(points, radii), (Layer(0, "muscle", BODY),))


def _erector(frame: Frame, side: int) -> Part:
    heights = np.array([-190, -130, -90, -40, 20, 80, 140, 200, 280.0])
    radii = np.array([8, 17, 22, 24, 24, 22, 18, 16, 15.0])
    points = np.stack([side * 28 * frame.scale[0] + 0 * heights, frame.spine_y(heights) + 41, heights], axis=1)
    solid = intersection(polyline_tube(points, radii, (1.25, 0.9, 1.0)), frame.wall)
    return Part("erector_spinae", solid, (Layer(0, "muscle", BODY),))


def _quadratus(frame: Frame, side: int) -> Part:
    s = frame.scale
    points = [[side * 68 * s[0], 55 * s[1], -66], [side * 50 * s[0], 62 * s[1], 60]]
    return Part("quadratus", polyline_tube(points, (14, 9), (1.3, 0.75, 1)), (Layer(0, "muscle", BODY),))


def _hip(frame: Frame, side: int) -> list[Part]:
    """Muscles on both faces of the iliac wing."""

    def gluteal(x: Array, y: Array, z: Array) -> Array:
        u, out, crest = wing_coordinates(frame, side, x, y, z)
        low = np.clip((-90 - z) / 60, 0, 1)
        value = smooth_maximum(-out - 2, out - (12 + 42 * low), 6)
        value = smooth_maximum(value, (np.abs(u - 0.42) - 0.50 - 0.12 * low) * 95, 18)
        return smooth_maximum(value, (z - crest + 6) / 1.6, 10).astype(np.float32)

    def iliacus(x: Array, y: Array, z: Array) -> Array:
        u, out, crest = wing_coordinates(frame, side, x, y, z)
        value = smooth_maximum(np.abs(out + 9) - 9, (np.abs(u - 0.5) - 0.46) * 95, 8)
        return smooth_maximum(value, (z - crest + 10) / 1.6, 8).astype(np.float32)

    limits = (25.0, 190.0) if side > 0 else (-190.0, -25.0)
    bounds = box(limits, (-80, 130), (-400, -70))
    inside = clipped(Implicit(gluteal, bounds), lambda x, y, z: frame.wall.distance(x.ravel(), y.ravel(), z.ravel()))
    return [
        Part("gluteal", inside, (Layer(0, "muscle", BODY),)),
        Part("iliacus", Implicit(iliacus, bounds), (Layer(0, "muscle", BODY),)),
    ]
