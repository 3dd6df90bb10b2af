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
from .plain_words import listed
from .render_style import colour_map_of
from .report_words import british
from .sheet import Sheet, save_png

_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#B8860B")
_MARKERS = "osD^vP"
"""Lines are told apart by their marks too."""
_MOST_PANELS = 4


def render_curves(curves: Sequence[Mapping[str, Any]], path: Path, *, sheet: Sheet | None = None) -> str:
    """Up to four plots side by side; curves of the same quantities share one, with a legend.

    Args:
        curves: each with name, x_name, x_unit, y_name, y_unit, x and y, as in result.json.

    Returns:
        The caption.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = sheet or Sheet()
    shown = together(curves)[:_MOST_PANELS]
    letters = Lettering(blank(sheet.size))
    title = panel_title(shown[0]) if len(shown) == 1 else "Curves"
    letters.caption(title, sheet.scene)
    box = (40, HEADER + 20, 1560, letters.height - FOOTER - 20)
    pixels = letters.px(box[2] - box[0]), letters.px(box[3] - box[1])
    dpi = 150 * letters.unit
    figure = Figure(figsize=(pixels[0] / dpi, pixels[1] / dpi), dpi=dpi, facecolor="none", layout="constrained")
    FigureCanvasAgg(figure)
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    for number, panel in enumerate(shown):
        axes = figure.add_subplot(rows, columns, number + 1)
        _plot(axes, panel, single=len(shown) == 1)
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=dpi, transparent=True)
    memory.seek(0)
    plot = Image.open(memory).convert("RGBA").resize(pixels)
    letters.image.paste(plot, (letters.px(box[0]), letters.px(box[1])), plot)
    save_png(letters.image, path)
    sentences = [_described(panel) for panel in shown]
    told = "; ".join([sentences[0], *(text[:1].lower() + text[1:] for text in sentences[1:])]) + "."
    return told + _turns_sentence(shown)


def _turns_sentence(panels: Sequence[Panel]) -> str:
    """What a caption says of the bends at which a path turns, with a space in front; else nothing."""
    turns = sorted({(turn, panel[0].get("x_unit", "")) for panel in panels for turn in panel[0].get("turns") or ()})
    if not turns:
        return ""
    places = listed([f"{turn:.3g} {unit}".strip() for turn, unit in turns])
    return f" Dotted at {places}: the path takes a new direction there, which bends the curves."


Panel = list[Mapping[str, Any]]


def together(curves: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Curves that show the same quantity over the same, in one plot."""
    panels: dict[tuple[str, ...], Panel] = {}
    for curve in curves:
        key = tuple(str(curve.get(part, "")) for part in ("x_name", "x_unit", "y_name", "y_unit"))
        panels.setdefault(key, []).append(curve)
    return list(panels.values())


def panel_title(panel: Panel) -> str:
    """The curve's name, or the quantity of several."""
    name = british(panel[0]["name"] if len(panel) == 1 else panel[0]["y_name"])
    return name[:1].upper() + name[1:]


def line_names(panel: Panel) -> list[str]:
    """What tells the lines of one plot apart: their names without the quantity that the axis tells."""
    quantity = f"{panel[0]['y_name']} of "
    names = [british(curve["name"]) for curve in panel]
    if all(name.lower().startswith(quantity.lower()) and len(name) > len(quantity) for name in names):
        names = [name[len(quantity) :] for name in names]
    return [name[:1].upper() + name[1:] for name in names]


def _described(panel: Panel) -> str:
    """A caption's part, which says nothing twice."""
    what = panel_title(panel)
    if len(panel) > 1:
        return f"{what} over {panel[0]['x_name']}: {', '.join(name.lower() for name in line_names(panel))}"
    return what if " over " in what else f"{what} over {panel[0]['x_name']}"


def _plot(axes: Any, panel: Panel, *, single: bool) -> None:
    axes.set_facecolor("white")
    lowest = 0.0
    for number, (curve, name) in enumerate(zip(panel, line_names(panel), strict=True)):
        x, y = np.asarray(curve["x"], dtype=float), np.asarray(curve["y"], dtype=float)
        style = {"color": _LINES[number % len(_LINES)], "marker": _MARKERS[number % len(_MARKERS)], "label": name}
        axes.plot(x, y, linewidth=2.4, markersize=5.5, markeredgecolor="white", **style)
        lowest = min(lowest, float(y.min(initial=0.0)))
    for turn in panel[0].get("turns") or ():
        axes.axvline(turn, color="#5c6874", linewidth=1.4, linestyle=":", zorder=1)
        axes.annotate(
            "path turns", (turn, 1), xycoords=("data", "axes fraction"), xytext=(-4, -3), textcoords="offset points",
            rotation=90, ha="right", va="top", fontsize=9, color="#3a4652",
        )  # fmt: skip
    axes.set_xlabel(_with_unit(panel[0]["x_name"], panel[0].get("x_unit", "")))
    axes.set_ylabel(_with_unit(panel[0]["y_name"], panel[0].get("y_unit", "")))
    if not single:
        axes.set_title(panel_title(panel), fontsize=11, fontweight="bold", loc="left")
    if len(panel) > 1:
        axes.legend(frameon=False)
    axes.grid(True, color="#d9dfe5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if lowest >= 0:
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
