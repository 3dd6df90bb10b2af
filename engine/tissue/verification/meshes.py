"""Structured meshes of the reference bodies: a box, rods and shells, and a map that bends quadratic elements with them.

A body is meshed in simple coordinates (a cube, a diamond times a length, an octahedron with a wall) and `curved` puts
every node, mid-edge ones included, where it belongs: the faces of quadratic elements follow the true surface to third
order. Coordinates here are metres; a `TetMesh` holds them as millimetres.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ....meshing.mesh import HEXAHEDRON_FACES, OUTWARD, HexMesh, TetMesh
from ..elements import element_named
from ..fields import element_volumes
from ..model import MM, Model

Place = Callable[[NDArray], NDArray]
"""Positions (N, 3) [m] from simple coordinates (N, 3)."""
Sides = Mapping[str, Callable[[NDArray], NDArray]]
"""Name → whether points (N, 3) lie on that side, in simple coordinates."""


def box(
    cells: tuple[int, int, int] = (1, 1, 1),
    *,
    size: tuple[float, float, float] = (1000.0, 1000.0, 1000.0),
    place: Place | None = None,
    jitter: float = 0.0,
) -> TetMesh:
    """A box of Kuhn's six tetrahedra per cell; `place` maps (N, 3) in [0, 1]³ to mm; `jitter` moves inner nodes.

    Sets: nodes and facets `x0 x1 y0 y1 z0 z1` on the six sides, and nodes `all` and `boundary`.
    """
    unit, base, stride = _grid(cells)
    tets = []
    for path in itertools.permutations(range(3)):
        corner = base[:, None] + np.concatenate([[0], np.cumsum(stride[list(path)])])
        tets.append(corner if np.linalg.det(np.eye(3)[list(path)]) > 0 else corner[:, [0, 2, 1, 3]])
    elements = np.stack(tets, axis=1).reshape(-1, 4)
    points, sets = _placed(unit, cells, size, place, jitter)
    facets = sides(unit, elements, OUTWARD)
    return TetMesh(points, elements, np.ones(len(elements), np.int32), {1: "body"}, facet_sets=facets, node_sets=sets)


def bricks(
    cells: tuple[int, int, int] = (1, 1, 1),
    *,
    size: tuple[float, float, float] = (1000.0, 1000.0, 1000.0),
    place: Place | None = None,
    jitter: float = 0.0,
) -> HexMesh:
    """The same box of one hexahedron per cell."""
    unit, base, (x, y, z) = _grid(cells)
    elements = base[:, None] + np.array([0, x, x + y, y, z, x + z, x + y + z, y + z])
    points, sets = _placed(unit, cells, size, place, jitter)
    facets = sides(unit, elements, HEXAHEDRON_FACES)
    return HexMesh(points, elements, np.ones(len(elements), np.int32), {1: "body"}, facet_sets=facets, node_sets=sets)


def mesh_for(element: str, cells: tuple[int, int, int] = (1, 1, 1), **options: Any) -> TetMesh | HexMesh:
    """The box in the shape that an element needs."""
    return (bricks if element_named(element).corners == 8 else box)(cells, **options)


def sides(unit: NDArray, elements: NDArray, faces: NDArray = OUTWARD) -> dict[str, NDArray]:
    """Outward facets on each side of the unit box, named `x0 … z1`."""
    every = elements[:, faces].reshape(-1, faces.shape[1])
    return {
        f"{'xyz'[a]}{v}": every[np.all(unit[every][:, :, a] == v, axis=1)].astype(np.int32)
        for a in range(3)
        for v in (0, 1)
    }


def _grid(cells: tuple[int, int, int]) -> tuple[NDArray, NDArray, NDArray]:
    """Points (N, 3) of the unit box, z fastest, the lowest corner of each cell, and the steps along x, y and z."""
    counts = np.array(cells)
    axes = [np.arange(n + 1) / n for n in cells]
    unit = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    stride = np.array([(counts[1] + 1) * (counts[2] + 1), counts[2] + 1, 1])
    base = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).reshape(-1, 3) @ stride
    return unit, base.astype(int), stride


def _placed(
    unit: NDArray, cells: tuple[int, int, int], size: tuple[float, ...], place: Place | None, jitter: float
) -> tuple[NDArray, dict[str, NDArray[np.int32]]]:
    """Points (N, 3) mm and node sets."""
    inside = np.all((unit > 0) & (unit < 1), axis=1)
    shift = np.random.default_rng(7).uniform(-1, 1, unit.shape) * jitter / np.array(cells) * inside[:, None]
    points = (unit + shift) * np.array(size) if place is None else place(unit + shift)
    found = {f"{'xyz'[a]}{v}": unit[:, a] == v for a in range(3) for v in (0, 1)}
    found |= {"all": np.ones(len(unit), bool), "boundary": ~inside}
    return points, {name: np.flatnonzero(where).astype(np.int32) for name, where in found.items()}


def rod(rings: int, layers: int, sectors: int = 4) -> TetMesh:
    """Simple coordinates of a round rod: the diamond |x| + |y| ≤ 1 by z from 0 to 1; see `round_rod`.

    `sectors` quarters of it, 1 for symmetry about x = 0 and y = 0. Sets: `z0`, `z1`, `rim`, `x0`, `y0`.
    """
    corners = np.array([[1.0, 0, 0], [0, 1.0, 0], [-1.0, 0, 0], [0, -1.0, 0]])
    flats = [(np.zeros(3), corners[k], corners[(k + 1) % 4]) for k in range(sectors)]
    points, triangles = _fans(flats, rings)
    stack = [points + np.array([0.0, 0.0, k / layers]) for k in range(layers + 1)]
    return _wedges(stack, triangles, {
        "z0": lambda p: p[:, 2] == 0, "z1": lambda p: np.isclose(p[:, 2], 1, atol=1e-12),
        "rim": lambda p: np.isclose(np.abs(p[:, :2]).sum(axis=1), 1), **_CUTS})  # fmt: skip


def round_rod(radius: float, length: float) -> Place:
    """From the diamond to the disc: radius |x| + |y|, the quarter angle in proportion to |y|/(|x| + |y|)."""

    def place(simple: NDArray) -> NDArray:
        x, y, z = simple.T
        ring = np.abs(x) + np.abs(y)
        share = np.divide(np.abs(y), ring, out=np.zeros_like(ring), where=ring > 0)
        along, across = np.cos(0.5 * np.pi * share), np.sin(0.5 * np.pi * share)
        # cos(π/2) is not quite zero; nodes of a symmetry plane must lie on it.
        along, across = np.where(share == 1, 0.0, along), np.where(share == 0, 0.0, across)
        disc = radius * ring * np.array([np.where(x < 0, -along, along), np.where(y < 0, -across, across)])
        return np.stack([*disc, length * z], axis=1)

    return place


def shell(divisions: int, layers: int, octants: int = 1) -> TetMesh:
    """Simple coordinates of a thick shell: octants of the octahedron |x| + |y| + |z| = 1 + t, t from 0 inside to 1.

    Octants follow each other around z, on the side z ≥ 0: 1 has three symmetry planes, 4 is the upper half. Sets:
    `inner`, `outer`, `x0`, `y0`, `z0`. See `spherical`.
    """
    around = np.array([[1.0, 0, 0], [0, 1.0, 0], [-1.0, 0, 0], [0, -1.0, 0]])
    pole = np.array([0.0, 0.0, 1.0])
    points, triangles = _fans([(pole, around[k], around[(k + 1) % 4]) for k in range(octants)], divisions)
    stack = [points * (1 + k / layers) for k in range(layers + 1)]
    return _wedges(stack, triangles, {
        "inner": lambda p: np.isclose(np.abs(p).sum(axis=1), 1),
        "outer": lambda p: np.isclose(np.abs(p).sum(axis=1), 2),
        "z0": lambda p: p[:, 2] == 0, **_CUTS})  # fmt: skip


def spherical(simple: NDArray) -> tuple[NDArray, NDArray]:
    """Unit directions (N, 3), and depth in the wall (N,) from 0 inside to 1 outside, of the coordinates of `shell`."""
    return simple / np.linalg.norm(simple, axis=1)[:, None], np.abs(simple).sum(axis=1) - 1.0


def curved(model: Model, place: Place) -> Model:
    """The model with every node moved from its simple coordinates to `place` of them.

    Raises:
        SolverError: the map turns an element inside out.
    """
    points = place(np.asarray(model.points))
    moved = eqx.tree_at(lambda m: m.points, model, jnp.asarray(points))
    volumes = element_volumes(moved)
    if not (volumes > 0).all():
        raise SolverError(f"the map turns element {int(np.argmin(volumes))} inside out", where="mesh")
    return moved


_CUTS: Sides = {"x0": lambda p: p[:, 0] == 0, "y0": lambda p: p[:, 1] == 0}


def _fans(flats: list[tuple[NDArray, NDArray, NDArray]], count: int) -> tuple[NDArray, NDArray]:
    """Flat triangles, each cut into count² smaller ones: points (N, 3) without duplicates, triangles (T, 3)."""
    steps = [(i, j) for i in range(count + 1) for j in range(count + 1 - i)]
    number = {step: k for k, step in enumerate(steps)}
    small = [(number[i, j], number[i + 1, j], number[i, j + 1]) for i, j in steps if i + j < count]
    small += [(number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]) for i, j in steps if i + j < count - 1]
    weights = np.array([[count - i - j, i, j] for i, j in steps]) / count
    every = np.concatenate([weights @ np.array(corners) for corners in flats])
    points, where = np.unique(np.round(every, 12) + 0.0, axis=0, return_inverse=True)
    triangles = np.concatenate([np.array(small) + k * len(steps) for k in range(len(flats))])
    return points, where.ravel()[triangles]


def _wedges(stack: list[NDArray], triangles: NDArray, named: Sides) -> TetMesh:
    """Layers of wedges between copies of a triangulation, each cut into three tetrahedra.

    The diagonal of a side goes from the lower number below to the higher above, so that neighbours agree.
    """
    count = len(stack[0])
    a, b, c = np.sort(triangles, axis=1).T
    wedge = np.concatenate([np.stack(t, axis=1) for t in (
        (a, b, c, c + count), (a, b, b + count, c + count), (a, a + count, b + count, c + count))])  # fmt: skip
    points = np.concatenate(stack)
    elements = np.concatenate([wedge + k * count for k in range(len(stack) - 1)])
    p = points[elements]
    turned = np.linalg.det(p[:, 1:] - p[:, :1]) < 0
    elements[turned] = elements[turned][:, [0, 2, 1, 3]]
    facets = boundary_facets(points, elements, named)
    nodes = {name: np.flatnonzero(on(points)).astype(np.int32) for name, on in named.items()}
    return TetMesh(
        points / MM,
        elements,
        np.ones(len(elements), np.int32),
        {1: "body"},
        facet_sets=facets,
        node_sets={"all": np.arange(len(points), dtype=np.int32), **nodes},
    )


def boundary_facets(points: NDArray, elements: NDArray, named: Sides) -> dict[str, NDArray[np.int32]]:
    """Outward facets of the boundary whose three corners lie on a side, by the side's name."""
    faces = elements[:, OUTWARD].reshape(-1, 3)
    _, first, shared = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    outside = faces[first[shared == 1]]
    return {name: outside[on(points)[outside].all(axis=1)].astype(np.int32) for name, on in named.items()}
