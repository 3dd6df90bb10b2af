"""Abaqus' element types: which kind of cell they are and how many nodes they have."""

from __future__ import annotations

import re
from typing import NamedTuple

_SOLID = re.compile(r"[AD]?C3D(\d+)[A-Z]*$")
_SHEET = re.compile(r"(?:DS|S|STRI|CPS|CPEG|CPE|CAX|M3D|R3D|SFM3D|F3D|[AD]C2D)(\d)[A-Z0-9]*$")
_OTHER = re.compile(
    r"(T2D|T3D|[AD]C1D|B2|B3|PIPE|ELBOW|FRAME|R2D|RB|RAX|SAX|MAX|SPRING|DASHPOT|GAP|CONN|MASS|ROTARYI|HEATCAP|DCOUP"
    r"|JOINT|ITT|ITS|DRAG|D$)"
)
_SOLIDS = {4: "tetrahedron", 10: "tetrahedron", 8: "hexahedron", 20: "hexahedron"}
_SHEETS = {3: "triangle", 6: "triangle", 4: "quad", 8: "quad", 9: "quad"}


class ElementType(NamedTuple):
    """What a type is: kind (of `file_mesh.CORNERS`, None otherwise), nodes (None where they vary), whether it is read.

    Lines, points and connectors are read as their nodes.
    """

    kind: str | None
    nodes: int | None
    known: bool


def element_type(name: str) -> ElementType:
    """What an Abaqus type such as C3D10MH, S4R or T3D2 is; letters after the number of nodes change nothing here."""
    name = name.upper()
    for pattern, kinds in ((_SOLID, _SOLIDS), (_SHEET, _SHEETS)):
        if match := pattern.match(name):
            nodes = int(match[1])
            return ElementType(kinds.get(nodes), nodes if nodes in kinds else None, nodes in kinds)
    return ElementType(None, None, _OTHER.match(name) is not None)
