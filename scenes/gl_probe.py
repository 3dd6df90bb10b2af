"""Renders one small picture off screen and prints what drew it as a line of JSON. Run by `gl.gl_report`."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict

from ..imaging.errors import PreopError
from .gl import GLReport, prepare_off_screen

_SIDE = 32


def probe() -> GLReport:
    """Draw a red ball on black and look at the picture.

    Raises:
        MissingLibraryError: nothing here can render off screen.
    """
    prepare_off_screen()
    # Importing this registers the OpenGL classes with VTK's factories.
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401
    from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
    from vtkmodules.vtkFiltersSources import vtkSphereSource
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow

    ball, mapper, actor, renderer = vtkSphereSource(), vtkPolyDataMapper(), vtkActor(), vtkRenderer()
    mapper.SetInputConnection(ball.GetOutputPort())
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(1.0, 0.0, 0.0)
    renderer.AddActor(actor)
    window = vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetSize(_SIDE, _SIDE)
    window.AddRenderer(renderer)
    window.Render()

    pixels = vtkUnsignedCharArray()
    window.GetPixelData(0, 0, _SIDE - 1, _SIDE - 1, 0, pixels, 0)
    middle = 3 * (_SIDE // 2 * _SIDE + _SIDE // 2)
    drawn = pixels.GetNumberOfValues() == 3 * _SIDE**2 and pixels.GetValue(middle) > 100 and pixels.GetValue(0) == 0
    told = window.ReportCapabilities()
    return GLReport(
        renderer=_capability(told, "renderer"),
        vendor=_capability(told, "vendor"),
        version=_capability(told, "version"),
        window_class=window.GetClassName(),
        error="" if drawn else "the picture does not show what was drawn",
    )


def _capability(told: str, name: str) -> str:
    found = re.search(rf"OpenGL {name} string:\s*(.*)", told)
    return found.group(1).strip() if found else ""


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(probe())))
    except PreopError as error:
        sys.exit(error.what)
