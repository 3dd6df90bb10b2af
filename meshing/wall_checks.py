"""What a carved vessel must fulfil before a wall can stand on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .carving import Carved, joined_by_facets
from .extrusion import GrowthError, Plane
from .mesh import TetMesh, signed_volumes


def require_manifold(points: NDArray[np.float64], side: NDArray[np.int32], thickness_mm: float) -> None:
    """Raise GrowthError where more than two facets meet in an edge: there the vessel pinches."""
    edges = np.sort(np.stack([side, np.roll(side, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    distinct, count = np.unique(edges, axis=0, return_counts=True)
    if (count > 2).any():
        raise GrowthError(thickness_mm, points, np.unique(distinct[count > 2]))


def require_flat_ends(mesh: TetMesh, planes: Sequence[Plane]) -> None:
    """Raise MeshError unless the wall's border lies in the cutting planes: an open end must be flat to be held."""
    ends = [nodes for name, nodes in mesh.node_sets.items() if name.startswith("end_")]
    uneven = [n for n in ends if min(np.abs(plane.heights(mesh.points[n])).max() for plane in planes) > 1e-6]
    if uneven or not ends:
        raise MeshError("an open end of the wall does not come out flat", where="vessel wall",
                        advice="Use a shorter edge or another box_mm")  # fmt: skip


def without_crumbs(carved: Carved, cell_mm: float, fewest_cells: float = 8.0) -> Carved:
    """Thrombus in pieces smaller than a few cells is lumen: a crumb on the wall carries nothing."""
    if not carved.inside.any():
        return carved
    piece = joined_by_facets(carved.tetrahedra, carved.inside)
    volume = np.bincount(piece, signed_volumes(carved.points, carved.tetrahedra))
    inside = carved.inside & (volume[piece] >= fewest_cells * cell_mm**3)
    on_interface = np.zeros(len(carved.points), dtype=bool)
    kept, rest = (np.unique(carved.tetrahedra[chosen]) for chosen in (inside, ~inside))
    on_interface[np.intersect1d(kept, rest)] = True
    return replace(carved, inside=inside, on_interface=carved.on_interface & on_interface)
