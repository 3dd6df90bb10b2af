"""Numbers on the tumours of a picture, those of the report: 1 is the largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotate import FOOTER, HEADER, Lettering
from .canvas import Canvas
from .render_style import BACKGROUND, INK

_AWAY = 30.0
"""Distance of a number's centre from its tumour, in pixels of a 1600 px wide picture."""
_APART = 44.0
_ROOM = 90.0
"""A tumour that looks as wide as this carries its number on itself."""
_DIRECTIONS = [np.array([np.cos(angle), -np.sin(angle)]) for angle in np.radians((40, 140, 0, 180, -40, -140, 90, -90))]
"""Right above first: y runs down the picture."""


def draw_numbers(letters: Lettering, canvas: Canvas, tumours: Sequence[ArrayLike]) -> None:
    """Write 1, 2, 3 … on tumours, or beside small ones with a line to their middle.

    Args:
        tumours: points (n, 3) LPS mm of each, as they are drawn; none for one that is not seen.
    """
    taken: list[NDArray[np.float64]] = []
    for number, points in enumerate(tumours, start=1):
        if not np.size(points):
            continue
        flat = canvas.pixels(points)
        middle = flat.mean(axis=0)
        free = [place for place in _places(flat) if _is_free(place, taken, letters.height)]
        if not free:
            continue
        taken.append(free[0])
        _leader(letters, free[0], middle)
        letters.badge((float(free[0][0]), float(free[0][1])), str(number))


def _places(flat: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    beside = [flat[np.argmax(flat @ direction)] + _AWAY * direction for direction in _DIRECTIONS]
    return [flat.mean(axis=0), *beside] if np.ptp(flat, axis=0).min() >= _ROOM else beside


def _leader(letters: Lettering, start: NDArray[np.float64], stop: NDArray[np.float64]) -> None:
    if np.linalg.norm(stop - start) < 1:
        return
    line = [letters.px(float(value)) for value in (*start, *stop)]
    x, y = (float(value) for value in stop)
    for colour, width, radius in ((BACKGROUND, 8, 9), (INK, 3, 6)):
        letters.draw.line(line, fill=colour, width=max(1, letters.px(width)))
        dot = [letters.px(value) for value in (x - radius, y - radius, x + radius, y + radius)]
        letters.draw.ellipse(dot, fill=colour)


def _is_free(place: NDArray[np.float64], taken: Sequence[NDArray[np.float64]], height: float) -> bool:
    inside = 24 < place[0] < 1576 and HEADER + 24 < place[1] < height - FOOTER - 24
    return inside and all(np.linalg.norm(place - other) > _APART for other in taken)
