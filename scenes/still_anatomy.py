"""A still of the anatomy. Plain data in, one PNG and its caption out; frames are LPS mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .field_shapes import polydata
from .neighbourhood import neighbourhood
from .render_style import VIEWS, colour_of, shell_opacity, title_of
from .sheet import Sheet
from .shown_surfaces import shown
from .tumour_numbers import draw_numbers

if TYPE_CHECKING:
    import pyvista as pv

    from ..meshing.mesh import SurfaceMesh


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
    if around is not None:
        meshes = neighbourhood(np.asarray(around, dtype=float), meshes)
    present = tuple(name for name in present if name in meshes and meshes[name].n_cells)
    entries = [(title_of(name), colour_of(name)) for name in present]
    with sheet.canvas(VIEWS[view], [name for name, _ in entries]) as canvas:
        for name in present:
            mesh, opacity = meshes[name], shell_opacity(name, present)
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
