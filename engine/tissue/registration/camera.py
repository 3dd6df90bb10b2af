"""What is seen of a truth: noisy points on a connected part of its front, some of them wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OUTLIERS = 0.03
"""Share of the points that lie 5 to 20 mm off."""


def seen_points(
    draw: np.random.Generator,
    rest: NDArray,
    triangles: NDArray,
    position: NDArray,
    *,
    visible: float,
    count: int,
    noise: float,
) -> tuple[NDArray, float]:
    """Points (count, 3) [m] on a part of the front that holds `visible` of the area; and its true share.

    Args:
        draw: chance.
        rest: (V, 3) vertices of the surface before deformation [m]; they decide what the front is.
        triangles: (F, 3).
        position: (V, 3) where they are now [m].
        visible: share of the area.
        count: of points.
        noise: standard deviation of each coordinate [m].
    """
    centre, normal, area = geometry(rest[triangles])
    start = centre[draw.choice(np.flatnonzero(normal[:, 1] < -0.5))]
    distance = np.linalg.norm(centre - start, axis=1) + 0.06 * np.maximum(normal[:, 1] + 0.2, 0.0)
    order = np.argsort(distance)
    patch = order[: int(np.searchsorted(np.cumsum(area[order]), visible * area.sum())) + 1]
    chosen = draw.choice(patch, count, p=area[patch] / area[patch].sum())
    place = np.einsum("nk,nki->ni", draw.dirichlet(np.ones(3), count), position[triangles[chosen]])
    place = place + noise * draw.standard_normal(place.shape)
    wrong = draw.random(count) < OUTLIERS
    away = draw.standard_normal((count, 3))
    away *= draw.uniform(0.005, 0.02, (count, 1)) / np.linalg.norm(away, axis=1, keepdims=True)
    return place + wrong[:, None] * away, float(area[patch].sum() / area.sum())


def geometry(corners: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Centre, unit normal and area of triangles (F, 3, 3)."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(normal, axis=1)
    return corners.mean(axis=1), normal / double[:, None], double / 2
