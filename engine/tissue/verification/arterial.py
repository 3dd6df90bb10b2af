"""Holzapfel, Gasser and Ogden's wall pulled one way and two ways, against its closed form."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from ..materials import HolzapfelGasserOgden
from .case import Case
from .homogeneous import Stretch, stretch_case

MATRIX, FIBERS, STIFFENING, DISPERSION, DEGREES = 10e3, 15e3, 2.0, 0.1, 35.0
"""μ, k₁ [Pa], k₂, κ, and the angle of the two families to the x axis, in the plane of x and y."""


def principal_stresses(first: float, second: float) -> tuple[float, float]:
    """σ₁ and σ₂ [Pa] of the incompressible wall at two stretches in its plane, σ₃ = 0.

    σᵢ = 2 W₁ (λᵢ² − λ₃²) + 4 W₄ λᵢ² aᵢ², W₁ = μ/2 + 2 κ s, W₄ = (1 − 3κ) s, s = k₁ Ē exp(k₂ Ē²): two families whose
    shear cancels. Gasser, Ogden and Holzapfel (2006), from the invariants' derivatives.
    """
    third = 1.0 / (first * second)
    along, across = np.cos(np.radians(DEGREES)) ** 2, np.sin(np.radians(DEGREES)) ** 2
    spread = first**2 + second**2 + third**2 - 3.0
    strain = DISPERSION * spread + (1 - 3 * DISPERSION) * (first**2 * along + second**2 * across - 1.0)
    share = FIBERS * max(strain, 0.0) * np.exp(STIFFENING * strain**2)
    matrix, fibers = 0.5 * MATRIX + 2 * DISPERSION * share, (1 - 3 * DISPERSION) * share

    def stress(stretch: float, direction: float) -> float:
        return float(2 * matrix * (stretch**2 - third**2) + 4 * fibers * stretch**2 * direction)

    return stress(first, along), stress(second, across)


def _uniaxial(stretch: float) -> Stretch:
    """With the side that carries no stress, by root finding."""
    second = brentq(lambda other: principal_stresses(stretch, other)[1], 0.4, 1.5, xtol=1e-15)
    return Stretch("uniaxial", stretch, principal_stresses(stretch, second)[0])


def _equibiaxial(stretch: float) -> Stretch:
    return Stretch("equibiaxial", stretch, principal_stresses(stretch, stretch)[0])


LAW = HolzapfelGasserOgden.in_wall(
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    DEGREES,
    shear_modulus=MATRIX,
    fiber_modulus=FIBERS,
    fiber_exponent=STIFFENING,
    dispersion=DISPERSION,
    bulk_modulus=float("inf"),
)

CASES: tuple[Case, ...] = (
    stretch_case(
        "homogeneous-holzapfel-gasser-ogden",
        "Gasser, Ogden and Holzapfel, J R Soc Interface 3:15 (2006), incompressible: own evaluation from invariants",
        LAW,
        (_uniaxial(1.2), _uniaxial(1.4), _equibiaxial(1.2)),
        "T10P1",
        quick=False,
    ),
)
