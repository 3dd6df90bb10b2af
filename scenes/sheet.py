"""`Sheet`: what every picture of one result shares: its size, the scene's name, and where lettering stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .annotate import FOOTER, HEADER, Lettering, blank
from .canvas import Canvas
from .render_style import STILL_SIZE, Colour, ColourScale, View

_CUBE = 108
"""Distance of the orientation cube's centre from the right edge and from the footer."""
_MARGINS = (36, HEADER + 30, 36, FOOTER + 30)
"""Left, top, right, bottom in pixels of a 1600 px wide picture."""
_LEGEND_AT = (36, HEADER + 30)
_BAR_AT = (1330, HEADER + 180)
_BAR_HEIGHT = 560


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

    def canvas(self, view: View, legend: Sequence[str] = (), *, bar: bool = False) -> Canvas:
        """An empty picture that keeps clear of its lettering: a legend's lines, colour bar, scale bar and cube."""
        bottom = 1600 * self.size[1] / self.size[0] - FOOTER
        cube = (1600 - _CUBE - 92, bottom - _CUBE - 92, 1600.0, bottom)
        taken = [cube, (0.0, bottom - 84, 330.0, bottom)]
        if legend:
            taken.append((0.0, HEADER, *legend_corner(legend)))
        if bar:
            taken.append((_BAR_AT[0] - 20, HEADER, 1600.0, _BAR_AT[1] + _BAR_HEIGHT + 20))
        return Canvas(view, self.size, margins=_MARGINS, taken=taken, supersample=self.supersample)

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
        entries: Sequence[tuple[str, Colour]] = (),
        crevices: float = 0.3,
        marks: Callable[[Lettering], None] | None = None,
    ) -> None:
        """Write the lettered picture with its colour bar on the right, and a legend on the left; `marks` as there."""
        letters = self.lettered(canvas, title, view_note, crevices=crevices, marks=marks)
        letters.colour_bar(scale, at=_BAR_AT, height=_BAR_HEIGHT)
        letters.legend(entries, at=_LEGEND_AT)
        save_png(letters.image, path)


def legend_corner(names: Sequence[str]) -> tuple[float, float]:
    """Right and lower end of a legend with these lines, in pixels of a 1600 px wide picture."""
    widest = max(Lettering(blank((1600, 8))).width(name, 23) for name in names)
    return _LEGEND_AT[0] + 50 + widest, _LEGEND_AT[1] + 36.0 * len(names)


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG in few colours where that does not show: reports embed it."""
    image.save(path, optimize=False, compress_level=7)
