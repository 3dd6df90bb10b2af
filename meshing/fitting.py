"""Nodes of boundary and interfaces moved so that each piece of a region regains its volume.

fTetWild keeps its output within an envelope of the input, and long chords in that envelope lie on the
inside of a convex surface: a ball meshed with elements of a third of its radius lost 6 % of its
volume. A small offset along the normals, piece by piece, gives it back: in total, a large tumour would be
blown up to pay for a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .mesh import TetMesh, signed_volumes
from .sets import all_facets
from .smoothing import vertex_normals

LEAST_SHARE = 0.3
"""An element keeps at least this share of its volume, else its nodes stay."""


@dataclass(frozen=True, eq=False)
class Body:
    """Elements that should have a volume together.

    Attributes:
        inside: (E,) which.
        target_mm3: their volume.
    """

    inside: NDArray[np.bool_]
    target_mm3: float


def fit_volumes(
    mesh: TetMesh, bodies: Sequence[Body], *, limit_mm: float, rounds: int = 4, tolerance: float = 1e-3
) -> TetMesh:
    """Offset the surface of each body until it encloses its volume.

    Args:
        mesh: any regions.
        bodies: in order; bodies that hold others come first. Nodes on the mesh's boundary move only with bodies that
            have no other neighbour than the outside.
        limit_mm: the most that a node may move in one round.
        rounds: most repetitions.
        tolerance: relative.
    """
    facets, owner, paired = all_facets(mesh.tetrahedra)
    neighbour = np.where(paired >= 0, owner[np.maximum(paired, 0)], -1)
    outer = np.unique(facets[neighbour < 0])
    least = LEAST_SHARE * mesh.volumes
    points = mesh.points
    surfaces = []
    for body in bodies:
        bare = body.inside[owner] & ~((neighbour >= 0) & body.inside[neighbour])
        whole = (neighbour[bare] < 0).all()
        surfaces.append((facets[bare], body.target_mm3, outer[:0] if whole else outer))
    for _ in range(rounds):
        worst = 0.0
        for surface, target, fixed in surfaces:
            missing = target - _enclosed(points, surface)
            if abs(missing) < tolerance * target:
                continue
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
    nodes, local = np.unique(surface, return_inverse=True)
    local = local.reshape(-1, 3).astype(np.int32)
    corner = points[surface]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1) / 2
    free = ~np.isin(nodes, fixed)
    moving = float((area * free[local].mean(axis=1)).sum())
    if not moving:
        return points
    step = float(np.clip(missing / moving, -limit_mm, limit_mm))
    moved = points.copy()
    moved[nodes[free]] += step * vertex_normals(points[nodes], local)[free]
    touched = np.zeros(len(points), dtype=bool)
    touched[nodes[free]] = True
    around = np.flatnonzero(touched[tetrahedra].any(axis=1))
    cells, floor = tetrahedra[around], least[around]
    for _ in range(30):
        bad = np.unique(cells[signed_volumes(moved, cells) < floor])
        if not bad.size:
            return moved
        moved[bad] = points[bad]
    return points
