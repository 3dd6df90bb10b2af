"""A still of the anatomy. Plain data in, one PNG and its caption out; frames are LPS mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .field_shapes import polydata
from .render_style import VIEWS, colour_of, shell_opacity, title_of
from .sheet import Sheet
from .shown_surfaces import shown
from .tumour_numbers import draw_numbers

if TYPE_CHECKING:
    import pyvista as pv

    from ..meshing.mesh import SurfaceMesh

_MARGIN = 0.3
"""Of the largest extent of what a picture is about: as far around it neighbours are shown with it."""
_MOSTLY, _LONG = 0.4, 1.5
"""Share of a neighbour inside of that margin from which on the whole of it is shown, if it is no longer than this many
times what the picture is about."""


def render_anatomy(
    surfaces: Mapping[str, SurfaceMesh | pv.PolyData],
    path: Path,
    *,
    view: str = "anterior",
    sheet: Sheet | None = None,
    title: str = "Anatomy",
    around: ArrayLike | None = None,
    tumours: Sequence[ArrayLike] = (),
) -> str:
    """All surfaces together: wholes as clear shells, their parts solid inside.

    Args:
        around: points (n, 3) LPS mm to show with their neighbours; all surfaces without it.
        tumours: points (n, 3) of each tumour, in the order of the report's numbers.
    """
    sheet = sheet or Sheet()
    present = tuple(surfaces)
    meshes = {
        name: shown(polydata(mesh), name, clear=shell_opacity(name, present) is not None)
        for name, mesh in surfaces.items()
    }
    box = None if around is None else _neighbourhood(np.asarray(around, dtype=float), meshes)
    entries = [(title_of(name), colour_of(name)) for name in present]
    with sheet.canvas(VIEWS[view], [name for name, _ in entries]) as canvas:
        for name, whole in meshes.items():
            mesh = whole if box is None else _within(whole, box)
            if not mesh.n_cells:
                continue
            opacity = shell_opacity(name, present)
            if opacity is None:
                canvas.add_solid(mesh, colour_of(name), frame=name != "body")
            else:
                canvas.add_shell(mesh, colour_of(name), opacity=opacity, rim=0.35 if name == "body" else 0.8)
        canvas.aim()
        sheet.save_with_legend(
            canvas, path, title, entries, marks=lambda letters: draw_numbers(letters, canvas, tumours)
        )
    numbered = " The tumours' numbers are those of the report, largest first." if tumours else ""
    names = ", ".join(title_of(name).lower() for name in present)
    return f"{title}: {names}. Seen in the {VIEWS[view].title}.{numbered}"


def _neighbourhood(points: NDArray[np.float64], meshes: Mapping[str, pv.PolyData]) -> tuple[float, ...]:
    """Box (x low, x high, y low, …) LPS mm to show: a margin around points, and every neighbour that lies mostly in it.

    What only passes by, such as the aorta, is cut off where the box ends.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * float(np.max(high - low))
    near, far = low - margin, high + margin
    for mesh in meshes.values():
        corners = np.asarray(mesh.points, dtype=float)
        # A vessel that runs through the whole body is none of them.
        long = len(corners) and np.max(np.ptp(corners, axis=0)) > _LONG * float(np.max(high - low))
        inside = np.all((corners >= low - margin) & (corners <= high + margin), axis=1)
        if len(corners) and not long and inside.mean() >= _MOSTLY:
            near, far = np.minimum(near, corners.min(axis=0)), np.maximum(far, corners.max(axis=0))
    return tuple(float(value) for pair in zip(near - 1, far + 1, strict=True) for value in pair)


def _within(mesh: pv.PolyData, box: tuple[float, ...]) -> pv.PolyData:
    """The part of a surface in a box; the surface itself where all of it is."""
    bounds = np.asarray(mesh.bounds)
    if np.all(bounds[::2] >= box[::2]) and np.all(bounds[1::2] <= box[1::2]):
        return mesh
    return mesh.clip_box(box, invert=False).extract_surface(algorithm="dataset_surface").triangulate()
