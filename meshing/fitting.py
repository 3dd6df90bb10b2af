"""Nodes of boundary and interfaces moved so that each region regains its volume.

fTetWild keeps its output within an envelope of the input, and long chords in that envelope lie on the
inside of a convex surface: a ball meshed with elements of a third of its radius lost 6 % of its
volume. A small offset along the normals, region by region, gives it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .mesh import TetMesh, signed_volumes
from .sets import all_facets
from .smoothing import vertex_normals

LEAST_SHARE = 0.3
"""An element keeps at least this share of its volume, else its nodes stay."""


def fit_volumes(
    mesh: TetMesh, targets: Mapping[int, float], *, limit_mm: float, rounds: int = 4, tolerance: float = 1e-3
) -> TetMesh:
    """Offset the boundary to the total of the targets, and each inner region's interface to its own.

    Args:
        mesh: any regions.
        targets: region id → mm³; the largest region takes what the others leave of the total.
        limit_mm: the most that a node may move in one round.
        rounds: most repetitions.
        tolerance: relative.
    """
    facets, owner, paired = all_facets(mesh.tetrahedra)
    here = mesh.region[owner]
    there = np.where(paired >= 0, mesh.region[owner[np.maximum(paired, 0)]], 0)
    outer = np.unique(facets[there == 0])
    least = LEAST_SHARE * mesh.volumes
    points, largest = mesh.points, max(targets, key=lambda i: targets[i])
    bodies = [(facets[there == 0], sum(targets.values()), np.empty(0, dtype=np.int64))]
    bodies += [(facets[(here == i) & (there != i)], targets[i], outer) for i in targets if i != largest]
    for _ in range(rounds):
        worst = 0.0
        for surface, target, fixed in bodies:
            missing = target - _enclosed(points, surface)
            worst = max(worst, abs(missing) / target)
            points = _offset(points, mesh.tetrahedra, surface, missing, fixed, least, limit_mm)
        if worst < tolerance:
            break
    return replace(mesh, points=points)


def _enclosed(points: NDArray[np.float64], surface: NDArray[np.int32]) -> float:
    a, b, c = (points[surface[:, i]] for i in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)


def _offset(points, tetrahedra, surface, missing: float, fixed, least, limit_mm: float) -> NDArray[np.float64]:
    """Move the surface's free nodes so that about `missing` mm³ are gained."""
    corner = points[surface]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1) / 2
    free = np.zeros(len(points), dtype=bool)
    free[surface] = True
    free[fixed] = False
    moving = float((area * free[surface].mean(axis=1)).sum())
    if not moving:
        return points
    step = float(np.clip(missing / moving, -limit_mm, limit_mm))
    moved = points + step * np.where(free[:, None], vertex_normals(points, surface), 0.0)
    for _ in range(30):
        bad = np.unique(tetrahedra[signed_volumes(moved, tetrahedra) < least])
        if not bad.size:
            return moved
        moved[bad] = points[bad]
    return points
