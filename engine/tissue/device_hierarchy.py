"""A multigrid hierarchy for element blocks that live on a device: assembled on the host, anew only when it has aged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..linear.device import Blocks
from ..linear.device_cycle import DeviceCycle
from ..linear.hierarchy import COARSEST, Hierarchy, rigid_body_modes
from .pattern import BATCH, BlockScatter, Pattern


def device_cycle(blocks: Blocks, positions: NDArray) -> DeviceCycle | None:
    """The V-cycle of a tangent; None for systems that need none.

    Args:
        blocks: symmetric local stiffness matrices.
        positions: (nodes, 3) m.
    """
    free = np.asarray(blocks.free)
    if free.size <= COARSEST:
        return None
    parts = [(np.asarray(part.nodes), np.asarray(part.matrices)) for part in blocks.parts]
    pattern = Pattern([nodes for nodes, _ in parts], len(free))
    data = np.zeros((len(pattern.indices), 9))
    for nodes, matrices in parts:
        for start in range(0, len(nodes), BATCH):
            _add(data, pattern, nodes[start : start + BATCH], matrices[start : start + BATCH])
    data = data.reshape(-1, 3, 3)
    slots, mask = pattern.held(free)
    data[slots] *= mask
    data[pattern.diagonal] += (1.0 - free)[:, :, None] * np.eye(3)
    hierarchy = Hierarchy.of(pattern.matrix(data), rigid_body_modes(positions) * free.reshape(-1, 1))
    return DeviceCycle.of(hierarchy) if hierarchy.coarser else None


def _add(data: NDArray, pattern: Pattern, nodes: NDArray, matrices: NDArray) -> None:
    groups, size = nodes.shape
    first, second = np.broadcast_arrays(nodes[:, :, None], nodes[:, None, :])
    blocks = matrices.reshape(groups, size, 3, size, 3).transpose(0, 1, 3, 2, 4)
    slots = pattern.slots(first, second).ravel()
    BlockScatter(slots, len(data)).add(data, blocks.reshape(-1, 9))
