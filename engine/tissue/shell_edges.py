"""Which triangles of a shell meet at which edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .materials.shell import FREE, HELD, JOINED

_EDGES = np.array([[0, 1], [1, 2], [2, 0]])
_ALONE = np.array([[2, 5, 4], [0, 3, 5], [1, 4, 3]])
"""Stand-ins for a neighbour that is not there: the triangle's own corner and middles across each edge."""


def shell_patches(
    triangles: NDArray[np.int32], clamped: NDArray | None, points: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Each triangle with the nodes of its neighbours, and what holds the slope at its edges.

    Args:
        triangles: (E, 6) nodes, all counter-clockwise seen from one side.
        clamped: nodes; edges of the rim between two of them keep their slope.
        points: (N, 3) m, to tell where something is wrong.

    Returns:
        (E, 15) nodes as `Shell6` wants them, and (E, 3) kinds of edges.

    Raises:
        SolverError: more than two triangles at an edge, or two whose normals disagree.
    """
    count, size = len(triangles), int(triangles.max()) + 1
    corners = triangles[:, :3].astype(np.int64)
    start, stop = corners[:, _EDGES[:, 0]].ravel(), corners[:, _EDGES[:, 1]].ravel()
    ahead, back = start * size + stop, stop * size + start
    order = np.argsort(ahead)
    table = ahead[order]
    if (table[1:] == table[:-1]).any():
        first = order[np.flatnonzero(table[1:] == table[:-1])[0]]
        at = np.round(1e3 * points[[start[first], stop[first]]].mean(axis=0), 2)
        raise SolverError(
            f"two triangles of a shell run the same way along the edge at {at} mm",
            where="shell",
            advice="Turn one of them round, or make what branches of several shells",
        )
    place = np.minimum(np.searchsorted(table, back), len(table) - 1)
    joined = table[place] == back
    other, edge = order[place] // 3, order[place] % 3
    # In the neighbour its edge runs the other way: its corner opposite, the middle by our start, the middle by our end.
    across = np.stack(
        [triangles[other, (edge + 2) % 3], triangles[other, 3 + (edge + 1) % 3], triangles[other, 3 + (edge + 2) % 3]],
        axis=1,
    )
    alone = triangles[np.repeat(np.arange(count), 3)[:, None], np.tile(_ALONE, (count, 1))]
    nodes = np.where(joined[:, None], across, alone).reshape(count, 9)
    kinds = np.where(joined, JOINED, FREE)
    if clamped is not None:
        inside = np.zeros(max(size, int(np.max(clamped, initial=0)) + 1), bool)
        inside[np.asarray(clamped, int)] = True
        kinds = np.where(~joined & inside[start] & inside[stop], HELD, kinds)
    return np.concatenate([triangles, nodes], axis=1).astype(np.int32), kinds.reshape(count, 3)
