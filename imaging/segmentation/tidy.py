"""What an organ's surface does not have: knobs and stalks where its mask ran into a neighbour.

An opening by a ball takes them away, and with them every true sharp edge. What it took is
given back within a few millimetres of what remains: a tapering edge has most of its volume
there, a stalk of vessel, stomach wall or intercostal muscle goes on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .morphology import Mask, distance, largest
from .resample import box_of


def without_knobs(mask: Mask, spacing: NDArray[np.float64], *, radius_mm: float, give_back_mm: float) -> Mask:
    """(I, J, K) the mask's main body, without what hangs on by less than a ball's width.

    A cut by the scan's edge is no surface and does not erode.

    Args:
        mask: an organ.
        spacing: (3,) mm.
        radius_mm: of the ball that must fit into the organ everywhere but near its edges.
        give_back_mm: how far beyond the opening the mask is kept.
    """
    result = np.zeros(mask.shape, dtype=bool)
    box = box_of(mask, 2)
    if box is None:
        return result
    core = largest(distance(mask[box], spacing) > radius_mm)
    if not core.any():
        return largest(mask)
    near = distance(~core, spacing) <= radius_mm + give_back_mm
    result[box] = largest(mask[box] & near)
    return result
