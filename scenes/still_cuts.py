"""Stills of the inside, cut open by a plane: a field, and the mesh.

Plain data in, one PNG and its caption out; frames are LPS mm.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .canvas import Canvas
from .field_shapes import (
    behind,
    boundary,
    field_scale,
    moved,
    regions,
    tumour_centre,
    whole_cells_behind,
    with_nodal,
)
from .render_style import VIEWS, ColourScale, colour_of, title_of
from .sheet import CUT_MARGINS, Sheet

if TYPE_CHECKING:
    import pyvista as pv


def render_cut(
    grid: pv.UnstructuredGrid,
    key: str,
    path: Path,
    *,
    view: str = "anterior",
    through: ArrayLike | None = None,
    scale: ColourScale | None = None,
    sheet: Sheet | None = None,
) -> str:
    """A field inside: the half nearer to the camera is taken away by a plane through a point.

    Args:
        through: (3,) LPS mm in the undeformed grid; the largest tumour without it, else the middle.
    """
    sheet = sheet or Sheet()
    after = moved(grid)
    back = VIEWS[view].axes()[2]
    origin, what = _cut_origin(after, through)
    scale = scale or field_scale(grid, key)
    with sheet.canvas(VIEWS[view], CUT_MARGINS) as canvas:
        for name, part in regions(with_nodal(after, key)).items():
            half = behind(part, origin, back)
            if half.n_cells:
                surface = boundary(half)
                canvas.add_field(surface, surface.point_data[f"nodal_{key}"], scale, sharp=True)
                _outline_section(canvas, part, origin, back, name)
        canvas.aim(_framed(grid, through, back))
        sheet.save_with_bar(canvas, path, f"{scale.style.title}, cut through {what}", scale)
    return (
        f"{scale.label()} inside, cut through {what}; black lines are the borders of the tissues in the plane."
        f"{scale.beyond_sentence()}"
    )


def render_mesh(
    grid: pv.UnstructuredGrid,
    path: Path,
    *,
    view: str = "anterior",
    through: ArrayLike | None = None,
    sheet: Sheet | None = None,
) -> str:
    """The tetrahedra by region, whole cells behind a plane."""
    sheet = sheet or Sheet()
    back = VIEWS[view].axes()[2]
    origin, what = _cut_origin(grid, through)
    entries = []
    with sheet.canvas(VIEWS[view], CUT_MARGINS) as canvas:
        for name, part in regions(grid).items():
            half = whole_cells_behind(part, origin, back)
            if half.n_cells:
                canvas.add_cells(boundary(half), colour_of(name))
            entries.append((f"{title_of(name)} ({part.n_cells:,})".replace(",", " "), colour_of(name)))
        canvas.aim(_framed(grid, through, back))
        sheet.save_with_legend(canvas, path, f"Tetrahedra, cut through {what}", entries, crevices=0.35)
    return f"The {grid.n_cells} tetrahedra that were solved on, coloured by tissue, undeformed; cut through {what}."


def _cut_origin(grid: pv.UnstructuredGrid, through: ArrayLike | None) -> tuple[NDArray[np.float64], str]:
    if through is not None:
        return np.asarray(through, dtype=float), "the chosen point"
    centre = tumour_centre(grid)
    if centre is not None:
        return centre, "the largest tumour"
    return np.asarray(grid.center, dtype=float), "the middle"


def _framed(grid: pv.UnstructuredGrid, through: ArrayLike | None, back: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) what lies behind the cut before and after the motion, so that both cuts are framed alike."""
    halves = []
    for shape in (grid, moved(grid)):
        points = np.asarray(shape.points, dtype=float)
        half = points[(points - _cut_origin(shape, through)[0]) @ back <= 0]
        halves.append(half if len(half) else points)
    return np.vstack(halves)


def _outline_section(canvas: Canvas, part: pv.UnstructuredGrid, origin, normal, name: str) -> None:
    """The region's border in the cutting plane as a dark line."""
    import pyvista as pv

    section = part.slice(normal=tuple(normal), origin=tuple(origin))
    if not section.n_cells:
        return
    # Joined first: without it every triangle of the section has a border of its own.
    rim = (
        pv.PolyData(section)
        .clean()
        .extract_feature_edges(boundary_edges=True, feature_edges=False, non_manifold_edges=False, manifold_edges=False)
    )
    if rim.n_cells:
        rim.points = np.asarray(rim.points) + 0.3 * np.asarray(normal)
        canvas.plotter.add_mesh(rim, color=(0.05, 0.05, 0.08), line_width=2.2 * canvas.supersample, lighting=False)
