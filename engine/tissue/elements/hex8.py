"""H8: the trilinear hexahedron with mean dilatation. Does not lock as ν → 0.5; bends better than T4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....meshing.mesh import HEXAHEDRON_FACES
from .base import Quadrature
from .mean_dilatation import MeanDilatation
from .quad import CORNERS as SQUARE
from .quad import QUAD4

CORNERS = np.concatenate([np.insert(SQUARE, 2, side, axis=1) for side in (-1.0, 1.0)])
"""Reference coordinates of the eight nodes on [−1, 1]³: the lower square counter-clockwise, then the upper."""
GAUSS_2 = Quadrature(CORNERS / np.sqrt(3.0), np.ones(8))
"""Two points each way, exact to degree 3 in each coordinate."""


class Hex8(MeanDilatation):
    """Eight nodes, 2 × 2 × 2 points that share the element's mean volume ratio."""

    name, nodes, corners, order, chunk = "H8", 8, 8, 1, 520
    quadrature = load_quadrature = GAUSS_2
    facet = QUAD4
    faces = HEXAHEDRON_FACES
    edges = np.zeros((0, 2), dtype=np.int64)
    facet_edges = np.zeros((0, 2), dtype=np.int64)

    def shape(self, points: NDArray) -> NDArray:
        """N_a = (1 + ξ ξ_a)(1 + η η_a)(1 + ζ ζ_a)/8."""
        factor = 1 + points[:, None] * CORNERS  # (Q, 8, 3)
        return factor[..., 0] * factor[..., 1] * factor[..., 2] / 8

    def gradient(self, points: NDArray) -> NDArray:
        """By the product rule."""
        factor = 1 + points[:, None] * CORNERS
        others = [factor[..., i] * factor[..., j] for i, j in ((1, 2), (0, 2), (0, 1))]
        return CORNERS * np.stack(others, axis=2) / 8
