"""Stills of the organ where the operation moves it: before and after, and a field on its surface.

Plain data in, one PNG and its caption out; frames are LPS mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas
from .field_shapes import boundary, field_values, magnification_of, moved, nodal, regions
from .render_style import (
    GHOST_COLOUR,
    SUPPORT_COLOUR,
    TOOL_COLOUR,
    VIEWS,
    Colour,
    ColourScale,
    colour_of,
    colour_scale,
    title_of,
)
from .sheet import BAR_MARGINS, LEGEND_MARGINS, Sheet

if TYPE_CHECKING:
    import pyvista as pv


def render_before_after(
    grid: pv.UnstructuredGrid,
    path: Path,
    *,
    view: str = "surgeon",
    node_sets: Mapping[str, NDArray[np.int64]] | None = None,
    inner: Mapping[str, tuple[pv.PolyData, pv.PolyData]] | None = None,
    sheet: Sheet | None = None,
) -> str:
    """The organ before (grey) and after (in its colour), what it carries inside, tool and supports.

    Args:
        grid: undeformed tetrahedra with `displacement` mm.
        node_sets: `grasp…` is drawn as the tool's patch, any other set as a support.
        inner: name → surface before and after; regions of the grid itself are used without it.
    """
    sheet = sheet or Sheet()
    factor = magnification_of(grid)
    after = moved(grid, factor)
    parts = dict(inner or {}) if factor == 1 else {}
    rest_parts, after_parts = regions(grid), regions(after)
    main = max(rest_parts, key=lambda name: rest_parts[name].n_cells)
    for name in rest_parts:
        if name != main and name not in parts:
            parts[name] = (boundary(rest_parts[name]), boundary(after_parts[name]))
    with sheet.canvas(VIEWS[view], LEGEND_MARGINS) as canvas:
        canvas.add_shell(boundary(grid), GHOST_COLOUR, opacity=0.05, rim=0.55)
        canvas.add_shell(boundary(after), colour_of(main), opacity=0.20, rim=0.85)
        for name, (before, now) in parts.items():
            canvas.add_shell(before, GHOST_COLOUR, opacity=0.30, rim=0.7)
            canvas.add_solid(now, colour_of(name))
        entries = [(f"{title_of(main)} after", colour_of(main)), ("Before", GHOST_COLOUR)]
        entries += [(f"{title_of(name)} after", colour_of(name)) for name in parts]
        entries += _add_tool_and_supports(canvas, grid, after, node_sets or {})
        canvas.aim()
        title = f"{title_of(main)}: before and after"
        sheet.save_with_legend(canvas, path, title, entries, _magnified(factor))
    return f"{title_of(main)} before (grey) and after.{_magnified_sentence(factor)}"


def render_field(
    grid: pv.UnstructuredGrid,
    key: str,
    path: Path,
    *,
    view: str = "surgeon",
    node_sets: Mapping[str, NDArray[np.int64]] | None = None,
    scale: ColourScale | None = None,
    sheet: Sheet | None = None,
) -> str:
    """A field on the surface of the moved organ, with the outline of where it was.

    Args:
        key: point or cell data of the grid; cell fields are averaged to the nodes.
        scale: the colour range; from the field's own values without it.
    """
    sheet = sheet or Sheet()
    factor = magnification_of(grid)
    after = moved(grid, factor)
    scale = scale or colour_scale(key, field_values(grid, key))
    with sheet.canvas(VIEWS[view], BAR_MARGINS) as canvas:
        surface = boundary(after)
        values = field_values(after, key)
        at_nodes = values if key in after.point_data else nodal(after, values)
        canvas.add_field(surface, at_nodes[np.asarray(surface.point_data["vtkOriginalPointIds"])], scale)
        canvas.add_shell(boundary(grid), GHOST_COLOUR, opacity=0.0, rim=0.45)
        _add_tool_and_supports(canvas, grid, after, node_sets or {}, arrow=key == "displacement_magnitude")
        canvas.aim()
        sheet.save_with_bar(canvas, path, scale.style.title, scale, _magnified(factor))
    return f"{scale.label()} on the surface.{scale.beyond_sentence()}{_magnified_sentence(factor)}"


def _add_tool_and_supports(
    canvas: Canvas,
    grid: pv.UnstructuredGrid,
    after: pv.UnstructuredGrid,
    node_sets: Mapping[str, NDArray],
    *,
    arrow: bool = True,
) -> list[tuple[str, Colour]]:
    """Dots on the grasped patch and the supports, and the tool's way; returns legend entries."""
    extent = float(np.linalg.norm(np.ptp(np.asarray(grid.points), axis=0)))
    entries: dict[str, Colour] = {}
    # Inner nodes of a set cannot be seen and only cost time.
    outer = np.unique(np.asarray(boundary(grid).point_data["vtkOriginalPointIds"]))
    for name, nodes in node_sets.items():
        tool = name.startswith("grasp")
        colour = TOOL_COLOUR if tool else SUPPORT_COLOUR
        shown = np.intersect1d(nodes, outer)
        if not shown.size:
            continue
        shown = shown[:: max(1, len(shown) // 300)]
        canvas.add_dots(np.asarray(after.points)[shown], colour, radius_mm=extent * (0.005 if tool else 0.003))
        entries["Grasped patch and its way" if tool else "Supports"] = colour
        if tool and arrow:
            start = np.asarray(grid.points, dtype=float)[nodes].mean(axis=0)
            stop = np.asarray(after.points, dtype=float)[nodes].mean(axis=0)
            canvas.add_arrow(start, stop, colour, width_mm=extent * 0.018)
    return list(entries.items())


def _magnified(factor: float) -> str:
    return f"motion magnified × {factor:g}" if factor != 1 else ""


def _magnified_sentence(factor: float) -> str:
    return f" The motion is drawn {factor:g} times larger than it is." if factor != 1 else ""
