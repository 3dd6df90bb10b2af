"""Spine, ribs and pelvis: cortical shells around trabecular bone."""

from __future__ import annotations

import numpy as np

from ..anatomy import SEGMENTS
from .frame import VERTEBRAE, Frame
from .render import Layer, Part
from .shapes import Array, Implicit, Tube, box, intersection, offset, polyline_tube, smooth_maximum, union

BODY, SPINE = SEGMENTS["body"].label, SEGMENTS["spine"].label
RIBS, PELVIS = SEGMENTS["ribs"].label, SEGMENTS["pelvis"].label
# rib: z at the spine, z at its bony front end, angle around the chest reached (degrees from the back)
RIB_COURSES: dict[int, tuple[float, float, float]] = {
    5: (290.0, 205.0, 150.0),
    6: (264.0, 172.0, 148.0),
    7: (238.0, 142.0, 143.0),
    8: (212.0, 112.0, 134.0),
    9: (186.0, 84.0, 125.0),
    10: (159.0, 58.0, 115.0),
    11: (130.0, 44.0, 94.0),
    12: (98.0, 50.0, 62.0),
}


def bone(solid: Implicit | Tube, name: str, label: int, cortex: float) -> Part:
    """A cortical shell of the given thickness (mm) around trabecular bone."""
    return Part(name, solid, (Layer(0, "cortical_bone", label), Layer(cortex, "trabecular_bone", label)))


def spine(frame: Frame) -> list[Part]:
    """Vertebral bodies, discs, canal and posterior elements from T6 to L5."""
    parts: list[Part] = []
    under_skin = offset(frame.skin, -6.0)
    for name, (z, height, disc) in VERTEBRAE.items():
        width = (24.5 if name[0] == "L" else 17.5 + 1.0 * max(0, int(name[1:]) - 6)) * frame.scale[0]
        depth = 17.0 * frame.scale[1]
        y = float(frame.spine_y(z))
        lower = z - height / 2 - disc / 2
        centre = (0.0, float(frame.spine_y(lower)), lower)
        parts.append(Part(f"disc_{name}", _body(centre, width, depth, disc + 3, 0), (Layer(0, "disc", BODY),)))
        parts.append(bone(intersection(union(*_posterior(name, z, y, depth)), under_skin), f"arch_{name}", SPINE, 1.6))
    for name, (z, height, _) in VERTEBRAE.items():
        width = (24.5 if name[0] == "L" else 17.5 + 1.0 * max(0, int(name[1:]) - 6)) * frame.scale[0]
        centre = (0.0, float(frame.spine_y(z)), z)
        parts.append(bone(_body(centre, width, 17.0 * frame.scale[1], height, 2.5), f"vertebra_{name}", SPINE, 1.2))
    heights = np.arange(-170.0, 300.0, 12.0)
    points = np.stack([0 * heights, frame.spine_y(heights) + 25 * frame.scale[1], heights], axis=1)
    canal = polyline_tube(points, 9.0, (1.15, 0.85, 1))
    parts.append(Part("canal", canal, (Layer(0, "fat", BODY), Layer(1.5, "spinal_cord", BODY))))
    return parts


def _body(centre: tuple[float, float, float], width: float, depth: float, height: float, waist: float) -> Implicit:
    """A waisted, kidney-shaped cylinder: a vertebral body or a disc."""

    def function(x: Array, y: Array, z: Array) -> Array:
        x, y, z = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
        narrow = waist * (1 - (2 * z / height) ** 2).clip(0)
        across = (np.sqrt((x / (width - narrow)) ** 2 + (y / (depth - narrow)) ** 2) - 1) * depth
        # The back of the body is flat or hollow towards the canal.
        hollow = y - np.float32(depth * 0.84) + 2.5 * np.exp(-((x / 10) ** 2))
        return smooth_maximum(np.maximum(across, hollow), np.abs(z) - np.float32(height / 2), 3.0)

    reach = np.array([width, depth, height / 2])
    return Implicit(function, np.array([centre - reach, centre + reach]))


def _posterior(name: str, z: float, y: float, depth: float) -> list[Tube]:
    """Pedicles, laminae, articular pillars, transverse and spinous processes."""
    lumbar = name[0] == "L"
    back, reach = y + depth, (19.0 if lumbar else 11.0)
    tubes = []
    for side in (-1, 1):
        pedicle = [[side * 13, back - 6, z + 4], [side * 15, back + 9, z + 3]]
        lamina = [[side * 15, back + 10, z], [side * 2, back + 20, z - 7]]
        pillar = [[side * 16, back + 11, z + 19], [side * 16, back + 11, z - 20]]
        wing = [[side * 15, back + 9, z + 3], [side * (34 if lumbar else 30), back + (11 if lumbar else 19), z + 5]]
        tubes += [
            polyline_tube(pedicle, 5.5, (0.8, 1, 1.2)),
            polyline_tube(lamina, 4.2, (1, 1, 1.8)),
            polyline_tube(pillar, 4.8),
            polyline_tube(wing, (5.0, 3.6)),
        ]
    drop = 12.0 if lumbar else 30.0
    tubes.append(polyline_tube([[0, back + 19, z - 7], [0, back + 19 + reach, z - 7 - drop]], 3.8, (1, 1, 2.1)))
    return tubes


