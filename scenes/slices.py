"""CT slices with label outlines: axial, coronal and sagittal through one point, in radiological convention.

The patient's right is on the picture's left, anterior is up in the axial slice. Planes are
sampled in the patient's axes, so that an oblique or sheared scan is shown straight and in
its true proportions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from ..imaging.anatomy import SEGMENTS
from ..imaging.volume import ImageVolume, LabelMap
from .annotate import FOOTER, HEADER, Lettering, blank
from .render_style import Colour, colour_of, title_of
from .sheet import Sheet, save_png
from .slice_focus import focus_point, window_of
from .slice_panel import slice_panel
from .slice_planes import AXIAL, CORONAL, PLANES, SAGITTAL, Plane, position_of

_NOT_OUTLINED = ("body",)
_LEGEND_COLUMNS = 4


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
    """Three slices with the outlines of the labels, in the colours of the 3D pictures.

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
    level, width = window or window_of(volume)
    names = [name for name in (labels.names if labels is not None else ()) if name not in _NOT_OUTLINED]
    title = "The scan and what was found in it" if names else "The scan"
    letters = Lettering(blank(sheet.size))
    note = f"from the scan's origin; window level {level:g}, width {width:g} {volume.unit}".rstrip()
    letters.caption(title, sheet.scene, note)
    limits = (level - width / 2, level + width / 2)
    shown = _paste_panels(letters, volume, labels, point, limits, {name: colour_of(name) for name in names})
    save_png(letters.image, path)
    where = " · ".join(f"{plane.title.lower()} at {position_of(plane, point)}" for plane in PLANES)
    outlined = f"; outlines: {', '.join(name.lower() for name, _ in shown)}" if shown else ""
    return (
        f"{title}: {where} from the scan's origin. The patient's right is on the left; "
        "dashed lines show where the other slices lie. "
        f"Window level {level:g}, width {width:g} {volume.unit}".rstrip()
        + outlined
        + "."
    )


def legend_entries(names: Sequence[str]) -> list[tuple[str, Colour]]:
    """Title and colour for a legend; parts that share their colour and their whole are told as the whole."""
    entries: dict[tuple[str, Colour], list[str]] = {}
    for name in names:
        wholes = SEGMENTS[name].part_of if name in SEGMENTS else ()
        # Alone, a part keeps its own name.
        groups = [whole for whole in wholes if whole not in SEGMENTS]
        shared = [w for w in groups if any(_pair(name, other, w) for other in names if other != name)]
        entries.setdefault((shared[0] if shared else name, colour_of(name)), []).append(name)
    return [(title_of(name), colour) for name, colour in entries]


def _pair(name: str, other: str, whole: str) -> bool:
    return other in SEGMENTS and whole in SEGMENTS[other].part_of and colour_of(other) == colour_of(name)


def _paste_panels(letters: Lettering, volume, labels, point, limits, colours) -> list[tuple[str, Colour]]:
    """Axial on the left; coronal above sagittal on the right; the legend of what is seen below. Returns the legend."""
    top, bottom = HEADER + 16, letters.height - FOOTER - 16
    split = 1000
    rows = -(-len(legend_entries(list(colours))) // _LEGEND_COLUMNS)
    legend_height = 38 * rows + (18 if rows else 0)
    middle = (top + bottom - legend_height) / 2
    boxes: dict[Plane, tuple[float, float, float, float]] = {
        AXIAL: (24, top, split - 12, bottom - legend_height),
        CORONAL: (split + 4, top, 1576, middle - 6),
        SAGITTAL: (split + 4, middle + 6, 1576, bottom - legend_height),
    }
    seen: set[str] = set()
    for plane, box in boxes.items():
        size = letters.px(box[2] - box[0]), letters.px(box[3] - box[1])
        panel, found = slice_panel(volume, labels, plane, point, limits, colours, size, letters.unit)
        seen |= found
        letters.image.paste(panel.resize(size, Image.Resampling.LANCZOS), (letters.px(box[0]), letters.px(box[1])))
    entries = legend_entries([name for name in colours if name in seen])
    for number, entry in enumerate(entries):
        column, row = number % _LEGEND_COLUMNS, number // _LEGEND_COLUMNS
        letters.legend([entry], at=(36 + 390 * column, bottom - legend_height + 20 + 38 * row))
    return entries


__all__ = ["legend_entries", "render_slices"]
