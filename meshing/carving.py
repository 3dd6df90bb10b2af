"""Vessels carved out of a lattice of tetrahedra: no random step, ends flat, borders on the smoothed outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..imaging.errors import MeshError
from .body_centred import body_centred_lattice
from .distance_field import DistanceField
from .level_cut import Cut, cut_at_level
from .mesh import signed_volumes
from .sets import all_facets, boundary_facets

SNAP = 0.27
"""Nodes nearer to a border than this share of a cell are moved onto it, so that no cut leaves a sliver."""

LEAST_SHARE = 0.2
"""Share of its volume that a tetrahedron keeps when its nodes are moved onto a border."""


@dataclass(frozen=True, eq=False)
class Carved:
    """Tetrahedra of a vessel.

    Attributes:
        points: (N, 3) mm along the lattice's axes.
        tetrahedra: (E, 4) positive; the middle of a wide lumen may be left out.
        inside: (E,) True where the second field is positive (thrombus), False in the lumen.
        outline: (F, 3) facets on the vessel's outline, normals outward; its open ends are left out.
        on_interface: (N,) nodes between lumen and thrombus.
        free: (N, 3) 0 along the axis of the end a node lies in, else 1.
    """

    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int32]
    inside: NDArray[np.bool_]
    outline: NDArray[np.int32]
    on_interface: NDArray[np.bool_]
    free: NDArray[np.float64]


def carve(
    outline: DistanceField,
    lumen: DistanceField | None,
    box: tuple[NDArray[np.float64], NDArray[np.float64]],
    open_faces: Sequence[tuple[int, int]],
    cell_mm: float,
) -> Carved:
    """Tetrahedra inside `outline`, split into lumen and what lies around it.

    Each border is made in two steps after Labelle and Shewchuk (2007), Isosurface stuffing, ACM Trans.
    Graph. 26(3) 57: nodes near it are moved onto it, then what it still crosses is cut.

    Args:
        outline: positive in lumen and thrombus.
        lumen: positive in the lumen; None where there is no thrombus.
        box: corners (3,) mm; at an open face its side is the end's plane.
        open_faces: (axis, 0 low or 1 high).
        cell_mm: edge of the lattice's cubes.

    Raises:
        MeshError: nothing is left.
    """
    points, cells = body_centred_lattice(box[0], box[1], cell_mm)
    depth = outline.values(points)
    deep = depth if lumen is None else lumen.values(points)
    # outside, and so deep in the lumen that neither border comes near: not needed
    far = (depth < -cell_mm)[cells].all(axis=1) | (deep > 2 * cell_mm)[cells].all(axis=1)
    points, cells, on_outline = _inside(points, cells[~far], depth, outline, cell_mm, _free(points, box, open_faces))
    free = _free(points, box, open_faces)
    if lumen is None:
        none = np.zeros(max(len(points), len(cells)), dtype=bool)
        return Carved(points, cells, none[: len(cells)], _outline(cells, on_outline, free), none[: len(points)], free)
    cut = _split(points, cells, on_outline, lumen, cell_mm, free)
    fresh = np.abs(outline.values(cut.points[len(points) :])) < 0.1 * cell_mm
    free = _free(cut.points, box, open_faces)
    facets = _outline(cut.tetrahedra, np.concatenate([on_outline, fresh]), free)
    return Carved(cut.points, cut.tetrahedra, cut.side > 0, facets, cut.value == 0, free)


def _inside(
    points: NDArray[np.float64],
    cells: NDArray[np.int32],
    depth: NDArray[np.float64],
    outline: DistanceField,
    cell_mm: float,
    free: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.bool_]]:
    """Points, the tetrahedra inside the outline, and which points lie on it."""
    points, depth = snapped(points, cells, depth, outline, SNAP * cell_mm, free)
    cut = cut_at_level(points, cells, depth, outline.values)
    # one with all its nodes on the outline may lie on either side
    whole = outline.values(cut.points[cut.tetrahedra].mean(axis=1)) > 0
    kept = cut.tetrahedra[(cut.side > 0) | ((cut.side == 0) & whole)]
    if not len(kept):
        raise MeshError("the vessel is thinner than the elements asked for", where="vessel wall",
                        advice="Use a shorter edge length")  # fmt: skip
    piece = joined_by_facets(kept, np.ones(len(kept), dtype=bool))
    # an island, or a spur that hangs on by an edge only, is none of the vessel
    return cut.points, kept[piece == np.bincount(piece).argmax()], cut.value == 0


def _split(
    points: NDArray[np.float64],
    cells: NDArray[np.int32],
    on_outline: NDArray[np.bool_],
    lumen: DistanceField,
    cell_mm: float,
    free: NDArray[np.float64],
) -> Cut:
    """Cut between lumen (negative) and thrombus (positive); the outline's nodes stay where they are."""
    value = -lumen.values(points)
    # A clot thinner than a node's reach ends here: its edge is feathered over the last element
    value[on_outline & (value < SNAP * cell_mm)] = 0.0
    movable = np.where(on_outline[:, None], 0.0, free)
    points, value = snapped(points, cells, value, lumen, SNAP * cell_mm, movable)
    return cut_at_level(points, cells, value, lambda places: -lumen.values(places))


