"""Stills of the organ where the operation moves it: before and after, and a field on its surface.

Plain data in, one PNG and its caption out; frames are LPS mm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .annotate import Lettering
from .callouts import Callout, aim_beside, draw_callouts
from .canvas import Canvas
from .field_shapes import (
    boundary,
    field_scale,
    field_values,
    magnification_of,
    moved,
    nodal,
    regions,
    tumour_pieces,
)
from .held_patches import TOOL_SET, add_patches, patch_entries, without_patches
from .marks import Mark, is_seen, seen_from
from .panels import whole_frame
from .plain_words import listed
from .render_style import (
    GHOST_COLOUR,
    OUTLINE_COLOUR,
    TOOL_COLOUR,
    VIEWS,
    ColourScale,
    colour_of,
    title_of,
)
from .sheet import Sheet
from .shown_surfaces import without_crumbs
from .tumour_numbers import draw_numbers

if TYPE_CHECKING:
    import pyvista as pv

_OTHER_VIEWS = (
    "oblique_left",
    "posterior_oblique_left",
    "posterior_oblique_right",
    "anterior",
    "posterior",
    "left",
    "right",
)
"""From where marked places are looked at if the usual view does not show them."""


def render_before_after(
    grid: pv.UnstructuredGrid,
    path: Path,
    *,
    view: str = "surgeon",
    node_sets: Mapping[str, NDArray[np.int64]] | None = None,
    inner: Mapping[str, tuple[pv.PolyData, pv.PolyData]] | None = None,
    sheet: Sheet | None = None,
) -> str:
    """The organ before (its outline) and after (in its colour), what it carries inside, and the tool.

    Args:
        grid: undeformed tetrahedra with `displacement` mm.
        node_sets: `grasp…` is drawn as the tool's patch; the still of what holds it shows the others.
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
    rest, surface = boundary(grid), boundary(after)
    tools = {name: nodes for name, nodes in (node_sets or {}).items() if name.startswith(TOOL_SET)}
    entries = [(f"{title_of(main)} after", colour_of(main)), ("Before: outline", OUTLINE_COLOUR)]
    entries += [("Before, inside", GHOST_COLOUR)] if parts else []
    entries += [(f"{title_of(name)} after", colour_of(name)) for name in parts]
    entries += patch_entries(surface, tools, way=True)
    with sheet.canvas(VIEWS[view], [name for name, _ in entries]) as canvas:
        canvas.add_shell(rest, GHOST_COLOUR, opacity=0.08, rim=0.5)
        add_patches(canvas, surface, tools)
        canvas.add_shell(without_patches(surface, tools), colour_of(main), opacity=0.20, rim=0.85)
        for name, (before, now) in parts.items():
            canvas.add_shell(_shown(before, name), GHOST_COLOUR, opacity=0.30, rim=0.7)
            canvas.add_solid(_shown(now, name), colour_of(name))
        _add_way(canvas, grid, after, node_sets or {})
        canvas.aim()
        tumours = [np.asarray(piece.points) for piece in tumour_pieces(after)]

        def marks(letters: Lettering) -> None:
            corners = canvas.pixels(rest.points)[rest.regular_faces]
            letters.outline(corners, OUTLINE_COLOUR)
            draw_numbers(letters, canvas, tumours)

        title = f"{title_of(main)}: before and after"
        sheet.save_with_legend(canvas, path, title, entries, _magnified(factor), marks=marks)
    numbered = " The tumours' numbers are those of the report, largest first." if tumours else ""
    return f"{title_of(main)} before (outline) and after.{numbered}{_magnified_sentence(factor)}"


def render_field(
    grid: pv.UnstructuredGrid,
    key: str,
    path: Path,
    *,
    view: str = "surgeon",
    node_sets: Mapping[str, NDArray[np.int64]] | None = None,
    scale: ColourScale | None = None,
    limit: float | None = None,
    marked: Sequence[Mark] = (),
    sheet: Sheet | None = None,
) -> str:
    """A field on the surface of the moved organ, with the outline of where it was.

    Args:
        key: point or cell data of the grid; cell fields are averaged to the nodes.
        node_sets: with `grasp…` among them the way of the tool is drawn as an arrow.
        scale: the colour range; from the field's own values without it.
        limit: a stored value to mark on the colour bar.
        marked: places to ring, with their words; the view turns to the side from which most of them are seen.
    """
    sheet = sheet or Sheet()
    factor = magnification_of(grid)
    after = moved(grid, factor)
    scale = scale or field_scale(grid, key, limit)
    surface = boundary(after)
    places = [mark.place(np.asarray(after.points)) for mark in marked]
    chosen = seen_from(places, surface, [VIEWS[name] for name in dict.fromkeys((view, *_OTHER_VIEWS))])
    with sheet.canvas(chosen, bar=True) as canvas:
        values = field_values(after, key)
        at_nodes = values if key in after.point_data else nodal(after, values)
        canvas.add_field(surface, at_nodes[np.asarray(surface.point_data["vtkOriginalPointIds"])], scale)
        rest = boundary(grid)
        arrow = _add_way(canvas, grid, after, node_sets or {})
        seen = [is_seen(place, surface, chosen) for place in places]
        callouts = [Callout(mark.words, visible) for mark, visible in zip(marked, seen, strict=True)]
        faces = [np.asarray(one.points, dtype=float)[one.regular_faces] for one in (surface, rest)]
        boxes = aim_beside(
            whole_frame(canvas), np.vstack([surface.points, rest.points]), faces, np.array(places), callouts
        )
        notes = [_magnified(factor), "line: before", "blue arrow: the grasper's path" if arrow else ""]

        def rings(letters: Lettering) -> None:
            letters.outline(canvas.pixels(rest.points)[rest.regular_faces], OUTLINE_COLOUR, width=2.0)
            draw_callouts(letters, canvas.pixels(np.reshape(places, (-1, 3))), boxes, callouts)

        note = ", ".join(note for note in notes if note)
        sheet.save_with_bar(canvas, path, scale.style.title, scale, note, marks=rings)
    ringed = f" Ringed: {listed([mark.sentence for mark in marked])}." if marked else ""
    if marked and key in after.cell_data:
        ringed += " These are of single elements; colours are means around each node, which are lower at a peak."
    way = " The blue arrow is the grasper's path." if arrow else ""
    what = f"{scale.label()} on the surface; the line is its outline before."
    return f"{what}{ringed}{way}{scale.beyond_sentence()}{_magnified_sentence(factor)}"


def _shown(mesh: pv.PolyData, name: str) -> pv.PolyData:
    return without_crumbs(mesh, one_organ="tumor" not in name)


def _add_way(
    canvas: Canvas, grid: pv.UnstructuredGrid, after: pv.UnstructuredGrid, node_sets: Mapping[str, NDArray]
) -> bool:
    """An arrow for the tool's path; True where there is a tool."""
    extent = float(np.linalg.norm(np.ptp(np.asarray(grid.points), axis=0)))
    tools = [nodes for name, nodes in node_sets.items() if name.startswith(TOOL_SET) and len(nodes)]
    for nodes in tools:
        start = np.asarray(grid.points, dtype=float)[nodes].mean(axis=0)
        stop = np.asarray(after.points, dtype=float)[nodes].mean(axis=0)
        canvas.add_arrow(start, stop, TOOL_COLOUR, width_mm=extent * 0.018)
    return bool(tools)


def _magnified(factor: float) -> str:
    return f"motion magnified × {factor:g}" if factor != 1 else ""


def _magnified_sentence(factor: float) -> str:
    return f" The motion is drawn {factor:g} times larger than it is." if factor != 1 else ""
