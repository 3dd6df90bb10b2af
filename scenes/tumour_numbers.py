"""Numbers beside the tumours of a picture, those of the report: 1 is the largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotate import FOOTER, HEADER, Lettering
from .canvas import Canvas

_AWAY = 26.0
"""Distance of a number's centre from its tumour, in pixels of a 1600 px wide picture."""
_APART = 44.0
_DIRECTIONS = [np.array([np.cos(angle), -np.sin(angle)]) for angle in np.radians((40, 140, 0, 180, -40, -140, 90, -90))]
"""Right above first: y runs down the picture."""


def draw_numbers(letters: Lettering, canvas: Canvas, tumours: Sequence[ArrayLike]) -> None:
    """Write 1, 2, 3 … beside tumours.

    Args:
        tumours: points (n, 3) LPS mm of each, as they are drawn.
    """
    taken: list[NDArray[np.float64]] = []
    for number, points in enumerate(tumours, start=1):
        flat = canvas.pixels(points)
        free = [place for place in _places(flat) if _is_free(place, taken, letters.height)]
        if free:
            taken.append(free[0])
            letters.badge((float(free[0][0]), float(free[0][1])), str(number))


def _places(flat: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [flat[np.argmax(flat @ direction)] + _AWAY * direction for direction in _DIRECTIONS]


def _is_free(place: NDArray[np.float64], taken: Sequence[NDArray[np.float64]], height: float) -> bool:
    inside = 24 < place[0] < 1576 and HEADER + 24 < place[1] < height - FOOTER - 24
    return inside and all(np.linalg.norm(place - other) > _APART for other in taken)
