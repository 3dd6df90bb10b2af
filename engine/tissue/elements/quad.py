"""Q4: the bilinear quadrangle, the face of a hexahedron."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import FacetElement, Quadrature

_G = 1.0 / np.sqrt(3.0)
CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
"""Reference coordinates of the corners, counter-clockwise."""
GAUSS_2 = Quadrature(_G * CORNERS, np.ones(4))
"""Two by two points, exact to degree 3 in each coordinate."""


class Quad4(FacetElement):
    """Bilinear quadrangle on [−1, 1]²."""

    name, nodes, corners, quadrature = "quad4", 4, 4, GAUSS_2

    def shape(self, points: NDArray) -> NDArray:
        """N_a = (1 + ξ ξ_a)(1 + η η_a)/4."""
        factor = 1 + points[:, None] * CORNERS  # (Q, 4, 2)
        return factor[..., 0] * factor[..., 1] / 4

    def gradient(self, points: NDArray) -> NDArray:
        """By the product rule."""
        factor = 1 + points[:, None] * CORNERS  # (Q, 4, 2)
        return CORNERS * factor[..., ::-1] / 4


QUAD4 = Quad4()
