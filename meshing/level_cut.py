"""Tetrahedra cut along the zero level of a nodal field, conforming on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .mesh import signed_volumes

Places = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cut:
    """Tetrahedra of which none has nodes on both sides of the level.

    Attributes:
        points: (N, 3) mm; those that were there come first.
        tetrahedra: (E, 4) positive.
        parent: (E,) the tetrahedron it is a piece of.
        side: (E,) 1 where the field is positive, −1 where negative, 0 where all four nodes lie on the level.
        value: (N,) the field at the nodes, 0 on the cut.
    """

    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int32]
    parent: NDArray[np.int64]
    side: NDArray[np.int8]
    value: NDArray[np.float64]


def cut_at_level(
    points: Places, tetrahedra: NDArray[np.int32], value: NDArray[np.float64], field: Callable[[Places], NDArray]
) -> Cut:
    """Cut every tetrahedron that the level crosses.

    A tetrahedron is cut into a piece with one, two or three of its corners on either side. Pieces that are prisms or
    pyramids are cut further; the diagonal of a side they share with a neighbour starts at its corner of the
    lower number, so both choose the same one.

    Args:
        points: (N, 3) mm.
        tetrahedra: (E, 4) positive.
        value: (N,) at the nodes; exactly 0 where the level passes through the node.
        field: values at places (n, 3), by which the crossings on the edges are found.
    """
    sign = np.sign(value)[tetrahedra]
    # corners ordered by side and then by number: +…, 0…, −…; an odd reordering is undone at the end by orientation
    order = np.lexsort((tetrahedra, -sign), axis=1)
    corners, signs = np.take_along_axis(tetrahedra, order, 1).astype(np.int64), np.take_along_axis(sign, order, 1)
    plus, minus = (signs > 0).sum(axis=1), (signs < 0).sum(axis=1)
    crossings = _Crossings(points, corners[(plus > 0) & (minus > 0)], value, field)
    kept = (plus == 0) | (minus == 0)
    pieces = [tetrahedra[kept].astype(np.int64)]
    parent = [np.flatnonzero(kept)]
    side = [np.where(plus[kept] > 0, 1, np.where(minus[kept] > 0, -1, 0))]
    for up in (1, 2, 3):
        for down in range(1, 5 - up):
            chosen = np.flatnonzero((plus == up) & (minus == down))
            if not chosen.size:
                continue
            c = corners[chosen].T
            above, zero, below = c[:up], c[up : 4 - down], c[4 - down :]
            for sense, here, there in ((1, above, below), (-1, below, above)):
                for piece in _pieces(here, zero, there, crossings):
                    pieces.append(np.stack(piece, axis=1))
                    parent.append(chosen)
                    side.append(np.full(len(chosen), sense))
    merged = np.concatenate([points, crossings.points])
    cells = _oriented(merged, np.concatenate(pieces))
    levels = np.concatenate([value, np.zeros(len(crossings.points))])
    return Cut(merged, cells, np.concatenate(parent), np.concatenate(side).astype(np.int8), levels)


class _Crossings:
    """Where the level crosses the edges of the tetrahedra, one new node each."""

    def __init__(self, points: Places, corners: NDArray[np.int64], value: NDArray, field: Callable) -> None:
        pairs = corners[:, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]].reshape(-1, 2)
        pairs = np.sort(pairs[value[pairs[:, 0]] * value[pairs[:, 1]] < 0], axis=1)
        self.count = len(points)
        self.keys, index = np.unique(pairs[:, 0] * self.count + pairs[:, 1], return_index=True)
        a, b = pairs[index].T
        self.points = _zero_between(points[a], points[b], value[a], value[b], field)

    def of(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        key = np.minimum(a, b) * self.count + np.maximum(a, b)
        return self.count + np.searchsorted(self.keys, key)


def _zero_between(a: Places, b: Places, at_a: NDArray, at_b: NDArray, field: Callable, rounds: int = 3) -> Places:
    """(n, 3) the zero of the field on each segment by regula falsi, kept 2 % away from the segment's ends."""
    low, high = np.zeros(len(a)), np.ones(len(a))
    at_low, at_high = at_a.copy(), at_b.copy()
    share = at_a / np.where(at_a == at_b, 1.0, at_a - at_b)
    for _ in range(rounds):
        here = field(a + share[:, None] * (b - a))
        same = here * at_low > 0
        low, at_low = np.where(same, share, low), np.where(same, here, at_low)
        high, at_high = np.where(same, high, share), np.where(same, at_high, here)
        gap = at_low - at_high
        share = low + (high - low) * np.divide(at_low, gap, out=np.full(len(a), 0.5), where=gap != 0)
    return a + np.clip(share, 0.02, 0.98)[:, None] * (b - a)


def _pieces(here: NDArray, zero: NDArray, there: NDArray, crossings: _Crossings) -> list[list[NDArray[np.int64]]]:
    """Tetrahedra of the part of each tetrahedron on the side of the corners `here` (ascending)."""
    cut = [[crossings.of(a, b) for b in there] for a in here]
    if len(here) == 1:
        return [[here[0], *zero, *cut[0]]]
    if len(here) == 2 and len(there) == 1:  # a pyramid over the square (a, b, B, A), its apex on the level
        (a, b), ((A,), (B,)) = here, cut
        return [[a, b, B, zero[0]], [a, B, A, zero[0]]]
    if len(here) == 2:  # a prism between the triangles (a, A, A') and (b, B, B')
        (a, b), ((A, Ax), (B, Bx)) = here, cut
        return [[a, b, B, Bx], [a, A, B, Bx], [a, A, Ax, Bx]]
    (a, b, c), ((A,), (B,), (C,)) = here, cut  # a prism between (a, b, c) and (A, B, C)
    return [[a, b, c, C], [a, b, B, C], [a, A, B, C]]


def _oriented(points: Places, cells: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.where((signed_volumes(points, cells) < 0)[:, None], cells[:, [0, 1, 3, 2]], cells).astype(np.int32)
