"""Through which point a scan is cut for its picture, and in which window it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..imaging.volume import ImageVolume, LabelMap

SOFT_TISSUE_WINDOW = (40.0, 400.0)
"""Level and width in HU."""
_FOCUS = ("liver_tumor", "aortic_thrombus", "liver", "aorta")
LUMEN = ("aorta", "iliac_artery_left", "iliac_artery_right")
"""Arteries whose inside is filled with contrast medium in an angiogram."""
SAC = ("aorta", "aortic_thrombus")


def focus_point(volume: ImageVolume, labels: LabelMap | None, focus: str | None = None) -> NDArray[np.float64]:
    """(3,) LPS mm: the voxel of the focus nearest to the centroid of its largest part, else the middle of the scan."""
    wanted = (focus,) if focus else _FOCUS
    mask = None
    if labels is not None:
        mask = next((found for name in wanted if (found := labels.mask(name)).any()), None)
    if mask is None:
        return volume.grid.points_from_index((np.array(volume.grid.shape) - 1) / 2)
    from scipy.ndimage import label

    parts, count = label(mask)
    if count > 1:
        mask = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    points = volume.grid.points_from_index(np.argwhere(mask))
    return points[np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1))]


def widest_point(labels: LabelMap, within: ArrayLike | None = None) -> NDArray[np.float64] | None:
    """(3,) LPS mm: the centre of the largest ball in the aorta's lumen and thrombus together; None without an aorta.

    Args:
        labels: the segmentation.
        within: points (n, 3) LPS mm; only the part in their bounding box counts.
    """
    from scipy.ndimage import distance_transform_edt

    mask = np.logical_or.reduce([labels.mask(name) for name in SAC])
    index = np.argwhere(mask)
    if not len(index):
        return None
    start, stop = np.maximum(index.min(axis=0) - 1, 0), index.max(axis=0) + 2
    part = mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    distance = distance_transform_edt(np.pad(part, 1), sampling=labels.grid.spacing)[1:-1, 1:-1, 1:-1]
    index = index - start
    reach = distance[tuple(index.T)]
    points = labels.grid.points_from_index(index + start)
    if within is not None:
        low, high = np.min(within, axis=0), np.max(within, axis=0)
        inside = np.all((points >= low) & (points <= high), axis=1)
        if inside.any():
            points, reach = points[inside], reach[inside]
    return points[np.argmax(reach)]


def window_of(volume: ImageVolume, labels: LabelMap | None = None, *, arteries: bool = False) -> tuple[float, float]:
    """Level and width in the volume's unit.

    Soft tissue for HU; with `arteries` as wide as the lumen's brightness asks for, so that
    calcium stays apart from contrast medium (350 HU give 200/700, the usual window of a
    CT angiogram). The 1st to 99th percentile for other units.
    """
    if volume.unit != "HU":
        low, high = (float(value) for value in np.percentile(volume.voxels[::2, ::2, ::2], (1, 99)))
        return (low + high) / 2, max(high - low, 1e-6)
    lumen = _brightness(volume, labels, LUMEN) if arteries and labels is not None else None
    if lumen is None:
        return SOFT_TISSUE_WINDOW
    low, high = -150.0, float(np.clip(50 * np.ceil(1.5 * lumen / 50), 250, 900))
    return (low + high) / 2, high - low


def _brightness(volume: ImageVolume, labels: LabelMap, names: Sequence[str]) -> float | None:
    mask = np.logical_or.reduce([labels.mask(name) for name in names])
    return float(np.median(volume.voxels[mask])) if mask.any() else None
