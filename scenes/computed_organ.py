"""`ComputedOrgan`: the solved tetrahedra at any load, also between the computed steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .field_shapes import (
    boundary,
    field_scale,
    field_values,
    magnification_of,
    main_region,
    moved,
    nodal,
    region_ids,
    tumour_centre,
)
from .render_style import FIELDS, ColourScale

if TYPE_CHECKING:
    import pyvista as pv


class ComputedOrgan:
    """What the viewer asks of the load steps of a result.

    Args:
        grids: one per step, undeformed, LPS mm, with `displacement` in mm.
        limits: field → stored value to mark on its colour bar.
        named: field → stored value that its colour bar reaches.

    Attributes:
        magnification: by which all motion is drawn.
        name: the segment with most cells.
        rest: (V, 3) surface before the first step.
        surface: the same surface; its points are those of the grid.
        keys: (steps, V, 3) LPS mm, the surface's points as drawn.
    """

    def __init__(
        self,
        grids: Sequence[pv.UnstructuredGrid],
        limits: Mapping[str, float] | None = None,
        named: Mapping[str, float] | None = None,
    ) -> None:
        self._limits, self._named = dict(limits or {}), dict(named or {})
        self.grids = list(grids)
        self.magnification = magnification_of(self.grids[-1])
        self.name = main_region(self.grids[-1])
        self.rest = boundary(self.grids[0])
        self.surface = boundary(self.grids[-1])
        self._nodes = np.asarray(self.surface.point_data["vtkOriginalPointIds"])
        self._cells = np.asarray(self.surface.cell_data["vtkOriginalCellIds"])
        self.surface.clear_data()
        self.keys = np.stack([self.drawn_points(grid)[self._nodes] for grid in self.grids])
        self._values: dict[str, NDArray[np.float64]] = {}
        self._scales: dict[str, ColourScale] = {}

    def drawn_points(self, grid: pv.UnstructuredGrid) -> NDArray[np.float64]:
        """(N, 3) LPS mm of a step's nodes, magnified as everything is."""
        displacement = np.asarray(grid.point_data["displacement"], dtype=float)
        return np.asarray(grid.points, dtype=float) + self.magnification * displacement

    @property
    def fields(self) -> tuple[str, ...]:
        """Keys of the fields that it has."""
        have = {*self.grids[-1].point_data.keys(), *self.grids[-1].cell_data.keys()}
        return tuple(key for key in FIELDS if key in have)

    def scale(self, key: str) -> ColourScale:
        """A field's colour range, that of the last step at every load."""
        if key not in self._scales:
            self._scales[key] = field_scale(self.grids[-1], key, self._limits.get(key), self._named.get(key))
        return self._scales[key]

    def surface_values(self, key: str, load: float) -> NDArray[np.float64]:
        """(V,) of a field on the surface, as stored, at a load in [0, 1]."""
        if key not in self._values:
            rows = []
            for grid in self.grids:
                values = field_values(grid, key)
                rows.append((values if key in grid.point_data else nodal(grid, values))[self._nodes])
            self._values[key] = np.stack(rows)
        return between(self._values[key], load)

    def surface_regions(self) -> NDArray[np.int64]:
        """Label of the region that each triangle of the surface bounds."""
        return region_ids(self.grids[-1])[self._cells]

    def tumour_centre(self) -> NDArray[np.float64] | None:
        """(3,) LPS mm of the largest tumour as drawn at full load; None without one."""
        return tumour_centre(moved(self.grids[-1], self.magnification))

    def at(self, load: float) -> pv.UnstructuredGrid:
        """The tetrahedra as drawn at a load in [0, 1], with the fields of the nearest step."""
        grid = self.grids[round(load * (len(self.grids) - 1))].copy(deep=False)
        steps = np.stack([np.asarray(one.point_data["displacement"], dtype=float) for one in self.grids])
        grid.point_data["displacement"] = between(steps, load)
        return moved(grid, self.magnification)


def between(steps: NDArray, load: float) -> NDArray:
    """Linear between the entries of (steps, …) at a load in [0, 1]."""
    if len(steps) == 1:
        return steps[0]
    position = load * (len(steps) - 1)
    lower = min(int(position), len(steps) - 2)
    return (1 - (position - lower)) * steps[lower] + (position - lower) * steps[lower + 1]
