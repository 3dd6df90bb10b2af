"""Words beside the marked places of a picture, each with a line to its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotate import Lettering, blank
from .callout_places import Silhouette, line_end, place_words
from .panels import Frame
from .render_style import BACKGROUND, INK, QUIET_INK, Colour

_RING, _DOT = 15.0, 8.0
_SIZE, _SMALL = 23.0, 19.0
"""Heights of the words and of the line under them."""
_PAD, _LINE, _SWATCH = 10.0, 38.0, 32.0
_SMALLER = (1.0, 1.06, 1.12, 1.2, 1.3, 1.4, 1.5)
"""By how much the body may shrink to make room for words beside it, tried in this order."""


@dataclass(frozen=True)
class Callout:
    """Words for a place.

    Attributes:
        words: one line.
        seen: False draws it quietly and says that the place lies on the far side.
        colour: of a patch: its swatch stands before the words and the place gets a dot; a ring without it.
    """

    words: str
    seen: bool = True
    colour: Colour | None = None

    @property
    def below(self) -> str:
        """The small second line, if any."""
        return "" if self.seen else "on the far side"

    def size(self) -> tuple[float, float]:
        """Width and height of its box in pixels of a 1600 px wide picture."""
        widths = (_width(self.words, _SIZE, True), _width(self.below, _SMALL, False))
        swatch = 0.0 if self.colour is None else _SWATCH
        return max(widths) + swatch + 2 * _PAD, _LINE + (0 if self.seen else 24)


def aim_beside(
    frame: Frame, framed: ArrayLike, faces: Sequence[NDArray[np.float64]], places: ArrayLike,
    callouts: Sequence[Callout],
) -> NDArray[np.float64]:  # fmt: skip
    """Aim the canvas so that the callouts have room beside the body, and place them.

    Args:
        framed: (n, 3) LPS mm that the picture shows whole.
        faces: (T, 3, 3) corners of the triangles that are drawn.
        places: (m, 3) LPS mm of the callouts.

    Returns:
        (m, 4) boxes in pixels of the page, for `draw_callouts`.
    """
    sizes = np.array([one.size() for one in callouts]).reshape(-1, 2)
    corners = np.concatenate([np.asarray(one, dtype=float).reshape(-1, 3) for one in faces])
    boxes = np.zeros((0, 4))
    for smaller in _SMALLER:
        frame.canvas.aim(framed, smaller=smaller)
        body = Silhouette(frame.pixels(corners).reshape(-1, 3, 2), frame.box[3])
        marks = frame.pixels(np.reshape(places, (-1, 3)))
        boxes, beside = place_words(marks, sizes, body, frame.free, frame.taken())
        if beside:
            return boxes
    return boxes


def draw_callouts(
    letters: Lettering, places: ArrayLike, boxes: NDArray[np.float64], callouts: Sequence[Callout]
) -> None:
    """Mark places (m, 2) and write their words into boxes (m, 4), in pixels of a 1600 px wide picture."""
    marks = np.reshape(places, (-1, 2)).astype(float)
    for mark, box, callout in zip(marks, boxes, callouts, strict=True):
        _line(letters, mark, line_end(mark, box), callout)
    for box, callout in zip(boxes, callouts, strict=True):
        _words(letters, box, callout)


def _line(letters: Lettering, mark: NDArray[np.float64], end: NDArray[np.float64], callout: Callout) -> None:
    radius = _RING if callout.colour is None else _DOT
    way = end - mark
    rim = mark + radius * way / max(float(np.linalg.norm(way)), 1e-6)
    ink = INK if callout.seen else QUIET_INK
    line = [letters.px(float(value)) for value in (*rim, *end)]
    x, y = (float(value) for value in mark)
    ring = [letters.px(value) for value in (x - radius, y - radius, x + radius, y + radius)]
    # A light edge first: the colours below run from dark to bright.
    for colour, thick in ((BACKGROUND, 9), (ink, 4)):
        width = max(1, letters.px(thick))
        letters.draw.line(line, fill=colour, width=width)
        if not callout.seen:
            for turn in range(0, 360, 45):
                letters.draw.arc(ring, turn, turn + 25, fill=colour, width=width)
        elif callout.colour is None:
            letters.draw.ellipse(ring, outline=colour, width=width)
        else:
            grown = letters.px(thick - 4) // 2
            letters.draw.ellipse([ring[0] - grown, ring[1] - grown, ring[2] + grown, ring[3] + grown], fill=colour)


def _words(letters: Lettering, box: NDArray[np.float64], callout: Callout) -> None:
    ink = INK if callout.seen else QUIET_INK
    left, top, right, bottom = (float(value) for value in box)
    edges = [letters.px(value) for value in (left, top, right, bottom)]
    letters.draw.rounded_rectangle(edges, radius=letters.px(6), fill=(255, 255, 255), outline=ink, width=1)
    start, middle = left + _PAD, top + _LINE / 2
    if callout.colour is not None:
        fill = tuple(round(255 * value) for value in callout.colour)
        swatch = [letters.px(value) for value in (start, middle - 10, start + 22, middle + 10)]
        letters.draw.rounded_rectangle(swatch, radius=letters.px(4), fill=fill, outline=INK, width=1)
        start += _SWATCH
    letters.text((start, middle), callout.words, _SIZE, bold=True, fill=ink, anchor="lm")
    if callout.below:
        letters.text((start, middle + 27), callout.below, _SMALL, fill=ink, anchor="lm")


@lru_cache(maxsize=256)
def _width(text: str, size: float, bold: bool) -> float:
    return Lettering(blank((1600, 8))).width(text, size, bold=bold)
