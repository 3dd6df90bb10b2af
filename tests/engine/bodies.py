"""Meshes of known shape for the engine's tests, in mm as every `TetMesh` and `HexMesh`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preop.engine.tissue.elements import element_named
from preop.meshing.mesh import HEXAHEDRON_FACES, OUTWARD, HexMesh, TetMesh


def box(
    cells: tuple[int, int, int] = (1, 1, 1),
    *,
    size: tuple[float, float, float] = (1000.0, 1000.0, 1000.0),
    place: Callable[[NDArray], NDArray] | None = None,
    jitter: float = 0.0,
) -> TetMesh:
    """A box of Kuhn's six tetrahedra per cell; `place` maps (N, 3) in [0, 1]³ to mm; `jitter` moves inner nodes.

    Sets: nodes and facets `x0 x1 y0 y1 z0 z1` on the six sides, and nodes `all` and `boundary`.
    """
    unit, base, stride = _grid(cells)
    tets = []
    for order in itertools.permutations(range(3)):
        walk = np.concatenate([[0], np.cumsum(stride[list(order)])])
        corner = base[:, None] + walk
        tets.append(corner if np.linalg.det(np.eye(3)[list(order)]) > 0 else corner[:, [0, 2, 1, 3]])
    elements = np.stack(tets, axis=1).reshape(-1, 4)
    points, sets = _placed(unit, cells, size, place, jitter)
    facets = sides(unit, elements, OUTWARD)
    return TetMesh(points, elements, np.ones(len(elements)), {1: "body"}, facet_sets=facets, node_sets=sets)


def bricks(
    cells: tuple[int, int, int] = (1, 1, 1),
    *,
    size: tuple[float, float, float] = (1000.0, 1000.0, 1000.0),
    place: Callable[[NDArray], NDArray] | None = None,
    jitter: float = 0.0,
) -> HexMesh:
    """The same box of one hexahedron per cell."""
    unit, base, (x, y, z) = _grid(cells)
    elements = base[:, None] + np.array([0, x, x + y, y, z, x + z, x + y + z, y + z])
    points, sets = _placed(unit, cells, size, place, jitter)
    facets = sides(unit, elements, HEXAHEDRON_FACES)
    return HexMesh(points, elements, np.ones(len(elements)), {1: "body"}, facet_sets=facets, node_sets=sets)


def mesh_for(element: str, cells: tuple[int, int, int] = (1, 1, 1), **options: Any) -> TetMesh | HexMesh:
    """The box in the shape that an element needs."""
    return (bricks if element_named(element).corners == 8 else box)(cells, **options)


def _grid(cells: tuple[int, int, int]) -> tuple[NDArray, NDArray, NDArray]:
    """Points (N, 3) of the unit box, the lowest corner of each cell, and the steps along x, y and z."""
    counts = np.array(cells)
    axes = [np.arange(n + 1) / n for n in cells]
    unit = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    stride = np.array([(counts[1] + 1) * (counts[2] + 1), counts[2] + 1, 1])
    base = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).reshape(-1, 3) @ stride
    return unit, base.astype(int), stride


def _placed(
    unit: NDArray, cells: tuple[int, int, int], size: tuple[float, ...], place: Callable | None, jitter: float
) -> tuple[NDArray, dict[str, NDArray]]:
    inside = ((unit > 0) & (unit < 1)).all(axis=1)
    shift = np.random.default_rng(7).uniform(-1, 1, unit.shape) * jitter / np.array(cells) * inside[:, None]
    points = (unit + shift) * np.array(size) if place is None else place(unit + shift)
    return points, {"all": np.arange(len(unit)), "boundary": np.flatnonzero(~inside), **_side_nodes(unit)}


def _side_nodes(unit: NDArray) -> dict[str, NDArray]:
    return {f"{'xyz'[a]}{v}": np.flatnonzero(unit[:, a] == v) for a in range(3) for v in (0, 1)}


def sides(unit: NDArray, elements: NDArray, faces: NDArray = OUTWARD) -> dict[str, NDArray]:
    """Outward facets on each side of the unit box, named `x0 … z1`."""
    every = elements[:, faces].reshape(-1, faces.shape[1])
    return {
        f"{'xyz'[a]}{v}": every[(unit[every][:, :, a] == v).all(axis=1)].astype(np.int32)
        for a in range(3)
        for v in (0, 1)
    }
