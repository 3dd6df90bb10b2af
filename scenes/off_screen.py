"""VTK without a window: a lit plotter, and reading what it rendered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyvista as pv


def off_screen_plotter(size: tuple[int, int]) -> Any:
    """A plotter without a window, lit softly from the camera's left above.

    Raises:
        MissingLibraryError: no OpenGL renderer can be opened.
    """
    from .gl import prepare_off_screen

    prepare_off_screen()
    import pyvista as pv

    plotter: Any = pv.Plotter(off_screen=True, window_size=list(size), lighting="none")
    plotter.disable_anti_aliasing()
    for light in soft_lights():
        plotter.add_light(light)
    return plotter


def soft_lights() -> Sequence[pv.Light]:
    """Key, fill and rim light that turn with the camera."""
    import pyvista as pv

    lights = []
    for position, intensity in (((-0.5, 0.7, 1.0), 0.72), ((0.8, 0.1, 0.7), 0.28), ((0.0, -0.8, 0.5), 0.14)):
        light = pv.Light(position=position, light_type="camera light", intensity=intensity)
        lights.append(light)
    return lights


def read_pixels(plotter: Any, *, depth: bool = False) -> NDArray:
    """(height, width, channels) of what was rendered last: depth in [0, 1] float32, or RGB uint8."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    reader = vtkWindowToImageFilter()
    reader.SetInput(plotter.render_window)
    if depth:
        reader.SetInputBufferTypeToZBuffer()
    else:
        reader.SetInputBufferTypeToRGB()
    reader.ReadFrontBufferOff()
    reader.ShouldRerenderOff()
    reader.Update()
    width, height = plotter.window_size
    return vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars()).reshape(height, width, -1)[::-1]


def read_depth_mm(plotter: Any, *, every: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Depth from the near plane in mm, and where a surface was hit: every so many pixels of what was rendered last.

    For parallel projection, in which depth is linear.
    """
    z = read_pixels(plotter, depth=True)[every // 2 :: every, every // 2 :: every, 0].astype(float)
    near, far = plotter.camera.clipping_range
    return z * (far - near), z < 1.0
