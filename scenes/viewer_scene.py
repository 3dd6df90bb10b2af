"""`ResultScene`: the 3D content of the viewer, without any window toolkit.

Layers, load, field, cut and camera of one result in one plotter. The Qt window, the plain
window and the tests drive the same object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import BY_LABEL
from .canvas import soft_lights
from .field_shapes import boundary, magnification_of, main_region, moved, nodal, region_ids, tumour_centre
from .render_style import (
    BACKGROUND,
    FIELDS,
    GHOST_COLOUR,
    VIEWS,
    Colour,
    ColourScale,
    colour_map_of,
    colour_of,
    colour_scale,
    field_style,
    shell_opacity,
    title_of,
)
from .stills import field_values

if TYPE_CHECKING:
    import pyvista as pv

    from .result_folder import ResultFolder

FIELD_LAYER = "computed organ"
BEFORE_LAYER = "before"
REGION = "region"
CUTS = {"axial": 2, "coronal": 1, "sagittal": 0}
"""Cut planes by the LPS axis they are perpendicular to."""
_SEEN_FROM = {"axial": -1.0, "coronal": -1.0, "sagittal": 1.0}
"""Sign of the side that is taken away: what lies below, in front, to the left."""


@dataclass(eq=False)
class Layer:
    """A surface in the scene.

    Attributes:
        keys: (steps, V, 3) LPS mm where it moves with the load, else None.
    """

    name: str
    mesh: pv.PolyData
    actor: Any
    colour: Colour
    opacity: float
    keys: NDArray[np.float64] | None = None


class ResultScene:
    """A result in a plotter.

    Args:
        result: what to show.
        plotter: where; its window is somebody else's.
    """

    def __init__(self, result: ResultFolder, plotter: Any) -> None:
        self.result, self.plotter = result, plotter
        self.layers: dict[str, Layer] = {}
        self.load = 1.0
        self.field = ""
        self.cut: tuple[str, float] | None = None
        self._grids = [result.grid(step) for step in range(len(result.step_files))]
        self._values: dict[str, NDArray[np.float64]] = {}
        self._scales: dict[str, ColourScale] = {}
        self.magnification = magnification_of(self._grids[-1]) if self._grids else 1.0
        self._cut_actor: Any = None
        plotter.set_background("#{:02x}{:02x}{:02x}".format(*BACKGROUND))
        plotter.remove_all_lights()
        for light in soft_lights():
            plotter.add_light(light)
        if self._grids:
            self._add_computed()
        self._add_anatomy()
        plotter.enable_parallel_projection()
        # Depth peeling draws nothing into a multisampled window.
        plotter.disable_anti_aliasing()
        plotter.render_window.SetMultiSamples(0)
        plotter.render_window.SetAlphaBitPlanes(1)
        plotter.enable_depth_peeling(4)
        if self._grids:
            self.set_field(self.fields[0])
        self.set_view("surgeon" if "liver" in result.surface_files else "anterior")

    @property
    def fields(self) -> tuple[str, ...]:
        """Keys of what the computed organ can be coloured by."""
        if not self._grids:
            return ()
        have = {*self._grids[-1].point_data.keys(), *self._grids[-1].cell_data.keys()}
        return (*(key for key in FIELDS if key in have), REGION)

    @property
    def steps(self) -> int:
        """Number of load steps."""
        return len(self._grids)

    def field_title(self, key: str) -> str:
        """A field's name for people."""
        return "Tissue" if key == REGION else field_style(key).title

    def _add_computed(self) -> None:
        surface = boundary(self._grids[-1])
        self._nodes = np.asarray(surface.point_data["vtkOriginalPointIds"])
        self._cells = np.asarray(surface.cell_data["vtkOriginalCellIds"])
        surface.clear_data()
        keys = np.stack([self._moved_points(grid)[self._nodes] for grid in self._grids])
        self._add_layer(BEFORE_LAYER, boundary(self._grids[0]), GHOST_COLOUR, 0.12)
        self._add_layer(FIELD_LAYER, surface, colour_of(main_region(self._grids[-1])), 1.0, keys)

    def _moved_points(self, grid: pv.UnstructuredGrid) -> NDArray[np.float64]:
        displacement = np.asarray(grid.point_data["displacement"], dtype=float)
        return np.asarray(grid.points, dtype=float) + self.magnification * displacement

    def _add_anatomy(self) -> None:
        from .pictures import light

        names = tuple(self.result.surface_files)
        main = main_region(self._grids[-1]) if self._grids else ""
        for name in names:
            shell = shell_opacity(name, names)
            keys = self._carried_keys(name)
            layer = self._add_layer(
                name,
                light(self.result.surface(name)) if keys is None else self.result.surface(name),
                colour_of(name),
                0.35 if shell is not None else 1.0,
                keys,
            )
            # The computed organ stands in for the surface it was made from.
            if name in ("body", main) and self._grids:
                layer.actor.SetVisibility(False)

    def _carried_keys(self, name: str) -> NDArray[np.float64] | None:
        if name not in self.result.carried or self.magnification != 1:
            return None
        shapes = [self.result.deformed_surface(name, step) for step in range(self.steps)]
        found = [np.asarray(shape.points, dtype=float) for shape in shapes if shape is not None]
        return np.stack(found) if found and len(found) == self.steps else None

    def _add_layer(self, name: str, mesh: Any, colour: Colour, opacity: float, keys: NDArray | None = None) -> Layer:
        shown = mesh.copy()
        shown.clear_data()
        if keys is not None:
            shown.points = keys[-1]
        shown.compute_normals(cell_normals=False, split_vertices=False, consistent_normals=False, inplace=True)
        actor = self.plotter.add_mesh(
            shown, color=colour, opacity=opacity, ambient=0.25, diffuse=0.75, specular=0.1, name=name,
            show_scalar_bar=False, reset_camera=False, render=False,
        )  # fmt: skip
        actor.prop.interpolation = "Phong"
        self.layers[name] = Layer(name, shown, actor, colour, opacity, keys)
        return self.layers[name]

    def set_visible(self, name: str, visible: bool) -> None:
        """Show or hide a layer."""
        self.layers[name].actor.SetVisibility(visible)
        if name == FIELD_LAYER:
            self._cut_computed()

    def set_opacity(self, name: str, opacity: float) -> None:
        """Opacity of a layer, in [0, 1]."""
        layer = self.layers[name]
        layer.opacity = float(np.clip(opacity, 0.0, 1.0))
        layer.actor.prop.opacity = layer.opacity

    def set_colour(self, name: str, colour: Colour) -> None:
        """Colour of a layer that shows no field."""
        layer = self.layers[name]
        layer.colour = colour
        layer.actor.prop.color = colour

    def set_load(self, fraction: float) -> None:
        """Move everything to a fraction of the load in [0, 1], between the computed steps where need be."""
        self.load = float(np.clip(fraction, 0.0, 1.0))
        for layer in self.layers.values():
            if layer.keys is not None:
                layer.mesh.points = self._between(layer.keys)
                layer.mesh.compute_normals(
                    cell_normals=False, split_vertices=False, consistent_normals=False, inplace=True
                )
        if self._grids:
            self._colour_computed()
            self._cut_computed()

    def set_field(self, key: str) -> None:
        """Colour the computed organ by one of `fields`."""
        self.field = key
        self._colour_computed()
        self._cut_computed()
        for title in list(self.plotter.scalar_bars.keys()):
            self.plotter.remove_scalar_bar(title, render=False)
        if key != REGION:
            self._add_bar(self._scale(key))

    def set_view(self, name: str) -> None:
        """Turn the camera to one of `render_style.VIEWS` and show everything that is visible."""
        _, up, back = VIEWS[name].axes()
        focus = np.array(self.plotter.center)
        self.plotter.camera_position = [focus + 1000 * back, focus, up]
        self.plotter.reset_camera(render=False)

    def set_cut(self, plane: str | None, fraction: float = 0.5) -> None:
        """Take away what lies on the viewer's side of an anatomical plane.

        Args:
            plane: one of `CUTS`, or None for no cut.
            fraction: where, from 0 to 1 over the computed organ (or over everything).
        """
        self.cut = (plane, float(fraction)) if plane else None
        for layer in self.layers.values():
            layer.actor.mapper.RemoveAllClippingPlanes()
            if self.cut:
                from vtkmodules.vtkCommonDataModel import vtkPlane

                origin, normal = self._cut_plane()
                vtk_plane = vtkPlane()
                vtk_plane.SetOrigin(*origin)
                vtk_plane.SetNormal(*(-normal))
                layer.actor.mapper.AddClippingPlane(vtk_plane)
        self._cut_computed()

    def cut_at_target(self, plane: str) -> float:
        """The fraction at which a cut passes through the largest tumour, or 0.5 without one."""
        centre = tumour_centre(moved(self._grids[-1], self.magnification)) if self._grids else None
        if centre is None:
            return 0.5
        low, high = self._cut_range(CUTS[plane])
        return float(np.clip((centre[CUTS[plane]] - low) / max(high - low, 1e-9), 0, 1))

    def _cut_range(self, axis: int) -> tuple[float, float]:
        bounds = self.layers[FIELD_LAYER].mesh.bounds if self._grids else self.plotter.bounds
        return bounds[2 * axis], bounds[2 * axis + 1]

    def _cut_plane(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A point of the plane, and its normal towards the side that is taken away."""
        assert self.cut is not None
        plane, fraction = self.cut
        axis = CUTS[plane]
        low, high = self._cut_range(axis)
        origin, normal = np.zeros(3), np.zeros(3)
        origin[axis] = low + fraction * (high - low)
        normal[axis] = _SEEN_FROM[plane]
        return origin, normal

    def _cut_computed(self) -> None:
        """The field inside, on the cut face of the computed organ."""
        if self._cut_actor is not None:
            self.plotter.remove_actor(self._cut_actor, render=False)
            self._cut_actor = None
        if not self.cut or not self._grids or not self.layers[FIELD_LAYER].actor.GetVisibility():
            return
        grid = moved(self._grid_at_load(), self.magnification)
        origin, normal = self._cut_plane()
        section = grid.slice(normal=tuple(normal), origin=tuple(origin))
        if not section.n_cells:
            return
        self._cut_actor = self.plotter.add_mesh(
            section, name="cut face", ambient=0.45, diffuse=0.6, show_scalar_bar=False, reset_camera=False,
            render=False, **self._cut_colours(section),
        )  # fmt: skip

    def _cut_colours(self, section: Any) -> dict[str, Any]:
        if self.field == REGION:
            section.cell_data["rgb"] = _region_colours(np.asarray(section.cell_data["region"]))
            return {"scalars": "rgb", "rgb": True}
        scale = self._scale(self.field)
        data = section.point_data if self.field in section.point_data else section.cell_data
        data["shown"] = np.asarray(data[self.field], dtype=float) * scale.style.factor
        return {"scalars": "shown", "cmap": colour_map_of(scale.style.colour_map), "clim": (scale.low, scale.high)}

    def _grid_at_load(self) -> pv.UnstructuredGrid:
        """Undeformed tetrahedra with the displacement at this load and the fields of the nearest step."""
        position = self.load * (self.steps - 1)
        grid = self._grids[round(position)].copy(deep=False)
        keys = [np.asarray(one.point_data["displacement"], dtype=float) for one in self._grids]
        lower = min(int(position), self.steps - 2) if self.steps > 1 else 0
        upper = min(lower + 1, self.steps - 1)
        weight = position - lower
        grid.point_data["displacement"] = (1 - weight) * keys[lower] + weight * keys[upper]
        return grid

    def _between(self, keys: NDArray) -> NDArray:
        if len(keys) == 1:
            return keys[0]
        position = self.load * (len(keys) - 1)
        lower = min(int(position), len(keys) - 2)
        return (1 - (position - lower)) * keys[lower] + (position - lower) * keys[lower + 1]

    def _colour_computed(self) -> None:
        layer = self.layers[FIELD_LAYER]
        mapper = layer.actor.mapper
        if self.field == REGION:
            layer.mesh.cell_data["rgb"] = _region_colours(region_ids(self._grids[-1])[self._cells])
            layer.mesh.cell_data.SetActiveScalars("rgb")
            mapper.SetScalarModeToUseCellFieldData()
            mapper.SelectColorArray("rgb")
            mapper.SetColorModeToDirectScalars()
        else:
            scale = self._scale(self.field)
            layer.mesh.point_data["shown"] = self._between(self._surface_values(self.field)) * scale.style.factor
            mapper.SetScalarModeToUsePointFieldData()
            mapper.SelectColorArray("shown")
            mapper.SetColorModeToMapScalars()
            mapper.SetLookupTable(_lookup_table(scale))
            mapper.SetScalarRange(scale.low, scale.high)
            mapper.SetInterpolateScalarsBeforeMapping(True)
        mapper.SetScalarVisibility(True)

    def _surface_values(self, key: str) -> NDArray[np.float64]:
        """(steps, V) of a field on the computed organ's surface."""
        if key not in self._values:
            rows = []
            for grid in self._grids:
                values = field_values(grid, key)
                rows.append((values if key in grid.point_data else nodal(grid, values))[self._nodes])
            self._values[key] = np.stack(rows)
        return self._values[key]

    def _scale(self, key: str) -> ColourScale:
        if key not in self._scales:
            self._scales[key] = colour_scale(key, field_values(self._grids[-1], key))
        return self._scales[key]

    def _add_bar(self, scale: ColourScale) -> None:
        self.plotter.add_scalar_bar(
            title=scale.label(), mapper=self.layers[FIELD_LAYER].actor.mapper, vertical=True, n_labels=5,
            fmt="%.4g", color="#1c242c", title_font_size=16, label_font_size=15, position_x=0.86, position_y=0.25,
            width=0.07, height=0.5, render=False,
        )  # fmt: skip

    def layer_title(self, name: str) -> str:
        """A layer's name for people."""
        return title_of(name)


def _lookup_table(scale: ColourScale) -> Any:
    import pyvista as pv

    table = pv.LookupTable(cmap=colour_map_of(scale.style.colour_map))
    table.scalar_range = (scale.low, scale.high)
    return table


def _region_colours(labels: NDArray) -> NDArray[np.uint8]:
    """(n, 3) sRGB bytes of each label's segment."""
    colours = np.full((len(labels), 3), 140, dtype=np.uint8)
    for label in np.unique(labels):
        name = BY_LABEL[int(label)].name if int(label) in BY_LABEL else ""
        colours[labels == label] = np.round(255 * np.array(colour_of(name)))
    return colours


def orientation_cube() -> Any:
    """A cube with the letters L R P A S I, for a window's corner."""
    from vtkmodules.vtkRenderingAnnotation import vtkAnnotatedCubeActor

    cube = vtkAnnotatedCubeActor()
    cube.SetXPlusFaceText("L")
    cube.SetXMinusFaceText("R")
    cube.SetYPlusFaceText("P")
    cube.SetYMinusFaceText("A")
    cube.SetZPlusFaceText("S")
    cube.SetZMinusFaceText("I")
    cube.SetFaceTextScale(0.6)
    cube.GetCubeProperty().SetColor(0.93, 0.94, 0.96)
    cube.GetTextEdgesProperty().SetColor(0.2, 0.25, 0.3)
    for face in (
        cube.GetXPlusFaceProperty(), cube.GetXMinusFaceProperty(), cube.GetYPlusFaceProperty(),
        cube.GetYMinusFaceProperty(), cube.GetZPlusFaceProperty(), cube.GetZMinusFaceProperty(),
    ):  # fmt: skip
        face.SetColor(0.11, 0.14, 0.17)
    return cube
