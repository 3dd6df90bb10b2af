"""What is read off a vessel's voxels: diameters, volumes, and where two lumens touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..plain_words import position_words
from .base import Number

if TYPE_CHECKING:
    from ...imaging.volume import LabelMap
    from .vessel_wall import VesselWallOptions


def size_numbers(labels: LabelMap, options: VesselWallOptions) -> list[Number]:
    """Diameters of the vessel and the lumen's volume."""
    vessel, lumen = labels.mask((*options.lumen, *options.thrombus)), labels.mask(options.lumen)
    spacing = labels.grid.spacing
    millilitre = labels.grid.voxel_volume / 1000
    diameter, centre = largest_inscribed(vessel, labels)
    return [
        Number(
            "max_axial_diameter_mm",
            "Largest axial diameter",
            largest_axial_diameter(vessel, labels),
            "mm",
            "of lumen and thrombus, widest extent in one axial slice; oblique vessels look wider",
        ),
        Number(
            "max_inscribed_diameter_mm",
            "Largest sphere that fits in",
            diameter,
            "mm",
            f"its diameter, in lumen and thrombus together, {position_words(centre)}; below the diameter where the "
            "section is not round or the sac is short",
        ),
        Number(
            "lumen_ml",
            "Lumen volume",
            float(lumen.sum() * millilitre),
            "mL",
            f"voxels of {spacing.min():.2g} to {spacing.max():.2g} mm",
        ),
    ]


def touching(labels: LabelMap, names: tuple[str, ...]) -> tuple[list[str], float]:
    """The two of the named segments with the largest common border, and its area in cm² (of voxel faces).

    A part is not compared with its whole: aorta_true_lumen lies in aorta.
    """
    best: tuple[list[str], float] = ([], 0.0)
    masks = {name: labels.mask((name,)) for name in names}
    sides = labels.grid.spacing
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            if second.startswith(f"{first}_") or first.startswith(f"{second}_"):
                continue
            area = 0.0
            for axis in range(3):
                here, there = (np.moveaxis(masks[name] & ~masks[other], axis, 0)
                               for name, other in ((first, second), (second, first)))  # fmt: skip
                faces = (here[1:] & there[:-1]).sum() + (here[:-1] & there[1:]).sum()
                area += float(faces) * float(np.delete(sides, axis).prod()) / 100.0
            if area > best[1]:
                best = ([first, second], area)
    return best


def largest_inscribed(mask: NDArray[np.bool_], labels: LabelMap) -> tuple[float, NDArray[np.float64]]:
    """Diameter (mm) and centre (LPS mm) of the largest sphere inside a mask, its closed holes filled.

    A voxel between lumen and thrombus that carries neither label would else halve the sac.
    """
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    inside = np.pad(np.asarray(ndimage.binary_fill_holes(mask[box])), 1)
    distance = ndimage.distance_transform_edt(inside, sampling=labels.grid.spacing)
    index = np.array(np.unravel_index(np.argmax(distance), distance.shape)) - 1 + [s.start for s in box]
    # The distance is to the nearest outside voxel's centre; the border lies half a voxel before it.
    radius = float(distance.max()) - float(labels.grid.spacing.mean()) / 2
    return 2 * radius, labels.grid.points_from_index(index)


def largest_axial_diameter(mask: NDArray[np.bool_], labels: LabelMap) -> float:
    """Largest extent (maximum Feret diameter, mm) of one connected piece in one slice across the K axis."""
    best = 0.0
    for k in np.flatnonzero(mask.any(axis=(0, 1))):
        pieces, count = ndimage.label(mask[:, :, k])
        for number in range(1, count + 1):
            piece = pieces == number
            rim = np.argwhere(piece & ~ndimage.binary_erosion(piece))
            points = labels.grid.points_from_index(np.column_stack([rim, np.full(len(rim), k)]))
            best = max(best, _farthest(points))
    return best + float(labels.grid.spacing[:2].mean())


def _farthest(points: NDArray[np.float64]) -> float:
    """Largest distance between two points, by their extent in 180 directions of their plane (error < 0.02 %)."""
    if len(points) < 2:
        return 0.0
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    angle = np.radians(np.arange(180))
    along = (centred @ axes[:2].T) @ np.stack([np.cos(angle), np.sin(angle)])
    return float(np.ptp(along, axis=0).max())
