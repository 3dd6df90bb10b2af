"""How far surfaces may move before pairs are sought again, so that none passes the reach of another unseen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .look import Look, surface_points
from .search import Met, search
from .surface import Surface, unit

STRIDE_SHARE = 0.5
"""Of the reach: how deep a step may take a point that was apart; of what is left of it, a point that is in."""
SIGHT = 2.0
"""Over the reach: how far is looked ahead, and how far surfaces move against each other in one step at most."""
CREEP = 0.1
"""Of the reach: a step in which surfaces move less than this against each other is not looked at."""
LEAST = 0.02
"""Of the reach: what a point may go on sinking that is all but out of it."""


def stride(look: Look, displacement: NDArray, step: NDArray) -> float:
    """The largest share, at most 1, of a step (rows, 3) [m] in which no point sinks out of its reach.

    A point at gap g may close g and sink by half of the reach, or by half of what is left of it where it is in already.
    """
    reach = look.reach
    nodes = np.concatenate([look.slave.faces.ravel(), look.master.facets.ravel()])
    far = float(np.linalg.norm(np.ptp(step[nodes], axis=0)))
    if not far > CREEP * reach:
        return 1.0
    most = min(1.0, SIGHT * reach / far)
    place = np.asarray(look.points) + displacement[: len(look.points)]
    point, normal = surface_points(look.slave, place, look.facet, look.rule)
    met = search(point, normal, look.master, place, max(reach, most * far), look.refused)
    if len(met.point) == 0:
        return most
    gap, outward = signed_gap(met, point, look.master, place)
    way = look.slave_field(step)[met.point] - look.master_field(step, met)
    closing, apart = -np.einsum("ni,ni->n", way, outward), np.maximum(gap, 0.0)
    left = np.maximum(STRIDE_SHARE * (reach + np.minimum(gap, 0.0)), LEAST * reach)
    felt = gap > -reach
    moved = np.linalg.norm(way, axis=1)
    shares = [(apart + left) / np.maximum(closing, 1e-300), (apart + reach) / np.maximum(moved, 1e-300)]
    return min(most, *(float(share[felt].min(initial=1.0)) for share in shares))


def signed_gap(met: Met, point: NDArray, surface: Surface, place: NDArray) -> tuple[NDArray, NDArray]:
    """Of each pair: the gap [m], negative behind the surface, and the unit normal out of it."""
    off = point[met.point] - met.near.point
    facet = surface.normals(place).facet[met.facet]
    side = np.where(met.side == 0.0, np.where(np.einsum("ni,ni->n", off, facet) < 0, -1.0, 1.0), met.side)
    touching = met.near.distance <= 1e-9 * np.abs(place).max()
    return side * met.near.distance, np.where(touching[:, None], facet, side[:, None] * unit(off))
