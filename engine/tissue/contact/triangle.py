"""Shape functions of flat and curved triangles at any place, for numpy and for JAX.

A triangle of four nodes is a quarter of a quadrangle: its first two nodes and the mean of all four. The four quarters
are a continuous surface through the corners, and pass an even pressure on to them evenly.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

CORNER_EDGES = ((0, 1), (1, 2), (2, 0))


def shape(xp: ModuleType, width: int, place: Any) -> Any:
    """N (..., width) at places (..., 2): three nodes; four; or corners and then the middles of 0-1, 1-2, 2-0."""
    xi, eta = place[..., 0], place[..., 1]
    bary = (1.0 - xi - eta, xi, eta)
    if width < 6:
        return xp.stack(_linear(width, bary), axis=-1)
    corners = [b * (2.0 * b - 1.0) for b in bary]
    return xp.stack([*corners, *(4.0 * bary[i] * bary[j] for i, j in CORNER_EDGES)], axis=-1)


def slope(xp: ModuleType, width: int, place: Any) -> Any:
    """∂N/∂(ξ, η) (..., width, 2)."""
    xi, eta = place[..., 0], place[..., 1]
    one, zero = xp.ones_like(xi), xp.zeros_like(xi)
    bary, along = (1.0 - xi - eta, xi, eta), ((-one, -one), (one, zero), (zero, one))
    if width < 6:
        return xp.stack(_linear(width, [xp.stack(a, axis=-1) for a in along]), axis=-2)
    rows = [xp.stack([(4.0 * b - 1.0) * d for d in a], axis=-1) for b, a in zip(bary, along, strict=True)]
    for i, j in CORNER_EDGES:
        rows.append(xp.stack([4.0 * (bary[i] * along[j][k] + bary[j] * along[i][k]) for k in (0, 1)], axis=-1))
    return xp.stack(rows, axis=-2)


def _linear(width: int, bary: Any) -> list[Any]:
    if width == 3:
        return list(bary)
    share = 0.25 * bary[2]
    return [bary[0] + share, bary[1] + share, share, share]


def corners(nodes: Any) -> Any:
    """Corners (..., 3, 3) of triangles whose nodes (..., 3, 4 or 6, 3) are at these places, for numpy."""
    if nodes.shape[-2] != 4:
        return nodes[..., :3, :]
    return np.concatenate([nodes[..., :2, :], nodes.mean(axis=-2, keepdims=True)], axis=-2)


CURVATURE_6 = (
    ((4.0, 4.0), (4.0, 4.0)),
    ((4.0, 0.0), (0.0, 0.0)),
    ((0.0, 0.0), (0.0, 4.0)),
    ((-8.0, -4.0), (-4.0, 0.0)),
    ((0.0, 4.0), (4.0, 0.0)),
    ((0.0, -4.0), (-4.0, -8.0)),
)
"""∂²N/∂(ξ, η)² (6, 2, 2) of the curved triangle, constant; of the flat one it is zero."""
