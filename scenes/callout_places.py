"""Where the words of marks stand in a picture: beside the body, as near to their marks as there is room.

Lengths are pixels of a 1600 px wide picture, x to the right and y down; numpy and Pillow only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .fitting_view import Box

_CELL = 4.0
"""Size of a cell of the silhouette."""
_STEP = 10.0
"""Between two places that are tried."""
_AIR = 10.0
"""Kept free between words and the body, and between words and other words."""
_CLEAR = 34.0
"""Nearest that words come to the middle of any mark: they must not lie on its ring."""
_ON_BODY, _SHARE_ON_BODY = 3000.0, 6000.0
"""Cost of lying on the body at all, and wholly: more than the longest line."""
_CROSSING = 1500.0
"""Cost of a line through other words, another mark or another line."""
_ALL_ORDERS = 4


class Silhouette:
    """What a body covers of a picture, as a grid of cells.

    Args:
        triangles: (T, 3, 2) as they are projected.
        height: of the picture.
    """

    def __init__(self, triangles: NDArray[np.float64], height: float) -> None:
        cells = Image.new("1", (round(1600 / _CELL), max(1, round(height / _CELL))))
        draw = ImageDraw.Draw(cells)
        for triangle in np.asarray(triangles, dtype=float).reshape(-1, 3, 2) / _CELL:
            draw.polygon([(float(x), float(y)) for x, y in triangle], fill=1)
        covered = np.asarray(cells, dtype=float)
        self._sums = np.zeros((covered.shape[0] + 1, covered.shape[1] + 1))
        self._sums[1:, 1:] = covered.cumsum(axis=0).cumsum(axis=1)

    def share(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) how much of boxes (n, 4) is covered, 0 to 1."""
        rows, columns = (np.array(self._sums.shape) - 1).tolist()
        low = np.floor(boxes[:, :2] / _CELL).astype(int)
        high = np.ceil(boxes[:, 2:] / _CELL).astype(int)
        left, right = np.clip(low[:, 0], 0, columns), np.clip(high[:, 0], 0, columns)
        top, bottom = np.clip(low[:, 1], 0, rows), np.clip(high[:, 1], 0, rows)
        sums = self._sums
        inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return inside / np.maximum((right - left) * (bottom - top), 1)


def place_words(
    marks: NDArray[np.float64],
    sizes: NDArray[np.float64],
    body: Silhouette,
    free: Box,
    taken: Sequence[Box] = (),
) -> tuple[NDArray[np.float64], bool]:
    """Boxes for the words of marks, each outside of the body where there is room, and there nearest to its mark.

    No box leaves `free` or touches one of `taken`, another box or a mark. Lines from marks to boxes
    keep off other boxes, marks and lines if they can.

    Args:
        marks: (n, 2).
        sizes: (n, 2) width and height of the words' boxes.
        body: where words do not stand if they can stand elsewhere.

    Returns:
        (n, 4) boxes, and whether all of them lie outside of the body.
    """
    marks, sizes = np.reshape(marks, (-1, 2)).astype(float), np.reshape(sizes, (-1, 2)).astype(float)
    count = len(marks)
    if not count:
        return np.zeros((0, 4)), True
    tried = [_candidates(marks, number, sizes[number], body, free, taken) for number in range(count)]
    order = np.argsort(marks[:, 1], kind="stable")
    orders = permutations(range(count)) if count <= _ALL_ORDERS else (tuple(order), tuple(order[::-1]))
    found = [_in_order(one, marks, tried) for one in orders]
    _, boxes = min(found, key=lambda one: one[0])
    return boxes, bool((body.share(boxes) == 0).all())


def line_end(mark: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,) the point of a box that is nearest to a mark, or (n, 2) of boxes (n, 4)."""
    return np.clip(mark, box[..., :2], box[..., 2:])


def _candidates(
    marks: NDArray[np.float64], number: int, size: NDArray[np.float64], body: Silhouette, free: Box,
    taken: Sequence[Box],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Boxes (k, 4) where a mark's words may stand whatever else is placed, and what each costs (k,)."""
    x = np.arange(free[0], max(free[2] - size[0], free[0]) + 1e-9, _STEP)
    y = np.arange(free[1], max(free[3] - size[1], free[1]) + 1e-9, _STEP)
    corners = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    boxes = np.hstack([corners, corners + size])
    allowed = np.ones(len(boxes), dtype=bool)
    for other in taken:
        allowed &= ~_meet(boxes, np.asarray(other, dtype=float))
    for mark in marks:
        allowed &= np.linalg.norm(line_end(mark, boxes) - mark, axis=1) >= _CLEAR
    boxes = boxes[allowed] if allowed.any() else boxes
    covered = body.share(boxes + _AIR * np.array([-1, -1, 1, 1]))
    away = np.linalg.norm(line_end(marks[number], boxes) - marks[number], axis=1)
    cost = away + np.where(covered > 0, _ON_BODY + _SHARE_ON_BODY * covered, 0)
    for other, mark in enumerate(marks):
        if other != number:
            cost += _CROSSING * (_line_distance(marks[number], line_end(marks[number], boxes), mark) < _CLEAR / 2)
    return boxes, cost


def _in_order(
    order: Sequence[int], marks: NDArray[np.float64], tried: Sequence[tuple[NDArray, NDArray]]
) -> tuple[float, NDArray[np.float64]]:
    """The whole cost and the boxes (n, 4) if marks choose their places one after the other."""
    total, boxes = 0.0, np.zeros((len(order), 4))
    for turn, number in enumerate(order):
        places, alone = tried[number]
        cost = alone.copy()
        ends = line_end(marks[number], places)
        for other in order[:turn]:
            theirs = boxes[other]
            end = line_end(marks[other], theirs)
            cost += np.where(_meet(places, theirs), 1e6, 0.0)
            along = np.linspace(0, 1, 24)[:, None]
            line = marks[other] + along * (end - marks[other])
            cost += _CROSSING * (_holds(places[:, None], line[None]).any(axis=1))
            lines = marks[number] + along * (ends - marks[number])[:, None]
            cost += _CROSSING * (_holds(theirs, lines).any(axis=1))
            cost += _CROSSING * _cross(marks[number], ends, marks[other], end)
        best = int(np.argmin(cost))
        total += float(cost[best])
        boxes[number] = places[best]
    return total, boxes


def _meet(boxes: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) whether boxes (n, 4) come closer than `_AIR` to another."""
    gap = np.maximum(other[:2] - boxes[:, 2:], boxes[:, :2] - other[2:])
    return np.asarray((gap < _AIR).all(axis=1))


def _holds(boxes: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(((points > boxes[..., :2] - 4) & (points < boxes[..., 2:] + 4)).all(axis=-1))


def _line_distance(start: NDArray, stops: NDArray, point: NDArray) -> NDArray[np.float64]:
    """(n,) distance of a point (2,) from lines that go from one start (2,) to stops (n, 2)."""
    way = stops - start
    length = np.maximum((way**2).sum(axis=1), 1e-9)
    along = np.clip(way @ (point - start) / length, 0, 1)
    return np.linalg.norm(start + along[:, None] * way - point, axis=1)


def _cross(start: NDArray, stops: NDArray, other: NDArray, end: NDArray) -> NDArray[np.bool_]:
    """(n,) whether lines from one start (2,) to stops (n, 2) cross the line from `other` to `end`."""

    def side(a: NDArray, b: NDArray, c: NDArray) -> NDArray:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])

    apart = side(other, end, start) * side(other, end, stops) < 0
    return apart & (side(start, stops, other) * side(start, stops, end) < 0)
