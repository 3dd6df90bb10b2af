"""Stills in 3D: anatomy, before and after, fields, cuts, the mesh.

Every function takes plain data, writes one PNG and returns its caption. Frames are LPS mm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from .annotate import FOOTER, HEADER, Lettering
from .canvas import Canvas
from .field_shapes import (
    behind,
    boundary,
    magnification_of,
    moved,
    nodal,
    polydata,
    regions,
    tumour_centre,
    whole_cells_behind,
)
from .render_style import (
    GHOST_COLOUR,
    STILL_SIZE,
    SUPPORT_COLOUR,
    TOOL_COLOUR,
    VIEWS,
    ColourScale,
    View,
    colour_of,
    colour_scale,
    field_style,
    shell_opacity,
    title_of,
)

if TYPE_CHECKING:
    import pyvista as pv

    from ..meshing.mesh import SurfaceMesh

_CUBE = 108
"""Distance of the orientation cube's centre from the right edge and from the footer."""
_LEGEND_MARGINS = (330, HEADER + 36, 60, FOOTER + 100)
_BAR_MARGINS = (60, HEADER + 36, 300, FOOTER + 100)
_BAR_AT = (1330, HEADER + 180)


@dataclass(frozen=True)
class Sheet:
    """What every picture of one result shares.

    Attributes:
        scene: the line under the title, usually the scene's title.
        size: pixels.
        supersample: how much larger than shown it is rendered.
    """

    scene: str = ""
    size: tuple[int, int] = STILL_SIZE
    supersample: int = 2

    def canvas(self, view: View, margins: tuple[float, float, float, float]) -> Canvas:
        """An empty picture."""
        return Canvas(view, self.size, margins=margins, supersample=self.supersample)

    def lettered(self, canvas: Canvas, title: str, view_note: str = "", *, crevices: float = 0.55) -> Lettering:
        """The rendered picture with caption, scale bar and orientation cube on it."""
        letters = Lettering(canvas.image(crevices=crevices))
        note = f"{canvas.view.title}{', ' + view_note if view_note else ''}"
        letters.caption(title, self.scene, note)
        letters.scale_bar(canvas.mm_per_pixel)
        letters.orientation_cube(canvas.view, centre=(1600 - _CUBE, letters.height - FOOTER - _CUBE))
        return letters


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG in few colours where that does not show: reports embed it."""
    image.save(path, optimize=False, compress_level=7)


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
    with sheet.canvas(VIEWS[view], _LEGEND_MARGINS) as canvas:
        for name, mesh in meshes.items():
            opacity = shell_opacity(name, present)
            if opacity is None:
                canvas.add_solid(mesh, colour_of(name), frame=name != "body")
            else:
                canvas.add_shell(mesh, colour_of(name), opacity=opacity, rim=0.35 if name == "body" else 0.8)
        canvas.aim()
        letters = sheet.lettered(canvas, title)
    letters.legend([(title_of(name), colour_of(name)) for name in present], at=(36, HEADER + 30))
    save_png(letters.image, path)
    return f"{title}: {', '.join(title_of(name).lower() for name in present)}. Seen in the {VIEWS[view].title}."


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
    with sheet.canvas(VIEWS[view], _LEGEND_MARGINS) as canvas:
        canvas.add_shell(boundary(grid), GHOST_COLOUR, opacity=0.05, rim=0.55)
        canvas.add_shell(boundary(after), colour_of(main), opacity=0.20, rim=0.85)
        for name, (before, now) in parts.items():
            canvas.add_shell(before, GHOST_COLOUR, opacity=0.30, rim=0.7)
            canvas.add_solid(now, colour_of(name))
        entries = [(f"{title_of(main)} after", colour_of(main)), ("Before", GHOST_COLOUR)]
        entries += [(f"{title_of(name)} after", colour_of(name)) for name in parts]
        entries += _add_tool_and_supports(canvas, grid, after, node_sets or {})
        canvas.aim()
        letters = sheet.lettered(canvas, f"{title_of(main)}: before and after", _magnified(factor))
    letters.legend(entries, at=(36, HEADER + 30))
    save_png(letters.image, path)
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
    with sheet.canvas(VIEWS[view], _BAR_MARGINS) as canvas:
        surface = boundary(after)
        values = field_values(after, key)
        at_nodes = values if key in after.point_data else nodal(after, values)
        canvas.add_field(surface, at_nodes[np.asarray(surface.point_data["vtkOriginalPointIds"])], scale)
        canvas.add_shell(boundary(grid), GHOST_COLOUR, opacity=0.0, rim=0.45)
        _add_tool_and_supports(canvas, grid, after, node_sets or {}, arrow=key == "displacement_magnitude")
        canvas.aim()
        letters = sheet.lettered(canvas, scale.style.title, _magnified(factor), crevices=0.3)
    letters.colour_bar(scale, at=_BAR_AT)
    save_png(letters.image, path)
    return f"{scale.label()} on the surface.{_beyond(scale)}{_magnified_sentence(factor)}"


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
    scale = scale or colour_scale(key, field_values(grid, key))
    with sheet.canvas(VIEWS[view], _BAR_MARGINS) as canvas:
        for name, part in regions(with_nodal(after, key)).items():
            half = behind(part, origin, back)
            if half.n_cells:
                surface = boundary(half)
                canvas.add_field(surface, surface.point_data[f"nodal_{key}"], scale, sharp=True)
                _outline_section(canvas, part, origin, back, name)
        canvas.aim(np.asarray(after.points))
        letters = sheet.lettered(canvas, f"{scale.style.title}, cut through {what}", crevices=0.3)
    letters.colour_bar(scale, at=_BAR_AT)
    save_png(letters.image, path)
    return (
        f"{scale.label()} inside, cut through {what}; black lines are the borders of the tissues in the plane."
        f"{_beyond(scale)}"
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
    with sheet.canvas(VIEWS[view], _LEGEND_MARGINS) as canvas:
        for name, part in regions(grid).items():
            half = whole_cells_behind(part, origin, back)
            if half.n_cells:
                canvas.add_cells(boundary(half), colour_of(name))
            entries.append((f"{title_of(name)} ({part.n_cells:,})".replace(",", " "), colour_of(name)))
        canvas.aim(np.asarray(grid.points))
        letters = sheet.lettered(canvas, f"Tetrahedra, cut through {what}", crevices=0.35)
    letters.legend(entries, at=(36, HEADER + 30))
    save_png(letters.image, path)
    return f"The {grid.n_cells} tetrahedra that were solved on, coloured by tissue, undeformed; cut through {what}."


def field_values(grid: pv.UnstructuredGrid, key: str) -> NDArray[np.float64]:
    """A field as stored: (N,) or (E,); the length of a vector field.

    Raises:
        KeyError: the grid has no such field.
    """
    data = grid.point_data if key in grid.point_data else grid.cell_data
    values = np.asarray(data[key], dtype=float)
    return np.linalg.norm(values, axis=1) if values.ndim > 1 else values


def with_nodal(grid: pv.UnstructuredGrid, key: str) -> pv.UnstructuredGrid:
    """The grid with `nodal_KEY` per node, regions kept apart where the field is one per cell."""
    values = field_values(grid, key)
    if key in grid.point_data:
        shape = grid.copy(deep=False)
        shape.point_data[f"nodal_{key}"] = values
        return shape
    parts = []
    for part in regions(grid).values():
        part.point_data[f"nodal_{key}"] = nodal(part, field_values(part, key))
        parts.append(part)
    return parts[0].merge(parts[1:], merge_points=False) if len(parts) > 1 else parts[0]


def _cut_origin(grid: pv.UnstructuredGrid, through: ArrayLike | None) -> tuple[NDArray[np.float64], str]:
    if through is not None:
        return np.asarray(through, dtype=float), "the chosen point"
    centre = tumour_centre(grid)
    if centre is not None:
        return centre, "the largest tumour"
    return np.asarray(grid.center, dtype=float), "the middle"


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


def _add_tool_and_supports(
    canvas: Canvas,
    grid: pv.UnstructuredGrid,
    after: pv.UnstructuredGrid,
    node_sets: Mapping[str, NDArray],
    *,
    arrow: bool = True,
) -> list[tuple[str, tuple[float, float, float]]]:
    """Dots on the grasped patch and the supports, and the tool's way; returns legend entries."""
    extent = float(np.linalg.norm(np.ptp(np.asarray(grid.points), axis=0)))
    entries: dict[str, tuple[float, float, float]] = {}
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


def _beyond(scale: ColourScale) -> str:
    unit = f" {scale.style.unit}" if scale.style.unit else ""
    return f" The arrow on the colour bar: some values lie above {scale.high:g}{unit}." if scale.beyond else ""


__all__ = [
    "Sheet",
    "field_style",
    "field_values",
    "render_anatomy",
    "render_before_after",
    "render_cut",
    "render_field",
    "render_mesh",
    "save_png",
    "with_nodal",
]
