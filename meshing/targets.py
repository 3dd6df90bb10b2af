"""The volumes that connected pieces of a mesh should have: those of their voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .classify import facet_neighbours
from .fitting import Body
from .inclusions import Inclusion
from .mesh import TetMesh
from .pieces import LabelPieces, label_pieces, match
from .regions import RegionLattice

MOST_LOST = 1 / 6
"""Share of a piece that the lattice may lose and the mesh still be given the volume of all of it."""


def volume_targets(
    mesh: TetMesh, mapped: NDArray[np.int32], known: LabelPieces, lattice: RegionLattice, small: Sequence[Inclusion]
) -> list[Body]:
    """Each connected piece of the union, then each piece of every region but the largest, with its voxels' volume.

    A piece of which the lattice lost more than a sixth (twigs thinner than an element) keeps what the lattice shows:
    blowing up the trunk for the twigs would be no vessel. A piece that no voxel lies in is left as it is.

    Args:
        mesh: as classified.
        mapped: (I, J, K) region ids.
        known: their pieces.
        lattice: the regions without the small pieces.
        small: the small pieces, which have surfaces of their own.
    """
    union = label_pieces((mapped > 0).astype(np.int32), known.grid)
    whole = np.ones(len(mesh.tetrahedra), dtype=np.int32)
    found = _matched(mesh, whole, union, _shown(union, lattice, np.minimum(lattice.labels, 1)))
    shown = _shown(known, lattice, lattice.labels)
    for piece in small:
        shown[piece.piece] = known.volume[piece.piece]
    volumes = {int(i): float(known.volume[known.region == i].sum()) for i in np.unique(mesh.region)}
    largest = max(volumes, key=lambda i: volumes[i])
    return found + _matched(mesh, mesh.region, known, shown, leave=largest)


def _matched(
    mesh: TetMesh, region: NDArray[np.int32], known: LabelPieces, shown: NDArray[np.float64], leave: int = 0
) -> list[Body]:
    matched = match(known, mesh.points, mesh.tetrahedra, region, facet_neighbours(mesh.tetrahedra))
    found = []
    for group in np.unique(matched.elements[region != leave]).tolist():
        members = matched.labels == group
        volume, seen = float(known.volume[members].sum()), float(shown[members].sum())
        if volume > 0 and seen > 0:
            found.append(Body(matched.elements == group, volume if abs(seen / volume - 1) < MOST_LOST else seen))
    return found


def _shown(known: LabelPieces, lattice: RegionLattice, cells: NDArray[np.int32]) -> NDArray[np.float64]:
    """(n + 1,) mm³ of the lattice's cells that lie in each piece and have its region."""
    index = np.argwhere(cells > 0)
    piece = known.at(lattice.points(index.astype(np.float64)))
    same = known.region[piece] == cells[tuple(index.T)]
    cell = abs(float(np.linalg.det(lattice.affine[:3, :3])))
    return np.bincount(piece[same], minlength=len(known.region)).astype(np.float64) * cell
