"""Liver with its tumours, gallbladder, spleen and kidneys."""

from __future__ import annotations

import numpy as np

from ..anatomy import SEGMENTS
from .frame import Frame
from .render import Layer, Part
from .shapes import (
    Array,
    Implicit,
    Solid,
    box,
    difference,
    ellipsoid,
    intersection,
    polyline_tube,
    rotation,
    smooth_maximum,
    wobbled,
)

BODY = SEGMENTS["body"].label


def label_of(name: str) -> int:
    """Label id of a segment."""
    return SEGMENTS[name].label


def liver(frame: Frame, rng: np.random.Generator) -> Implicit:
    """The liver as a wedge under the diaphragm: domes above, a sloping hollow underside, a tapering left lobe.

    It reaches a few mm into the diaphragm and the wall, which are painted over it, so
    that neighbours share a voxel without a gap.
    """
    s, scale = frame.scale, frame.parameters.liver_scale

    def function(x: Array, y: Array, z: Array) -> Array:
        x, y = x / np.float32(s[0]), y / np.float32(s[1])
        u = np.clip((x + 118) / (190 * scale), 0, 1.3)
        under = 24 + 102 * u**1.1 - 160 * (scale - 1) + 0.30 * (y + 40)
        under = under + 12 * np.exp(-(((x + 48) / 26) ** 2) - ((y + 5) / 30) ** 2)
        below = (under.astype(np.float32) - z) / np.float32(1.25)
        behind = (y - (26 - 0.78 * (x + 15))) / np.float32(1.27)
        left = (x - 78 * scale) * np.float32(0.9) + 0 * y
        notch = 4.5 - np.sqrt((x - 2) ** 2 + ((z - 62) / 3) ** 2) + np.maximum(y + 62, 0) * 0.3
        value = smooth_maximum(below, behind.astype(np.float32), 16)
        value = smooth_maximum(value, left, 16)
        return smooth_maximum(value, notch.astype(np.float32), 4)

    slab = Implicit(function, box((-165, 95), (-125, 105), (-45, 182)))
    inside = Implicit(
        lambda x, y, z: frame.cavity.distance(x.ravel(), y.ravel(), z.ravel()) - np.float32(4), frame.cavity.bounds
    )
    return intersection(wobbled(slab, 2.0 + 2.0 * frame.parameters.variation, 80, rng), frame.abdomen, inside)


def gallbladder(frame: Frame) -> Part:
    """A pear in its fossa under the liver."""
    s = frame.scale
    points = np.array([[-58, -70, 42], [-52, -56, 50], [-46, -40, 62], [-41, -27, 71]], float)
    points = (
        points * [s[0], s[1], 1] + [0, 0, -120 * (frame.parameters.liver_scale - 1)] + frame.shift("gallbladder", 3)
    )
    tube = polyline_tube(points, (14.5, 14.0, 9.5, 4.0))
    return Part("gallbladder", tube, (Layer(-1.8, "gallbladder_wall", BODY), Layer(0, "bile", label_of("gallbladder"))))


def spleen(frame: Frame, rng: np.random.Generator) -> Part:
    """A crescent between the left diaphragm, the kidney and the stomach."""
    s, scale = frame.scale, frame.parameters.spleen_scale
    outer = ellipsoid(
        np.array([104 * s[0], 36 * s[1], 104]) + frame.shift("spleen", 4),
        np.array([37 * s[0], 50 * s[1], 56]) * scale,
        rotation(0, -18) @ rotation(1, 14),
    )
    inner = ellipsoid(np.array([66 * s[0], 14 * s[1], 100]), (42 * s[0], 44 * s[1], 62))
    inside = Implicit(lambda x, y, z: frame.cavity.distance(x.ravel(), y.ravel(), z.ravel()) - 3, frame.cavity.bounds)
    solid = intersection(difference(wobbled(outer, 2.0, 60, rng), inner), frame.abdomen, inside)
    return Part("spleen", solid, (Layer(0, "spleen", label_of("spleen")),))


def kidneys(frame: Frame, rng: np.random.Generator) -> list[Part]:
    """Cortex, pyramids, sinus fat and renal pelvis of both kidneys in a thin fat capsule."""
    parts = []
    scale = frame.parameters.kidney_scale
    for side, name in ((-1, "kidney_right"), (1, "kidney_left")):
        centre = kidney_centre(frame, side)
        turn = rotation(2, side * 32.0) @ rotation(1, side * -12.0) @ rotation(0, 12.0)
        outer = wobbled(ellipsoid(centre, np.array([25.0, 29.0, 55.0]) * scale, turn), 1.2, 50, rng)
        hilum = centre + turn @ np.array([-side * 27.0, 0, 0]) * scale
        sinus = ellipsoid(hilum, np.array([21.0, 9.5, 25.0]) * scale, turn)
        kidney = difference(outer, sinus)
        label = label_of(name)
        parts.append(Part(f"{name}_capsule", outer, (Layer(-4.0, "fat", BODY),)))
        parts.append(Part(name, kidney, (Layer(0, "kidney_cortex", label),)))
        pyramids = intersection(_pyramids(outer, centre, turn, 6.5), kidney)
        parts.append(Part(f"{name}_medulla", pyramids, (Layer(2.0, "kidney_medulla", label),)))
        pelvis = ellipsoid(hilum + turn @ np.array([side * 5.0, 0, 0]), np.array([10.0, 4.5, 11.0]) * scale, turn)
        parts.append(Part(f"{name}_pelvis", pelvis, (Layer(0, "renal_pelvis", BODY),)))
    return parts


def kidney_centre(frame: Frame, side: int) -> np.ndarray:
    """(3,) LPS mm; the right one (side -1) lies lower, under the liver."""
    place = np.array([side * 72.0 * frame.scale[0], 38.0 * frame.scale[1], 32.0 if side > 0 else 16.0])
    return place + frame.shift(f"kidney {side}", 3) * [1, 1, 2]


def _pyramids(outer: Solid, centre: np.ndarray, turn: np.ndarray, depth: float) -> Implicit:
    """Deep tissue cut by radial columns of cortex."""

    def function(x: Array, y: Array, z: Array) -> Array:
        deep = outer.distance(x.ravel(), y.ravel(), z.ravel()) + np.float32(depth)
        a, b, c = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
        t = turn.T.astype(np.float32)
        v = t[1, 0] * a + t[1, 1] * b + t[1, 2] * c
        w = t[2, 0] * a + t[2, 1] * b + t[2, 2] * c
        columns = 2.6 - 4.5 * np.abs(np.sin(w * np.float32(np.pi / 15))) - 0.05 * np.abs(v)
        return np.maximum(deep, columns.astype(np.float32))

    return Implicit(function, outer.bounds)


def tumours(frame: Frame) -> list[Part]:
    """The liver's tumours, with the layers of their kind."""
    label = label_of("liver_tumor")
    parts = []
    for n, tumour in enumerate(frame.parameters.tumours):
        solid = ellipsoid(tumour.centre, tumour.radii)
        if tumour.kind == "rim":
            layers = (Layer(0, "tumour_rim", label), Layer(0.22 * min(tumour.radii), "tumour_core", label))
        else:
            layers = (Layer(0, "tumour", label),)
        parts.append(Part(f"tumour_{n + 1}", solid, layers))
    return parts
