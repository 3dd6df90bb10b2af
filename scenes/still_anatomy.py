"""A still of the anatomy. Plain data in, one PNG and its caption out; frames are LPS mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .field_shapes import polydata
from .render_style import VIEWS, colour_of, shell_opacity, title_of
from .sheet import LEGEND_MARGINS, Sheet
from .tumour_numbers import draw_numbers

if TYPE_CHECKING:
    import pyvista as pv

    from ..meshing.mesh import SurfaceMesh

_MARGIN = 0.3
"""Of the largest extent of what a picture is about: as far around it neighbours are framed with it."""


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
        around: points (n, 3) LPS mm to frame, with a margin for their neighbours; all surfaces without it.
        tumours: points (n, 3) of each tumour, in the order of the report's numbers.
    """
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
        everything = np.concatenate([np.asarray(mesh.points, dtype=float) for mesh in meshes.values()])
        canvas.aim(None if around is None else _with_neighbours(np.asarray(around, dtype=float), everything))
        entries = [(title_of(name), colour_of(name)) for name in present]
        sheet.save_with_legend(
            canvas, path, title, entries, marks=lambda letters: draw_numbers(letters, canvas, tumours)
        )
    numbered = " The tumours' numbers are those of the report, largest first." if tumours else ""
    names = ", ".join(title_of(name).lower() for name in present)
    return f"{title}: {names}. Seen in the {VIEWS[view].title}.{numbered}"


def _with_neighbours(points: NDArray[np.float64], everything: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) points to frame: what lies within a margin around some points."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * float(np.max(high - low))
    near = np.all((everything >= low - margin) & (everything <= high + margin), axis=1)
    return np.vstack([points, everything[near]])
