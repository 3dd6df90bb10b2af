"""What a picture shows around its subject: near neighbours whole, and of what runs through the body a stretch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyvista as pv

_MARGIN = 0.3
"""Of the subject's largest extent: as far around it neighbours are shown with it."""
_NEAR = 0.1
"""Share of a piece inside of that margin from which on it is a neighbour."""
_LONG = 1.5
"""A slender piece that is longer than this many times the subject, a vessel say, is cut off where the picture ends."""
_SLENDER = 2.2
"""Length over width from which on a piece is slender; a kidney is not, however short the subject."""


def neighbourhood(subject: NDArray[np.float64], meshes: Mapping[str, pv.PolyData]) -> dict[str, pv.PolyData]:
    """Of each surface what is shown with a subject; surfaces of which nothing is near are left out.

    Pieces are judged one by one, so that of two kidneys the near one may be shown alone. None but long and
    slender ones are cut.

    Args:
        subject: points (n, 3) LPS mm that the picture is about.
        meshes: name → closed surface, LPS mm.
    """
    low, high = subject.min(axis=0), subject.max(axis=0)
    size = float(np.max(high - low))
    near, far = low - _MARGIN * size, high + _MARGIN * size
    pieces = {name: _pieces(mesh) for name, mesh in meshes.items()}
    whole = {name: [p for p in found if not _is_long(p, size) and _share(p, near, far) >= _NEAR]
             for name, found in pieces.items()}  # fmt: skip
    low, high = near, far
    for piece in (p for found in whole.values() for p in found):
        corners = np.asarray(piece.points, dtype=float)
        low, high = np.minimum(low, corners.min(axis=0)), np.maximum(high, corners.max(axis=0))
    box = tuple(float(value) for pair in zip(low - 1, high + 1, strict=True) for value in pair)
    shown = {}
    for name, found in pieces.items():
        cut = [_cut_off(piece, box) for piece in found if _is_long(piece, size)]
        parts = [part for part in (*whole[name], *cut) if part.n_cells]
        if parts:
            shown[name] = parts[0] if len(parts) == 1 else parts[0].append_polydata(*parts[1:])
    return shown


def _pieces(mesh: pv.PolyData) -> list[pv.PolyData]:
    if not mesh.n_cells:
        return []
    joined = mesh.connectivity("all")
    ids = np.asarray(joined.cell_data["RegionId"])
    if not ids.any():
        return [mesh]
    cells = [joined.extract_cells(np.flatnonzero(ids == k)) for k in range(int(ids.max()) + 1)]
    return [part.extract_surface(algorithm="dataset_surface") for part in cells]


def _is_long(piece: pv.PolyData, size: float) -> bool:
    """Whether a piece runs through the body rather than lies in it."""
    corners = np.asarray(piece.points, dtype=float)
    centred = corners - corners.mean(axis=0)
    axes = np.linalg.svd(centred.T @ centred)[0]
    length, width = np.sort(np.ptp(centred @ axes, axis=0))[::-1][:2]
    return bool(length > _LONG * size and length > _SLENDER * width)


def _share(piece: pv.PolyData, low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    corners = np.asarray(piece.points, dtype=float)
    return float(np.all((corners >= low) & (corners <= high), axis=1).mean())


def _cut_off(piece: pv.PolyData, box: tuple[float, ...]) -> pv.PolyData:
    """The part of a surface in a box (x low, x high, y low, …); the surface itself where all of it is."""
    bounds = np.asarray(piece.bounds)
    if np.all(bounds[::2] >= box[::2]) and np.all(bounds[1::2] <= box[1::2]):
        return piece
    return piece.clip_box(box, invert=False).extract_surface(algorithm="dataset_surface").triangulate()
