"""Facet sets and node sets: where loads, supports and grippers act on a tetrahedral mesh. LPS mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.spatial import KDTree

from ..imaging.errors import MeshError
from .mesh import OUTWARD, TetMesh


def boundary_facets(tetrahedra: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(F, 3) facets that belong to one tetrahedron only, normals outward, and (F,) that tetrahedron."""
    facets, owner, paired = all_facets(tetrahedra)
    return facets[paired < 0], owner[paired < 0].astype(np.int32)


def interface_facets(
    tetrahedra: NDArray[np.int32], region: NDArray[np.int32], inner: int, outer: int
) -> NDArray[np.int32]:
    """(F, 3) facets between two regions, normals from `inner` to `outer`."""
    facets, owner, paired = all_facets(tetrahedra)
    other = np.where(paired >= 0, owner[paired], 0)
    chosen = (paired >= 0) & (region[owner] == inner) & (region[other] == outer)
    return facets[chosen]


def with_region_sets(mesh: TetMesh) -> TetMesh:
    """The mesh with facet sets of its boundary and its interfaces.

    "surface": the whole boundary; "surface_NAME": its part on one region (where there are several);
    "interface_INNER_OUTER": between two regions, normals from the smaller region (by volume) outward.
    """
    facets, owner, paired = all_facets(mesh.tetrahedra)
    free = paired < 0
    sets: dict[str, NDArray[np.int32]] = dict(mesh.facet_sets)
    sets["surface"] = facets[free]
    volumes = mesh.volumes
    size = {int(i): float(volumes[mesh.region == i].sum()) for i in np.unique(mesh.region)}
    here, there = mesh.region[owner], mesh.region[owner[np.maximum(paired, 0)]]
    for inner in size:
        name = _name(mesh, inner)
        on_surface = free & (here == inner)
        if len(size) > 1 and on_surface.any():
            sets[f"surface_{name}"] = facets[on_surface]
        for outer in size:
            between = ~free & (here == inner) & (there == outer)
            if between.any() and (size[inner], inner) < (size[outer], outer):
                sets[f"interface_{name}_{_name(mesh, outer)}"] = facets[between]
    return replace(mesh, facet_sets=sets)


def with_node_sets(mesh: TetMesh, sets: Mapping[str, NDArray[np.int32]]) -> TetMesh:
    """The mesh with more node sets. Raises MeshError for an empty one."""
    for name, nodes in sets.items():
        if not len(nodes):
            raise MeshError("the node set is empty", where=name, advice="Enlarge it or move it onto the mesh")
    return replace(mesh, node_sets={**mesh.node_sets, **{n: np.asarray(v, np.int32) for n, v in sets.items()}})


def surface_nodes(mesh: TetMesh) -> NDArray[np.int32]:
    """(n,) nodes on the boundary, ascending."""
    return np.unique(boundary_facets(mesh.tetrahedra)[0]).astype(np.int32)


def nodes_within(mesh: TetMesh, centre: ArrayLike, radius_mm: float, *, on_surface: bool = True) -> NDArray[np.int32]:
    """(n,) nodes at most `radius_mm` from a point (3,), on the boundary or anywhere."""
    nodes = _candidates(mesh, on_surface)
    near = np.linalg.norm(mesh.points[nodes] - np.asarray(centre, dtype=np.float64), axis=1) <= radius_mm
    return nodes[near]


def nodes_near_surface(
    mesh: TetMesh, other_points: NDArray[np.float64], distance_mm: float, *, on_surface: bool = True
) -> NDArray[np.int32]:
    """(n,) nodes at most `distance_mm` from another organ, given as points (m, 3) dense on its surface or in it."""
    nodes = _candidates(mesh, on_surface)
    distance, _ = KDTree(other_points).query(mesh.points[nodes], distance_upper_bound=distance_mm)
    return nodes[np.isfinite(distance)]


def _candidates(mesh: TetMesh, on_surface: bool) -> NDArray[np.int32]:
    return surface_nodes(mesh) if on_surface else np.arange(len(mesh.points), dtype=np.int32)


def nodes_in_slab(
    mesh: TetMesh, origin: ArrayLike, normal: ArrayLike, *, low_mm: float = 0.0, high_mm: float = np.inf,
    on_surface: bool = True,
) -> NDArray[np.int32]:  # fmt: skip
    """(n,) nodes whose height over a plane lies in [low, high]; the default is the half-space ahead of it.

    Args:
        mesh: the mesh.
        origin: (3,) mm, a point of the plane.
        normal: (3,) any length; heights are measured along it.
        low_mm: least height.
        high_mm: greatest height.
        on_surface: boundary nodes only.
    """
    direction = np.asarray(normal, dtype=np.float64)
    length = np.linalg.norm(direction)
    if not length > 0:
        raise MeshError("the normal of a slab has no length")
    nodes = _candidates(mesh, on_surface)
    height = (mesh.points[nodes] - np.asarray(origin, dtype=np.float64)) @ (direction / length)
    return nodes[(height >= low_mm) & (height <= high_mm)]


def surface_patch(mesh: TetMesh, centre: ArrayLike, radius_mm: float) -> NDArray[np.int32]:
    """(n,) boundary nodes within a walk of `radius_mm` along the surface's edges from the one nearest to a point.

    Edge walks overestimate geodesics by up to about 15 % on even meshes; unlike a ball, the patch does
    not jump to the other side of a thin lobe.
    """
    facets, _ = boundary_facets(mesh.tetrahedra)
    nodes = np.unique(facets)
    start = nodes[np.argmin(np.linalg.norm(mesh.points[nodes] - np.asarray(centre, dtype=np.float64), axis=1))]
    rows, columns = facets.ravel(), np.roll(facets, -1, axis=1).ravel()
    length = np.linalg.norm(mesh.points[rows] - mesh.points[columns], axis=1)
    graph = sparse.csr_matrix((length, (rows, columns)), shape=(len(mesh.points),) * 2)
    # each edge occurs once in either direction on a closed surface, so entries are not summed
    walk = sparse.csgraph.dijkstra(graph, directed=False, indices=int(start), limit=radius_mm)
    return np.flatnonzero(np.isfinite(walk)).astype(np.int32)


def facet_normals(points: NDArray[np.float64], facets: NDArray[np.int32]) -> NDArray[np.float64]:
    """(F, 3) unit normals."""
    a, b, c = (points[facets[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)


def all_facets(tetrahedra: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """All (4 E, 3) facets, (4 E,) owner, and (4 E,) index of the same facet of the neighbour or −1."""
    facets = tetrahedra[:, OUTWARD].reshape(-1, 3)
    key = np.sort(facets, axis=1)
    order = np.lexsort(key.T[::-1])
    same = (key[order[1:]] == key[order[:-1]]).all(axis=1)
    paired = np.full(len(facets), -1, dtype=np.int64)
    first, second = order[:-1][same], order[1:][same]
    paired[first], paired[second] = second, first
    return facets, np.repeat(np.arange(len(tetrahedra)), 4), paired


def _name(mesh: TetMesh, region: int) -> str:
    return mesh.region_names.get(region, str(region))
