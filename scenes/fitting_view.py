"""Fits a body beside the lettering of its picture: as large as it goes, with nothing lying on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
_PAD = 16.0
"""Kept free around lettering, in pixels of a 1600 px wide picture."""
_STEP = 1.025
_PLACES = 15


def fit(
    points: NDArray[np.float64], free: Box, taken: Sequence[Box] = (), *, at_least: float = 0.0
) -> tuple[float, NDArray[np.float64]]:
    """The smallest mm per pixel at which points lie inside a box and outside of others, and where.

    Args:
        points: (n, 2) mm, to the right and up the picture.
        free: where they may lie, in pixels; y runs down.
        taken: where they may not.
        at_least: mm per pixel, for a body that is to be smaller than it could be.

    Returns:
        mm per pixel, and the pixel (2,) at which the middle of the points' bounding box is to lie.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    middle, extent = (low + high) / 2, high - low
    room = np.array([free[2] - free[0], free[3] - free[1]])
    scale = float(max(np.max(extent / room), at_least, 1e-6))
    flat = (points - middle) * (1, -1)
    boxes = [np.array(box) + _PAD * np.array([-1, -1, 1, 1]) for box in taken]
    centre = np.array([free[0] + free[2], free[1] + free[3]]) / 2
    for _ in range(60):
        slack = np.maximum(room - extent / scale, 0) / 2
        # The middle first, then ever farther from it.
        shifts = np.stack(np.meshgrid(*(np.linspace(-s, s, _PLACES) for s in slack), indexing="ij"), -1).reshape(-1, 2)
        for shift in shifts[np.argsort(np.linalg.norm(shifts, axis=1), kind="stable")]:
            if not any(_within(flat / scale + centre + shift, box) for box in boxes):
                return scale, centre + shift
        scale *= _STEP
    return scale, centre


def _within(places: NDArray[np.float64], box: NDArray[np.float64]) -> bool:
    return bool(np.any(np.all((places > box[:2]) & (places < box[2:]), axis=1)))
