"""CT slices with label outlines: axial, coronal and sagittal through one point, in radiological convention.

The patient's right is on the picture's left, anterior is up in the axial slice. Planes are
sampled in the patient's axes, so that an oblique or sheared scan is shown straight and in
its true proportions.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..imaging.volume import Grid, ImageVolume, LabelMap
from .annotate import FOOTER, HEADER, Lettering, blank
from .render_style import STILL_SIZE, Colour, title_of
from .sheet import Sheet, save_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SOFT_TISSUE_WINDOW = (40.0, 400.0)
"""Level and width in HU."""
_NOT_OUTLINED = ("body",)
_FOCUS = ("liver_tumor", "aortic_thrombus", "liver", "aorta")


@dataclass(frozen=True)
class Plane:
    """A slice through the patient: what runs to the right and down the picture (LPS), and the letters at its sides."""

    title: str
    right: tuple[float, float, float]
    down: tuple[float, float, float]
    letters: tuple[str, str, str, str]
    """Left, right, top, bottom."""

    @property
    def axis(self) -> int:
        """The LPS axis that the plane is perpendicular to."""
        return int(np.flatnonzero(np.asarray(self.right) + np.asarray(self.down) == 0)[0])


AXIAL = Plane("Axial", (1, 0, 0), (0, 1, 0), ("R", "L", "A", "P"))
CORONAL = Plane("Coronal", (1, 0, 0), (0, 0, -1), ("R", "L", "S", "I"))
SAGITTAL = Plane("Sagittal", (0, 1, 0), (0, 0, -1), ("A", "P", "S", "I"))
PLANES = (AXIAL, CORONAL, SAGITTAL)


def render_slices(
    volume: ImageVolume,
    labels: LabelMap | None,
    path: Path,
    *,
    through: ArrayLike | None = None,
    focus: str | None = None,
    window: tuple[float, float] | None = None,
    sheet: Sheet | None = None,
) -> str:
    """Three slices with the outlines of the labels.

    Args:
        through: (3,) LPS mm where the slices cross; the middle of `focus` without it.
        focus: a segment; without it the first of tumour, thrombus, liver, aorta that is there.
        window: level and width in the volume's unit; soft tissue for HU, else the 1st to 99th percentile.

    Returns:
        The caption.
    """
    sheet = sheet or Sheet()
    if labels is not None:
        volume.grid.require_same(labels.grid)
    point = np.asarray(through, dtype=float) if through is not None else focus_point(volume, labels, focus)
    level, width = window or _window(volume)
    names = [name for name in (labels.names if labels is not None else ()) if name not in _NOT_OUTLINED]
    title = "The scan and what was found in it" if names else "The scan"
    letters = Lettering(blank(sheet.size))
    letters.caption(title, sheet.scene, f"window level {level:g}, width {width:g} {volume.unit}".rstrip())
    _paste_panels(letters, volume, labels, point, (level - width / 2, level + width / 2), names)
    save_png(letters.image, path)
    where = " · ".join(f"{plane.title.lower()} at {_position(plane, point)}" for plane in PLANES)
    outlined = f"; outlines: {', '.join(title_of(name).lower() for name in names)}" if names else ""
    return (
        f"{title}: {where} (LPS). The patient's right is on the left; dashed lines show where the other slices lie. "
        f"Window level {level:g}, width {width:g} {volume.unit}".rstrip()
        + outlined
        + "."
    )


def focus_point(volume: ImageVolume, labels: LabelMap | None, focus: str | None = None) -> NDArray[np.float64]:
    """(3,) LPS mm: the voxel of the focus nearest to the centroid of its largest part, else the middle of the scan."""
    wanted = (focus,) if focus else _FOCUS
    mask = None
    if labels is not None:
        mask = next((found for name in wanted if (found := labels.mask(name)).any()), None)
    if mask is None:
        return volume.grid.points_from_index((np.array(volume.grid.shape) - 1) / 2)
    from scipy.ndimage import label

    parts, count = label(mask)
    if count > 1:
        mask = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    points = volume.grid.points_from_index(np.argwhere(mask))
    return points[np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1))]


def sample_plane(
    values: NDArray, grid: Grid, plane: Plane, point: ArrayLike, *, order: int, outside: float, spacing: float = 0.0
) -> tuple[NDArray, tuple[float, float, float, float]]:
    """Values (rows, columns) in a plane of the patient through a point.

    Args:
        order: 1 to interpolate, 0 for labels.
        outside: the value beyond the scan.
        spacing: mm between samples; the scan's finest without it.

    Returns:
        The picture and its (left, right, bottom, top) in mm along the plane's own axes.
    """
    from scipy.ndimage import map_coordinates

    right, down = np.asarray(plane.right, dtype=float), np.asarray(plane.down, dtype=float)
    corners = grid.points_from_index(
        np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(grid.shape) - 1)
    )
    step = spacing or float(grid.spacing.min())
    ranges = [np.arange((corners @ axis).min(), (corners @ axis).max() + step / 2, step) for axis in (right, down)]
    point = np.asarray(point, dtype=float)
    normal_part = point - (point @ right) * right - (point @ down) * down
    columns, rows = np.meshgrid(*ranges)
    points = normal_part + columns[..., None] * right + rows[..., None] * down
    index = np.moveaxis(grid.index_from_points(points), -1, 0)
    sampled = map_coordinates(values, index, order=order, mode="constant", cval=outside, prefilter=False)
    half = step / 2
    return sampled, (ranges[0][0] - half, ranges[0][-1] + half, ranges[1][-1] + half, ranges[1][0] - half)


def outline_colours(names: Sequence[str]) -> dict[str, Colour]:
    """Colours that stay apart on grey: the qualitative scale of Okabe & Ito first, then light tints."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    okabe_ito = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7", "#4C8BFF", "#FFFFFF"]
    more = [colormaps["Set3"](number)[:3] for number in range(12)]
    colours = [to_rgb(value) for value in okabe_ito] + more
    return {name: colours[number % len(colours)] for number, name in enumerate(names)}


