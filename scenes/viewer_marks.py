"""Marks in the viewer: a ball at each marked place, with its words, moving with the load."""

from __future__ import annotations

from typing import Any

import numpy as np

from .computed_organ import ComputedOrgan, between
from .marks import Mark, marks_of

_SHARE = 0.022
"""Radius of a ball over the organ's extent."""


class ViewerMarks:
    """What is marked of the field that is shown.

    Attributes:
        shown: the marks in the picture.
        places: (n, 3) LPS mm as drawn.
    """

    def __init__(self, plotter: Any, organ: ComputedOrgan, data: Any) -> None:
        self._plotter, self._organ, self._data = plotter, organ, data
        self._actors: list[Any] = []
        self.shown: list[Mark] = []
        self.places = np.zeros((0, 3))

    def show(self, field: str, load: float, *, visible: bool = True) -> None:
        """Mark a field's places at a load in [0, 1]; nothing where it has none or is hidden."""
        import pyvista as pv

        for actor in self._actors:
            self._plotter.remove_actor(actor, render=False)
        self._actors = []
        self.shown = marks_of(self._data, field, self._organ.grids[-1]) if visible else []
        if not self.shown:
            self.places = np.zeros((0, 3))
            return
        shapes = [self._organ.drawn_points(grid) for grid in self._organ.grids]
        steps = np.stack([[mark.place(points) for mark in self.shown] for points in shapes])
        self.places = between(steps, load)
        radius = _SHARE * float(np.linalg.norm(np.ptp(np.asarray(self._organ.rest.points), axis=0)))
        ball = pv.Sphere(radius=radius, theta_resolution=20, phi_resolution=14)
        cloud = pv.PolyData(self.places)
        self._actors.append(
            self._plotter.add_mesh(
                cloud.glyph(geom=ball, scale=False, orient=False), color=(0.0, 0.45, 0.70), name="marks",
                show_scalar_bar=False, reset_camera=False, render=False,
            )
        )  # fmt: skip
        self._actors.append(
            self._plotter.add_point_labels(
                cloud, [f"{mark.words} at full load" for mark in self.shown], name="mark words", always_visible=True,
                font_size=15, bold=True, text_color="#1c242c", shape_color="white", shape_opacity=0.85, margin=4,
                show_points=False, reset_camera=False, render=False,
            )
        )  # fmt: skip
