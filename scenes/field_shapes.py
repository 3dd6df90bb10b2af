"""Shapes to draw, made from tetrahedra with fields: moved grids, boundaries, regions, cuts, nodal averages.

Grids are undeformed, in LPS mm, with `displacement` (N, 3) mm per node and `region` per cell,
as `ResultFolder.grid` gives them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..imaging.anatomy import BY_LABEL
from .render_style import ColourScale, colour_scale

if TYPE_CHECKING:
    import pyvista as pv

    from ..meshing.mesh import SurfaceMesh, TetMesh

_VTK_TETRA = 10
SMALLEST_TUMOUR = 100.0
"""mm³; smaller pieces carry no number in a report."""


def polydata(surface: SurfaceMesh | pv.PolyData) -> pv.PolyData:
    """A surface as VTK wants it; passes VTK's own through."""
    import pyvista as pv

    if isinstance(surface, pv.PolyData):
        return surface
    return pv.PolyData.from_regular_faces(surface.points, surface.triangles)


def grid_of(mesh: TetMesh) -> pv.UnstructuredGrid:
    """Tetrahedra as VTK wants them, with their `region`."""
    import pyvista as pv

    grid = pv.UnstructuredGrid({_VTK_TETRA: np.asarray(mesh.tetrahedra)}, mesh.points)
    grid.cell_data["region"] = mesh.region
    return grid


def moved(grid: pv.UnstructuredGrid, magnification: float = 1.0) -> pv.UnstructuredGrid:
    """The grid where its displacement carries it; fields come along."""
    # Deep: a shallow copy shares its points with the original.
    shape = grid.copy(deep=True)
    displacement = np.asarray(grid.point_data["displacement"], dtype=float)
    shape.points = np.asarray(grid.points, dtype=float) + magnification * displacement
    return shape


def magnification_of(grid: pv.UnstructuredGrid) -> float:
    """1 where the motion can be seen as it is; else a round factor that makes it visible.

    Pictures that use it must say so.
    """
    displacement = np.asarray(grid.point_data["displacement"], dtype=float)
    largest = float(np.linalg.norm(displacement, axis=1).max(initial=0.0))
    extent = float(np.linalg.norm(np.ptp(np.asarray(grid.points), axis=0)))
    if largest < 1e-9 or largest > 0.03 * extent:
        return 1.0
    wanted = 0.05 * extent / largest
    return float(max([step for step in (1, 2, 3, 5, 10, 20, 50, 100) if step <= wanted], default=1))


def boundary(grid: pv.DataSet) -> pv.PolyData:
    """The outer surface, triangulated, with `vtkOriginalPointIds` and `vtkOriginalCellIds`."""
    surface = grid.extract_surface(
        pass_pointid=True, pass_cellid=True, nonlinear_subdivision=0, algorithm="dataset_surface"
    )
    return surface.triangulate()


def region_ids(grid: pv.UnstructuredGrid) -> NDArray[np.int64]:
    """(E,) region of each cell; all 0 where the grid has none."""
    if "region" not in grid.cell_data:
        return np.zeros(grid.n_cells, dtype=np.int64)
    return np.asarray(grid.cell_data["region"]).astype(np.int64)


def region_name(label: int) -> str:
    """The segment of a region's label id."""
    return BY_LABEL[label].name if label in BY_LABEL else f"region_{label}"


def regions(grid: pv.UnstructuredGrid) -> dict[str, pv.UnstructuredGrid]:
    """Segment name → the cells of that region, with their fields."""
    import pyvista as pv

    ids = region_ids(grid)
    return {
        region_name(int(label)): pv.UnstructuredGrid(grid.extract_cells(np.flatnonzero(ids == label)))
        for label in np.unique(ids)
    }


def main_region(grid: pv.UnstructuredGrid) -> str:
    """Name of the region with most cells."""
    labels, counts = np.unique(region_ids(grid), return_counts=True)
    return region_name(int(labels[np.argmax(counts)]))


