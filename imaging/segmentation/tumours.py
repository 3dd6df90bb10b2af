"""What a liver encloses: tumours, also those at its border, and vessels.

A tumour may be darker or brighter than the liver and may reach its capsule. Each voxel
of soft tissue beside the parenchyma is judged by what surrounds it (`enclosure`): liver
counts in full, body wall in part, fat, gas and other organs not at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .continuous_cut import minimum_cut
from .enclosure import enclosure
from .morphology import Mask, largest
from .organ_model import Abdomen, Tissue, edge_capacity, opened
from .resample import Box, box_of

_WALL_COUNTS = 0.7
_LEAST_LIVER = 0.3
_LEAST_ENCLOSED = 0.66
_VESSEL_ENCLOSED = 0.8
_PASSES = 2
"""The second pass sees the first one's tumours as liver: deep ones are surrounded by themselves."""
_SHEET_MM = 3.5
"""Thinner additions at the wall are intercostal muscle or diaphragm."""


def with_enclosed(abdomen: Abdomen, tissue: Tissue, parenchyma: Mask, others: Mask) -> Mask:
    """The parenchyma with the tumours and vessels inside it and at its border."""
    box = box_of(parenchyma, 6)
    if box is None:
        return parenchyma
    result = parenchyma.copy()
    for _ in range(_PASSES):
        cost = _cost(abdomen, tissue, result, others, box)
        capacity = 1.2 * edge_capacity(abdomen, 2.0 * tissue.sd)[box]
        added = np.zeros(parenchyma.shape, dtype=bool)
        added[box] = minimum_cut(cost, capacity)
        added &= ~result
        result |= opened(added, _SHEET_MM, abdomen.spacing)
        result = ndimage.binary_fill_holes(largest(result))
    return result


def _cost(abdomen: Abdomen, tissue: Tissue, liver: Mask, others: Mask, box: Box) -> NDArray[np.float32]:
    """Cost of taking each voxel of the box for what the liver encloses."""
    hu, inside, wall = abdomen.hu[box], liver[box], abdomen.wall[box]
    bright = hu > tissue.mean + 4.0 * tissue.sd
    opaque = (hu < 0.0) | bright | abdomen.lungs[box] | others[box]
    by_liver, by_wall = enclosure([inside, wall & ~inside], opaque & ~inside, abdomen.spacing)
    enclosed = by_liver + np.float32(_WALL_COUNTS) * by_wall
    cost = np.where(by_liver > _LEAST_LIVER, np.clip((_LEAST_ENCLOSED - enclosed) * 6.0, -1.5, 2.0), 2.0)
    cost = np.where(bright, np.clip((_VESSEL_ENCLOSED - enclosed) * 6.0, -1.0, 3.0), cost)
    cost[hu < 0.0] = 2.0
    cost[wall | abdomen.lungs[box] | others[box]] = 3.0
    cost[inside] = -2.0
    return cost.astype(np.float32)
