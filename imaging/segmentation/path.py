"""The best smooth line through a stack of slices: spine and aorta cross every one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smoothest_path(
    score: NDArray[np.float32], spacing: NDArray[np.float64], *, stiffness: float = 0.02
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(K, 2) indices of the best path from the lowest to the highest slice, and (K,) its scores.

    Maximises Σ score − stiffness·(sideways / upward)², with steps of at most two voxels
    per slice (Viterbi's algorithm).
    """
    count = score.shape[2]
    steps = [(a, b) for a in range(-2, 3) for b in range(-2, 3)]
    cost = [stiffness * ((a * spacing[0]) ** 2 + (b * spacing[1]) ** 2) / spacing[2] ** 2 for a, b in steps]
    total = score[:, :, 0].astype(np.float64)
    choice = np.zeros(score.shape, dtype=np.uint8)
    for k in range(1, count):
        padded = np.pad(total, 2, constant_values=-np.inf)
        options = np.array(
            [
                padded[2 + a : 2 + a + total.shape[0], 2 + b : 2 + b + total.shape[1]] - c
                for (a, b), c in zip(steps, cost, strict=True)
            ]
        )
        choice[:, :, k] = options.argmax(axis=0)
        total = options.max(axis=0) + score[:, :, k]
    path = np.zeros((count, 2), dtype=np.intp)
    path[-1] = np.unravel_index(total.argmax(), total.shape)
    for k in range(count - 1, 0, -1):
        i, j = path[k]
        path[k - 1] = path[k] + steps[choice[i, j, k]]
    strength = score[path[:, 0], path[:, 1], np.arange(count)].astype(np.float64)
    return path, strength
