"""Lumps of a mask and the necks between them.

Organs of equal HU that touch (liver and spleen, pancreas, heart) come out of a threshold
as one piece. The watershed of the distance to its border parts the piece into lumps, and
the area and width of each neck tell lobes of one organ from two organs that touch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .morphology import Mask, distance


@dataclass(frozen=True, eq=False)
class Basins:
    """Lumps and how they touch.

    Attributes:
        labels: (I, J, K) int32, 1…n; 0 outside the mask.
        volume: (n + 1,) mm³.
        thickness: (n + 1,) mm, radius of the largest ball inside each lump.
        contact: (n + 1, n + 1) mm², area between two lumps.
        neck: (n + 1, n + 1) mm, radius of the widest passage between two lumps.
    """

    labels: NDArray[np.int32]
    volume: NDArray[np.float64]
    thickness: NDArray[np.float64]
    contact: NDArray[np.float64]
    neck: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of lumps."""
        return len(self.volume) - 1

    def size(self, lump: int) -> float:
        """mm², volume^(2/3): what areas of this lump are measured against."""
        return float(self.volume[lump] ** (2.0 / 3.0))


def basins_of(mask: Mask, spacing: NDArray[np.float64], *, least_depth_mm: float = 1.2) -> Basins:
    """Part a mask into lumps.

    Args:
        mask: (I, J, K).
        spacing: (3,) mm.
        least_depth_mm: a lump whose inscribed radius exceeds its neck by less is no lump.
    """
    from skimage.morphology import reconstruction
    from skimage.segmentation import watershed

    depth = distance(mask, spacing).astype(np.float64)
    # a slight slope inside plateaus keeps one marker per summit
    flooded = reconstruction(depth - least_depth_mm, depth)
    from scipy import ndimage

    markers, count = ndimage.label((depth - flooded >= least_depth_mm - 1e-6) & mask)
    labels = watershed(-depth, markers, mask=mask).astype(np.int32)
    voxel = float(np.prod(spacing))
    volume = np.bincount(labels.ravel(), minlength=count + 1).astype(np.float64) * voxel
    thickness = np.zeros(count + 1)
    np.maximum.at(thickness, labels.ravel(), depth.ravel())
    contact, neck = np.zeros((count + 1, count + 1)), np.zeros((count + 1, count + 1))
    for axis in range(3):
        first, second = np.moveaxis(labels, axis, 0)[:-1].ravel(), np.moveaxis(labels, axis, 0)[1:].ravel()
        both = (first != second) & (first > 0) & (second > 0)
        low = np.minimum(np.moveaxis(depth, axis, 0)[:-1].ravel(), np.moveaxis(depth, axis, 0)[1:].ravel())[both]
        pair = (first[both], second[both])
        np.add.at(contact, pair, voxel / spacing[axis])
        np.maximum.at(neck, pair, low)
    return Basins(labels, volume, thickness, contact + contact.T, np.maximum(neck, neck.T))
