"""The smoothest region that a cost per voxel allows: a continuous minimum cut.

Minimises ∫ cost·u + ∫ capacity·|∇u| over u in [0, 1] and cuts at 0.5, which is a global
optimum of the two-region problem (Chan, Esedoglu, Nikolova 2006), by the augmented
Lagrangian of its dual, the continuous maximal flow (Yuan, Bae, Tai 2010). Unlike a
discrete graph cut it has no preferred directions and needs a few float32 arrays only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .morphology import Mask

_PENALTY = 0.35
_STEP = 0.11


def minimum_cut(
    cost: NDArray[np.float32], capacity: NDArray[np.float32], *, iterations: int = 150, tolerance: float = 2e-4
) -> Mask:
    """(I, J, K) region of least cost plus weighted surface.

    Args:
        cost: (I, J, K) of taking a voxel; negative where it should be inside.
        capacity: (I, J, K) price of surface, per voxel face; low along edges.
        iterations: at most so many.
        tolerance: mean change of u at which it stops.
    """
    source = np.maximum(-cost, 0).astype(np.float32)
    sink = np.maximum(cost, 0).astype(np.float32)
    inside = (source >= sink).astype(np.float32)
    from_source = np.minimum(source, sink)
    to_sink = from_source.copy()
    flow = [np.zeros_like(inside) for _ in range(3)]
    divergence = np.zeros_like(inside)
    for _ in range(iterations):
        push = _STEP * (divergence - from_source + to_sink - inside / _PENALTY)
        for axis in range(3):
            flow[axis][_lower(axis)] += push[_upper(axis)] - push[_lower(axis)]
        size = np.sqrt(flow[0] ** 2 + flow[1] ** 2 + flow[2] ** 2)
        shrink = np.minimum(1.0, capacity / np.maximum(size, 1e-6))
        divergence = np.zeros_like(inside)
        for axis in range(3):
            flow[axis] *= shrink
            divergence += flow[axis]
            divergence[_upper(axis)] -= flow[axis][_lower(axis)]
        from_source = np.minimum(divergence + to_sink - inside / _PENALTY + 1.0 / _PENALTY, source)
        to_sink = np.minimum(from_source + inside / _PENALTY - divergence, sink)
        change = _PENALTY * (divergence - from_source + to_sink)
        inside -= change
        if float(np.abs(change).mean()) < tolerance:
            break
    return inside > 0.5


def _upper(axis: int) -> tuple[slice, ...]:
    return tuple(slice(1, None) if a == axis else slice(None) for a in range(3))


def _lower(axis: int) -> tuple[slice, ...]:
    return tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
