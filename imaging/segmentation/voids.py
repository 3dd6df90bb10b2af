"""Small voids inside an organ: voxels that no finder took and that the organ encloses on every side.

They are left where a finder's smoothing or noise leaves out a few voxels, mostly between the parenchyma
and what lies in it. In a mesh of the organ each would be a cavity with a surface of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..anatomy import SEGMENTS
from ..volume import Grid
from .resample import box_of

MOST_ML = 0.4
"""A ball 9 mm wide: the smallest lesion that the finders tell apart (`tumours`). What is larger is a finding that
nobody explained: it stays open, and the organ's note counts it."""

_ENCLOSING = (
    ("liver",),
    ("spleen",),
    ("kidney_left",),
    ("kidney_right",),
    ("gallbladder",),
    ("aorta", "aortic_thrombus"),
    ("inferior_vena_cava",),
)
"""Solid or blood-filled: nothing else lies inside them but their parts. Bone and lung have voids by nature."""


def fill_voids(labels: NDArray[np.uint16], grid: Grid) -> None:
    """Give every small void, in place, to the structure around it that touches it most.

    A void is a piece (6-neighbourhood) of unlabelled voxels, or of `body`, that an organ with its parts encloses and
    that is smaller than `MOST_ML`. A piece that holds any other structure is that structure's, and one that reaches
    the scan's edge is open.

    Args:
        labels: (I, J, K) ids of `SEGMENTS`.
        grid: where the voxels are.
    """
    free = (0, SEGMENTS["body"].label)
    most = MOST_ML * 1000.0 / grid.voxel_volume
    for names in _ENCLOSING:
        ids = [one.label for one in SEGMENTS.values() if one.name in names or set(names) & set(one.part_of)]
        box = box_of(np.isin(labels, ids), 1)
        if box is None:
            continue
        part = labels[box]
        pieces, count = ndimage.label(~np.isin(part, ids))  # type: ignore[misc]
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        small = sizes <= most
        small[np.unique(pieces[~np.isin(part, free)])] = False
        small[_at_edge(pieces)] = False
        small[0] = False
        for number, window in enumerate(ndimage.find_objects(pieces), start=1):
            if small[number]:
                around = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in window)
                void = pieces[around] == number
                rim = part[around][ndimage.binary_dilation(void) & ~void]
                part[around][void] = np.bincount(rim).argmax()


def _at_edge(pieces: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers met at the sides of the box: they go on beyond it, or the scan ends there."""
    sides = [np.take(pieces, end, axis=axis).ravel() for axis in range(3) for end in (0, -1)]
    return np.unique(np.concatenate(sides))
