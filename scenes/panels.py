"""`Frame`: the part of a page that one canvas fills, and pages of two views of one body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotate import FOOTER, HEADER, Lettering, blank
from .canvas import Canvas
from .fitting_view import Box
from .render_style import QUIET_INK, View
from .sheet import Sheet, save_png

_TITLE = 46.0
"""Height of a panel's title."""
_CUBE = 30.0
_CUBE_AWAY = 84.0
_EDGE = 20.0


@dataclass(frozen=True)
class Frame:
    """Where a canvas lies on its page; lengths are pixels of a 1600 px wide page.

    Attributes:
        box: left, top, right, bottom of the canvas.
        free: where words may stand.
    """

    canvas: Canvas
    box: Box
    free: Box

    @property
    def scale(self) -> float:
        """Page pixels per pixel of the canvas, both of 1600 px wide pictures."""
        return (self.box[2] - self.box[0]) / 1600

    def pixels(self, points: ArrayLike) -> NDArray[np.float64]:
        """(n, 2) where points (n, 3) LPS mm lie on the page."""
        return self.canvas.pixels(points) * self.scale + np.array(self.box[:2])

    def taken(self) -> list[Box]:
        """What lettering of the canvas fills."""
        left, top = self.box[:2]
        k = self.scale
        return [(left + a * k, top + b * k, left + c * k, top + d * k) for a, b, c, d in self.canvas.taken]


def whole_frame(canvas: Canvas) -> Frame:
    """A canvas that fills its page."""
    height = 1600 * canvas.size[1] / canvas.size[0]
    free = (_EDGE, HEADER + _EDGE, 1600 - _EDGE, height - FOOTER - _EDGE)
    return Frame(canvas, (0.0, 0.0, 1600.0, height), free)


def panel_boxes(sheet: Sheet, extents: Sequence[tuple[float, float]]) -> list[Box]:
    """Boxes of panels for bodies of these widths and heights (mm), beside or above each other: as large as they go."""
    top, bottom = float(HEADER), 1600 * sheet.size[1] / sheet.size[0] - FOOTER
    count = len(extents)
    beside, above = np.linspace(0, 1600, count + 1), np.linspace(top, bottom, count + 1)
    arranged = [
        [(float(beside[i]), top, float(beside[i + 1]), bottom) for i in range(count)],
        [(0.0, float(above[i]), 1600.0, float(above[i + 1])) for i in range(count)],
    ]

    def mm_per_pixel(boxes: list[Box]) -> float:
        room = [(b[2] - b[0] - 2 * _EDGE, b[3] - b[1] - _TITLE - _EDGE) for b in boxes]
        return max(max(w / a, h / b) for (w, h), (a, b) in zip(extents, room, strict=True))

    return min(arranged, key=mm_per_pixel)


def panel_frame(sheet: Sheet, view: View, box: Box) -> Frame:
    """An empty panel of a page; close its canvas."""
    unit = sheet.size[0] / 1600
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    to_canvas = 1600 / width
    cube = (width - 1.9 * _CUBE_AWAY, height - 1.9 * _CUBE_AWAY, width, height)
    taken = [(0.0, height - 84, 270.0, height), (0.0, 0.0, width, _TITLE), cube]
    canvas = Canvas(
        view,
        (round(width * unit), round(height * unit)),
        margins=tuple(to_canvas * value for value in (_EDGE, _TITLE, _EDGE, _EDGE)),  # pyright: ignore[reportArgumentType]
        taken=[tuple(to_canvas * value for value in one) for one in taken],  # pyright: ignore[reportArgumentType]
        supersample=sheet.supersample,
    )
    return Frame(canvas, box, (left + _EDGE, top + _TITLE, right - _EDGE, bottom - _EDGE))


def save_panels(
    sheet: Sheet,
    frames: Sequence[Frame],
    path: Path,
    title: str,
    note: str,
    *,
    crevices: float = 0.3,
    marks: Callable[[Lettering], None] | None = None,
) -> None:
    """Write a page of rendered panels, each with its view's title, scale bar and orientation cube."""
    letters = Lettering(blank(sheet.size))
    for frame in frames:
        image = frame.canvas.image(crevices=crevices)
        letters.image.paste(image, (letters.px(frame.box[0]), letters.px(frame.box[1])))
    for frame in frames[1:]:
        left, top, right, bottom = frame.box
        border = (left, top, left, bottom) if left > 0 else (left, top, right, top)
        letters.draw.line([letters.px(v) for v in border], fill=(200, 207, 214), width=max(1, letters.px(2)))
    if marks is not None:
        marks(letters)
    for frame in frames:
        left, top, right, bottom = frame.box
        view = frame.canvas.view
        letters.text((left + _EDGE + 16, top + 28), view.title, 23, bold=True, fill=QUIET_INK, anchor="lm")
        letters.scale_bar(frame.canvas.mm_per_pixel, at=(left + 40, bottom - 34))
        letters.orientation_cube(view, centre=(right - _CUBE_AWAY, bottom - _CUBE_AWAY), size=_CUBE)
    letters.caption(title, sheet.scene, note)
    save_png(letters.image, path)
