"""Turning a scene's `Place` into facets of a mesh's surface.

A facet belongs to a place where its centroid does. So the area of a patch is, on average, the place's own at every
mesh; facets that lie in it whole would lose half an edge all around, a third of the jaws' patch among coarse elements.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..imaging.errors import SceneError
from ..imaging.volume import LabelMap
from ..meshing.mesh import TetMesh
from ..meshing.smoothing import vertex_normals
from .schema import Place

OUTERMOST_MM = 4.0
"""Depth of the layer whose middle is the outermost place in a direction."""


def facets_at(
    place: Place, mesh: TetMesh, labels: LabelMap, *, where: str, taken: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """(n,) which facets of the mesh's surface have their centroids at a place, but for those taken (m,) already.

    Raises:
        SceneError: none has.
    """
    chosen = np.flatnonzero(_selection(place, mesh, mesh.facet_sets["surface"], labels, where))
    if taken is not None:
        chosen = np.setdiff1d(chosen, taken)
    if not len(chosen):
        raise SceneError(
            "no facet of the mesh lies there",
            where=where,
            advice="Enlarge radius_mm, within_mm or fraction, move the place, or ask for more tetrahedra",
        )
    return chosen


def smooth_normals(mesh: TetMesh, triangles: NDArray[np.int32]) -> NDArray[np.float64]:
    """(F, 3) outward unit normals at the facets' centroids, between those of the corners: single facets are rough."""
    normals = vertex_normals(mesh.points, triangles)[triangles].mean(axis=1)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def _selection(
    place: Place, mesh: TetMesh, surface: NDArray[np.int32], labels: LabelMap, where: str
) -> NDArray[np.bool_]:
    points = mesh.points[surface].mean(axis=1)
    if place.point is not None:
        return _within(points, np.asarray(place.point), place.radius_mm, where)
    if place.towards is not None:
        direction = np.asarray(place.towards) / np.linalg.norm(place.towards)
        return _within(points, _outermost(points, direction), place.radius_mm, where)
    if place.facing is not None:
        direction = np.asarray(place.facing) / np.linalg.norm(place.facing)
        height = points @ direction
        low, high = height.min(), height.max()
        facing = smooth_normals(mesh, surface) @ direction > np.cos(np.radians(place.within_deg))
        return facing & (height >= high - place.fraction * (high - low))
    if place.near is not None:
        return _near(points, labels, place.near, place.within_mm)
    return np.ones(len(points), dtype=bool)


def _outermost(points: NDArray, direction: NDArray) -> NDArray[np.float64]:
    """(3,) the one nearest the middle of the outermost layer: the extreme one jumps by centimetres between meshes."""
    height = points @ direction
    middle = points[height >= height.max() - OUTERMOST_MM].mean(axis=0)
    return points[np.argmin(np.linalg.norm(points - middle, axis=1))]


def _within(points: NDArray, centre: NDArray, radius_mm: float, where: str) -> NDArray[np.bool_]:
    away = np.linalg.norm(points - centre, axis=1)
    if away.min() > radius_mm:
        raise SceneError(
            f"the middle of the nearest facet is {away.min():.0f} mm away from {np.round(centre, 1).tolist()}",
            where=where,
            advice="Move the point onto the organ's surface, enlarge radius_mm, or ask for more tetrahedra",
        )
    return away <= radius_mm


def _near(points: NDArray, labels: LabelMap, names: tuple[str, ...], within_mm: float) -> NDArray[np.bool_]:
    mask = labels.mask(names)
    nowhere = np.zeros(len(points), dtype=bool)
    if not mask.any():
        return nowhere
    # Only the voxels in the organ's neighbourhood can be near: cut down before building the tree.
    index = np.argwhere(mask)
    voxels = labels.grid.points_from_index(index)
    margin = within_mm + float(labels.grid.spacing.max())
    inside = ((voxels >= points.min(axis=0) - margin) & (voxels <= points.max(axis=0) + margin)).all(axis=1)
    if not inside.any():
        return nowhere
    away, _ = cKDTree(voxels[inside]).query(points, distance_upper_bound=within_mm)
    return np.isfinite(away)
