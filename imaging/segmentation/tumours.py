"""What a liver encloses: tumours, also those at its border, and vessels.

A tumour may be darker or brighter than the liver and may reach its capsule. Each voxel
of soft tissue beside the parenchyma is judged by what surrounds it (`enclosure`): liver
counts in full, body wall in part, fat, gas and other organs not at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .case import Case
from .continuous_cut import minimum_cut
from .enclosure import enclosure
from .morphology import Mask, distance, largest, without_small
from .organ_model import Abdomen, Tissue, abdomen_of, edge_capacity, opened
from .resample import Box, box_of

_WALL_COUNTS = 0.7
_LEAST_LIVER = 0.3
_LEAST_ENCLOSED = 0.66
_VESSEL_ENCLOSED = 0.8
_PASSES = 2
"""The second pass sees the first one's tumours as liver: deep ones are surrounded by themselves."""
_SHEET_MM = 3.5
"""Thinner additions at the wall are intercostal muscle or diaphragm."""

_DARKER = 3.0
"""Spreads below the parenchyma from which tissue is a lesion."""
_LESION_MM = 3.0
_LEAST_LESION_ML = 0.4


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find dark lesions of the liver, larger than about a centimetre; {} where there is none.

    They are candidates for tumours: cysts, necrosis and focal fat are dark as well.
    """
    progress(0.0, "liver tumours")
    liver = case.coarse_mask("liver")
    if liver is None or not liver.any():
        return {}
    abdomen = abdomen_of(case)
    inner = distance(liver, abdomen.spacing)
    values = abdomen.hu[inner > 5.0] if (inner > 5.0).any() else abdomen.hu[liver]
    middle = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), 4.0)
    # partial volume darkens the outer voxel: only what is thicker than that counts
    dark = (inner > 2.5) & (abdomen.hu < middle - _DARKER * spread)
    dark = without_small(opened(dark, _LESION_MM, abdomen.spacing), int(_LEAST_LESION_ML / abdomen.voxel_ml) + 1)
    if not dark.any():
        return {}
    level = float(np.median(abdomen.hu[dark]))
    near = distance(~dark, abdomen.spacing) < 4.0
    soft = case.pyramid.up(np.where(near, case.coarse.voxels, middle).astype(np.float32))
    return {"liver_tumor": case.masks["liver"] & (soft < 0.5 * (middle + level)) & case.pyramid.up_mask(near)}


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
