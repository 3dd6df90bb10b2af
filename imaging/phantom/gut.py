"""Stomach, duodenum, pancreas, small and large bowel: what makes an abdomen hard to segment."""

from __future__ import annotations

import numpy as np

from ..anatomy import SEGMENTS
from .frame import Frame
from .render import Layer, Part
from .shapes import Implicit, Solid, Tube, clipped, ellipsoid, intersection, polyline_tube, wobbled

BODY = SEGMENTS["body"].label


def stomach(frame: Frame) -> list[Part]:
    """Fundus under the left dome, body, antrum crossing the midline; fluid with gas in front."""
    s = frame.scale
    points = np.array(
        [[62, 22, 132], [60, 8, 108], [58, -18, 78], [44, -42, 50], [16, -50, 38], [-12, -42, 42], [-26, -30, 44]],
        float,
    )
    tube = polyline_tube(points * [s[0], s[1], 1] + frame.shift("stomach", 3.0), (27, 33, 29, 23, 18, 13, 9))
    gut = intersection(tube, frame.abdomen)
    return [
        Part("stomach", gut, (Layer(0, "bowel_wall", BODY), Layer(3.5, "stomach_content", BODY))),
        Part("stomach_gas", _gas(gut, -38 * s[1]), (Layer(3.5, "gas", BODY),)),
    ]


def _gas(solid: Solid, level: float) -> Implicit:
    """What lies in front of a level, as gas does in a patient on the back."""
    limits = np.array([[-400.0, -400.0, -400.0], [400.0, level + 4, 400.0]])
    return clipped(solid, lambda x, y, z: y - np.float32(level) + 0 * (x + z), limits)


def pancreas(frame: Frame, rng: np.random.Generator) -> list[Part]:
    """Head beside the duodenum, body over the spine, tail at the spleen."""
    s = frame.scale
    points = np.array([[-32, 0, 32], [-26, -8, 48], [-2, -16, 62], [24, -10, 70], [48, 10, 78], [72, 22, 88]], float)
    gland = wobbled(polyline_tube(points * [s[0], s[1], 1], (15, 14, 10, 10, 9, 7)), 2.5, 14, rng)
    duodenum = np.array(
        [[-30, -30, 44], [-50, -12, 40], [-54, 0, 10], [-46, 4, -14], [-10, -4, -20], [22, -8, -6]], float
    )
    bowel = polyline_tube(duodenum * [s[0], s[1], 1], 12.0)
    return [
        Part("duodenum", bowel, (Layer(0, "bowel_wall", BODY), Layer(2.5, "bowel_content", BODY))),
        Part("pancreas", gland, (Layer(0, "pancreas", BODY),)),
    ]


def bowel(frame: Frame, rng: np.random.Generator) -> list[Part]:
    """Colon with haustra, stool and gas, and small-bowel loops."""
    s, parts = frame.scale, []
    for n, (loop, radii) in enumerate(_loops(rng)):
        tube = intersection(polyline_tube(loop * [s[0], s[1], 1], radii), frame.cavity)
        parts.append(Part(f"ileum_{n}", tube, (Layer(0, "bowel_wall", BODY), Layer(2.2, "bowel_content", BODY))))
        if n % 4 == 1:
            level = float(loop[:, 1].min()) * s[1] - 2
            parts.append(Part(f"ileum_gas_{n}", _gas(tube, level), (Layer(2.2, "gas", BODY),)))
    course = np.array(
        [
            [-74, -16, -126], [-80, -10, -100], [-92, 6, -70], [-106, 22, -34], [-98, -10, -18], [-80, -58, -22],
            [-40, -74, -38], [0, -78, -44], [40, -74, -30], [78, -56, 10], [98, -14, 48], [106, 24, 56],
            [110, 40, 30], [111, 36, -20], [98, 10, -66], [84, -8, -98], [76, -14, -135], [58, -8, -172],
            [26, 6, -192], [6, 34, -220],
        ],
        float,
    )  # fmt: skip
    course = course + [frame.shift(f"colon {n}", 4.0) for n in range(len(course))]
    t = np.linspace(0, 1, 140)
    points = np.stack([np.interp(t, np.linspace(0, 1, len(course)), c) for c in course.T], axis=1) * [s[0], s[1], 1]
    radii = np.interp(t, (0, 0.2, 0.6, 1), (23, 21, 17, 13)) * (1 + 0.13 * np.sin(t * 190))
    colon = intersection(polyline_tube(points, radii), frame.cavity)
    parts.append(Part("colon", colon, (Layer(0, "bowel_wall", BODY), Layer(2.2, "stool", BODY))))
    parts.append(Part("colon_gas", _gas(colon, -66 * s[1]), (Layer(2.2, "gas", BODY),)))
    for a, b, level in ((0, 26, 26.0), (78, 128, 28.0)):
        piece = intersection(Tube(points[a:b], points[a + 1 : b + 1], radii[a:b], radii[a + 1 : b + 1]), frame.cavity)
        parts.append(Part("colon_gas", _gas(piece, level * s[1]), (Layer(2.2, "gas", BODY),)))
    return parts


def _loops(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Polylines (P, 3) and radii (P,) of small-bowel loops that crowd the middle of the abdomen."""
    loops = []
    # middle of a cluster, its rows' direction, half length of a row, rows, spacing
    for centre, lie, half, rows in (
        ((-60, -14, -62), 75, 30, 3),
        ((66, -12, -48), 95, 34, 3),
        ((48, -52, 6), 70, 30, 4),
        ((-35, -58, -70), 15, 44, 4),
        ((45, -55, -72), -35, 42, 5),
        ((0, -40, -112), 5, 66, 3),
        ((5, -66, -150), 20, 58, 4),
        ((-10, -40, -168), -15, 52, 4),
        ((10, -14, -190), 10, 44, 3),
    ):
        cos, sin = np.cos(np.radians(lie)), np.sin(np.radians(lie))
        points, radii = [], []
        for row in range(rows):
            t = np.linspace(-1, 1, 9) * (1 if row % 2 else -1)
            across = (row - (rows - 1) / 2) * 23.0 + rng.normal(0, 2.5, 9) + 7 * np.sin(3 * t + rng.uniform(0, 6))
            along = half * t + rng.normal(0, 1.5, 9)
            depth = rng.normal(0, 3.0, 9) + 7 * np.sin(2.5 * t + rng.uniform(0, 6))
            points.append(np.stack([cos * along - sin * across, depth, sin * along + cos * across], axis=1))
            radii.append(11.0 + rng.normal(0, 1.3, 9))
        loops.append((_smooth(np.vstack(points)) + centre, _smooth(np.concatenate(radii))))
    return loops


def _smooth(values: np.ndarray) -> np.ndarray:
    """Twice the samples along the first axis, averaged over three."""
    n = len(values)
    t = np.linspace(0, n - 1, 2 * n)
    columns = values.reshape(n, -1).T
    fine = np.stack([np.interp(t, np.arange(n), c) for c in columns], axis=1)
    fine[1:-1] = (fine[:-2] + fine[1:-1] + fine[2:]) / 3
    return fine.reshape(2 * n, *values.shape[1:])


def bladder(frame: Frame) -> Part:
    """The dome of the urinary bladder."""
    solid = ellipsoid((0, -38 * frame.scale[1], -240), (48 * frame.scale[0], 36 * frame.scale[1], 38))
    return Part("bladder", solid, (Layer(0, "bowel_wall", BODY), Layer(3.0, "bile", BODY)))
