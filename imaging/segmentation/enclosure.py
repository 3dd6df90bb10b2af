"""How far a point is surrounded by an organ: what 26 rays from it meet first.

A tumour at a liver's border has liver on most sides and the body wall on the others; the
stomach or the heart has liver on one side. That tells them apart where intensity cannot.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from .morphology import Mask


def enclosure(
    stops: list[Mask], opaque: Mask, spacing: NDArray[np.float64], reach_mm: float = 90.0
) -> list[NDArray[np.float32]]:
    """Share of 26 directions, per voxel, in which each kind is met first.

    Args:
        stops: (I, J, K) masks of the kinds that end a ray and are counted.
        opaque: what ends a ray uncounted (fat, gas, other organs).
        spacing: (3,) mm.
        reach_mm: rays end uncounted after this length.
    """
    kinds = np.zeros(opaque.shape, dtype=np.int8)
    kinds[opaque] = len(stops) + 1
    for number, mask in enumerate(stops, start=1):
        kinds[mask] = number
    shares = [np.zeros(opaque.shape, dtype=np.float32) for _ in stops]
    directions = [d for d in product((-1, 0, 1), repeat=3) if any(d)]
    for direction in directions:
        steps = int(reach_mm / float(np.linalg.norm(np.array(direction) * spacing)))
        first = _first_met(kinds, direction, steps)
        for number, share in enumerate(shares, start=1):
            share += first == number
    return [(share / len(directions)).astype(np.float32) for share in shares]


def _first_met(kinds: NDArray[np.int8], direction: tuple[int, ...], steps: int) -> NDArray[np.int8]:
    """The kind met first within so many steps; by doubling, so that it takes log2(steps) passes."""
    met, reached = kinds.copy(), 0
    while reached < steps:
        jump = max(min(reached, steps - reached), 1)
        met = np.where(met > 0, met, _shifted(met, direction, jump))
        reached += jump
    return met


def _shifted(field: NDArray[np.int8], direction: tuple[int, ...], count: int) -> NDArray[np.int8]:
    """field[x + count·direction], 0 beyond the grid."""
    result = np.zeros_like(field)
    source, target = [], []
    for step, size in zip(direction, field.shape, strict=True):
        move = step * count
        if abs(move) >= size:
            return result
        source.append(slice(max(move, 0), size + min(move, 0)))
        target.append(slice(max(-move, 0), size - max(move, 0)))
    result[tuple(target)] = field[tuple(source)]
    return result
