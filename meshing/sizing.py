"""Background sizing for fTetWild: small elements at small pieces of a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .inclusions import Inclusion


@dataclass(frozen=True, eq=False)
class SizingField:
    """Edge lengths at the nodes of tetrahedral grids that may overlap.

    Attributes:
        points: (n, 3) mm.
        tetrahedra: (m, 4) int32.
        edge_mm: (n,) wanted edge length.
    """

    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int32]
    edge_mm: NDArray[np.float64]


def fine_at(pieces: Sequence[Inclusion], edge_mm: float) -> SizingField | None:
    """Each piece's own edge length in and beside it, growing by a millimetre per millimetre away to `edge_mm`.

    One grid around each piece; where grids overlap they hold the same lengths, the least any piece asks for.
    None where there is no piece.
    """
    if not pieces:
        return None
    points, cells, count = [], [], 0
    for piece in pieces:
        margin = max(edge_mm - piece.edge_mm, 0.0) + piece.edge_mm
        low, high = piece.points.min(axis=0) - margin, piece.points.max(axis=0) + margin
        number = np.ceil((high - low) / piece.edge_mm).astype(int) + 1
        axes = [np.linspace(a, b, n) for a, b, n in zip(low, high, number, strict=True)]
        points.append(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3))
        cells.append(_kuhn(tuple(number)) + count)
        count += len(points[-1])
    nodes = np.concatenate(points)
    wanted = np.full(len(nodes), edge_mm)
    for piece in pieces:
        distance, _ = KDTree(piece.points).query(nodes, distance_upper_bound=edge_mm + piece.edge_mm)
        wanted = np.minimum(wanted, piece.edge_mm + np.maximum(distance - piece.edge_mm, 0.0))
    return SizingField(nodes, np.concatenate(cells).astype(np.int32), wanted)


def _kuhn(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Six tetrahedra about the main diagonal of each cube of a node grid: conforming."""
    number = np.arange(np.prod(shape)).reshape(shape)
    base = number[:-1, :-1, :-1].ravel()
    stride = np.array([shape[1] * shape[2], shape[2], 1])
    cells = []
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        path = np.concatenate([[0], np.cumsum(stride[list(order)])])
        cells.append(base[:, None] + path)
    return np.concatenate(cells)
