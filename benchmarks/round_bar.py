"""A round bar of hexahedra: a square core and four blocks from its sides to the rim, in layers along z."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CORE = 0.5
"""Half the side of the core over the radius."""


def round_bar(radius: float, length: float, cells: int, layers: int):
    """A `HexMesh` with `cells` along each side of the core and half as many from it to the rim; in mm.

    The polygon has the area of the disc, so that its weight and its second moment hardly depend on the mesh. Sets:
    nodes `z0`, facets `skin` (rim and z = length).
    """
    from preop.engine.tissue.verification.meshes import HEXAHEDRON_FACES
    from preop.meshing.mesh import HexMesh

    flat, quads = _section(cells, max(1, round(0.5 * cells)))
    flat *= np.sqrt(np.pi / _area(flat[quads]))
    radius_seen = radius * np.hypot(*flat.T).max()
    count = len(flat)
    heights = np.linspace(0.0, length, layers + 1)
    points = np.concatenate([np.column_stack([radius * flat, np.full(count, z)]) for z in heights])
    cell = np.concatenate([np.hstack([quads, quads + count]) + k * count for k in range(layers)])
    faces = cell[:, HEXAHEDRON_FACES].reshape(-1, 4)
    radii = np.hypot(*points[:, :2].T)
    outside = (radii[faces] > radius_seen * (1 - 1e-9)).all(axis=1) | (points[faces][..., 2] > length - 1e-9).all(
        axis=1
    )
    return HexMesh(
        points,
        cell,
        np.ones(len(cell), np.int32),
        {1: "body"},
        facet_sets={"skin": faces[outside].astype(np.int32)},
        node_sets={"z0": np.arange(count, dtype=np.int32)},
    )


def _section(cells: int, rings: int) -> tuple[NDArray, NDArray]:
    """Points (N, 2) of the unit disc and quadrangles (Q, 4), counter-clockwise."""
    side = np.linspace(-1.0, 1.0, cells + 1)
    grids = [CORE * np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1)]
    inner = CORE * np.stack([np.ones_like(side), side], axis=1)
    outer = np.stack([np.cos(0.25 * np.pi * side), np.sin(0.25 * np.pi * side)], axis=1)
    share = np.linspace(0.0, 1.0, rings + 1)[:, None, None]
    block = (1 - share) * inner + share * outer
    grids += [block @ np.linalg.matrix_power(np.array([[0.0, 1.0], [-1.0, 0.0]]), k) for k in range(4)]
    corners = [
        grid[i : i + 2, j : j + 2] for grid in grids for i, j in np.ndindex(grid.shape[0] - 1, grid.shape[1] - 1)
    ]
    every = np.array([[c[0, 0], c[1, 0], c[1, 1], c[0, 1]] for c in corners])
    points, where = np.unique(np.round(every.reshape(-1, 2), 10) + 0.0, axis=0, return_inverse=True)
    return points, where.reshape(-1, 4)


def _area(corners: NDArray) -> float:
    """Of quadrangles (Q, 4, 2)."""
    x, y = corners[..., 0], corners[..., 1]
    return float(0.5 * (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum())
