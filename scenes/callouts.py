"""Rings around marked places of a picture, each with a line to its words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .annotate import FOOTER, HEADER, Lettering
from .render_style import BACKGROUND, INK, QUIET_INK

_RING = 15.0
_AWAY = 150.0
_LEFT, _RIGHT = 40.0, 1300.0
_ROW = 52.0
"""Between the words of two marks, in pixels of a 1600 px wide picture."""


def draw_callouts(letters: Lettering, places: Sequence[NDArray[np.float64]], words: Sequence[str], seen: Sequence[bool],
                  middle: float) -> None:  # fmt: skip
    """Ring places and write their words beside them, away from the middle of what is shown.

    Args:
        places: (2,) in pixels of a 1600 px wide picture.
        seen: False draws a quiet ring and says that the place lies on the far side.
        middle: x of what is shown.
    """
    taken: list[float] = []
    for number in sorted(range(len(places)), key=lambda one: float(places[one][1])):
        x, y = (float(value) for value in places[number])
        level = float(np.clip(y - 40, HEADER + 60, letters.height - FOOTER - 60))
        while any(abs(level - other) < _ROW for other in taken):
            level += 4
        taken.append(level)
        text = words[number] if seen[number] else f"{words[number]} (far side)"
        side = 1 if x >= middle else -1
        width = letters.width(text, 23, bold=True)
        if not _LEFT <= _start(x, side, width) <= _RIGHT - width:
            side = -side
        start = float(np.clip(_start(x, side, width), _LEFT, _RIGHT - width))
        _callout(letters, (x, y), (start, level), text, width, quiet=not seen[number])


def _start(x: float, side: int, width: float) -> float:
    """Where words begin that stand beside a place, on its right (1) or left (−1)."""
    return x + side * _AWAY - (width if side < 0 else 0)


def _callout(letters: Lettering, at: tuple[float, float], start: tuple[float, float], text: str, width: float, *,
             quiet: bool) -> None:  # fmt: skip
    x, y = at
    near = (float(np.clip(x, start[0] - 10, start[0] + width + 10)), start[1])
    way = np.array(near) - (x, y)
    rim = np.array(at) + _RING * way / max(float(np.linalg.norm(way)), 1e-6)
    ink = QUIET_INK if quiet else INK
    line = [letters.px(value) for value in (*rim, *near)]
    ring = [letters.px(value) for value in (x - _RING, y - _RING, x + _RING, y + _RING)]
    # A light edge first: the colours below run from dark to bright.
    for colour, thick in ((BACKGROUND, 9), (ink, 4)):
        letters.draw.line(line, fill=colour, width=max(1, letters.px(thick)))
        if quiet:
            for turn in range(0, 360, 45):
                letters.draw.arc(ring, turn, turn + 25, fill=colour, width=max(1, letters.px(thick)))
        else:
            letters.draw.ellipse(ring, outline=colour, width=max(1, letters.px(thick)))
    box = [letters.px(v) for v in (start[0] - 10, start[1] - 19, start[0] + width + 10, start[1] + 19)]
    letters.draw.rounded_rectangle(box, radius=letters.px(6), fill=(255, 255, 255), outline=ink, width=1)
    letters.text((start[0], start[1]), text, 23, bold=True, fill=ink, anchor="lm")
