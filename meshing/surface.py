"""Masks and label maps to smooth, closed surfaces that keep their volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..imaging.anatomy import SEGMENTS
from ..imaging.errors import GeometryError, MeshError
from ..imaging.progress import Progress, part, silent
from ..imaging.volume import Grid, LabelMap
from .mesh import SurfaceMesh
from .smoothing import component_volumes, components, offset_to_volume, restore_locally, taubin_in_box, umbrella
from .untangling import crossing_vertices, drawn_back, relaxed_apart
from .upsampling import even_factors, refine
from .voxelnet import triangulate, voxel_net, well_composed
from .voxels import bounding_box, large_pieces, pieces

SMOOTHING = 40
"""Default iterations of the λ|μ filter: flattens stairs of up to about ten voxels' length."""
HOLDING_ATTEMPTS = 4
"""Times that remeshing is done again, each time with more of the surface left as it was, where faces cross."""


def surface_from_mask(
    mask: NDArray[np.bool_],
    grid: Grid,
    *,
    name: str = "",
    edge_length_mm: float | None = None,
    smoothing: int = SMOOTHING,
    drop_below_mm3: float | None = None,
    progress: Progress = silent,
) -> SurfaceMesh:
    """The smooth closed surface of a mask.

    Every connected component keeps the volume of its voxels (to 1e-4 where the offset this
    takes stays below half a voxel, so also tumours of a few voxels), edges are manifold, normals
    point outward, and where the mask touches the scan's border the surface is closed there.

    Args:
        mask: (I, J, K) bool.
        grid: where the voxels are; may be anisotropic, oblique, sheared or left-handed.
        name: of the segment or group, kept in the surface and shown in errors.
        edge_length_mm: target mean edge length; None keeps that of the voxels.
        smoothing: iterations; 0 gives the voxels' own faces.
        drop_below_mm3: components smaller than this are dropped; None keeps all.
        progress: told of the steps.

    Raises:
        GeometryError: mask and grid differ in shape.
        MeshError: the mask is empty, or nothing is left of it.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != grid.shape:
        raise GeometryError(f"the mask {mask.shape} does not fit the grid {grid.shape}", where=name)
    if edge_length_mm is not None and not edge_length_mm > 0:
        raise MeshError(f"an edge length of {edge_length_mm} mm is not positive", where=name)
    if drop_below_mm3:
        mask = large_pieces(mask, drop_below_mm3 / grid.voxel_volume)
    if not mask.any():
        raise MeshError("the mask has no voxel, so it has no surface", where=name, advice="Check the segmentation")
    say = f"surface of {name}" if name else "surface"
    progress(0.0, say)
    points, triangles, component, targets = _smooth_net(mask, grid, smoothing, part(progress, 0.0, 0.6), say)
    if edge_length_mm is not None:
        progress(0.6, f"{say}: remeshing to {edge_length_mm:g} mm")
        limit = float(min(edge_length_mm, grid.spacing.max()))
        points, triangles = _remeshed(points, triangles, component, targets, edge_length_mm, limit)
    progress(1.0, say)
    label = SEGMENTS[name].label if name in SEGMENTS else 1
    regions = np.tile(np.array([label, 0], dtype=np.int32), (len(triangles), 1))
    return SurfaceMesh(points, triangles, regions, name)


def surfaces_from_labels(
    labels: LabelMap,
    names: Iterable[str] | Mapping[str, Iterable[str]] | None = None,
    *,
    edge_length_mm: float | Mapping[str, float] | None = None,
    smoothing: int = SMOOTHING,
    drop_below_mm3: float | None = None,
    progress: Progress = silent,
) -> dict[str, SurfaceMesh]:
    """One closed surface per segment or group of segments.

    Args:
        labels: the label map.
        names: segments (with their parts, as in `LabelMap.mask`), or group name → segments; None for all present.
        edge_length_mm: one target for all, or by name.
        smoothing: see `surface_from_mask`.
        drop_below_mm3: see `surface_from_mask`.
        progress: told of the steps.

    Raises:
        SegmentationError: a segment that has no voxel.
        MeshError: see `surface_from_mask`.
    """
    chosen = labels.names if names is None else names
    groups = dict(chosen) if isinstance(chosen, Mapping) else {name: (name,) for name in chosen}
    surfaces = {}
    for number, (group, members) in enumerate(groups.items()):
        members = (members,) if isinstance(members, str) else tuple(members)
        labels.require(members)
        edge = edge_length_mm.get(group) if isinstance(edge_length_mm, Mapping) else edge_length_mm
        surfaces[group] = surface_from_mask(
            labels.mask(members), labels.grid, name=group, edge_length_mm=edge, smoothing=smoothing,
            drop_below_mm3=drop_below_mm3, progress=part(progress, number / len(groups), (number + 1) / len(groups)),
        )  # fmt: skip
    return surfaces


def _smooth_net(mask: NDArray, grid: Grid, smoothing: int, progress: Progress, say: str):
    """Points (V, 3) LPS mm, triangles outward, component of each vertex, target volume of each component."""
    box = bounding_box(mask)
    start = np.array([s.start for s in box])
    cropped = mask[box]
    factors = even_factors(grid.spacing, cropped.shape)
    solid = well_composed(refine(cropped, grid.spacing, factors))
    progress(0.4, say)
    net = voxel_net(solid)
    mean = umbrella(net.quads, len(net.index))

    def world(index: NDArray) -> NDArray:
        return grid.points_from_index((index - (factors - 1) / 2) / factors + start)

    index = taubin_in_box(net.index, mean, iterations=smoothing, box=factors / 2.0)
    progress(0.7, say)
    blocky, points = world(net.index), world(index)
    triangles = triangulate(points, net.quads)
    if np.linalg.det(grid.affine[:3, :3]) < 0:
        triangles = triangles[:, ::-1].copy()
    number, component = components(triangles, len(points))
    targets = component_volumes(blocky, triangles, component, number)
    targets *= _volume_ratio(cropped, solid, factors, net.index, component, number)
    if smoothing:
        points = restore_locally(points, blocky, triangles, mean)
    limit = 0.5 * float(grid.spacing.max())
    points = offset_to_volume(points, triangles, component, targets, limit_mm=limit)
    # within their boxes vertices cannot pass each other; the net itself crosses nothing
    inverse = np.linalg.inv(grid.affine[:3, :3])
    strayed = np.any(np.abs((points - blocky) @ inverse.T * factors) > 0.5, axis=1)
    points = drawn_back(points, blocky, triangles, strayed)
    return points, triangles, component, targets


def _volume_ratio(mask, solid, factors, index, component, number) -> NDArray[np.float64]:
    """(number,) voxel volume over refined volume of the solid each closed surface belongs to."""
    piece_of, count = pieces(solid)
    centre = tuple(slice(int(f) // 2, None, int(f)) for f in factors)
    coarse = np.bincount(piece_of[centre][mask], minlength=count + 1) * float(np.prod(factors))
    fine = np.bincount(piece_of.ravel(), minlength=count + 1)
    fine[0] = 1
    first = np.unique(component, return_index=True)[1]
    around = np.array(list(np.ndindex(2, 2, 2))) + np.floor(index[first]).astype(int)[:, None] + 1
    piece = np.pad(piece_of, 1)[tuple(np.moveaxis(around, 2, 0))].max(axis=1)
    ratio = coarse[piece] / fine[piece]
    assert len(ratio) == number
    return np.where(ratio > 0, ratio, 1.0)


def _remeshed(points, triangles, component, targets, edge_length_mm: float, limit_mm: float):
    """Points (V, 3) and triangles of about the edge length, of which none cross.

    Where faces cross that will not come apart, the surface is left as it was, around them at first, and at last whole
    components.
    """
    from .remeshing import remesh

    held, tree = np.zeros(len(points), dtype=bool), KDTree(points)
    attempt = 0
    while True:
        coarse, faces = remesh(points, triangles, edge_length_mm, held=held)
        fresh, wanted = _carried(coarse, faces, points, component, targets)
        coarse, crossing = _apart(coarse, faces, fresh, wanted, limit_mm)
        if not crossing.size or attempt == HOLDING_ATTEMPTS:
            return coarse, faces
        near = tree.query_ball_point(coarse[crossing], 2.0**attempt * edge_length_mm)
        held[np.concatenate([np.asarray(n, dtype=np.int64) for n in near])] = True
        held[tree.query(coarse[crossing])[1]] = True
        attempt += 1
        if attempt == HOLDING_ATTEMPTS:
            held |= np.isin(component, np.unique(component[held]))


def _apart(points, triangles, component, targets, limit_mm: float) -> tuple[NDArray, NDArray]:
    """Relaxed where faces cross and brought to the target volumes; also the vertices of faces that still cross."""
    crossing = np.empty(0, dtype=np.int32)
    for _ in range(3):
        apart = relaxed_apart(points, triangles)
        points = offset_to_volume(apart, triangles, component, targets, limit_mm=limit_mm)
        crossing = crossing_vertices(points, triangles)
        if not crossing.size:
            break
    return points, crossing


def _carried(coarse, triangles, points, component, targets):
    """Component of each remeshed vertex, and targets, numbered anew."""
    number, fresh = components(triangles, len(coarse))
    first = np.unique(fresh, return_index=True)[1]
    before = component[KDTree(points).query(coarse[first])[1]]
    assert len(before) == number
    return fresh, targets[before]
