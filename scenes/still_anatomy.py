"""A still of the anatomy. Plain data in, one PNG and its caption out; frames are LPS mm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .field_shapes import polydata
from .render_style import VIEWS, colour_of, shell_opacity, title_of
from .sheet import LEGEND_MARGINS, Sheet

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
) -> str:
    """All surfaces together: wholes as clear shells, their parts solid inside."""
    sheet = sheet or Sheet()
    meshes = {name: polydata(surface) for name, surface in surfaces.items()}
    present = tuple(meshes)
    with sheet.canvas(VIEWS[view], LEGEND_MARGINS) as canvas:
        for name, mesh in meshes.items():
            opacity = shell_opacity(name, present)
            if opacity is None:
                canvas.add_solid(mesh, colour_of(name), frame=name != "body")
            else:
                canvas.add_shell(mesh, colour_of(name), opacity=opacity, rim=0.35 if name == "body" else 0.8)
        canvas.aim()
        entries = [(title_of(name), colour_of(name)) for name in present]
        sheet.save_with_legend(canvas, path, title, entries)
    return f"{title}: {', '.join(title_of(name).lower() for name in present)}. Seen in the {VIEWS[view].title}."
