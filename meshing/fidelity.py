"""How true tetrahedra are to the labels they were made from: volume of each region, and the pieces that were lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.volume import LabelMap
from .classify import facet_neighbours
from .mesh import TetMesh
from .pieces import label_pieces, match
from .regions import region_map


@dataclass(frozen=True)
class LostPiece:
    """A connected piece of a region's labels that no tetrahedron of that region lies in.

    Attributes:
        volume_mm3: of its voxels.
        centre_mm: LPS mm.
    """

    volume_mm3: float
    centre_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Fidelity:
    """How well the tetrahedra keep one region.

    Attributes:
        name: region.
        tetrahedra: number of elements.
        volume_mm3: of the elements.
        label_volume_mm3: of the region's voxels.
        pieces: connected pieces of the region in the labels.
        lost: those that got no tetrahedra, largest first.
    """

    name: str
    tetrahedra: int
    volume_mm3: float
    label_volume_mm3: float
    pieces: int
    lost: tuple[LostPiece, ...]

    @property
    def relative_error(self) -> float:
        """(mesh − labels) / labels."""
        return self.volume_mm3 / self.label_volume_mm3 - 1.0


def fidelity(mesh: TetMesh, labels: LabelMap, regions: Mapping[str, Sequence[str]] | Sequence[str]) -> list[Fidelity]:
    """Volume and pieces of each region in the mesh against its voxels."""
    mapped, names = region_map(labels, regions)
    known = label_pieces(mapped, labels.grid)
    met = match(known, mesh.points, mesh.tetrahedra, mesh.region, facet_neighbours(mesh.tetrahedra)).met
    volumes = mesh.volumes
    found = []
    for region, name in names.items():
        own = np.flatnonzero(known.region == region)
        gone = own[~met[own]]
        lost = [LostPiece(float(known.volume[p]), at) for p, at in zip(gone, _centres(known, gone), strict=True)]
        lost.sort(key=lambda one: -one.volume_mm3)
        inside = mesh.region == region
        volume, of_labels = float(volumes[inside].sum()), float(known.volume[own].sum())
        found.append(Fidelity(name, int(inside.sum()), volume, of_labels, len(own), tuple(lost)))
    return found


def _centres(known, chosen: NDArray[np.int64]) -> list[tuple[float, float, float]]:
    """LPS mm of the middle of each chosen piece."""
    if not chosen.size:
        return []
    rank = np.zeros(len(known.region), dtype=np.int64)
    rank[chosen] = np.arange(1, len(chosen) + 1)
    voxels = np.argwhere(rank[known.index] > 0)
    which = rank[known.index[tuple(voxels.T)]] - 1
    count = np.bincount(which, minlength=len(chosen))
    mean = np.stack([np.bincount(which, voxels[:, x], minlength=len(chosen)) / count for x in range(3)], axis=1)
    places = known.grid.points_from_index(mean + known.start)
    return [(float(x), float(y), float(z)) for x, y, z in places]
