"""The smooth interfaces of several regions at once: one triangle soup without gaps or overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .regions import RegionLattice
from .smoothing import restore_locally, taubin_in_box, umbrella
from .voxelnet import VoxelNet, triangulate, voxel_net


@dataclass(frozen=True, eq=False)
class Interfaces:
    """Triangles between regions; regions that touch share triangles and nodes.

    Attributes:
        points: (V, 3) float64, LPS mm.
        triangles: (F, 3) int32, normals from `regions[:, 0]` to `regions[:, 1]`.
        regions: (F, 2) int32 region ids; 0 is outside.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int32]
    regions: NDArray[np.int32]

    def closed(self) -> dict[int, tuple[NDArray[np.float64], NDArray[np.int32]]]:
        """Region id → its closed surface, normals outward."""
        surfaces = {}
        for region in np.unique(self.regions[self.regions > 0]):
            inside, outside = (self.regions[:, side] == region for side in (0, 1))
            triangles = np.concatenate([self.triangles[inside], self.triangles[outside][:, ::-1]])
            surfaces[int(region)] = (self.points, triangles)
        return surfaces


def smooth_interfaces(lattice: RegionLattice, *, iterations: int = 40) -> Interfaces:
    """Smooth the lattice's net as `surface_from_mask` does; where three regions meet it only relaxes in its box.

    Args:
        lattice: region labels.
        iterations: of the λ|μ filter.
    """
    net = voxel_net(lattice.labels)
    points = lattice.points(_smoothed(lattice, net, iterations))
    triangles = _triangles(lattice, points, net.quads)
    return Interfaces(points, triangles, np.repeat(net.regions, 2, axis=0))


def _smoothed(lattice: RegionLattice, net: VoxelNet, iterations: int) -> NDArray[np.float64]:
    """(V, 3) lattice index."""
    count = len(net.index)
    on_outside = net.regions[:, 1] == 0
    outer = np.zeros(count, dtype=bool)
    outer[net.quads[on_outside]] = True
    mean = _layered_mean(net, outer, on_outside)
    index = taubin_in_box(net.index, mean, iterations=iterations, box=np.full(3, 0.5))
    points, origin = lattice.points(index), lattice.points(net.index)
    outside = restore_locally(points, origin, _triangles(lattice, points, net.quads[on_outside]), mean)
    restored = np.where(outer[:, None], outside, points)
    if not on_outside.all():
        inside = restore_locally(points, origin, _triangles(lattice, points, net.quads[~on_outside]), mean)
        free = ~outer & ~_junctions(net.quads, net.regions, count)
        restored[free] = inside[free]
    return lattice.index(restored)


def _layered_mean(net: VoxelNet, outer: NDArray[np.bool_], on_outside: NDArray[np.bool_]) -> sparse.csr_matrix:
    """Umbrella in which the outside's vertices hear only each other: inner interfaces put no kink in it."""
    count = len(outer)
    own, full = umbrella(net.quads[on_outside], count), umbrella(net.quads, count)
    return sparse.csr_matrix(sparse.diags(outer.astype(float)) @ own + sparse.diags((~outer).astype(float)) @ full)


def _triangles(lattice: RegionLattice, points: NDArray[np.float64], quads: NDArray[np.int32]) -> NDArray[np.int32]:
    triangles = triangulate(points, quads)
    return triangles[:, ::-1].copy() if np.linalg.det(lattice.affine[:3, :3]) < 0 else triangles


def _junctions(quads: NDArray[np.int32], regions: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """(V,) vertices where faces of different region pairs meet."""
    code = regions[:, 0].astype(np.int64) << 32 | regions[:, 1]
    flat, value = quads.ravel(), np.repeat(code, 4)
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1, dtype=np.int64)
    np.minimum.at(low, flat, value)
    np.maximum.at(high, flat, value)
    return low != high
