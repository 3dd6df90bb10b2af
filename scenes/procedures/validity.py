"""What a person should know where a result leaves the ground that its law and its elements were made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..schema import TissueChoice

LOCKING_POISSON = 0.45
"""Above it linear tetrahedra are too stiff by more than an affordable mesh mends: with 8 cells through the wall, Lamé's
cylinder moves 7 % too little at 0.45 and 19 % at 0.49 (docs/theory/tissue.md)."""
STRAIN_OF_THE_LAW = 1.0
"""Largest principal Green–Lagrange strain up to which the neo-Hookean law is taken to mean something: √3 times the
length. Its constants are moduli at small strain; living tissue stiffens from a few ten per cent on, and tears."""
MODULUS_FACTOR = 100.0
"""A modulus so many times beyond what was measured of a tissue is rather one in another unit: Pa or MPa are 1000."""


def doubts(
    choices: Mapping[str, TissueChoice],
    element: str,
    strains: Sequence[NDArray[np.float64]],
    volumes: NDArray[np.float64],
) -> list[str]:
    """Warnings about a computed result, one line each.

    Args:
        choices: key of the scene → tissue that was computed with.
        element: of the solver options.
        strains: (E,) largest principal Green–Lagrange strain, of each state.
        volumes: (E,) weights.
    """
    each = [
        line for key, choice in choices.items() for line in (*_locking(key, choice, element), *_modulus(key, choice))
    ]
    return [*each, *_stretch(strains, volumes)]


def _locking(key: str, choice: TissueChoice, element: str) -> list[str]:
    from ...engine.tissue.tissues import TISSUES

    poisson = TISSUES[choice.tissue].poisson if choice.poisson is None else choice.poisson
    if element != "T4" or poisson <= LOCKING_POISSON:
        return []
    return [
        f"{key}.poisson is {poisson:g}: linear elements lock above {LOCKING_POISSON:g}, so that the tissue moves too "
        "little and its stress is wrong; use solver.element=T4P1 or T10P1, whose pressure is an unknown."
    ]


def _modulus(key: str, choice: TissueChoice) -> list[str]:
    from ...engine.tissue.tissues import TISSUES

    given = choice.young_kPa
    if given is None:
        return []
    low, high = (one / 1000 for one in TISSUES[choice.tissue].young_range)
    if low / MODULUS_FACTOR <= given <= high * MODULUS_FACTOR:
        return []
    other = "Pa" if given > high else "MPa"
    return [
        f"{key}.young_kPa is {given:g} kPa, and {low:g} to {high:g} kPa were measured of {choice.tissue}: was {other} "
        "meant?"
    ]


def _stretch(strains: Sequence[NDArray[np.float64]], volumes: NDArray[np.float64]) -> list[str]:
    from ...engine.tissue.fields import weighted_percentile

    most = max(weighted_percentile(strain, volumes, 99) for strain in strains)
    if most <= STRAIN_OF_THE_LAW:
        return []
    return [
        f"The tissue is strained by {100 * most:.0f} % (tensile, 99th percentile), and the neo-Hookean law with "
        f"constants of small strain is not made for more than {100 * STRAIN_OF_THE_LAW:g} %: real tissue stiffens and "
        "tears before. Do not use these numbers; shorten the path, or check loads and stiffnesses."
    ]
