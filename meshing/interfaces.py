"""The smooth interfaces of several regions at once: one triangle soup without gaps or overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .regions import RegionLattice
from .smoothing import restore_locally, taubin_in_box, umbrella
from .voxelnet import triangulate, voxel_net


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
    """Smooth the lattice's net as `surface_from_mask` does; where three regions meet it only relaxes in its box."""
    net = voxel_net(lattice.labels)
    mean = umbrella(net.quads, len(net.index))
    origin = lattice.points(net.index)
    points = lattice.points(taubin_in_box(net.index, mean, iterations=iterations, box=np.full(3, 0.5)))
    triangles = triangulate(points, net.quads)
    if np.linalg.det(lattice.affine[:3, :3]) < 0:
        triangles = triangles[:, ::-1].copy()
    restored = restore_locally(points, origin, triangles, mean)
    junction = _junctions(net.quads, net.regions, len(net.index))
    restored[junction] = points[junction]
    return Interfaces(restored, triangles, np.repeat(net.regions, 2, axis=0))


def _junctions(quads: NDArray[np.int32], regions: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """(V,) vertices where faces of different region pairs meet."""
    code = regions[:, 0].astype(np.int64) << 32 | regions[:, 1]
    flat, value = quads.ravel(), np.repeat(code, 4)
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1, dtype=np.int64)
    np.minimum.at(low, flat, value)
    np.maximum.at(high, flat, value)
    return low != high
