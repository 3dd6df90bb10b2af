"""Elements by name. A new one is a file here and a line in `ELEMENTS`; its tests come with the line."""

from __future__ import annotations

from ....imaging.errors import SolverError
from .base import Element
from .tet4 import Tet4
from .tet4p1 import Tet4P1
from .tet10 import Tet10
from .tet10p1 import Tet10P1

ELEMENTS: dict[str, Element] = {element.name: element for element in (Tet4(), Tet4P1(), Tet10(), Tet10P1())}


def element_named(name: str) -> Element:
    """The element registered under `name`.

    Raises:
        SolverError: no such element.
    """
    if name not in ELEMENTS:
        raise SolverError(f"no element is named {name!r}", where="element", advice=f"Choose from {sorted(ELEMENTS)}")
    return ELEMENTS[name]
