"""T10: the quadratic tetrahedron. Bends and compresses well; the default where accuracy counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Element, Quadrature
from .tet4 import CORNER_GRADIENT, DEGREE_2, barycentric
from .tri import TRI6, Tri6

EDGES = np.array([[0, 1], [1, 2], [2, 0], [0, 3], [1, 3], [2, 3]])

_C, _D = 0.0673422422100983, 0.3108859192633005
_E, _F = 0.7217942490673264, 0.0927352503108912
_G, _H = 0.4544962958743506, 0.0455037041256494
_FIRST = [[_D, _D, _D], [_C, _D, _D], [_D, _C, _D], [_D, _D, _C]]
_SECOND = [[_F, _F, _F], [_E, _F, _F], [_F, _E, _F], [_F, _F, _E]]
_THIRD = [[_G, _G, _H], [_G, _H, _G], [_H, _G, _G], [_H, _H, _G], [_H, _G, _H], [_G, _H, _H]]
DEGREE_5 = Quadrature(
    np.array([*_FIRST, *_SECOND, *_THIRD]),
    np.array([0.1126879257180162] * 4 + [0.0734930431163619] * 4 + [0.0425460207770812] * 6) / 6.0,
)
"""Fourteen points, exact to degree 5 (Walkington 2000)."""


class Tet10(Element):
    """Ten nodes: corners, then the middles of edges 0-1, 1-2, 2-0, 0-3, 1-3, 2-3; four quadrature points."""

    name, nodes, order, chunk = "T10", 10, 2, 520
    quadrature, load_quadrature = DEGREE_2, DEGREE_5
    facet = TRI6
    edges = EDGES
    facet_edges = Tri6.edges

    def shape(self, points: NDArray) -> NDArray:
        """Corners λ(2λ − 1), edges 4λλ'."""
        bary = barycentric(points)
        return np.concatenate([bary * (2 * bary - 1), 4 * bary[:, EDGES].prod(axis=2)], axis=1)

    def gradient(self, points: NDArray) -> NDArray:
        """By the product rule."""
        bary = barycentric(points)
        corners = (4 * bary - 1)[..., None] * CORNER_GRADIENT
        i, j = EDGES.T
        middles = 4 * (bary[:, i, None] * CORNER_GRADIENT[j] + bary[:, j, None] * CORNER_GRADIENT[i])
        return np.concatenate([corners, middles], axis=1)
