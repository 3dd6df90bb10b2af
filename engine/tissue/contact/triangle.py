"""Shape functions of flat and curved triangles at any place, for numpy and for JAX."""

from __future__ import annotations

from types import ModuleType
from typing import Any

CORNER_EDGES = ((0, 1), (1, 2), (2, 0))


def shape(xp: ModuleType, width: int, place: Any) -> Any:
    """N (..., width) at places (..., 2): three nodes, or corners and then the middles of 0-1, 1-2, 2-0."""
    xi, eta = place[..., 0], place[..., 1]
    bary = (1.0 - xi - eta, xi, eta)
    if width == 3:
        return xp.stack(bary, axis=-1)
    corners = [b * (2.0 * b - 1.0) for b in bary]
    return xp.stack([*corners, *(4.0 * bary[i] * bary[j] for i, j in CORNER_EDGES)], axis=-1)


def slope(xp: ModuleType, width: int, place: Any) -> Any:
    """∂N/∂(ξ, η) (..., width, 2)."""
    xi, eta = place[..., 0], place[..., 1]
    one, zero = xp.ones_like(xi), xp.zeros_like(xi)
    bary, along = (1.0 - xi - eta, xi, eta), ((-one, -one), (one, zero), (zero, one))
    if width == 3:
        return xp.stack([xp.stack(a, axis=-1) for a in along], axis=-2)
    rows = [xp.stack([(4.0 * b - 1.0) * d for d in a], axis=-1) for b, a in zip(bary, along, strict=True)]
    for i, j in CORNER_EDGES:
        rows.append(xp.stack([4.0 * (bary[i] * along[j][k] + bary[j] * along[i][k]) for k in (0, 1)], axis=-1))
    return xp.stack(rows, axis=-2)


CURVATURE_6 = (
    ((4.0, 4.0), (4.0, 4.0)),
    ((4.0, 0.0), (0.0, 0.0)),
    ((0.0, 0.0), (0.0, 4.0)),
    ((-8.0, -4.0), (-4.0, 0.0)),
    ((0.0, 4.0), (4.0, 0.0)),
    ((0.0, -4.0), (-4.0, -8.0)),
)
"""∂²N/∂(ξ, η)² (6, 2, 2) of the curved triangle, constant; of the flat one it is zero."""
