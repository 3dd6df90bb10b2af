"""Carry visual vertices by tetrahedra: each vertex gets a carrier and barycentric weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..imaging.errors import MeshError
from .mesh import Embedding, TetMesh
from .sets import boundary_facets

_TOLERANCE = 1e-9
EXTRAPOLATION = 0.5
"""How far below zero a weight may go for a vertex outside the mesh before it is clamped."""


def embed(points: NDArray[np.float64], mesh: TetMesh) -> Embedding:
    """Find the carrier tetrahedron and the barycentric weights of points.

    A point inside has exact weights in the tetrahedron that holds it. A point outside is
    carried by the tetrahedron behind the nearest point of the boundary, with weights
    extrapolated linearly, so rigid motions and linear fields carry it exactly; farther out than
    half an element the weights are clamped, so that a thin element cannot fling it away.

    Args:
        points: (V, 3) LPS mm.
        mesh: the carriers.

    Returns:
        Embedding; `distance` is that to the boundary for points outside, and 0 inside.

    Raises:
        MeshError: the mesh has no tetrahedron or points are not (V, 3).
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise MeshError(f"points to embed must be (V, 3), not {points.shape}", where="embedding")
    if not len(mesh.tetrahedra):
        raise MeshError("there is no tetrahedron to embed into", where="embedding")
    inverse, origin = _barycentric_maps(mesh)
    carrier = _containing(points, mesh, inverse, origin)
    distance = np.zeros(len(points))
    outside = np.flatnonzero(carrier < 0)
    if outside.size:
        carrier[outside], distance[outside] = _nearest_boundary(points[outside], mesh)
    weights = _weights(points, carrier, inverse, origin)
    weights[outside] = _clamped(weights[outside])
    return Embedding(carrier.astype(np.int32), weights, distance)


def _barycentric_maps(mesh: TetMesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(E, 3, 3) maps from x − a to the weights of b, c, d, and (E, 3) corner a."""
    corners = mesh.points[mesh.tetrahedra]
    edges = np.moveaxis(corners[:, 1:] - corners[:, :1], 1, 2)
    return np.linalg.inv(edges).astype(np.float64), corners[:, 0]


def _weights(points: NDArray, carrier: NDArray, inverse: NDArray, origin: NDArray) -> NDArray[np.float64]:
    rest = np.einsum("vij,vj->vi", inverse[carrier], points - origin[carrier])
    return np.concatenate([1.0 - rest.sum(axis=1, keepdims=True), rest], axis=1)


def _containing(points: NDArray, mesh: TetMesh, inverse: NDArray, origin: NDArray) -> NDArray[np.int64]:
    """(V,) a tetrahedron that holds each point, −1 for none.

    A tetrahedron's bounding ball has its centre at the centroid, so a point inside is no farther from
    that than the ball's radius. Elements are sorted into classes of like radius, and each class is
    searched with its own radius: exact, and quick also for graded meshes.
    """
    corners = mesh.points[mesh.tetrahedra]
    centroid = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centroid[:, None], axis=2).max(axis=1)
    carrier = np.full(len(points), -1, dtype=np.int64)
    size_class = np.floor(2 * np.log2(radius / radius.min())).astype(int)
    for value in np.unique(size_class):
        members = np.flatnonzero(size_class == value)
        _search_class(points, carrier, members, KDTree(centroid[members]), radius[members].max(), inverse, origin)
    return carrier


def _search_class(points, carrier, members, tree: KDTree, reach: float, inverse: NDArray, origin: NDArray) -> None:
    """Look through the 8, 32, … nearest centroids within reach until none nearer is left."""
    pending, count, done = np.flatnonzero(carrier < 0), 8, 0
    while pending.size:
        count = min(count, len(members))
        distance, near = tree.query(points[pending], k=list(range(done + 1, count + 1)), distance_upper_bound=reach)
        finite = np.isfinite(distance)
        rows, columns = np.nonzero(finite)
        candidates = members[near[rows, columns]]
        lowest = _weights(points[pending[rows]], candidates, inverse, origin).min(axis=1)
        hit = lowest >= -_TOLERANCE
        carrier[pending[rows[hit]]] = candidates[hit]
        more = finite[:, -1] & (carrier[pending] < 0)
        if count == len(members):
            return
        pending, done, count = pending[more], count, count * 4


def _nearest_boundary(points: NDArray, mesh: TetMesh) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The tetrahedron behind the nearest boundary facet, and the distance to that facet."""
    from vtkmodules.vtkCommonCore import reference
    from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

    from .vtk_arrays import polydata

    facets, owner = boundary_facets(mesh.tetrahedra)
    locator = vtkStaticCellLocator()
    locator.SetDataSet(polydata(mesh.points, facets))
    locator.BuildLocator()
    # VTK's mutable numbers; its stubs call the arguments plain int and float
    cell: Any = reference(0)
    part_of_cell: Any = reference(0)
    squared: Any = reference(0.0)
    nearest, found, distance = [0.0, 0.0, 0.0], np.empty(len(points), dtype=np.int64), np.empty(len(points))
    for number, point in enumerate(points.tolist()):
        locator.FindClosestPoint(point, nearest, cell, part_of_cell, squared)
        found[number], distance[number] = int(cell), float(squared)
    return owner[found].astype(np.int64), np.sqrt(distance)


def _clamped(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pull weights toward the centroid's until none is below −EXTRAPOLATION; rows keep summing to 1."""
    lowest = weights.min(axis=1)
    share = np.where(lowest < -EXTRAPOLATION, (0.25 + EXTRAPOLATION) / (0.25 - np.minimum(lowest, 0.0)), 1.0)
    return 0.25 + share[:, None] * (weights - 0.25)
