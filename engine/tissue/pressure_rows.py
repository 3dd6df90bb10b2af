"""Where the unknown pressures of mixed elements stand in the field of unknowns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pressure_rows(corners: NDArray, region: NDArray, nodes: int, first: int) -> tuple[NDArray[np.int64], NDArray]:
    """Pressure is continuous within a region and jumps between regions, as it does where stiffness jumps.

    Args:
        corners: (E, pressures) nodes at which each element has its pressures.
        region: label of each element (E,).
        nodes: how many nodes there are.
        first: the row of the first pressure.

    Returns:
        The node of each pressure unknown, and the rows (E, pressures) of each element's.
    """
    key = np.asarray(region, np.int64)[:, None] * nodes + corners
    unique, row = np.unique(key, return_inverse=True)
    return unique % nodes, (first + row.reshape(key.shape)).astype(np.int32)
