"""Elements by name. A new one is a file here and a line in `ELEMENTS`; its tests come with the line."""

from __future__ import annotations

from ....imaging.errors import SolverError
from .base import Element, FacetElement
from .hex8 import Hex8
from .membrane import MEMBRANES
from .quad import QUAD4
from .shell import Shell6
from .strand import Strand2
from .tet4 import Tet4
from .tet4p1 import Tet4P1
from .tet10 import Tet10
from .tet10p1 import Tet10P1
from .tri import TRI3, TRI6

ELEMENTS: dict[str, Element] = {element.name: element for element in (Tet4(), Tet4P1(), Tet10(), Tet10P1(), Hex8())}
"""Solids."""
STRUCTURES: dict[str, Element] = {element.name: element for element in (*MEMBRANES, Shell6(), Strand2())}
"""Sheets and strands: their material is a `Sheet` or a `Strand`."""
FACETS: dict[int, FacetElement] = {facet.nodes: facet for facet in (TRI3, TRI6, QUAD4)}
"""By the number of nodes of a facet."""


def element_named(name: str) -> Element:
    """The element registered under `name`.

    Raises:
        SolverError: no such element.
    """
    known = {**ELEMENTS, **STRUCTURES}
    if name not in known:
        raise SolverError(f"no element is named {name!r}", where="element", advice=f"Choose from {sorted(known)}")
    return known[name]


def facet_of(nodes: int) -> FacetElement:
    """The facet with so many nodes.

    Raises:
        SolverError: there is none.
    """
    if nodes not in FACETS:
        raise SolverError(
            f"no facet has {nodes} nodes", where="facet set", advice=f"Facets have {sorted(FACETS)} nodes"
        )
    return FACETS[nodes]