def ribs(frame: Frame) -> list[Part]:
    """Bony ribs in the chest wall, sloping down towards the front, then their cartilage."""
    parts = []
    for number, (start, stop, angle) in RIB_COURSES.items():
        for side in (-1, 1):
            t = np.linspace(0, 1, 26)
            phi = np.radians(12 + (angle - 12) * t)
            z = start + (stop - start) * t**1.25
            points = _on_wall(frame, phi, z, side)
            head = [side * 20.0, float(frame.spine_y(start)) + 14, start + 6]
            points = np.vstack([head, [side * 36.0, float(frame.spine_y(start)) + 29, start + 2], points[2:]])
            tube = polyline_tube(points, 3.7, (1, 1, 1.75))
            if number < 11:
                end = _on_wall(
                    frame,
                    np.radians([angle, angle + 14, min(angle + 26, 172)]),
                    np.array([stop, stop + 4, stop + 26]),
                    side,
                )
                cartilage = polyline_tube(end, 3.6, (1, 1, 1.6))
                parts.append(Part(f"cartilage_{number}", cartilage, (Layer(0, "cartilage", BODY),)))
            parts.append(bone(tube, f"rib_{number}", RIBS, 1.1))
    front = _on_wall(frame, np.radians([180.0, 180.0, 180.0]), np.array([172.0, 196.0, 300.0]), 1)
    sternum = polyline_tube(np.add(front, (0, 1.5, 0)), (3.5, 5.0, 6.0), (3.2, 1.0, 1.0))
    parts.append(bone(sternum, "sternum", SEGMENTS["bone"].label, 1.2))
    return parts


def _on_wall(frame: Frame, phi: np.ndarray, z: np.ndarray, side: int) -> np.ndarray:
    """(n, 3) points half-way through the wall at angle phi from the back, by bisection along the ray."""
    direction = np.stack([side * np.sin(phi), np.cos(phi)], axis=1)
    low, high = np.full(len(phi), 20.0), np.full(len(phi), 300.0)
    for _ in range(30):
        middle = 0.5 * (low + high)
        outside = frame.cavity.function(direction[:, 0] * middle, direction[:, 1] * middle, z) >= 5.0
        low, high = np.where(outside, low, middle), np.where(outside, middle, high)
    return np.stack([direction[:, 0] * low, direction[:, 1] * low, z], axis=1)


def pelvis(frame: Frame) -> list[Part]:
    """Sacrum and both iliac wings."""
    parts = [bone(intersection(_sacrum(frame), offset(frame.skin, -6.0)), "sacrum", PELVIS, 1.5)]
    parts += [bone(intersection(_wing(frame, side), frame.wall), "ilium", PELVIS, 1.8) for side in (-1, 1)]
    return parts


def _sacrum(frame: Frame) -> Implicit:
    def function(x: Array, y: Array, z: Array) -> Array:
        middle = frame.spine_y(z).astype(np.float32) + 6
        t = np.clip((-115 - z) / 110, 0, 1)
        width, depth = 52 - 30 * t, 21 - 9 * t
        across = (np.sqrt((x / width) ** 2 + ((y - middle) / depth) ** 2) - 1) * depth
        return smooth_maximum(across, np.abs(z + 172) - 58, 6.0) / np.float32(1.2)

    return Implicit(function, box((-56, 56), (20, 125), (-232, -112)))


def wing_coordinates(frame: Frame, side: int, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """Where a point lies against the iliac wing of one side (+1 left).

    In every axial plane the wing is a bowed segment from the sacroiliac joint to the
    iliac spine.

    Returns:
        u: along the segment, 0 at the joint and 1 at the spine.
        out: mm outwards of the bowed plate's middle.
        crest: z of the crest over that u.
    """
    s = frame.scale
    down = np.clip((-72 - z) / 150, 0, 1)
    back = (58 * s[0] + 0 * down, (62 - 2 * down) * s[1])
    along = ((134 - 30 * down) * s[0] - back[0], (-22 + 10 * down) * s[1] - back[1])
    length2 = along[0] ** 2 + along[1] ** 2
    dx, dy = side * x - back[0], y - back[1]
    u = (dx * along[0] + dy * along[1]) / length2
    bow = 9 * np.sin(np.pi * np.clip(u, 0, 1))
    out = -(dx * along[1] - dy * along[0]) / np.sqrt(length2) - bow
    return u, out, -74 - 62 * (2 * (u - 0.46)) ** 2


def _wing(frame: Frame, side: int) -> Implicit:
    """An iliac wing: a plate under its crest that thickens and narrows towards the hip joint."""

    def function(x: Array, y: Array, z: Array) -> Array:
        u, out, crest = wing_coordinates(frame, side, x, y, z)
        down = np.clip((-72 - z) / 150, 0, 1)
        nearest = np.clip(u, 0.02 + 0.35 * down**2, 1.0 - 0.25 * down)
        beyond = (u - nearest) * 108 * frame.scale[0]
        thick = 5.0 + 5.0 * (1 - nearest) ** 2 + 10.0 * down**2
        plate = (np.sqrt(out * out + beyond * beyond) - thick) / 1.2
        return smooth_maximum(plate, (z - crest) / 2.2, 4.0).astype(np.float32)

    limits = (30.0, 165.0) if side > 0 else (-165.0, -30.0)
    return Implicit(function, box(limits, (-60, 95), (-400, -66)))
