"""numpy arrays to VTK data sets and back. VTK is imported when a function is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData, vtkUnstructuredGrid

_VTK_TETRA = 10


def polydata(
    points: NDArray[np.float64], triangles: NDArray[np.int32], precision: type[np.floating] = np.float64
) -> vtkPolyData:
    """A vtkPolyData of (V, 3) points, kept in the given precision, and (F, 3) triangles."""
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    data = vtkPolyData()
    data.SetPoints(_points(points, precision))
    data.SetPolys(_cells(triangles))
    return data


def from_polydata(data: vtkPolyData) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """(V, 3) float64 points and (F, 3) int32 triangles of a triangulated vtkPolyData."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    points = vtk_to_numpy(data.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(data.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return points, triangles.astype(np.int32)


def unstructured(points: NDArray[np.float64], tetrahedra: NDArray[np.int32]) -> vtkUnstructuredGrid:
    """A vtkUnstructuredGrid of (N, 3) points and (E, 4) tetrahedra."""
    from vtkmodules.vtkCommonDataModel import vtkUnstructuredGrid

    grid = vtkUnstructuredGrid()
    grid.SetPoints(_points(points))
    grid.SetCells(_VTK_TETRA, _cells(tetrahedra))
    return grid


def add_array(attributes, name: str, values: NDArray, unit: str = "") -> None:
    """Add a named (n, ...) array to point or cell data; components are flattened, booleans become bytes.

    The unit, where there is one, is kept as VTK's own label of it (`unit_of`); 1 is that of a ratio, a mark or an id.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk

    values = np.asarray(values)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    array = numpy_to_vtk(np.ascontiguousarray(values.reshape(len(values), -1)), deep=True)
    array.SetName(name)
    set_unit(array, unit)
    attributes.AddArray(array)


def set_unit(array, unit: str) -> None:
    """Label a vtkDataArray with its unit (vtkDataArray::UNITS_LABEL); an empty one leaves it as it is."""
    if unit:
        array.GetInformation().Set(array.UNITS_LABEL(), unit)


def unit_of(array) -> str:
    """The unit that a vtkDataArray is labelled with; empty where it is not."""
    return array.GetInformation().Get(array.UNITS_LABEL()) or ""


def add_region_names(data, names: Mapping[int, str]) -> None:
    """Add region id → name to a data set as its field data "region_id" and "region_name"."""
    from vtkmodules.vtkCommonCore import vtkStringArray

    text = vtkStringArray()
    text.SetName("region_name")
    for name in names.values():
        text.InsertNextValue(name)
    data.GetFieldData().AddArray(text)
    add_array(data.GetFieldData(), "region_id", np.array(list(names), dtype=np.int32), "1")


def region_names(data) -> dict[int, str]:
    """Region id → name as `add_region_names` left it; empty where the data set has none, or other numbers of both."""
    ids, text = (data.GetFieldData().GetAbstractArray(name) for name in ("region_id", "region_name"))
    if ids is None or text is None or ids.GetNumberOfTuples() != text.GetNumberOfTuples():
        return {}
    count = ids.GetNumberOfTuples()
    return {int(ids.GetVariantValue(i).ToInt()): text.GetVariantValue(i).ToString() for i in range(count)}


def _points(points: NDArray[np.float64], precision: type[np.floating] = np.float64):
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkPoints

    holder = vtkPoints()
    holder.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=precision), deep=True))
    return holder


def _cells(cells: NDArray[np.int32]):
    from vtkmodules.util.numpy_support import numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray

    count, corners = cells.shape
    offsets = np.arange(0, (count + 1) * corners, corners, dtype=np.int64)
    holder = vtkCellArray()
    holder.SetData(
        numpy_to_vtkIdTypeArray(offsets, deep=True),
        numpy_to_vtkIdTypeArray(np.ascontiguousarray(cells, dtype=np.int64).ravel(), deep=True),
    )
    return holder
