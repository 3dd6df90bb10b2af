"""Triangles with three and six nodes: the faces of T4 and T10."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import FacetElement, Quadrature

_ONE_SIXTH = 1.0 / 6.0
DEGREE_2 = Quadrature(np.array([[1 / 6, 1 / 6], [2 / 3, 1 / 6], [1 / 6, 2 / 3]]), np.full(3, _ONE_SIXTH))
"""Three points, exact to degree 2 (Strang and Fix 1973)."""

_A, _B = 0.445948490915965, 0.091576213509771
DEGREE_4 = Quadrature(
    np.array([[_A, _A], [1 - 2 * _A, _A], [_A, 1 - 2 * _A], [_B, _B], [1 - 2 * _B, _B], [_B, 1 - 2 * _B]]),
    np.array([0.223381589678011] * 3 + [0.109951743655322] * 3) / 2.0,
)
"""Six points, exact to degree 4 (Dunavant 1985)."""


class Tri3(FacetElement):
    """Linear triangle."""

    name, nodes, corners, quadrature = "tri3", 3, 3, DEGREE_2

    def shape(self, points: NDArray) -> NDArray:
        """N = (1 − ξ − η, ξ, η)."""
        xi, eta = points.T
        return np.stack([1 - xi - eta, xi, eta], axis=1)

    def gradient(self, points: NDArray) -> NDArray:
        """Constant."""
        return np.broadcast_to(np.array([[-1.0, -1.0], [1.0, 0.0], [0.0, 1.0]]), (len(points), 3, 2))


class Tri6(FacetElement):
    """Quadratic triangle: corners, then the middles of edges 0-1, 1-2, 2-0."""

    name, nodes, corners, quadrature = "tri6", 6, 3, DEGREE_4
    edges = np.array([[0, 1], [1, 2], [2, 0]])

    def shape(self, points: NDArray) -> NDArray:
        """Corners λ(2λ − 1), edges 4λλ' in barycentric coordinates."""
        bary = Tri3().shape(points)
        return np.concatenate([bary * (2 * bary - 1), 4 * bary[:, self.edges].prod(axis=2)], axis=1)

    def gradient(self, points: NDArray) -> NDArray:
        """By the product rule."""
        bary, slope = Tri3().shape(points), Tri3().gradient(points)
        corners = (4 * bary - 1)[..., None] * slope
        i, j = self.edges.T
        return np.concatenate([corners, 4 * (bary[:, i, None] * slope[:, j] + bary[:, j, None] * slope[:, i])], axis=1)


TRI3, TRI6 = Tri3(), Tri6()
"""One instance each: kernels are compiled per instance."""
