"""Veins of the abdomen: portal and hepatic trees of the liver, caval and iliac veins, mesenteric vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..anatomy import SEGMENTS
from .aorta import Aorta
from .frame import Frame
from .render import Layer, Part
from .shapes import Implicit, Tube, ellipsoid, polyline_tube, union
from .trees import MURRAY, Segments, grow, inside_points

BODY = SEGMENTS["body"].label
CONFLUENCE_Z = 150.0
"""Height (mm) at which the hepatic veins join the inferior vena cava."""


@dataclass(frozen=True, eq=False)
class LiverVessels:
    """Trees of the liver (LPS mm)."""

    portal: Segments
    hepatic: Segments
    trunk: Tube


def liver_vessels(frame: Frame, liver: Implicit, aorta: Aorta, rng: np.random.Generator) -> LiverVessels:
    """Portal and hepatic-venous trees inside the liver and the portal trunk below it."""
    s, avoid = frame.scale, frame.parameters.tumours
    place = np.array([s[0], s[1], 1.0])
    territory = inside_points(liver, 1500, 7.0, rng)
    for tumour in avoid:
        territory = territory[np.linalg.norm((territory - tumour.centre) / (np.array(tumour.radii) + 2), axis=1) > 1]
    hilum = np.array([-34, -2, 88.0]) * place
    portal = Segments()
    trunk = np.array([[-2, -2, 42], [-10, -2, 56], [-22, -4, 71], [-34, -2, 88]]) * place
    right = territory[:, 0] < -38 * s[0]
    for part, bend in ((right, (-1.0, 0, 0.3)), (~right, (0.7, -0.6, 0.4))):
        radius = 7.0 * float(part.mean()) ** (1 / MURRAY)
        grow(portal, hilum, radius, territory[part], np.array(bend), 1.1, avoid)
    hepatic = Segments()
    axis, _ = caval_axis(frame, aorta)
    confluence = axis[np.argmin(np.abs(axis[:, 2] - CONFLUENCE_Z))]
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
    course = np.array([[-4, -2, 46], [20, 2, 62], [46, 24, 74], [78, 40, 92]]) * s
    splenic = polyline_tube(course, (5.0, 4.5, 4.0, 3.5))
    course = np.array([[-2, -2, 43], [-6, -18, 10], [-12, -40, -30], [-14, -46, -70]]) * s
    mesenteric = polyline_tube(course, (6.0, 5.5, 4.5, 3.0))
    label = SEGMENTS["portal_vein"].label
    solid = union(vessels.trunk, splenic, mesenteric)
    return Part("portal_vein", solid, (Layer(-0.8, "vessel_wall"), Layer(0, "portal_vein", label)))


def mesentery(frame: Frame, rng: np.random.Generator) -> Part:
    """Vessels that fan out through the fat between the bowel loops."""
    s, tree = frame.scale, Segments()
    region = ellipsoid((0, -48 * s[1], -70), (95 * s[0], 38 * s[1], 120))
    root = np.array([-4.0, -24 * s[1], 5.0])
    grow(tree, root, 4.0, inside_points(region, 900, 4.0, rng), np.array([0, -0.7, -0.7]), 0.7, ())
    return Part("mesenteric_vessels", tree.tube(), (Layer(0, "vein", BODY),))


def caval_axis(frame: Frame, aorta: Aorta) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P, 3) LPS mm and (P,) mm: axis and radius of the inferior vena cava, from below upwards.

    An aneurysm pushes it to the right.
    """
    z = np.array([-88, -60, -45, -28, -14, 0, 25, 60, 95, 125, CONFLUENCE_Z, 172, 195.0])
    x = np.array([-14, -22, -23, -24, -24, -24, -24, -22, -23, -25, -26, -24, -16]) * frame.scale[0]
    radius = np.array([9, 9.5, 9.8, 10, 10, 10, 10.5, 11, 11.5, 12, 13, 13, 13])
    beside = aorta.centre(z)[0] - aorta.outer_radius(z) - 1.12 * radius - 2.5
    x = np.where((z > aorta.bifurcation_z) & (z < 60), np.minimum(x, beside), x)
    y = np.array([frame.in_front_of_spine(v) for v in z])
    y = y + np.array([-9, -7, -6, -5, -6, -7, -8, -8, -9, -12, -20, -32, -42]) * frame.scale[1]
    return np.stack([x, y, z], axis=1), radius


def caval_vein(frame: Frame, aorta: Aorta) -> list[Part]:
    """Inferior vena cava through the liver's bare area to the right atrium, iliac and renal veins."""
    axis, radius = caval_axis(frame, aorta)
    start, parts = axis[0], []
    for side in (-1, 1):
        course = np.array([[0, 0, 0], [side * 22 + 8, 14, -30], [side * 52 + 14, 22, -77], [side * 70 + 14, -18, -150]])
        parts.append(Part("iliac_vein", polyline_tube(start + course, (8.5, 7, 6.5, 6)), (Layer(0, "vein", BODY),)))
    for side, z in ((-1, 20.0), (1, 34.0)):
        cava = np.array([np.interp(z + 4, axis[:, 2], axis[:, n]) for n in range(3)])
        front = aorta.centre(z)[1] - aorta.outer_radius(z) - 4
        kidney = [side * 46 * frame.scale[0], 30 * frame.scale[1], z - 4]
        course = [cava, [float(aorta.centre(z)[0]), float(front), z + 3], kidney] if side > 0 else [cava, kidney]
        parts.append(Part("renal_vein", polyline_tube(course, 4.0), (Layer(0, "vein", BODY),)))
    tube = polyline_tube(axis, radius, (1.12, 0.9, 1.0))
    label = SEGMENTS["inferior_vena_cava"].label
    parts.append(Part("inferior_vena_cava", tube, (Layer(-1.0, "vessel_wall"), Layer(0, "vein", label))))
    return parts
