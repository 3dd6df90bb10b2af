"""Whether a balance is one of a body in the units that are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from .model import MM
from .system import System

FARTHEST = 10.0
"""Body sizes beyond what is prescribed: a load that carries tissue further was given in another unit."""


def carried_away(system: System, displacement: Any, fraction: float) -> str:
    """Where a converged displacement (rows, 3) m is many times the body's size; empty where it is not."""
    model = system.problem.model
    points, moved = np.asarray(model.points)[: model.nodes], np.asarray(displacement)[: model.nodes]
    size = float(np.linalg.norm(points.max(axis=0) - points.min(axis=0)))
    prescribed = float(np.abs(np.asarray(system.prescribed(fraction))).max(initial=0.0))
    far = np.linalg.norm(moved, axis=1)
    worst = int(np.argmax(far))
    if far[worst] <= FARTHEST * size + 2.0 * prescribed:
        return ""
    place = np.round(points[worst] / MM, 1)
    moves = f"moves by {far[worst] / MM:.4g} mm, {far[worst] / size:.3g} times the body's size"
    return f"at {100 * fraction:.4g} % of the load, node {worst} at {place} mm {moves}"
