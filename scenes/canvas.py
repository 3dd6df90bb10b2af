"""`Canvas`: one off-screen 3D picture of the patient, from geometry to Pillow image.

The projection is parallel, so that the scale bar holds everywhere. Shells get their
opacity from the angle between surface and line of sight: clear face on, denser at the rim.
Crevices of solid surfaces are darkened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from .annotate import FOOTER, HEADER
from .crevices import crevice_shade
from .fitting_view import Box, fit
from .off_screen import off_screen_plotter, read_depth_mm, read_pixels
from .render_style import BACKGROUND, STILL_SIZE, SUPERSAMPLE, Colour, ColourScale, View, colour_map_of
from .shaded_surface import move, with_normals

if TYPE_CHECKING:
    import pyvista as pv

PEELS = 8
"""Enough for a body wall around an organ around its vessels."""


class Canvas:
    """Collects surfaces in LPS mm, then renders them once. Close it, or use it with `with`.

    Args:
        view: where the camera stands.
        size: pixels of the picture.
        margins: left, top, right, bottom, in pixels of a 1600 px wide picture, kept free for lettering.
        taken: boxes (left, top, right, bottom), in the same pixels, on which lettering will stand.
        supersample: how much larger it is rendered than shown.
        peels: layers of translucent surfaces that are sorted correctly.
    """

    def __init__(
        self,
        view: View,
        size: tuple[int, int] = STILL_SIZE,
        *,
        margins: tuple[float, float, float, float] = (60, HEADER + 30, 60, FOOTER + 90),
        taken: Sequence[Box] = (),
        supersample: float = SUPERSAMPLE,
        peels: int = PEELS,
    ) -> None:
        self.view, self.size, self.supersample, self._peels = view, size, supersample, peels
        self._margins, self.taken = margins, tuple(taken)
        self._translucent: list[pv.Actor] = []
        self._framed: list[NDArray[np.float64]] = []
        self.mm_per_pixel = 1.0
        self._centre = np.zeros(3)
        self.plotter = off_screen_plotter((round(size[0] * supersample), round(size[1] * supersample)))
        self.plotter.set_background("#{:02x}{:02x}{:02x}".format(*BACKGROUND))

    def __enter__(self) -> Canvas:
        return self

    def __exit__(self, *_: object) -> None:
        self.plotter.close()

    def add_solid(
        self, mesh: pv.PolyData, colour: Colour, *, frame: bool = True, gloss: float = 0.25, even: bool = False
    ) -> pv.PolyData:
        """An opaque, smoothly shaded surface. Returns what is shown: move its points to move it.

        Args:
            even: lit so that its colour is told on every side, also where no lamp shines.
        """
        self._frame(mesh, frame)
        shown = with_normals(mesh)
        actor = self.plotter.add_mesh(
            shown,
            color=tuple(float(value) for value in colour),
            ambient=0.64 if even else 0.18,
            diffuse=0.42 if even else 0.82,
            specular=0.0 if even else gloss,
            specular_power=25,
            show_scalar_bar=False,
        )
        actor.prop.interpolation = "Phong"
        return shown

    def add_shell(
        self, mesh: pv.PolyData, colour: Colour, *, opacity: float = 0.14, rim: float = 0.75, frame: bool = True
    ) -> pv.PolyData:
        """A translucent surface: `opacity` face on, rising to `rim` where it turns away."""
        self._frame(mesh, frame)
        shell = self.add_moving_shell(mesh)
        self.update_shell(shell, None, colour, opacity=(opacity, rim))
        return shell

    def add_moving_shell(self, mesh: pv.PolyData) -> pv.PolyData:
        """A translucent surface; returns what is shown, for `update_shell`."""
        shell = with_normals(mesh)
        shell.point_data["rgba"] = np.full((mesh.n_points, 4), 255, dtype=np.uint8)
        actor = self.plotter.add_mesh(
            shell, scalars="rgba", rgba=True, ambient=0.35, diffuse=0.65, specular=0.1, show_scalar_bar=False
        )
        actor.prop.interpolation = "Phong"
        actor.ForceTranslucentOn()
        # A whole and its part share a border; push the shell back, or the two flicker through each other.
        actor.mapper.SetResolveCoincidentTopologyToPolygonOffset()
        actor.mapper.SetRelativeCoincidentTopologyPolygonOffsetParameters(4.0, 8.0)
        self._translucent.append(actor)
        return shell

    def update_shell(
        self, shell: pv.PolyData, points: ArrayLike | None, colours: ArrayLike, *, opacity: tuple[float, float]
    ) -> None:
        """Move and recolour a shell.

        Args:
            shell: what `add_moving_shell` returned.
            points: (V, 3) LPS mm, or None to leave it where it is.
            colours: (3,) or (V, 3) sRGB in [0, 1].
            opacity: face on, and where the surface turns away.
        """
        if points is not None:
            move(shell, points)
        facing = np.clip(np.abs(np.asarray(shell.point_data["Normals"], dtype=float) @ self.view.axes()[2]), 0, 1)
        rgba = np.empty((shell.n_points, 4), dtype=np.uint8)
        rgba[:, :3] = np.round(255 * np.asarray(colours))
        rgba[:, 3] = np.round(255 * (opacity[0] + (max(opacity) - opacity[0]) * (1 - facing) ** 2.5))
        shell.point_data["rgba"] = rgba

    def add_field(
        self, mesh: pv.DataSet, values: ArrayLike, scale: ColourScale, *, sharp: bool = False, frame: bool = True
    ) -> pv.Actor:
        """A surface coloured by stored values (per point or per cell) of a field; `sharp` keeps edges of a cut."""
        self._frame(mesh, frame)
        shown = mesh.copy(deep=False)
        data = shown.point_data if np.shape(values)[0] == mesh.n_points else shown.cell_data
        data["shown"] = np.asarray(values, dtype=float) * scale.style.factor
        return self.plotter.add_mesh(
            shown,
            scalars="shown",
            cmap=colour_map_of(scale.style.colour_map),
            clim=(scale.low, scale.high),
            smooth_shading=True,
            split_sharp_edges=sharp,
            feature_angle=50,
            ambient=0.55,
            diffuse=0.48,
            specular=0.0,
            show_scalar_bar=False,
            interpolate_before_map=True,
        )

    def add_cells(self, mesh: pv.DataSet, colour: Colour, *, frame: bool = True) -> pv.Actor:
        """Flat-shaded cells with their edges, to show a mesh as it is."""
        self._frame(mesh, frame)
        return self.plotter.add_mesh(
            mesh,
            color=tuple(float(value) for value in colour),
            show_edges=True,
            edge_color=(0.16, 0.18, 0.20),
            line_width=0.7 * self.supersample,
            ambient=0.35,
            diffuse=0.7,
            specular=0.0,
        )

    def add_dots(self, points: ArrayLike, colour: Colour, *, radius_mm: float) -> None:
        """Small balls at points (n, 3), such as the nodes of a support."""
        import pyvista as pv

        cloud = pv.PolyData(np.atleast_2d(np.asarray(points, dtype=float)))
        if not cloud.n_points:
            return
        ball = pv.Sphere(radius=radius_mm, theta_resolution=12, phi_resolution=8)
        self.add_solid(cloud.glyph(geom=ball, scale=False, orient=False), colour, frame=False, gloss=0.1)

    def add_arrow(self, start: ArrayLike, stop: ArrayLike, colour: Colour, *, width_mm: float) -> None:
        """An arrow from `start` to `stop` (LPS mm)."""
        import pyvista as pv

        start, stop = np.asarray(start, dtype=float), np.asarray(stop, dtype=float)
        length = float(np.linalg.norm(stop - start))
        if length < 1e-6:
            return
        head = min(3.2 * width_mm / length, 0.6)
        arrow = pv.Arrow(
            start=start,
            direction=stop - start,
            scale=length,
            tip_length=head,
            tip_radius=1.3 * width_mm / length,
            shaft_radius=0.5 * width_mm / length,
            tip_resolution=32,
            shaft_resolution=24,
        )
        self.add_solid(arrow, colour, gloss=0.2)

    def _frame(self, mesh: pv.DataSet, frame: bool) -> None:
        if frame and mesh.n_points:
            points = np.asarray(mesh.points, dtype=float)
            self._framed.append(points[:: max(1, len(points) // 4000)])

    def aim(self, points: ArrayLike | None = None, *, smaller: float = 1.0) -> None:
        """Place the camera so that what was added (or `points`) is as large as the lettering leaves room for.

        Args:
            smaller: by this factor less large, to leave room beside it.
        """
        right, up, back = self.view.axes()
        if points is not None:
            cloud = np.asarray(points, dtype=float)
        else:
            cloud = np.concatenate(self._framed) if self._framed else np.zeros((1, 3))
        flat = cloud @ np.column_stack([right, up, back])
        low, high = flat.min(axis=0), flat.max(axis=0)
        left, top, right_margin, bottom = self._margins
        unit, height = self.size[0] / 1600, 1600 * self.size[1] / self.size[0]
        free = (left, top, 1600 - right_margin, height - bottom)
        scale, place = fit(flat[:, :2], free, self.taken)
        if smaller > 1:
            scale, place = fit(flat[:, :2], free, self.taken, at_least=scale * smaller)
        self.mm_per_pixel = scale / unit
        middle = (low + high) / 2
        focus = middle[:2] - (place - (800, height / 2)) * (1, -1) * scale
        self._centre = focus[0] * right + focus[1] * up + middle[2] * back
        camera = self.plotter.camera
        distance = float(np.linalg.norm(high - low)) * 2 + 100
        camera.focal_point = self._centre
        camera.position = self._centre + distance * back
        camera.up = up
        camera.parallel_projection = True
        camera.parallel_scale = self.mm_per_pixel * self.size[1] / 2
        self.plotter.reset_camera_clipping_range()

    def pixel(self, point: ArrayLike) -> tuple[float, float]:
        """Where a point (3,) LPS mm lies, in pixels of a 1600 px wide picture."""
        x, y = self.pixels(np.asarray(point, dtype=float)[None])[0]
        return float(x), float(y)

    def pixels(self, points: ArrayLike) -> NDArray[np.float64]:
        """(n, 2) where points (n, 3) LPS mm lie, in pixels of a 1600 px wide picture."""
        right, up, _ = self.view.axes()
        offset = (np.asarray(points, dtype=float) - self._centre) / self.mm_per_pixel
        place = np.stack([self.size[0] / 2 + offset @ right, self.size[1] / 2 - offset @ up], axis=-1)
        return place * 1600 / self.size[0]

    def image(self, *, crevices: float = 0.55) -> Image.Image:
        """Render. `crevices` is how far recesses of solid surfaces are darkened, 0 for not at all."""
        plotter = self.plotter
        shade = None
        if crevices:
            for actor in self._translucent:
                actor.SetVisibility(False)
            plotter.render_window.Render()
            depth, hit = read_depth_mm(plotter, every=round(2 * self.supersample))
            shade = crevice_shade(depth, hit, self.size, self.mm_per_pixel, crevices)
            for actor in self._translucent:
                actor.SetVisibility(True)
        if self._translucent:
            plotter.enable_depth_peeling(self._peels)
        plotter.render_window.Render()
        pixels = np.ascontiguousarray(read_pixels(plotter)[..., :3])
        image = Image.fromarray(pixels).resize(self.size, Image.Resampling.LANCZOS)
        if shade is None:
            return image
        return Image.fromarray(np.round(np.asarray(image) * shade[..., None]).astype(np.uint8))
