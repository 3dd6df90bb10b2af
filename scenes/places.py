"""Turning a scene's `Place` into nodes of a mesh's surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import SceneError
from ..imaging.volume import LabelMap
from ..meshing.mesh import TetMesh
from ..meshing.sets import nodes_near_surface, nodes_within
from ..meshing.smoothing import vertex_normals
from .schema import Place

OUTERMOST_MM = 4.0
"""Depth of the layer whose middle is the outermost place in a direction."""


def surface_normals(mesh: TetMesh, triangles: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Nodes of a facet set and their area-weighted outward unit normals: (n,), (n, 3)."""
    nodes = np.unique(triangles)
    return nodes, vertex_normals(mesh.points, triangles)[nodes]


def nodes_at(place: Place, mesh: TetMesh, labels: LabelMap, *, where: str) -> NDArray[np.int32]:
    """(n,) nodes of the outer surface that lie at a place, sorted.

    Raises:
        SceneError: no node lies there.
    """
    nodes, normals = surface_normals(mesh, mesh.facet_sets["surface"])
    chosen = _selection(place, mesh, nodes, normals, labels, where)
    if chosen.size == 0:
        raise SceneError(
            "no node of the mesh lies there",
            where=where,
            advice="Enlarge radius_mm, within_mm or fraction, or move the place",
        )
    return chosen


def facets_on(mesh: TetMesh, nodes: NDArray, *, where: str) -> NDArray[np.int32]:
    """(F, 3) facets of the outer surface whose three corners are among the nodes.

    Raises:
        SceneError: there is none.
    """
    surface = mesh.facet_sets["surface"]
    facets = surface[np.isin(surface, nodes).all(axis=1)]
    if not len(facets):
        raise SceneError("no whole facet of the surface lies there", where=where, advice="Enlarge the place")
    return facets


def _selection(
    place: Place, mesh: TetMesh, nodes: NDArray, normals: NDArray, labels: LabelMap, where: str
) -> NDArray[np.int32]:
    points = mesh.points[nodes]
    if place.point is not None:
        return _within(mesh, nodes, np.asarray(place.point), place.radius_mm, where)
    if place.towards is not None:
        direction = np.asarray(place.towards) / np.linalg.norm(place.towards)
        return _within(mesh, nodes, _outermost(points, direction), place.radius_mm, where)
    if place.facing is not None:
        direction = np.asarray(place.facing) / np.linalg.norm(place.facing)
        height = points @ direction
        low, high = height.min(), height.max()
        facing = normals @ direction > np.cos(np.radians(place.within_deg))
        return nodes[facing & (height >= high - place.fraction * (high - low))]
    if place.near is not None:
        return _near(mesh, nodes, labels, place.near, place.within_mm)
    return nodes


def _outermost(points: NDArray, direction: NDArray) -> NDArray[np.float64]:
    """(3,) the node nearest the middle of the outermost layer: one extreme node jumps by centimetres between meshes."""
    height = points @ direction
    middle = points[height >= height.max() - OUTERMOST_MM].mean(axis=0)
    return points[np.argmin(np.linalg.norm(points - middle, axis=1))]


def _within(mesh: TetMesh, nodes: NDArray, centre: NDArray, radius_mm: float, where: str) -> NDArray[np.int32]:
    chosen = nodes_within(mesh, centre, radius_mm, among=nodes)
    if not chosen.size:
        away = np.linalg.norm(mesh.points[nodes] - centre, axis=1).min()
        raise SceneError(
            f"the surface is {away:.0f} mm away from {np.round(centre, 1).tolist()}",
            where=where,
            advice="Move the point onto the organ's surface or enlarge radius_mm",
        )
    return chosen


def _near(
    mesh: TetMesh, nodes: NDArray, labels: LabelMap, names: tuple[str, ...], within_mm: float
) -> NDArray[np.int32]:
    mask, points = labels.mask(names), mesh.points[nodes]
    if not mask.any():
        return nodes[:0]
    # Only the voxels in the organ's neighbourhood can be near: cut down before building the tree.
    index = np.argwhere(mask)
    voxels = labels.grid.points_from_index(index)
    margin = within_mm + float(labels.grid.spacing.max())
    inside = ((voxels >= points.min(axis=0) - margin) & (voxels <= points.max(axis=0) + margin)).all(axis=1)
    if not inside.any():
        return nodes[:0]
    return nodes_near_surface(mesh, voxels[inside], within_mm, among=nodes)
