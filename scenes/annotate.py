"""Lettering on pictures: caption, scale bar, orientation cube, colour bar, legend.

Drawn with Pillow on the finished rendering: crisp at every size, in the font that
matplotlib ships, so no system font is needed. Lengths are in pixels of a 1600 px wide
picture and scale with the picture's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..imaging.errors import NOT_A_MEDICAL_DEVICE
from .render_style import BACKGROUND, INK, QUIET_INK, Colour, ColourScale, View, bar_length, colour_map_of

LIMIT_INK = (190, 20, 30)
HEADER, FOOTER = 92, 52
"""Heights of the two bands, in pixels of a 1600 px wide picture."""

_FACES = (("L", (1, 0, 0)), ("R", (-1, 0, 0)), ("P", (0, 1, 0)), ("A", (0, -1, 0)), ("S", (0, 0, 1)), ("I", (0, 0, -1)))


@lru_cache(maxsize=64)
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans of a height in pixels."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


class Lettering:
    """Draws on one picture. `unit` is the size of a pixel of the 1600 px design."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.unit = image.width / 1600
        self.draw = ImageDraw.Draw(image)

    def px(self, length: float) -> int:
        """Design pixels → pixels of this picture."""
        return round(length * self.unit)

    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: float = 22,
        *,
        bold: bool = False,
        fill: tuple[int, int, int] = INK,
        anchor: str = "la",
    ) -> None:
        """Text at design pixels."""
        face = font(max(9, self.px(size)), bold=bold)
        self.draw.text((at[0] * self.unit, at[1] * self.unit), text, font=face, fill=fill, anchor=anchor)

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        """Width of a text in design pixels."""
        return font(max(9, self.px(size)), bold=bold).getlength(text) / self.unit

    @property
    def height(self) -> float:
        """Height of the picture in design pixels."""
        return self.image.height / self.unit

    def caption(self, title: str, scene: str, view: str = "") -> None:
        """The two bands: what is shown and of which scene, and the line that every picture carries."""
        bottom = self.height
        self.draw.rectangle((0, 0, self.image.width, self.px(HEADER)), fill=(255, 255, 255))
        self.draw.rectangle((0, self.px(bottom - FOOTER), *self.image.size), fill=(255, 255, 255))
        for y in (HEADER, bottom - FOOTER):
            self.draw.line(
                (0, self.px(y), self.image.width, self.px(y)), fill=(214, 220, 226), width=max(1, self.px(2))
            )
        self.text((36, 18), self.fitted(title, 34, 1500, bold=True), 34, bold=True)
        self.text((36, 58), self.fitted(scene, 23, 900), 23, fill=QUIET_INK)
        self.text((1564, 58), view, 23, fill=QUIET_INK, anchor="ra")
        self.text((36, bottom - FOOTER / 2), NOT_A_MEDICAL_DEVICE, 22, fill=QUIET_INK, anchor="lm")

    def fitted(self, text: str, size: float, width: float, *, bold: bool = False) -> str:
        """The text, cut with an ellipsis where it is wider than `width`."""
        if self.width(text, size, bold=bold) <= width:
            return text
        while text and self.width(text + "…", size, bold=bold) > width:
            text = text[:-1]
        return text.rstrip() + "…"

    def scale_bar(self, mm_per_pixel: float, *, at: tuple[float, float] | None = None) -> None:
        """A bar of a round length in mm; exact everywhere, as the projection is parallel."""
        x, y = at or (40, self.height - FOOTER - 34)
        length = bar_length(mm_per_pixel * self.unit * 1000)
        pixels = length / mm_per_pixel / self.unit
        box = [self.px(value) for value in (x, y - 4, x + pixels, y + 4)]
        self.draw.rectangle(box, fill=INK)
        for end in (x, x + pixels):
            self.draw.rectangle([self.px(value) for value in (end - 2, y - 11, end + 2, y + 11)], fill=INK)
        self.text((x + pixels / 2, y - 16), f"{length:g} mm", 23, anchor="md")

    def orientation_cube(self, view: View, *, centre: tuple[float, float], size: float = 42) -> None:
        """A cube whose faces carry R L A P S I, turned as the patient is."""
        right, up, back = view.axes()
        for letter, normal in _FACES:
            outward = np.array(normal, dtype=float)
            facing = float(outward @ back)
            if facing < 0.02:
                continue
            first, second = _face_axes(outward)
            # Letters stand upright: the in-face axis closest to the picture's right runs along the text.
            along, upward = max(
                (
                    (a, b)
                    for a in (first, -first, second, -second)
                    for b in (first, -first, second, -second)
                    if abs(a @ b) < 0.5 and float(np.cross(a, b) @ outward) > 0
                ),
                key=lambda pair: float(pair[0] @ right) + float(pair[1] @ up),
            )
            self._cube_face(letter, outward, along, upward, (right, up), centre, size, facing)
        # Where a direction lies (nearly) in the picture its letter stands beside the cube.
        for letter, normal in _FACES:
            outward = np.array(normal, dtype=float)
            if abs(float(outward @ back)) < 0.35:
                x = centre[0] + 1.75 * size * float(outward @ right)
                y = centre[1] - 1.75 * size * float(outward @ up)
                self.text((x, y), letter, 24, bold=True, fill=QUIET_INK, anchor="mm")

    def _cube_face(self, letter, outward, along, upward, axes, centre, size, facing) -> None:
        right, up = axes

        def pixel(vector):
            return np.array([centre[0] + size * float(vector @ right), centre[1] - size * float(vector @ up)])

        corners = [
            outward - along + upward,
            outward + along + upward,
            outward + along - upward,
            outward - along - upward,
        ]
        polygon = [tuple(self.px(value) for value in pixel(corner)) for corner in corners]
        shade = int(205 + 45 * facing)
        self.draw.polygon(polygon, fill=(shade, shade, shade), outline=INK, width=max(1, self.px(2)))
        _paste_letter(self.image, letter, [pixel(corner) * self.unit for corner in corners])

    def colour_bar(self, scale: ColourScale, *, at: tuple[float, float], height: float = 560) -> None:
        """A vertical bar with ticks, unit and title; an arrow head where values go beyond its end."""
        x, y = at
        width = 34
        colours = _colour_map(scale.style.colour_map, self.px(height))[::-1]
        strip = Image.fromarray(np.repeat(colours[:, None, :], self.px(width), axis=1))
        self.image.paste(strip, (self.px(x), self.px(y)))
        frame = [self.px(value) for value in (x, y, x + width, y + height)]
        self.draw.rectangle(frame, outline=INK, width=max(1, self.px(2)))
        if scale.beyond:
            tip = [(x, y), (x + width, y), (x + width / 2, y - 26)]
            self.draw.polygon([(self.px(a), self.px(b)) for a, b in tip], fill=tuple(map(int, colours[0])), outline=INK)
        for value in round_ticks(scale.low, scale.high):
            level = y + height * (1 - (value - scale.low) / (scale.high - scale.low))
            self.draw.line(
                [self.px(v) for v in (x + width, level, x + width + 9, level)], fill=INK, width=max(1, self.px(2))
            )
            self.text((x + width + 16, level), f"{value:g}".replace("-", "−"), 23, anchor="lm")
        if scale.limit is not None:
            level = y + height * (1 - (scale.limit - scale.low) / (scale.high - scale.low))
            line = [self.px(v) for v in (x - 12, level, x + width + 9, level)]
            self.draw.line(line, fill=LIMIT_INK, width=max(2, self.px(4)))
            self.text((x + width + 52, level), "limit", 23, bold=True, fill=LIMIT_INK, anchor="lm")
        self._bar_title(scale, x, y - (66 if scale.beyond else 40))

    def _bar_title(self, scale: ColourScale, x: float, bottom: float) -> None:
        style = scale.style
        lines = wrapped(style.short or style.title, 17) + ([f"[{style.unit}]"] if style.unit else [])
        # By baselines: by their boxes, lines with and without descenders stand unevenly.
        for number, line in enumerate(reversed(lines)):
            self.text((x - 8, bottom - 5 - 28 * number), line, 22, bold=True, anchor="ls")

    def legend(self, entries: Sequence[tuple[str, Colour]], *, at: tuple[float, float]) -> None:
        """Names beside their colours, downwards from `at`, on the background's colour."""
        x, y = at
        if entries:
            right = x + 50 + max(self.width(name, 23) for name, _ in entries)
            box = [self.px(value) for value in (x - 10, y - 10, right, y + 36 * len(entries) - 4)]
            self.draw.rounded_rectangle(box, radius=self.px(6), fill=BACKGROUND)
        for name, colour in entries:
            fill = tuple(round(255 * value) for value in colour)
            box = [self.px(value) for value in (x, y, x + 26, y + 20)]
            self.draw.rounded_rectangle(box, radius=self.px(4), fill=fill, outline=INK, width=1)
            self.text((x + 38, y + 10), name, 23, anchor="lm")
            y += 36

    def badge(self, at: tuple[float, float], text: str) -> None:
        """A number in a disc around a place in design pixels."""
        box = [self.px(value) for value in (at[0] - 19, at[1] - 19, at[0] + 19, at[1] + 19)]
        self.draw.ellipse(box, fill=(255, 255, 255), outline=INK, width=max(1, self.px(3)))
        self.text(at, text, 25, bold=True, anchor="mm")

    def outline(self, triangles: np.ndarray, colour: Colour, *, width: float = 3.0) -> None:
        """The outer border of what triangles (T, 3, 2) in design pixels cover together."""
        from scipy.ndimage import binary_dilation, binary_erosion

        twice = 2 * self.unit
        cover = Image.new("1", (2 * self.image.width, 2 * self.image.height))
        draw = ImageDraw.Draw(cover)
        for triangle in np.asarray(triangles, dtype=float) * twice:
            draw.polygon([tuple(corner) for corner in triangle], fill=1)
        covered = binary_dilation(np.asarray(cover))
        rim = covered & ~binary_erosion(covered, iterations=max(1, round(width * twice)))
        mask = Image.fromarray((255 * rim).astype(np.uint8)).resize(self.image.size, Image.Resampling.BOX)
        self.image.paste(tuple(round(255 * value) for value in colour), (0, 0), mask)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, broken between words."""
    import textwrap

    return textwrap.wrap(text, width, break_long_words=False) or [""]


def blank(size: tuple[int, int]) -> Image.Image:
    """An empty sheet in the background colour."""
    return Image.new("RGB", size, BACKGROUND)


def round_ticks(low: float, high: float) -> list[float]:
    """Where a colour bar is numbered: round values, and its upper end."""
    from matplotlib.ticker import MaxNLocator

    within = [float(value) for value in MaxNLocator(5, steps=[1, 2, 2.5, 3, 4, 5, 10]).tick_values(low, high)]
    ticks = [value for value in within if low - 1e-9 * (high - low) <= value <= high + 1e-9 * (high - low)]
    # Where the bar ends is told too, as long as the numbers do not touch.
    return ticks if high - ticks[-1] < 0.06 * (high - low) else [*ticks, high]


def _colour_map(name: str, count: int) -> np.ndarray:
    colours = colour_map_of(name)(np.linspace(0, 1, max(count, 2)))[:, :3]
    return np.round(255 * colours).astype(np.uint8)


def _face_axes(outward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axes = [axis for axis in np.eye(3) if abs(axis @ outward) < 0.5]
    return axes[0], axes[1]


def _paste_letter(image: Image.Image, letter: str, corners: Sequence[np.ndarray]) -> None:
    """Lay a letter onto the parallelogram with these corners (top left, top right, bottom right, bottom left)."""
    tile = Image.new("L", (96, 96), 0)
    ImageDraw.Draw(tile).text((48, 48), letter, font=font(68, bold=True), fill=255, anchor="mm")
    along, down = corners[1] - corners[0], corners[3] - corners[0]
    matrix = np.column_stack([along, down]) / 96
    if abs(np.linalg.det(matrix)) < 1e-3:
        return
    inverse = np.linalg.inv(matrix)
    low = np.floor(np.min(corners, axis=0)).astype(int)
    high = np.ceil(np.max(corners, axis=0)).astype(int)
    offset = inverse @ (low - corners[0])
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    coefficients = (inverse[0, 0], inverse[0, 1], offset[0], inverse[1, 0], inverse[1, 1], offset[1])
    mask = tile.transform(size, Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BICUBIC)
    image.paste(INK, (int(low[0]), int(low[1])), mask)
