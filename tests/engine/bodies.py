"""Meshes of known shape for the engine's tests, in mm as every `TetMesh`."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from preop.meshing.mesh import OUTWARD, TetMesh


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
    counts = np.array(cells)
    axes = [np.arange(n + 1) / n for n in cells]
    unit = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    stride = np.array([(counts[1] + 1) * (counts[2] + 1), counts[2] + 1, 1])
    base = (np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).reshape(-1, 3) @ stride).astype(int)
    tets = []
    for order in itertools.permutations(range(3)):
        walk = np.concatenate([[0], np.cumsum(stride[list(order)])])
        corner = base[:, None] + walk
        tets.append(corner if np.linalg.det(np.eye(3)[list(order)]) > 0 else corner[:, [0, 2, 1, 3]])
    elements = np.stack(tets, axis=1).reshape(-1, 4)
    inside = ((unit > 0) & (unit < 1)).all(axis=1)
    shift = np.random.default_rng(7).uniform(-1, 1, unit.shape) * jitter / counts * inside[:, None]
    points = (unit + shift) * np.array(size) if place is None else place(unit + shift)
    return TetMesh(
        points,
        elements,
        np.ones(len(elements), np.int32),
        {1: "body"},
        facet_sets=sides(unit, elements),
        node_sets={"all": np.arange(len(unit)), "boundary": np.flatnonzero(~inside), **_side_nodes(unit)},
    )


def _side_nodes(unit: NDArray) -> dict[str, NDArray]:
    return {f"{'xyz'[a]}{v}": np.flatnonzero(unit[:, a] == v) for a in range(3) for v in (0, 1)}


def sides(unit: NDArray, elements: NDArray) -> dict[str, NDArray]:
    """Outward facets on each side of the unit box, named `x0 … z1`."""
    faces = elements[:, OUTWARD].reshape(-1, 3)
    return {
        f"{'xyz'[a]}{v}": faces[(unit[faces][:, :, a] == v).all(axis=1)].astype(np.int32)
        for a in range(3)
        for v in (0, 1)
    }
