"""The label map of a vessel made ready for its wall: what is not the vessel left out, its ends cut open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import SEGMENTS
from ..imaging.errors import MeshError
from ..imaging.volume import LabelMap
from .ends import crop_labels, near_along_slices, trim_to_open
from .voxels import bounding_box, distance_inside, large_pieces

LUMEN, THROMBUS = "aorta", "aortic_thrombus"
"""Names under which lumen and thrombus are meshed, whatever segments they were given as."""

MARGIN_MM = 30.0
TRIM_MM = 4.0


def vessel_labels(
    labels: LabelMap,
    lumen: Sequence[str],
    thrombus: Sequence[str],
    *,
    roi_mm: tuple[Sequence[float], Sequence[float]] | None,
    least_radius_mm: float,
    trim_mm: float = TRIM_MM,
    margin_mm: float = MARGIN_MM,
) -> LabelMap:
    """Labels of lumen (`LUMEN`) and thrombus (`THROMBUS`) only, without thin branches, cropped and cut open.

    The arguments are those of `wall.vessel_wall`.

    Raises:
        SegmentationError: a lumen's segment is absent.
        MeshError: nothing of the vessel is left.
    """
    labels.require(lumen)
    vessel = np.zeros(labels.labels.shape, dtype=np.uint16)
    vessel[labels.mask(thrombus)] = SEGMENTS[THROMBUS].label
    vessel[labels.mask(lumen)] = SEGMENTS[LUMEN].label
    cropped = LabelMap(vessel, labels.grid, {SEGMENTS[n].label: SEGMENTS[n] for n in (LUMEN, THROMBUS)})
    cropped = near_along_slices(cropped, margin_mm) if roi_mm is None else crop_labels(cropped, roi_mm)
    solid = without_thin(cropped.labels > 0, cropped.grid.spacing, least_radius_mm)
    if not solid.any():
        raise MeshError(f"no part of the vessel is wider than {2 * least_radius_mm:g} mm", where="vessel wall",
                        advice="Use a smaller least_radius_mm or edge length")  # fmt: skip
    return trim_to_open(cropped.with_labels(np.where(solid, cropped.labels, 0).astype(np.uint16)), trim_mm)


def without_thin(mask: NDArray[np.bool_], spacing: NDArray[np.float64], radius_mm: float) -> NDArray[np.bool_]:
    """Opening by a ball through distances, then the largest piece. Beyond the border the vessel goes on."""
    box = bounding_box(mask)
    margin = [int(np.ceil(2 * radius_mm / s)) + 1 for s in spacing]
    padded = mask[box]
    for axis, (window, size) in enumerate(zip(box, mask.shape, strict=True)):
        for side, at_border in enumerate((window.start == 0, window.stop == size)):
            width = [(0, 0)] * 3
            width[axis] = (0, margin[axis]) if side else (margin[axis], 0)
            padded = np.pad(padded, width, mode="edge" if at_border else "constant")
    core = distance_inside(padded, spacing) > radius_mm
    result = np.zeros_like(mask)
    if core.any():
        opened = padded & (distance_inside(~core, spacing) <= radius_mm)
        inner = tuple(slice(m, -m) for m in margin)
        result[box] = large_pieces(opened[inner], 1e18, keep_largest=True)
    return result
