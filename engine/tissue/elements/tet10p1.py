"""T10P1: Taylor and Hood's tetrahedron, quadratic displacement and continuous linear pressure; any ν up to ½."""

from __future__ import annotations

from .mixed import MixedElement
from .tet10 import Tet10


class Tet10P1(MixedElement, Tet10):
    """Ten nodes and four pressures at the corners (Taylor and Hood 1973); inf-sup stable."""

    name, pressures = "T10P1", 4
