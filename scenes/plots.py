"""Curves as a still, histograms as small inline SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .annotate import FOOTER, HEADER, Lettering, blank
from .render_style import colour_map_of
from .sheet import Sheet, save_png

_LINE = "#0072B2"
_MOST_PANELS = 4


def render_curves(curves: Sequence[Mapping[str, Any]], path: Path, *, sheet: Sheet | None = None) -> str:
    """Up to four curves side by side.

    Args:
        curves: each with name, x_name, x_unit, y_name, y_unit, x and y, as in result.json.

    Returns:
        The caption.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = sheet or Sheet()
    shown = list(curves)[:_MOST_PANELS]
    letters = Lettering(blank(sheet.size))
    title = shown[0]["name"] if len(shown) == 1 else "Curves"
    letters.caption(title, sheet.scene)
    box = (40, HEADER + 20, 1560, letters.height - FOOTER - 20)
    pixels = letters.px(box[2] - box[0]), letters.px(box[3] - box[1])
    dpi = 150 * letters.unit
    figure = Figure(figsize=(pixels[0] / dpi, pixels[1] / dpi), dpi=dpi, facecolor="none", layout="constrained")
    FigureCanvasAgg(figure)
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    for number, curve in enumerate(shown):
        axes = figure.add_subplot(rows, columns, number + 1)
        _plot(axes, curve, single=len(shown) == 1)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=dpi, transparent=True)
    memory.seek(0)
    plot = Image.open(memory).convert("RGBA").resize(pixels)
    letters.image.paste(plot, (letters.px(box[0]), letters.px(box[1])), plot)
    save_png(letters.image, path)
    return "; ".join(f"{curve['name']}: {curve['y_name']} over {curve['x_name']}" for curve in shown) + "."


def _plot(axes: Any, curve: Mapping[str, Any], *, single: bool) -> None:
    x, y = np.asarray(curve["x"], dtype=float), np.asarray(curve["y"], dtype=float)
    axes.set_facecolor("white")
    axes.plot(x, y, color=_LINE, linewidth=2.4, marker="o", markersize=5.5, markeredgecolor="white")
    axes.set_xlabel(_with_unit(curve["x_name"], curve.get("x_unit", "")))
    axes.set_ylabel(_with_unit(curve["y_name"], curve.get("y_unit", "")))
    if not single:
        axes.set_title(curve["name"], fontsize=11, fontweight="bold", loc="left")
    axes.grid(True, color="#d9dfe5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if y.size and y.min() >= 0:
        axes.set_ylim(bottom=0)
    axes.margins(x=0.02)


def _with_unit(name: str, unit: str) -> str:
    text = name[:1].upper() + name[1:]
    return f"{text} [{unit}]" if unit else text


def histogram_svg(counts: Sequence[float], edges: Sequence[float], title: str, *, width: int = 420) -> str:
    """A histogram as inline SVG, with the whole told in words for those who do not see it.

    Args:
        counts: (n,) items per bin.
        edges: (n + 1,) bin edges.
        title: what is counted, with its unit.
    """
    from matplotlib.colors import to_hex

    values, borders = np.asarray(counts, dtype=float), np.asarray(edges, dtype=float)
    if values.size == 0 or borders.size != values.size + 1:
        raise ValueError(f"{values.size} counts need {values.size + 1} edges, not {borders.size}")
    height, left, bottom, top = 190, 8, 44, 12
    plot_width, plot_height = width - 2 * left, height - bottom - top
    span = borders[-1] - borders[0]
    highest = values.max() or 1.0
    colours = colour_map_of("viridis")
    bars = []
    for number, value in enumerate(values):
        x = left + plot_width * (borders[number] - borders[0]) / span
        wide = plot_width * (borders[number + 1] - borders[number]) / span
        tall = plot_height * value / highest
        colour = to_hex(colours((number + 0.5) / len(values)))
        bars.append(
            f'<rect x="{x:.1f}" y="{top + plot_height - tall:.1f}" width="{max(wide - 1, 0.5):.1f}" '
            f'height="{tall:.1f}" fill="{colour}"><title>{borders[number]:g} to {borders[number + 1]:g}: {value:g}'
            "</title></rect>"
        )
    ticks = []
    for value in np.linspace(borders[0], borders[-1], 5):
        x = left + plot_width * (value - borders[0]) / span
        anchor = "start" if value == borders[0] else "end" if value == borders[-1] else "middle"
        ticks.append(f'<text x="{x:.1f}" y="{height - 26}" text-anchor="{anchor}">{value:.4g}</text>')
    peak = int(np.argmax(values))
    words = (
        f"{title}: {values.sum():g} in all, most of them ({highest:g}) from {borders[peak]:g} to {borders[peak + 1]:g}"
    )
    base = top + plot_height
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(words, quote=True)}">'
        f'<line x1="{left}" y1="{base}" x2="{width - left}" y2="{base}" stroke="#5c6874"/>{"".join(bars)}'
        f'<g font-size="12" fill="#3a4652">{"".join(ticks)}'
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">{escape(title)}</text></g></svg>'
    )