def tumour_pieces(grid: pv.UnstructuredGrid, smallest: float = SMALLEST_TUMOUR) -> list[pv.UnstructuredGrid]:
    """Connected tumours in the grid, largest volume first, as the report numbers them; none under `smallest` mm³."""
    pieces = []
    for name, part in regions(grid).items():
        if "tumor" in name:
            joined = part.connectivity("all")
            ids = np.asarray(joined.cell_data["RegionId"])
            pieces += [joined.extract_cells(np.flatnonzero(ids == number)) for number in np.unique(ids)]
    sized = [(float(cell_volumes(piece).sum()), piece) for piece in pieces]
    return [piece for volume, piece in sorted(sized, key=lambda one: -one[0]) if volume >= smallest]


def tumour_centre(grid: pv.UnstructuredGrid) -> NDArray[np.float64] | None:
    """(3,) LPS mm, volume centroid of the largest connected tumour in the grid; None without one."""
    pieces = tumour_pieces(grid, smallest=0.0)
    return _centroid(pieces[0]) if pieces else None


def _centroid(grid: pv.UnstructuredGrid) -> NDArray[np.float64]:
    weights = cell_volumes(grid)
    centres = np.asarray(grid.cell_centers().points, dtype=float)
    return np.asarray(np.average(centres, axis=0, weights=np.maximum(weights, 1e-12)))


def cell_volumes(grid: pv.DataSet) -> NDArray[np.float64]:
    """(E,) mm³, unsigned."""
    sizes = grid.compute_cell_sizes(length=False, area=False, volume=True)
    return np.abs(np.asarray(sizes.cell_data["Volume"], dtype=float))


def nodal(grid: pv.UnstructuredGrid, values: ArrayLike) -> NDArray[np.float64]:
    """(N,) volume-weighted mean of a cell field (E,) over the cells around each node.

    For pictures only: numbers come from the cells themselves. Call it per region, so that
    a jump between two materials stays one.
    """
    values = np.asarray(values, dtype=float)
    cells, offset = grid.cell_connectivity, grid.cell_offsets
    of_cell = np.repeat(np.arange(grid.n_cells), np.diff(offset))
    weight = cell_volumes(grid)[of_cell]
    total = np.bincount(cells, weights=weight, minlength=grid.n_points)
    summed = np.bincount(cells, weights=weight * values[of_cell], minlength=grid.n_points)
    return summed / np.maximum(total, 1e-30)


def field_values(grid: pv.UnstructuredGrid, key: str) -> NDArray[np.float64]:
    """A field as stored: (N,) or (E,); the length of a vector field.

    Raises:
        KeyError: the grid has no such field.
    """
    data = grid.point_data if key in grid.point_data else grid.cell_data
    values = np.asarray(data[key], dtype=float)
    return np.linalg.norm(values, axis=1) if values.ndim > 1 else values


def with_nodal(grid: pv.UnstructuredGrid, key: str) -> pv.UnstructuredGrid:
    """The grid with `nodal_KEY` per node, regions kept apart where the field is one per cell."""
    values = field_values(grid, key)
    if key in grid.point_data:
        shape = grid.copy(deep=False)
        shape.point_data[f"nodal_{key}"] = values
        return shape
    parts = []
    for part in regions(grid).values():
        part.point_data[f"nodal_{key}"] = nodal(part, field_values(part, key))
        parts.append(part)
    return parts[0].merge(parts[1:], merge_points=False) if len(parts) > 1 else parts[0]


def shown_values(grid: pv.UnstructuredGrid, key: str) -> NDArray[np.float64]:
    """(n,) a field as surfaces and cuts show it, at the nodes of each region: what a colour scale has to span."""
    return np.asarray(with_nodal(grid, key).point_data[f"nodal_{key}"], dtype=float)


def field_scale(
    grid: pv.UnstructuredGrid, key: str, limit: float | None = None, named: float | None = None
) -> ColourScale:
    """The colour range of a field, with stored values to mark and to reach: the one of stills and viewer alike."""
    return colour_scale(key, shown_values(grid, key), limit, named)


def whole_cells_behind(grid: pv.UnstructuredGrid, origin: ArrayLike, normal: ArrayLike) -> pv.UnstructuredGrid:
    """The cells whose centre lies on the far side of a plane, none of them cut."""
    import pyvista as pv

    centres = np.asarray(grid.cell_centers().points, dtype=float)
    side = (centres - np.asarray(origin, dtype=float)) @ np.asarray(normal, dtype=float)
    return pv.UnstructuredGrid(grid.extract_cells(np.flatnonzero(side <= 0)))
