"""A body-centred cubic lattice of tetrahedra in a box, its open faces flat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def body_centred_lattice(
    low: NDArray[np.float64], high: NDArray[np.float64], cell_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Tetrahedra that fill a box exactly, all congruent but for the halves at its faces.

    Two neighbouring cubes' centres and an edge of the square between them make a tetrahedron, whose dihedral angles
    are 60° and 90°; at the box's faces the square's own centre stands for the missing cube's
    (Labelle and Shewchuk 2007 mesh isosurfaces from this lattice).

    Args:
        low, high: (3,) mm, corners of the box; a whole number of cubes is fitted along each axis.
        cell_mm: edge of the cubes, about.

    Returns:
        points (n, 3) mm and tetrahedra (m, 4), positive.
    """
    count = np.maximum(np.round((high - low) / cell_mm).astype(int), 1)
    step = (high - low) / count
    corner = _indices(count + 1)
    centre = _indices(count)
    points = [corner * step, (centre + 0.5) * step]
    corner_number = np.arange(len(corner)).reshape(count + 1)
    centre_number = len(corner) + np.arange(len(centre)).reshape(count)
    total = len(corner) + len(centre)
    cells = []
    for axis in range(3):
        shape = count.copy()
        shape[axis] += 1
        faces = _indices(shape)
        place = faces + 0.5
        place[:, axis] -= 0.5
        at_low, at_high = faces[:, axis] == 0, faces[:, axis] == count[axis]
        border = at_low | at_high
        face_number = np.full(len(faces), -1)
        face_number[border] = total + np.arange(border.sum())
        total += int(border.sum())
        points.append(place[border] * step)
        behind = np.where(at_low, face_number, _lookup(centre_number, faces, axis, -1))
        ahead = np.where(at_high, face_number, _lookup(centre_number, faces, axis, 0))
        cells += _around_squares(corner_number, faces, axis, behind, ahead)
    return np.concatenate(points) + low, np.concatenate(cells).astype(np.int32)


def _indices(shape: NDArray[np.int_] | Sequence[int]) -> NDArray[np.int_]:
    return np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)


def _lookup(number: NDArray[np.int_], faces: NDArray[np.int_], axis: int, offset: int) -> NDArray[np.int_]:
    index = faces.copy()
    index[:, axis] = np.clip(index[:, axis] + offset, 0, number.shape[axis] - 1)
    return number[tuple(index.T)]


def _around_squares(
    number: NDArray[np.int_], faces: NDArray[np.int_], axis: int, behind: NDArray[np.int_], ahead: NDArray[np.int_]
) -> list[NDArray[np.int_]]:
    """Four tetrahedra about the line from `behind` to `ahead` through each square."""
    second, third = (axis + 1) % 3, (axis + 2) % 3
    ring = []
    for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
        index = faces.copy()
        index[:, second] += a
        index[:, third] += b
        ring.append(number[tuple(index.T)])
    return [np.stack([behind, ring[i], ring[(i + 1) % 4], ahead], axis=1) for i in range(4)]
