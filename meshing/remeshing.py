"""Closed surfaces to a target edge length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def remesh(
    points: NDArray[np.float64], triangles: NDArray[np.int32], edge_length_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Fewer triangles, of about the given edge length."""
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    from .vtk_arrays import from_polydata, polydata

    a, b, c = (points[triangles[:, i]] for i in range(3))
    area = float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
    wanted = area / (np.sqrt(3) / 4 * edge_length_mm**2)
    if wanted >= len(triangles):
        return points, triangles
    decimate = vtkQuadricDecimation()
    decimate.SetInputData(polydata(points, triangles))
    decimate.SetTargetReduction(1 - wanted / len(triangles))
    decimate.VolumePreservationOn()
    decimate.Update()
    return from_polydata(decimate.GetOutput())
