"""Planes through the patient, and the values of a scan in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..imaging.volume import Grid
from .plain_words import side_words


@dataclass(frozen=True)
class Plane:
    """A slice through the patient: what runs to the right and down the picture (LPS), and the letters at its sides."""

    title: str
    right: tuple[float, float, float]
    down: tuple[float, float, float]
    letters: tuple[str, str, str, str]
    """Left, right, top, bottom."""

    @property
    def axis(self) -> int:
        """The LPS axis that the plane is perpendicular to."""
        return int(np.flatnonzero(np.asarray(self.right) + np.asarray(self.down) == 0)[0])


AXIAL = Plane("Axial", (1, 0, 0), (0, 1, 0), ("R", "L", "A", "P"))
CORONAL = Plane("Coronal", (1, 0, 0), (0, 0, -1), ("R", "L", "S", "I"))
SAGITTAL = Plane("Sagittal", (0, 1, 0), (0, 0, -1), ("A", "P", "S", "I"))
PLANES = (AXIAL, CORONAL, SAGITTAL)


def sample_plane(
    values: NDArray, grid: Grid, plane: Plane, point: ArrayLike, *, order: int, outside: float, spacing: float = 0.0
) -> tuple[NDArray, tuple[float, float, float, float]]:
    """Values (rows, columns) in a plane of the patient through a point.

    Args:
        order: 1 to interpolate, 0 for labels.
        outside: the value beyond the scan.
        spacing: mm between samples; the scan's finest without it.

    Returns:
        The picture and its (left, right, bottom, top) in mm along the plane's own axes.
    """
    from scipy.ndimage import map_coordinates

    right, down = np.asarray(plane.right, dtype=float), np.asarray(plane.down, dtype=float)
    corners = grid.points_from_index(
        np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(grid.shape) - 1)
    )
    step = spacing or float(grid.spacing.min())
    ranges = [np.arange((corners @ axis).min(), (corners @ axis).max() + step / 2, step) for axis in (right, down)]
    point = np.asarray(point, dtype=float)
    normal_part = point - (point @ right) * right - (point @ down) * down
    columns, rows = np.meshgrid(*ranges)
    points = normal_part + columns[..., None] * right + rows[..., None] * down
    index = np.moveaxis(grid.index_from_points(points), -1, 0)
    sampled = map_coordinates(values, index, order=order, mode="constant", cval=outside, prefilter=False)
    half = step / 2
    return sampled, (ranges[0][0] - half, ranges[0][-1] + half, ranges[1][-1] + half, ranges[1][0] - half)


def position_of(plane: Plane, point: NDArray[np.float64]) -> str:
    """Where a slice lies, counted from the scan's origin, which need not be in the patient's middle."""
    return side_words(plane.axis, float(point[plane.axis]), digits=1)
