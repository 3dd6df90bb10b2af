"""One slice of a scan as a picture: grey values, outlines, letters at the sides, scale bar."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..imaging.volume import ImageVolume, LabelMap
from .render_style import Colour, bar_length
from .slice_planes import Plane, position_of, sample_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRIP = 30
"""Height of the title above a slice, in pixels of a 1600 px wide picture: nothing of the scan lies under it."""
_RIM_MM = 6.0
"""Of air that is shown around the body."""
_LEAST_BODY = 0.05
"""Share of a slice below which what is brightest is not the body."""
_LETTERS = 34.0
"""Strip at each side in which a letter stands, in pixels of a 1600 px wide picture: no anatomy lies under it."""
_DARK = 0.32
"""Outlines of less relative luminance get a light rim: dark blue on grey could not be seen."""


def slice_panel(
    volume: ImageVolume,
    labels: LabelMap | None,
    plane: Plane,
    point: ArrayLike,
    limits: tuple[float, float],
    colours: Mapping[str, Colour],
    size: tuple[int, int],
    unit: float = 1.0,
) -> tuple[Image.Image, set[str]]:
    """One slice as a picture, and the names of the labels that are seen in it.

    Args:
        limits: values shown black and white.
        colours: segment name → sRGB of its outline; others are not outlined.
        size: pixels.
        unit: pixels per pixel of a 1600 px wide picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 100 * unit
    strip = round(STRIP * unit)
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi, facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1 - strip / size[1]))
    lowest = float(volume.voxels.min())
    picture, extent = sample_plane(volume.voxels, volume.grid, plane, point, order=1, outside=lowest)
    axes.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1], extent=extent, interpolation="bilinear")
    seen: set[str] = set()
    if labels is not None:
        sampled, _ = sample_plane(labels.labels, labels.grid, plane, point, order=0, outside=0)
        seen = _outline(axes, labels, sampled, extent, colours)
    body = body_extent(picture, extent, limits[0])
    _frame_slice(axes, plane, point, body, (size[0] / unit, (size[1] - strip) / unit))
    _title(figure, f"{plane.title}  {position_of(plane, np.asarray(point, dtype=float))}", strip / size[1])
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=dpi, facecolor="black")
    memory.seek(0)
    return Image.open(memory).convert("RGB").resize(size), seen


def body_extent(
    picture: NDArray, extent: tuple[float, float, float, float], air: float
) -> tuple[float, float, float, float]:
    """(left, right, bottom, top) mm of the largest connected thing that is brighter than air, with a rim.

    Args:
        picture: (rows, columns) values of a slice.
        extent: (left, right, bottom, top) mm of the picture; its own answer where nothing stands out.
    """
    from scipy.ndimage import binary_opening, label

    # Opened, or the table's thin shells count where the back touches them.
    bright = binary_opening(picture > air, iterations=2)
    parts, count = label(bright)
    if not count:
        return extent
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    if largest.sum() < _LEAST_BODY * largest.size:
        return extent
    rows, columns = np.flatnonzero(largest.any(axis=1)), np.flatnonzero(largest.any(axis=0))
    left, right, bottom, top = extent
    wide, tall = (right - left) / picture.shape[1], (bottom - top) / picture.shape[0]
    return (
        max(left, left + columns[0] * wide - _RIM_MM),
        min(right, left + (columns[-1] + 1) * wide + _RIM_MM),
        min(bottom, top + (rows[-1] + 1) * tall + _RIM_MM),
        max(top, top + rows[0] * tall - _RIM_MM),
    )


