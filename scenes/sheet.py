"""`Sheet`: what every picture of one result shares: its size, the scene's name, and where lettering stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .annotate import FOOTER, HEADER, Lettering
from .canvas import Canvas
from .render_style import STILL_SIZE, Colour, ColourScale, View

_CUBE = 108
"""Distance of the orientation cube's centre from the right edge and from the footer."""
LEGEND_MARGINS = (330, HEADER + 36, 60, FOOTER + 100)
"""Left, top, right, bottom in pixels of a 1600 px wide picture, with a legend on the left."""
BAR_MARGINS = (60, HEADER + 36, 300, FOOTER + 100)
"""The same with a colour bar on the right."""
CUT_MARGINS = (330, HEADER + 36, 330, FOOTER + 100)
"""With room for either, so that two pictures of one cut are framed alike."""
_LEGEND_AT = (36, HEADER + 30)
_BAR_AT = (1330, HEADER + 180)


@dataclass(frozen=True)
class Sheet:
    """What every picture of one result shares.

    Attributes:
        scene: the line under the title, usually the scene's title.
        size: pixels.
        supersample: how much larger than shown it is rendered.
    """

    scene: str = ""
    size: tuple[int, int] = STILL_SIZE
    supersample: int = 2

    def canvas(self, view: View, margins: tuple[float, float, float, float]) -> Canvas:
        """An empty picture."""
        return Canvas(view, self.size, margins=margins, supersample=self.supersample)

    def lettered(
        self,
        canvas: Canvas,
        title: str,
        view_note: str = "",
        *,
        crevices: float = 0.55,
        marks: Callable[[Lettering], None] | None = None,
    ) -> Lettering:
        """The rendered picture with caption, scale bar and orientation cube on it."""
        letters = Lettering(canvas.image(crevices=crevices))
        if marks is not None:
            marks(letters)
        note = f"{canvas.view.title}{', ' + view_note if view_note else ''}"
        letters.caption(title, self.scene, note)
        letters.scale_bar(canvas.mm_per_pixel)
        letters.orientation_cube(canvas.view, centre=(1600 - _CUBE, letters.height - FOOTER - _CUBE))
        return letters

    def save_with_legend(
        self,
        canvas: Canvas,
        path: Path,
        title: str,
        entries: Sequence[tuple[str, Colour]],
        view_note: str = "",
        *,
        crevices: float = 0.55,
        marks: Callable[[Lettering], None] | None = None,
    ) -> None:
        """Write the lettered picture with what its colours stand for on the left.

        Args:
            marks: draws on the picture before the lettering around it.
        """
        letters = self.lettered(canvas, title, view_note, crevices=crevices, marks=marks)
        letters.legend(entries, at=_LEGEND_AT)
        save_png(letters.image, path)

    def save_with_bar(
        self,
        canvas: Canvas,
        path: Path,
        title: str,
        scale: ColourScale,
        view_note: str = "",
        *,
        crevices: float = 0.3,
        marks: Callable[[Lettering], None] | None = None,
    ) -> None:
        """Write the lettered picture with its colour bar on the right; `marks` as with a legend."""
        letters = self.lettered(canvas, title, view_note, crevices=crevices, marks=marks)
        letters.colour_bar(scale, at=_BAR_AT)
        save_png(letters.image, path)


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG in few colours where that does not show: reports embed it."""
    image.save(path, optimize=False, compress_level=7)
