"""The connected pieces of a region, such as tumours: which get numbers of their own, and which are told of together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..plain_words import name_words, position_words

if TYPE_CHECKING:
    from ...meshing.mesh import TetMesh

LEAST_PIECE_MM3 = 100.0
"""A smaller piece is of a few elements, whose mean says little."""
MOST_PLACES = 5
"""Of small pieces whose places a note names."""


def pieces_of(mesh: TetMesh, region: str) -> list[NDArray[np.int64]]:
    """Elements of each connected piece of a region, largest volume first; `small_pieces` tells of those left out."""
    return [piece for piece in _all_pieces(mesh, region) if mesh.volumes[piece].sum() >= LEAST_PIECE_MM3]


def small_pieces(mesh: TetMesh, region: str) -> list[str]:
    """One line on the pieces of a region that are too small for numbers of their own: how many, how large, where."""
    small = [p for p in _all_pieces(mesh, region) if mesh.volumes[p].sum() < LEAST_PIECE_MM3]
    if not small:
        return []
    volumes = [float(mesh.volumes[p].sum() / 1000) for p in small]
    centres = [np.average(mesh.points[mesh.tetrahedra[p]].mean(axis=1), axis=0, weights=mesh.volumes[p]) for p in small]
    places = "; ".join(position_words(centre) for centre in centres[:MOST_PLACES])
    further = len(small) - MOST_PLACES
    rest = f"; and {further} more" if further > 0 else ""
    count = "One piece" if len(small) == 1 else f"{len(small)} pieces"
    return [
        f"{count} of {name_words(region)} under {LEAST_PIECE_MM3 / 1000:g} mL ({sum(volumes):.2g} mL in all) moved "
        f"with the organ but got no number: {places}{rest}."
    ]


def _all_pieces(mesh: TetMesh, region: str) -> list[NDArray[np.int64]]:
    label = next((i for i, name in mesh.region_names.items() if name == region), None)
    elements = np.flatnonzero(mesh.region == label) if label is not None else np.zeros(0, dtype=np.int64)
    if elements.size == 0:
        return []
    rows = np.repeat(np.arange(len(elements)), 4)
    incidence = sparse.csr_matrix((np.ones(len(rows)), (rows, mesh.tetrahedra[elements].ravel())))
    _, piece = sparse.csgraph.connected_components(incidence @ incidence.T, directed=False)
    volumes = np.bincount(piece, mesh.volumes[elements])
    return [elements[piece == i] for i in np.argsort(-volumes)]
