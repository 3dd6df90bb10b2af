"""What a person's seed changes: where an organ may be, what is certainly in it, and its tissue.

A box bounds the organ: nothing outside belongs to it, and it is found in the box even
where anatomy would not put it. A point is inside: its surroundings are the organ's
tissue and belong to it.
"""

from __future__ import annotations

import numpy as np

from .case import Case
from .morphology import Mask

_BOX_MARGIN_MM = 3.0
"""A person draws a box about as tight as this."""
_POINT_MM = 6.0
_INNER_SHARE = 0.6


def allowed(case: Case, name: str) -> Mask:
    """(I, J, K) coarse: everywhere, or inside the seed's box where one is given."""
    seed = case.seed(name)
    inside = np.ones(case.coarse.grid.shape, dtype=bool)
    if seed is None or seed.box is None:
        return inside
    frame = case.frame
    for axis, line in enumerate((frame.x, frame.y, frame.z)):
        inside &= (line >= seed.box[0][axis] - _BOX_MARGIN_MM) & (line <= seed.box[1][axis] + _BOX_MARGIN_MM)
    return inside


def seed_region(case: Case, name: str) -> Mask | None:
    """(I, J, K) coarse: a small ball around the seed's point, else the middle of its box; None without a seed."""
    seed = case.seed(name)
    if seed is None:
        return None
    frame = case.frame
    if seed.point is not None:
        x, y, z = (line - value for line, value in zip((frame.x, frame.y, frame.z), seed.point, strict=True))
        near = x**2 + y**2 + z**2
        return np.asarray(near <= max(_POINT_MM**2, float(near.min())), dtype=bool)
    assert seed.box is not None
    inside = np.ones(case.coarse.grid.shape, dtype=bool)
    for axis, line in enumerate((frame.x, frame.y, frame.z)):
        middle, half = 0.5 * (seed.box[0][axis] + seed.box[1][axis]), 0.5 * (seed.box[1][axis] - seed.box[0][axis])
        inside &= np.abs(line - middle) <= max(_INNER_SHARE * half, float(np.abs(line - middle).min()))
    return inside
