"""Compiled loops that find which solids share a face, in one pass over a table of hashes, and join them to parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..linear.sweeps import compiled

MIX = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ over the golden ratio: multiplicative hashing (Knuth, *The Art of Computer Programming*, vol. 3, 6.4)."""


@compiled
def join(left: int, right: int, parent: NDArray) -> None:
    """Unites the sets of two elements; a parent is never greater than its child."""
    while parent[left] != left:
        parent[left] = parent[parent[left]]
        left = parent[left]
    while parent[right] != right:
        parent[right] = parent[parent[right]]
        right = parent[right]
    parent[max(left, right)] = min(left, right)


@compiled
def join_pairs(left: NDArray, right: NDArray, parent: NDArray) -> None:
    """Unites the sets of the elements of each pair."""
    for k in range(len(left)):
        join(left[k], right[k], parent)


@compiled
def resolve(parent: NDArray) -> None:
    """Makes each entry the least member of its set."""
    for k in range(len(parent)):
        parent[k] = parent[parent[k]]


@compiled
def match_faces(
    nodes: NDArray,
    local: NDArray,
    start: int,
    nodes_in_all: int,
    low: NDArray,
    high: NDArray,
    owners: NDArray,
    parent: NDArray,
    overlap: NDArray,
) -> None:
    """Joins the elements that share a face: three of its nodes tell it, since solids that share them move as one.

    Args:
        nodes: (E, n) of elements numbered from `start`.
        local: (k, c) corners of each face.
        nodes_in_all: how many nodes the body has.
        low, high: (size,) the keys of a table of hashes, whose size is a power of two.
        owners: (size, 2) the elements of each face in it, −1 where there is none yet.
        parent: the sets.
        overlap: (4,) three elements that share one face, where there are such, and which face of the last it is.
    """
    mask, wide = np.uint64(len(low) - 1), np.uint64(max(len(low) // nodes_in_all, 1))
    for e in range(len(nodes)):
        for f in range(len(local)):
            a = b = c = np.int64(1) << 40
            for corner in local[f]:
                n = np.int64(nodes[e, corner])
                if n < a:
                    a, b, c = n, a, b
                elif n < b:
                    b, c = n, b
                elif n < c:
                    c = n
            key = (a << 32) | b
            # Faces of one least node lie together: elements that are near in the mesh are so in memory.
            within = ((np.uint64(b) * MIX) ^ np.uint64(c)) * MIX >> np.uint64(40)
            at = (np.uint64(a) * wide + within % wide) & mask
            while owners[at, 0] >= 0 and (low[at] != key or high[at] != c):
                at = (at + np.uint64(1)) & mask
            if owners[at, 0] < 0:
                low[at], high[at], owners[at, 0] = key, c, start + e
            elif owners[at, 1] < 0:
                owners[at, 1] = start + e
                join(owners[at, 0], start + e, parent)
            else:
                overlap[0], overlap[1], overlap[2], overlap[3] = owners[at, 0], owners[at, 1], start + e, f
                return
