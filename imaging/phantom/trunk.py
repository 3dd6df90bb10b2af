"""Skin, fat, wall muscles, diaphragm, lungs, heart and the scanner's table."""

from __future__ import annotations

import numpy as np

from ..anatomy import SEGMENTS
from .frame import Frame
from .render import Layer, Part
from .shapes import (
    Array,
    Implicit,
    box,
    clipped,
    difference,
    ellipsoid,
    intersection,
    offset,
    polyline_tube,
    smooth_minimum,
    union,
)
from .trees import Segments, grow, inside_points

BODY = SEGMENTS["body"].label


def table(frame: Frame) -> Part:
    """A curved carbon-fibre shell with a foam core under the back."""
    top = frame.parameters.body_half_axes_mm[1] * 0.985 + 5.0

    def function(x: Array, y: Array, z: Array) -> Array:
        sag = y - np.float32(top) + x * x * np.float32(1 / 1900.0)
        return np.maximum(np.maximum(-sag, sag - 32), np.abs(x) - 215) + 0 * z

    solid = Implicit(function, box((-215, 215), (top - 30, top + 34), (-400, 400)))
    return Part("table", solid, (Layer(0, "table_shell"), Layer(2.2, "table_core")))


def skin_and_fat(frame: Frame) -> Part:
    """The whole body, to be filled by everything else."""
    return Part("body", frame.skin, (Layer(0, "skin", BODY), Layer(2.0, "fat", BODY)))


def wall(frame: Frame) -> list[Part]:
    """Muscles of the wall, with the white line, the semilunar lines and the fat between the flank's muscles."""
    s = frame.scale
    shell = difference(frame.wall, frame.cavity)

    def lines(x: Array, y: Array, z: Array) -> Array:
        across = np.minimum(np.abs(x) - 3.5, np.abs(np.abs(x) - 74 * s[0]) - 3.5)
        return np.maximum(np.maximum(across, y + 35), z - 70).astype(np.float32)

    def planes(x: Array, y: Array, z: Array) -> Array:
        depth = -frame.wall.distance(x.ravel(), y.ravel(), z.ravel())
        plane = np.minimum(np.abs(depth - 4.6), np.abs(depth - 9.0)) - 0.45
        flank = np.maximum(np.maximum(80 * s[0] - np.abs(x), np.abs(y) - 72 * s[1]), np.abs(z + 20) - 75)
        return np.maximum(plane, flank).astype(np.float32)

    return [
        Part("wall", shell, (Layer(0, "muscle", BODY),)),
        Part("wall_lines", clipped(offset(shell, -1.3), lines), (Layer(0, "fat", BODY),)),
        Part("wall_planes", clipped(shell, planes), (Layer(0, "fat", BODY),)),
    ]


def diaphragm(frame: Frame) -> list[Part]:
    """The two domes, a few mm thick, and the crura beside the aorta."""
    shell = difference(frame.abdomen, offset(frame.abdomen, -3.0))
    shell = intersection(shell, frame.cavity)
    parts = [Part("diaphragm", clipped(shell, lambda x, y, z: 40 - z + 0 * (x + y)), (Layer(0, "muscle", BODY),))]
    for side in (-1, 1):
        heights = np.array([0.0, 30.0, 60.0, 90.0, 118.0, 134.0])
        y = np.array([frame.in_front_of_spine(z) for z in heights]) - [2, 3, 5, 9, 20, 30]
        x = side * np.array([15, 16, 17, 17, 15, 13]) + np.array([2, 3, 5, 6, 8, 9])
        crus = polyline_tube(np.stack([x * frame.scale[0], y, heights], axis=1), (2.5, 4, 5, 5, 4, 3), (0.8, 1.5, 1))
        parts.append(Part("crus", crus, (Layer(0, "muscle", BODY),)))
    return parts


def _mediastinum(frame: Frame) -> Implicit:
    """What lies between the lungs: heart in its sac, great vessels, oesophagus."""
    s, sac = frame.scale, _pericardium(frame)

    def function(x: Array, y: Array, z: Array) -> Array:
        narrow = 24 + 8 * np.sin(np.clip((y + 20) / 60, -1.5, 1.5))
        column = np.abs(x - np.float32(4)) - narrow.astype(np.float32) * np.float32(s[0])
        return smooth_minimum(column + 0 * z, sac.distance(x.ravel(), y.ravel(), z.ravel()), 18)

    return Implicit(function, box((-400, 400), (-400, 400), (-400, 400)))


def lungs(frame: Frame, rng: np.random.Generator) -> list[Part]:
    """Both lung bases over the diaphragm, with their vessels."""
    parts = []
    free = difference(frame.cavity, union(frame.abdomen, _mediastinum(frame)))
    for side, name in ((-1, "lung_right"), (1, "lung_left")):
        limits = box((-400, 4) if side < 0 else (4, 400), (-400, 400), (40, 400))
        lung = clipped(free, lambda x, y, z, side=side: -side * (x - np.float32(4)) + 0 * (y + z), limits)
        parts.append(Part(name, lung, (Layer(0, "lung", SEGMENTS[name].label),)))
        territory = inside_points(clipped(lung, lambda x, y, z: z - 260 + 0 * (x + y)), 500, 6.0, rng)
        tree = Segments()
        root = np.array([side * 42.0 * frame.scale[0], 6.0, 262.0])
        grow(tree, root, 8.0, territory, np.array([side * 0.5, 0, -0.8]), 0.5, ())
        parts.append(Part(f"{name}_vessels", intersection(tree.tube(), lung), (Layer(0, "lung_vessel"),)))
    return parts


def _pericardium(frame: Frame) -> Implicit:
    s = frame.scale
    return ellipsoid((24 * s[0], -36 * s[1], 208), (68 * s[0], 52 * s[1], 56))


def heart(frame: Frame) -> list[Part]:
    """The underside of the heart in its fat, resting on the diaphragm; oesophagus behind it."""
    s = frame.scale
    centre = np.array([28 * s[0], -36 * s[1], 214])
    sac = clipped(_pericardium(frame), lambda x, y, z: 150 - z + 0 * (x + y))
    muscle = ellipsoid(np.add(centre, (4, 2, 5)), (54 * s[0], 42 * s[1], 48))
    left = ellipsoid(np.add(centre, (24, 8, 14)), (24, 22, 36))
    right = ellipsoid(np.add(centre, (-24, -6, 12)), (19, 24, 40))
    gullet = np.array([[14, 24, 260], [16, 22, 200], [20, 14, 160], [24, 8, 138], [38, 12, 122]]) * [s[0], s[1], 1]
    return [
        Part("pericardium", sac, (Layer(0, "fat", BODY),)),
        Part("heart", muscle, (Layer(0, "myocardium", BODY),)),
        Part("heart_chambers", union(left, right), (Layer(0, "heart_blood", BODY),)),
        Part("oesophagus", polyline_tube(gullet, 7.5), (Layer(0, "muscle", BODY), Layer(5.5, "gas", BODY))),
    ]
