"""T4P1: linear displacement and linear pressure, stabilised; any ν up to ½ on the mesh of a T4."""

from __future__ import annotations

from .mixed import MixedElement
from .tet4 import Tet4


class Tet4P1(MixedElement, Tet4):
    """Four nodes, four pressures at the same places; needs its stabilisation."""

    name, pressures, stabilised, chunk = "T4P1", 4, True, 1032