def outlines(sampled: NDArray, numbers: Mapping[int, str]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Masks (rows, columns) to outline, in the order to draw them: what surrounds first, what lies inside on top.

    A hole that another label fills is no border of what surrounds it: a lumen keeps its
    outline inside its thrombus, a tumour inside its liver. A hole that nothing fills stays.

    Args:
        sampled: label ids in a plane.
        numbers: label id → name of the segments to outline.
    """
    from scipy.ndimage import binary_fill_holes

    others = np.isin(sampled, list(numbers))
    found = []
    for number in np.unique(sampled):
        if int(number) in numbers:
            mask = sampled == number
            found.append((numbers[int(number)], mask | (np.asarray(binary_fill_holes(mask)) & others)))
    return sorted(found, key=lambda one: -int(one[1].sum()))


def _outline(axes: Axes, labels: LabelMap, sampled: NDArray, extent, colours: Mapping[str, Colour]) -> set[str]:
    from matplotlib.patheffects import Normal, Stroke

    rows, columns = sampled.shape
    x = np.linspace(extent[0], extent[1], 2 * columns + 1)[1::2]
    y = np.linspace(extent[3], extent[2], 2 * rows + 1)[1::2]
    numbers = {number: segment.name for number, segment in labels.segments.items() if segment.name in colours}
    seen = set()
    for name, mask in outlines(sampled, numbers):
        occupied = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        box = tuple(slice(max(0, found[0] - 2), found[-1] + 3) for found in occupied)
        part = mask[box[1], box[0]].astype(float)
        if min(part.shape) < 2:
            continue
        seen.add(name)
        lines = axes.contour(x[box[0]], y[box[1]], part, levels=[0.5], colors=[colours[name]], linewidths=1.8)
        if np.dot(colours[name], (0.2126, 0.7152, 0.0722)) < _DARK:
            lines.set_path_effects([Stroke(linewidth=3.0, foreground="white", alpha=0.75), Normal()])
    return seen


def _title(figure: Figure, text: str, height: float) -> None:
    figure.text(0.012, 1 - height / 2, text, color="white", fontsize=12, fontweight="bold", va="center_baseline")


def _frame_slice(axes: Axes, plane: Plane, point, extent, size: tuple[float, float]) -> None:
    """Proportions, cross lines, letters at the sides and a scale bar; `size` as in a 1600 px wide picture."""
    axes.set_axis_off()
    left, right, bottom, top = extent
    # Fill the panel at one scale in both directions, whatever its shape.
    scale = max((right - left) / (size[0] - 2 * _LETTERS), (bottom - top) / (size[1] - 2 * _LETTERS))
    centre = (left + right) / 2, (bottom + top) / 2
    axes.set_xlim(centre[0] - scale * size[0] / 2, centre[0] + scale * size[0] / 2)
    axes.set_ylim(centre[1] + scale * size[1] / 2, centre[1] - scale * size[1] / 2)
    axes.set_aspect("equal", adjustable="box")
    x, y = float(point @ np.asarray(plane.right, float)), float(point @ np.asarray(plane.down, float))
    dashed = {"color": "white", "linewidth": 0.8, "linestyle": (0, (6, 6)), "alpha": 0.65}
    axes.axvline(x, **dashed)
    axes.axhline(y, **dashed)
    backed = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "boxstyle": "square,pad=0.12"}
    style = {"color": "white", "fontsize": 13, "fontweight": "bold", "transform": axes.transAxes, "bbox": backed}
    places = (
        (0, 0.5, "left", "center"),
        (1, 0.5, "right", "center"),
        (0.5, 1, "center", "top"),
        (0.5, 0, "center", "bottom"),
    )
    for letter, (at_x, at_y, horizontal, vertical) in zip(plane.letters, places, strict=True):
        inset = (at_x + (0.5 - at_x) * 16 / size[0], at_y + (0.5 - at_y) * 12 / size[1])
        axes.text(*inset, letter, ha=horizontal, va=vertical, **style)
    length = bar_length(scale * size[0])
    start = axes.get_xlim()[0] + 12 * scale
    level = axes.get_ylim()[0] - 12 * scale
    axes.plot([start, start + length], [level, level], color="white", linewidth=3, solid_capstyle="butt")
    text = {"color": "white", "fontsize": 11, "va": "bottom", "bbox": backed}
    axes.text(start + 3 * scale, level - 8 * scale, f"{length:g} mm", **text)
