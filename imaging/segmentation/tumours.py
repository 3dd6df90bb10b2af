"""What a liver encloses: tumours, also those at its border, and vessels.

A tumour may be darker or brighter than the liver and may reach its capsule. Each voxel
of soft tissue beside the parenchyma is judged by what surrounds it (`enclosure`): liver
counts in full, body wall in part, fat, gas and other organs not at all.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .continuous_cut import minimum_cut
from .enclosure import enclosure
from .morphology import Mask, largest
from .organ_model import Abdomen, Tissue, edge_capacity
from .resample import box_of

_WALL_COUNTS = 0.7
_LEAST_LIVER = 0.3
_LEAST_ENCLOSED = 0.68


def with_enclosed(abdomen: Abdomen, tissue: Tissue, parenchyma: Mask, others: Mask) -> Mask:
    """The parenchyma with the tumours and vessels inside it and at its border."""
    box = box_of(parenchyma, 6)
    if box is None:
        return parenchyma
    hu, liver, wall, lungs = abdomen.hu[box], parenchyma[box], abdomen.wall[box], abdomen.lungs[box]
    bright = hu > tissue.mean + 4.0 * tissue.sd
    opaque = (hu < 0.0) | bright | lungs | others[box]
    by_liver, by_wall = enclosure([liver, wall], opaque & ~liver, abdomen.spacing)
    enclosed = by_liver + np.float32(_WALL_COUNTS) * by_wall
    cost = np.where(by_liver > _LEAST_LIVER, np.clip((_LEAST_ENCLOSED - enclosed) * 6.0, -1.5, 2.0), 2.0)
    cost = np.where(bright, np.clip((0.8 - enclosed) * 6.0, -1.0, 3.0), cost)
    cost[hu < 0.0] = 2.0
    cost[wall | lungs | others[box]] = 3.0
    cost[liver] = -2.0
    capacity = 1.2 * edge_capacity(abdomen, 2.0 * tissue.sd)[box]
    result = np.zeros(parenchyma.shape, dtype=bool)
    result[box] = minimum_cut(cost.astype(np.float32), capacity)
    return ndimage.binary_fill_holes(largest(result | parenchyma))
