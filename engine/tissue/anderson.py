"""Anderson's mixing of a fixed-point iteration (Anderson 1965, *J. ACM* 12:547)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Anderson:
    """Accelerates x ← x + f(x): the combination of the last iterates whose steps cancel best.

    Args:
        depth: how many earlier iterates take part.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.points: list[NDArray[np.float64]] = []
        self.steps: list[NDArray[np.float64]] = []

    def next(self, point: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
        """The next point, of the same shape."""
        self.points = [*self.points, point.ravel()][-self.depth - 1 :]
        self.steps = [*self.steps, step.ravel()][-self.depth - 1 :]
        if len(self.points) == 1:
            return point + step
        steps = np.diff(np.array(self.steps), axis=0).T
        points = np.diff(np.array(self.points), axis=0).T
        share, *_ = np.linalg.lstsq(steps, self.steps[-1], rcond=1e-10)
        return (self.points[-1] + self.steps[-1] - (points + steps) @ share).reshape(point.shape)
