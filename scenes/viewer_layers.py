"""Layers of the viewer: surfaces that are shown, hidden, faded, moved and cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .render_style import Colour
from .shaded_surface import with_normals

if TYPE_CHECKING:
    import pyvista as pv

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


def add_layer(
    plotter: Any, name: str, mesh: pv.PolyData, colour: Colour, opacity: float, keys: NDArray | None = None
) -> Layer:
    """Put a copy of a surface into a plotter, where it is at full load."""
    mesh = mesh.copy()
    if keys is not None:
        mesh.points = keys[-1]
    shown = with_normals(mesh)
    actor = plotter.add_mesh(
        shown, color=colour, opacity=opacity, ambient=0.25, diffuse=0.75, specular=0.1, name=name,
        show_scalar_bar=False, reset_camera=False, render=False,
    )  # fmt: skip
    actor.prop.interpolation = "Phong"
    return Layer(name, shown, actor, colour, opacity, keys)


def cut_plane(plane: str, fraction: float, bounds: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A point of an anatomical plane, and its normal towards the side that is taken away.

    Args:
        plane: one of `CUTS`.
        fraction: where, from 0 to 1 along the bounds.
        bounds: (x low, x high, y low, y high, z low, z high) LPS mm.
    """
    axis = CUTS[plane]
    low, high = bounds[2 * axis], bounds[2 * axis + 1]
    origin, normal = np.zeros(3), np.zeros(3)
    origin[axis] = low + fraction * (high - low)
    normal[axis] = _SEEN_FROM[plane]
    return origin, normal


def clip(layer: Layer, plane: tuple[NDArray[np.float64], NDArray[np.float64]] | None) -> None:
    """Show only what lies behind a plane; all of it without one."""
    layer.actor.mapper.RemoveAllClippingPlanes()
    if plane is not None:
        from vtkmodules.vtkCommonDataModel import vtkPlane

        origin, normal = plane
        vtk_plane = vtkPlane()
        vtk_plane.SetOrigin(*origin)
        vtk_plane.SetNormal(*(-normal))
        layer.actor.mapper.AddClippingPlane(vtk_plane)
