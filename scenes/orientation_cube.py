"""The cube that tells left from right in a window's corner."""

from __future__ import annotations

from typing import Any


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