def _window(volume: ImageVolume) -> tuple[float, float]:
    if volume.unit == "HU":
        return SOFT_TISSUE_WINDOW
    low, high = (float(value) for value in np.percentile(volume.voxels[::2, ::2, ::2], (1, 99)))
    return (low + high) / 2, max(high - low, 1e-6)


def _position(plane: Plane, point: NDArray[np.float64]) -> str:
    """Where a slice lies on its LPS axis. No side letter: a scan's origin need not be in the patient's middle."""
    return f"{'xyz'[plane.axis]} = {point[plane.axis]:.1f} mm"


def _paste_panels(letters: Lettering, volume, labels, point, limits, names) -> None:
    """Axial on the left; coronal above sagittal on the right; the legend below the axial slice."""
    top, bottom = HEADER + 16, letters.height - FOOTER - 16
    split = 1000
    legend_rows = -(-len(names) // 4) if names else 0
    legend_height = 38 * legend_rows + (18 if names else 0)
    middle = (top + bottom - legend_height) / 2
    boxes = {
        AXIAL: (24, top, split - 12, bottom - legend_height),
        CORONAL: (split + 4, top, 1576, middle - 6),
        SAGITTAL: (split + 4, middle + 6, 1576, bottom - legend_height),
    }
    colours = outline_colours(names)
    for plane, box in boxes.items():
        width, height = letters.px(box[2] - box[0]), letters.px(box[3] - box[1])
        panel = _panel(volume, labels, plane, point, limits, colours, (width, height))
        letters.image.paste(panel, (letters.px(box[0]), letters.px(box[1])))
    for number, name in enumerate(names):
        column, row = number % 4, number // 4
        letters.legend(
            [(title_of(name), colours[name])], at=(36 + 390 * column, bottom - legend_height + 20 + 38 * row)
        )


def _panel(volume, labels, plane: Plane, point, limits, colours, size: tuple[int, int]) -> Image.Image:
    """One slice as a picture of `size` pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 100
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi, facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    lowest = float(volume.voxels.min())
    picture, extent = sample_plane(volume.voxels, volume.grid, plane, point, order=1, outside=lowest)
    axes.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1], extent=extent, interpolation="bilinear")
    if labels is not None:
        sampled, _ = sample_plane(labels.labels, labels.grid, plane, point, order=0, outside=0)
        _outline(axes, labels, sampled, extent, colours)
    _frame_slice(axes, plane, point, extent, size)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=dpi, facecolor="black")
    memory.seek(0)
    return Image.open(memory).convert("RGB").resize(size)


def _outline(axes: Axes, labels: LabelMap, sampled: NDArray, extent, colours: dict[str, Colour]) -> None:
    rows, columns = sampled.shape
    x = np.linspace(extent[0], extent[1], 2 * columns + 1)[1::2]
    y = np.linspace(extent[3], extent[2], 2 * rows + 1)[1::2]
    for number in np.unique(sampled):
        name = labels.segments[int(number)].name if int(number) in labels.segments else ""
        if name not in colours:
            continue
        mask = sampled == number
        occupied = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        box = tuple(slice(max(0, found[0] - 2), found[-1] + 3) for found in occupied)
        part = mask[box[1], box[0]].astype(float)
        if min(part.shape) > 1:
            axes.contour(x[box[0]], y[box[1]], part, levels=[0.5], colors=[colours[name]], linewidths=1.5)


def _frame_slice(axes: Axes, plane: Plane, point, extent, size: tuple[int, int]) -> None:
    """Proportions, cross lines, letters at the sides, title with position and a scale bar."""
    from .render_style import bar_length

    axes.set_axis_off()
    left, right, bottom, top = extent
    # Fill the panel at one scale in both directions, whatever its shape.
    scale = max((right - left) / size[0], (bottom - top) / size[1])
    centre = (left + right) / 2, (bottom + top) / 2
    axes.set_xlim(centre[0] - scale * size[0] / 2, centre[0] + scale * size[0] / 2)
    axes.set_ylim(centre[1] + scale * size[1] / 2, centre[1] - scale * size[1] / 2)
    axes.set_aspect("equal", adjustable="box")
    x, y = float(point @ np.asarray(plane.right, float)), float(point @ np.asarray(plane.down, float))
    dashed = {"color": "white", "linewidth": 0.8, "linestyle": (0, (6, 6)), "alpha": 0.65}
    axes.axvline(x, **dashed)
    axes.axhline(y, **dashed)
    style = {"color": "white", "fontsize": 15, "fontweight": "bold", "transform": axes.transAxes}
    places = (
        (0.015, 0.5, "left", "center"),
        (0.985, 0.5, "right", "center"),
        (0.5, 0.985, "center", "top"),
        (0.5, 0.015, "center", "bottom"),
    )
    for letter, (at_x, at_y, horizontal, vertical) in zip(plane.letters, places, strict=True):
        axes.text(at_x, at_y, letter, ha=horizontal, va=vertical, **style)
    axes.text(0.015, 0.98, f"{plane.title}  {_position(plane, point)}", va="top", **{**style, "fontsize": 13})
    length = bar_length(scale * size[0])
    start = left if (right - left) / size[0] >= scale * 0.999 else axes.get_xlim()[0]
    start += 0.02 * scale * size[0]
    level = axes.get_ylim()[0] - 0.04 * scale * size[1]
    axes.plot([start, start + length], [level, level], color="white", linewidth=3, solid_capstyle="butt")
    axes.text(start, level - 0.012 * scale * size[1], f"{length:g} mm", color="white", fontsize=12, va="bottom")


__all__ = [
    "AXIAL",
    "CORONAL",
    "PLANES",
    "SAGITTAL",
    "STILL_SIZE",
    "Plane",
    "focus_point",
    "render_slices",
    "sample_plane",
]
