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
    boundary,
    field_scale,
    moved,
    regions,
    tumour_centre,
    tumour_pieces,
    whole_cells_behind,
    with_nodal,
)
from .plain_words import listed, side_words
from .render_style import VIEWS, ColourScale, colour_of, title_of
from .report_words import figure
from .sheet import Sheet
from .tumour_numbers import draw_numbers

if TYPE_CHECKING:
    import pyvista as pv

_BEHIND = (0.78, 0.80, 0.83)
_BORDER = (0.05, 0.05, 0.08)


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
    """A field in a plane through a point of the moved organ; grey lies behind it, what lies before it is taken away.

    Args:
        through: (3,) LPS mm in the undeformed grid; the largest tumour without it, else the middle.
    """
    import pyvista as pv

    sheet = sheet or Sheet()
    after = moved(grid)
    back = VIEWS[view].axes()[2]
    origin, what = _cut_origin(after, through)
    scale = scale or field_scale(grid, key)
    entries = [("Behind the plane", _BEHIND), ("Borders of tissues", _BORDER)]
    with sheet.canvas(VIEWS[view], _names(grid), bar=True) as canvas:
        # The surface alone: the faces below close it, and its edge keeps its own shading.
        half = boundary(after).clip(normal=tuple(back), origin=tuple(origin), invert=True)
        if half.n_cells:
            canvas.add_solid(half, _BEHIND, gloss=0.0)
        for part in regions(with_nodal(after, key)).values():
            face = pv.PolyData(part.slice(normal=tuple(back), origin=tuple(origin)))
            if face.n_cells:
                canvas.add_field(face, face.point_data[f"nodal_{key}"], scale)
                _outline_section(canvas, face)
        canvas.aim(_framed(grid, through, back))
        tumours = [_in_plane(piece, origin, back) for piece in tumour_pieces(after)]
        where = _plane_words(origin, back)
        sheet.save_with_bar(
            canvas, path, f"{scale.style.title}, cut through {what}", scale, f"plane {where}, deformed",
            entries=entries, marks=lambda letters: draw_numbers(letters, canvas, tumours),
        )  # fmt: skip
    cut = [str(number) for number, points in enumerate(tumours, start=1) if len(points)]
    numbered = f" Numbered: liver tumour{'s' * (len(cut) > 1)} {listed(cut)} of the report." if cut else ""
    return (
        f"{scale.label()} inside the deformed organ, cut through {what}: plane {where} of the scan's origin; "
        f"black lines are the borders of the tissues in the plane, grey lies behind it.{numbered}"
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
    entries = list(zip(_names(grid), map(colour_of, regions(grid)), strict=True))
    with sheet.canvas(VIEWS[view], _names(grid), bar=True) as canvas:
        for name, part in regions(grid).items():
            half = whole_cells_behind(part, origin, back)
            if half.n_cells:
                canvas.add_cells(boundary(half), colour_of(name))
        canvas.aim(_framed(grid, through, back))
        sheet.save_with_legend(canvas, path, f"Tetrahedra, cut through {what}", entries, crevices=0.35)
    count = figure(int(grid.n_cells))
    return f"The {count} tetrahedra that were solved on, coloured by tissue, undeformed; cut through {what}."


def _names(grid: pv.UnstructuredGrid) -> list[str]:
    """Each region with its count of tetrahedra; both cuts keep room free for it, so that they are framed alike."""
    return [f"{title_of(name)} ({figure(int(part.n_cells))} tetrahedra)" for name, part in regions(grid).items()]


def _plane_words(origin: NDArray[np.float64], normal: NDArray[np.float64]) -> str:
    """`12.5 mm forward` of a plane that an axis is perpendicular to, else the point (LPS) it goes through."""
    axis = int(np.argmax(np.abs(normal)))
    if abs(normal[axis]) > 1 - 1e-9:
        return side_words(axis, float(origin[axis]), 1)
    return f"through ({', '.join(f'{value:.1f}' for value in origin)}) mm".replace("-", "−")


def _in_plane(piece: pv.UnstructuredGrid, origin: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray:
    """(n, 3) where a plane cuts a piece; none where it does not."""
    return np.asarray(piece.slice(normal=tuple(normal), origin=tuple(origin)).points, dtype=float).reshape(-1, 3)


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


def _outline_section(canvas: Canvas, face: pv.PolyData) -> None:
    """The border of a region's face in the cutting plane as a dark line."""
    # Joined first: without it every triangle of the section has a border of its own.
    rim = face.clean().extract_feature_edges(
        boundary_edges=True, feature_edges=False, non_manifold_edges=False, manifold_edges=False
    )
    if rim.n_cells:
        rim.points = np.asarray(rim.points) + 0.1 * canvas.view.axes()[2]
        canvas.plotter.add_mesh(rim, color=_BORDER, line_width=2.2 * canvas.supersample, lighting=False)
