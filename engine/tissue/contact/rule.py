"""Rules on facets with more points, for contact that is to pass pressure on evenly or to feel what is thin."""

from __future__ import annotations

import numpy as np

from ..elements.base import Quadrature


def refined(rule: Quadrature, times: int) -> Quadrature:
    """A facet's rule laid out over each of times² equal parts of it."""
    points = []
    if rule.points.min() < 0:  # a quadrangle, on [−1, 1]²
        middles = (2.0 * np.arange(times) + 1.0) / times - 1.0
        points = [np.array([x, y]) + rule.points / times for x in middles for y in middles]
        return Quadrature(np.concatenate(points), np.tile(rule.weights / times**2, times**2))
    for i in range(times):
        for j in range(times - i):
            points.append((np.array([i, j]) + rule.points) / times)
            if i + j < times - 1:
                points.append((np.array([i + 1, j + 1]) - rule.points) / times)
    weights = [rule.weights / times**2] * len(points)
    return Quadrature(np.concatenate(points), np.concatenate(weights))