def snapped(
    points: NDArray[np.float64],
    cells: NDArray[np.int32],
    value: NDArray[np.float64],
    field: DistanceField,
    reach_mm: float,
    free: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and values after nodes near the zero level were moved onto it, as far as no tetrahedron flattens.

    Args:
        points: (N, 3) mm.
        cells: (E, 4) positive.
        value: (N,) of the field, up to its sign.
        field: whose level it is.
        reach_mm: farthest node that is moved.
        free: (N, 3) 0 along axes in which a node stays.
    """
    used = np.zeros(len(points), dtype=bool)
    used[cells] = True
    near = np.flatnonzero(used & (np.abs(value) < 1.5 * reach_mm) & free.any(axis=1))
    target = field.projected(points[near], free[near])
    step = np.linalg.norm(target - points[near], axis=1)
    reached = (step < reach_mm) & (np.abs(field.values(target)) < 0.02 * reach_mm)
    near, target = near[reached], target[reached]
    moved, on_level = points.copy(), np.zeros(len(points), dtype=bool)
    moved[near], on_level[near] = target, True
    least = LEAST_SHARE * signed_volumes(points, cells)
    while True:
        flat = signed_volumes(moved, cells) < least
        back = np.unique(cells[flat])
        back = back[on_level[back]]
        if not back.size:
            break
        moved[back], on_level[back] = points[back], False
    return moved, np.where(on_level, 0.0, value)


def joined_by_facets(cells: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(E,) number of the piece each tetrahedron belongs to: chosen ones that share facets; the others are alone."""
    _, owner, paired = all_facets(cells)
    other = owner[np.maximum(paired, 0)]
    joined = (paired >= 0) & chosen[owner] & chosen[other]
    links = (np.ones(int(joined.sum()), dtype=bool), (owner[joined], other[joined]))
    return sparse.csgraph.connected_components(sparse.coo_matrix(links, shape=(len(cells),) * 2), directed=False)[1]


def _free(points: NDArray, box: tuple[NDArray, NDArray], open_faces: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    free = np.ones_like(points)
    for axis, side in open_faces:
        free[np.abs(points[:, axis] - box[side][axis]) < 1e-9 * max(1.0, abs(box[side][axis])), axis] = 0.0
    return free


def _outline(cells: NDArray, on_outline: NDArray, free: NDArray) -> NDArray[np.int32]:
    """Boundary facets with all nodes on the outline, not all in one end."""
    facets, _ = boundary_facets(cells)
    capped = (free[facets] == 0).all(axis=1).any(axis=1)
    return facets[on_outline[facets].all(axis=1) & ~capped]
