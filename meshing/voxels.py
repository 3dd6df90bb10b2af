"""Questions about voxel masks that several modules ask. scipy.ndimage, with its types made plain."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_CONNECTED = np.ones((3, 3, 3), dtype=bool)


def pieces(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """The 26-connected component of each voxel (1…n, 0 outside), and n."""
    return cast("tuple[NDArray[np.int32], int]", ndimage.label(mask, structure=_CONNECTED))


def large_pieces(mask: NDArray[np.bool_], fewest: float, *, keep_largest: bool = False) -> NDArray[np.bool_]:
    """The mask without components of fewer than `fewest` voxels."""
    component, _ = pieces(mask)
    size = np.bincount(component.ravel()).astype(np.float64)
    size[0] = 0
    if keep_largest and len(size) > 1:
        size[np.argmax(size)] = np.inf
    return (size >= fewest)[component] & mask


def distance_inside(mask: NDArray[np.bool_], sampling: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each voxel of the mask to the nearest one outside it, in the unit of `sampling`."""
    return cast("NDArray[np.float64]", ndimage.distance_transform_edt(mask, sampling=sampling))


def nearest_in(known: NDArray[np.bool_]) -> tuple[NDArray[np.int32], ...]:
    """Index arrays of the nearest voxel of `known` for every voxel."""
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return tuple(cast("NDArray[np.int32]", nearest))


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The smallest box of slices that holds a mask with at least one voxel."""
    return ndimage.find_objects(mask.astype(np.uint8))[0]
