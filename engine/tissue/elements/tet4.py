"""T4: the linear tetrahedron. Cheap; stiff in bending and near incompressibility (locks for ν → 0.5)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ..materials.base import Material
from .base import Element, Quadrature, kinematics_last
from .couplings import contracted, moduli
from .tri import TRI3

_A, _B = (5 - np.sqrt(5)) / 20, (5 + 3 * np.sqrt(5)) / 20
DEGREE_1 = Quadrature(np.full((1, 3), 0.25), np.array([1 / 6]))
DEGREE_2 = Quadrature(np.array([[_A, _A, _A], [_B, _A, _A], [_A, _B, _A], [_A, _A, _B]]), np.full(4, 1 / 24))
"""Four points, exact to degree 2 (Hammer and Stroud 1956)."""

CORNER_GRADIENT = np.array([[-1.0, -1.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def barycentric(points: NDArray) -> NDArray:
    """(Q, 4) barycentric coordinates of points (Q, 3) of the reference tetrahedron."""
    return np.concatenate([1 - points.sum(axis=1, keepdims=True), points], axis=1)


class Tet4(Element):
    """Four nodes, constant strain, one quadrature point."""

    name, nodes, order, chunk = "T4", 4, 1, 4104
    quadrature, load_quadrature = DEGREE_1, DEGREE_2
    facet, keeps_geometry = TRI3, True
    edges = np.zeros((0, 2), dtype=np.int64)
    facet_edges = np.zeros((0, 2), dtype=np.int64)

    def shape(self, points: NDArray) -> NDArray:
        """The barycentric coordinates."""
        return barycentric(points)

    def gradient(self, points: NDArray) -> NDArray:
        """Constant."""
        return np.broadcast_to(CORNER_GRADIENT, (len(points), 4, 3))

    def couplings(self, reference: Array, displacement: Array, material: Material) -> Float[Array, "9 pairs elements"]:
        """As `Element.couplings`; a third of the time of what `tangent` takes."""
        if type(self).tangent is not Element.tangent:
            return super().couplings(reference, displacement, material)
        kinematics = kinematics_last(self, reference, displacement)
        modulus = moduli(material, kinematics.deformation_gradient, kinematics.weight)
        return contracted(kinematics.gradient, modulus)
