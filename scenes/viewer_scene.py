"""`ResultScene`: the 3D content of the viewer, without any window toolkit.

Layers, load, field, cut and camera of one result in one plotter. The Qt window, the plain
window and the tests drive the same object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import SEGMENTS
from .annotate import round_ticks
from .computed_organ import ComputedOrgan, between
from .field_limits import limit_of, named_value
from .off_screen import soft_lights
from .render_style import (
    BACKGROUND,
    FIELDS,
    GHOST_COLOUR,
    VIEWS,
    Colour,
    colour_of,
    field_style,
    shell_opacity,
    title_of,
)
from .shaded_surface import move
from .viewer_colours import REGION, colour_surface, section_colours
from .viewer_layers import CUTS, Layer, add_layer, clip, cut_plane
from .viewer_marks import ViewerMarks

if TYPE_CHECKING:
    from .result_folder import ResultFolder

FIELD_LAYER = "computed organ"
BEFORE_LAYER = "before"
_SEEN_THROUGH = 0.45


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
        self.steps = len(result.step_files)
        self.organ = self._computed() if self.steps else None
        self._cut_actor: Any = None
        self.marks = ViewerMarks(plotter, self.organ, result.data) if self.organ else None
        self._prepare_plotter()
        self._add_layers()
        if self.organ:
            self.set_field(self.fields[0])
        self.set_view("surgeon" if "liver" in result.surface_files else "anterior")

    def _computed(self) -> ComputedOrgan:
        limits = {key: limit for key in FIELDS if (limit := limit_of(self.result.data, key)) is not None}
        named = {key: value for key in FIELDS if (value := named_value(self.result.data, key)) is not None}
        return ComputedOrgan([self.result.grid(step) for step in range(self.steps)], limits, named)

    def _prepare_plotter(self) -> None:
        plotter = self.plotter
        plotter.set_background("#{:02x}{:02x}{:02x}".format(*BACKGROUND))
        plotter.remove_all_lights()
        for light in soft_lights():
            plotter.add_light(light)
        plotter.enable_parallel_projection()
        # Depth peeling draws nothing into a multisampled window.
        plotter.disable_anti_aliasing()
        plotter.render_window.SetMultiSamples(0)
        plotter.render_window.SetAlphaBitPlanes(1)
        plotter.enable_depth_peeling(4)

    @property
    def fields(self) -> tuple[str, ...]:
        """Keys of what the computed organ can be coloured by."""
        return (*self.organ.fields, REGION) if self.organ else ()

    @property
    def magnification(self) -> float:
        """By which the motion is drawn larger than it is."""
        return self.organ.magnification if self.organ else 1.0

    def field_title(self, key: str) -> str:
        """A field's name for people."""
        return "Tissue" if key == REGION else field_style(key).title

    def _add_layers(self) -> None:
        from .shown_surfaces import shown

        if self.organ:
            self._add(BEFORE_LAYER, self.organ.rest, GHOST_COLOUR, 0.12)
            self._add(FIELD_LAYER, self.organ.surface, colour_of(self.organ.name), self._opacity(), self.organ.keys)
        names = tuple(self.result.surface_files)
        for name in names:
            shell = shell_opacity(name, names)
            keys = self._carried_keys(name)
            mesh = self.result.surface(name)
            layer = self._add(
                name,
                shown(mesh, name, clear=shell is not None) if keys is None else mesh,
                colour_of(name),
                0.35 if shell is not None else 1.0,
                keys,
            )
            # The computed organ stands in for the surface it was made from.
            if self.organ and name in ("body", self.organ.name):
                layer.actor.SetVisibility(False)

    def _opacity(self) -> float:
        """Of the computed organ at the start: what is shown inside of it is to be seen."""
        assert self.organ is not None
        wholes = [SEGMENTS[one].part_of for one in self.result.surface_files if one in SEGMENTS]
        inside = any(self.organ.name in whole for whole in wholes)
        return _SEEN_THROUGH if inside else 1.0

    def _add(self, name: str, mesh: Any, colour: Colour, opacity: float, keys: NDArray | None = None) -> Layer:
        self.layers[name] = add_layer(self.plotter, name, mesh, colour, opacity, keys)
        return self.layers[name]

    def _carried_keys(self, name: str) -> NDArray[np.float64] | None:
        if name not in self.result.carried or self.magnification != 1:
            return None
        shapes = [self.result.deformed_surface(name, step) for step in range(self.steps)]
        found = [np.asarray(shape.points, dtype=float) for shape in shapes if shape is not None]
        return np.stack(found) if found and len(found) == self.steps else None

    def set_visible(self, name: str, visible: bool) -> None:
        """Show or hide a layer."""
        self.layers[name].actor.SetVisibility(visible)
        if name == FIELD_LAYER:
            self._cut_computed()
            self._mark_computed()

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
                move(layer.mesh, between(layer.keys, self.load))
        self._colour_computed()
        self._cut_computed()
        self._mark_computed()

    def set_field(self, key: str) -> None:
        """Colour the computed organ by one of `fields`."""
        self.field = key
        self._colour_computed()
        self._cut_computed()
        for title in list(self.plotter.scalar_bars.keys()):
            self.plotter.remove_scalar_bar(title, render=False)
        if key != REGION:
            self._add_bar(key)
        self._mark_computed()

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
            clip(layer, cut_plane(*self.cut, self._bounds()) if self.cut else None)
        self._cut_computed()

    def cut_at_target(self, plane: str) -> float:
        """The fraction at which a cut passes through the largest tumour, or 0.5 without one."""
        centre = self.organ.tumour_centre() if self.organ else None
        if centre is None:
            return 0.5
        axis, bounds = CUTS[plane], self._bounds()
        low, high = bounds[2 * axis], bounds[2 * axis + 1]
        return float(np.clip((centre[axis] - low) / max(high - low, 1e-9), 0, 1))

    def _bounds(self) -> Any:
        """Of the computed organ where there is one, else of everything."""
        return self.layers[FIELD_LAYER].mesh.bounds if self.organ else self.plotter.bounds

    def _colour_computed(self) -> None:
        if self.organ:
            layer = self.layers[FIELD_LAYER]
            colour_surface(layer.mesh, layer.actor.mapper, self.organ, self.field, self.load)

    def _mark_computed(self) -> None:
        if self.marks:
            visible = bool(self.layers[FIELD_LAYER].actor.GetVisibility())
            self.marks.show(self.field, self.load, visible=visible)

    def _cut_computed(self) -> None:
        """The field inside, on the cut face of the computed organ."""
        if self._cut_actor is not None:
            self.plotter.remove_actor(self._cut_actor, render=False)
            self._cut_actor = None
        if not self.cut or not self.organ or not self.layers[FIELD_LAYER].actor.GetVisibility():
            return
        origin, normal = cut_plane(*self.cut, self._bounds())
        section = self.organ.at(self.load).slice(normal=tuple(normal), origin=tuple(origin))
        if not section.n_cells:
            return
        self._cut_actor = self.plotter.add_mesh(
            section, name="cut face", ambient=0.45, diffuse=0.6, show_scalar_bar=False, reset_camera=False,
            render=False, **section_colours(section, self.organ, self.field),
        )  # fmt: skip

    def _add_bar(self, key: str) -> None:
        assert self.organ is not None
        from vtkmodules.util.numpy_support import numpy_to_vtk

        scale = self.organ.scale(key)
        bar = self.plotter.add_scalar_bar(
            title=scale.label(), mapper=self.layers[FIELD_LAYER].actor.mapper, vertical=True, n_labels=5,
            fmt="%.4g", color="#1c242c", title_font_size=16, label_font_size=15, position_x=0.84, position_y=0.25,
            width=0.07, height=0.5, render=False,
        )  # fmt: skip
        # The ticks of the stills, and the limit that they mark.
        ticks = {*round_ticks(scale.low, scale.high), *([] if scale.limit is None else [scale.limit])}
        bar.SetCustomLabels(numpy_to_vtk(np.array(sorted(ticks)), deep=True))
        bar.SetUseCustomLabels(True)
        # The whole title stands in the list of fields; here it would leave the window.
        unit = f" [{scale.style.unit}]" if scale.style.unit else ""
        limit = "" if scale.limit is None else f"\nlimit {scale.limit:g}"
        bar.SetTitle(f"{scale.style.short or scale.style.title}{unit}{limit}")

    def layer_title(self, name: str) -> str:
        """A layer's name for people."""
        return title_of(name)
