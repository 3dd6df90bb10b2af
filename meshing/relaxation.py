"""Carved tetrahedra evened out: nodes slide on the borders they lie on, and no element gets worse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .carving import Carved
from .distance_field import DistanceField
from .mesh import signed_volumes
from .smoothing import umbrella

GOOD = 0.5
"""Quality (1 is the regular element) above which an element may become worse."""


def relaxed(carved: Carved, outline: DistanceField, lumen: DistanceField | None, *, rounds: int = 12) -> Carved:
    """Nodes moved toward the mean of their neighbours: those of a border within it, those of an end within its plane.

    A node returns where an element around it would become worse than it was and worse than `GOOD`
    (constrained Laplacian smoothing; Freitag 1997). Only what is kept counts: facets of the outline, and the
    tetrahedra of the thrombus.

    Args:
        carved: the vessel.
        outline, lumen: the fields it was carved from.
        rounds: of moves.
    """
    solid = carved.tetrahedra[carved.inside]
    on_outline = np.zeros(len(carved.points), dtype=bool)
    on_outline[carved.outline] = True
    on_interface = carved.on_interface & ~on_outline
    mean = _mean(carved, solid, on_outline, on_interface)
    points = carved.points
    for _ in range(rounds):
        moved = points + 0.6 * carved.free * (mean @ points - points)
        moved[on_outline] = outline.projected(moved[on_outline], carved.free[on_outline], rounds=2)
        if lumen is not None:
            moved[on_interface] = lumen.projected(moved[on_interface], carved.free[on_interface], rounds=2)
        points = _without_harm(points, moved, solid, carved.outline)
    return replace(carved, points=points)


def _mean(carved: Carved, solid: NDArray, on_outline: NDArray, on_interface: NDArray) -> sparse.csr_matrix:
    """Each node's neighbours: on the outline, on the interface, or all; a node without any keeps its place."""
    count = len(carved.points)
    edges = solid[:, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]].reshape(-1, 2)
    within = edges[on_interface[edges[:, 0]] & carved.on_interface[edges[:, 1]]]
    across = edges[on_interface[edges[:, 1]] & carved.on_interface[edges[:, 0]]]
    parts = [
        (on_outline, umbrella(carved.outline, count)),
        (on_interface, umbrella(np.concatenate([within, across]), count)),
        (~on_outline & ~on_interface, umbrella(edges, count)),
    ]
    mean = sparse.csr_matrix((count, count))
    for chosen, own in parts:
        mean = mean + sparse.diags(chosen.astype(float)) @ own
    alone = np.asarray(mean.sum(axis=1)).ravel() < 0.5
    return sparse.csr_matrix(mean + sparse.diags(alone.astype(float)))


def _without_harm(points: NDArray, moved: NDArray, solid: NDArray, facets: NDArray) -> NDArray[np.float64]:
    before = tetrahedron_quality(points, solid), triangle_quality(points, facets)
    turning = _facing(points, facets)
    while True:
        after = tetrahedron_quality(moved, solid), triangle_quality(moved, facets)
        turned = np.einsum("ij,ij->i", turning, _facing(moved, facets)) <= 0
        bad = [
            solid[(after[0] < before[0]) & (after[0] < GOOD)],
            facets[((after[1] < before[1]) & (after[1] < GOOD)) | turned],
        ]
        back = np.unique(np.concatenate([b.ravel() for b in bad]))
        back = back[(moved[back] != points[back]).any(axis=1)]
        if not back.size:
            return moved
        moved[back] = points[back]


def tetrahedron_quality(points: NDArray[np.float64], cells: NDArray[np.int32]) -> NDArray[np.float64]:
    """(E,) 6√2 V / l³ with l the root mean square edge (Parthasarathy et al. 1994); 1 for the regular tetrahedron."""
    corner = points[cells]
    square = sum(
        ((corner[:, i] - corner[:, j]) ** 2).sum(axis=1) for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    )
    return np.sqrt(72.0) * signed_volumes(points, cells) / np.maximum(square / 6.0, 1e-300) ** 1.5


def triangle_quality(points: NDArray[np.float64], facets: NDArray[np.int32]) -> NDArray[np.float64]:
    """(F,) 4√3 A / Σl²; 1 for the regular triangle."""
    a, b, c = (points[facets[:, i]] for i in range(3))
    square = sum(((u - v) ** 2).sum(axis=1) for u, v in ((a, b), (b, c), (c, a)))
    return 2.0 * np.sqrt(3.0) * np.linalg.norm(np.cross(b - a, c - a), axis=1) / np.maximum(square, 1e-300)


def _facing(points: NDArray, facets: NDArray) -> NDArray[np.float64]:
    a, b, c = (points[facets[:, i]] for i in range(3))
    return np.cross(b - a, c - a)
