"""Surfaces as they are shown: bare, with point normals for smooth shading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import pyvista as pv


def with_normals(mesh: pv.PolyData) -> pv.PolyData:
    """A copy of the bare surface with point normals; nothing shared with the original."""
    shown = mesh.copy()
    shown.clear_data()
    return shown.compute_normals(cell_normals=False, split_vertices=False, consistent_normals=False, inplace=True)


def move(shown: pv.PolyData, points: ArrayLike) -> None:
    """Move a shown surface to points (V, 3) LPS mm and shade it anew."""
    shown.points = np.asarray(points, dtype=float)
    shown.compute_normals(cell_normals=False, split_vertices=False, consistent_normals=False, inplace=True)
