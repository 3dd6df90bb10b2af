"""The points of the organ out of all that were given, and the first state found with them.

What belongs is judged at the rigid alignment, then again at the deformed state that this leaves, until it stays. There
the noise is judged too: what neighbours share, a cloud's roughness does not show, but the distances that are left do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ....imaging.progress import Progress
from ..fitting.correlation import correlation_length
from .all_at_once import Found, Search
from .belonging import cloud_normals, overhanging, predicted
from .misfit import Misfit, Pose

ROUNDS = 4
CHANGED = 0.02
"""Share of the points whose coming or going makes a state worth another search."""
HIDDEN = 2.0
"""Times the roughness of the cloud that is left where most of the noise is shared."""
SLACK = 1.4
"""Times δ₀ while points are judged: an organ's own points that are left out cost more than a few foreign ones kept."""
SHORTEST = 1e-3
"""m over which noise that neighbours share is alike, at least."""


class Sifted(NamedTuple):
    """A search with the points that belong, which of all those are, and the state found; None where none was."""

    search: Search
    belong: Bool[np.ndarray, " n"]
    first: Found | None


def sifted(
    every: Search, pose: Pose, width: float, wide: float, shared: bool, in_groups: bool, progress: Progress
) -> Sifted:
    """The points of `every` that belong to the organ.

    Args:
        every: a search with all points.
        pose: by rigid alignment.
        width: of the loads' prior for the search [m].
        wide: of the loads' prior for what may belong [m].
        shared: whether to judge how much of their noise neighbours share.
        in_groups: whether points are judged with their neighbours too.
        progress: told of each step.
    """
    still = np.zeros_like(np.asarray(every.body.model.points))
    loads = np.zeros(every.basis.shape[2])
    normals = cloud_normals(every.seen)
    slope = every.body.compliance(still).times(every.basis)
    belong = _belonging(every, still, loads, pose, wide * slope, normals, None, in_groups)
    first: tuple[Found, float] | None = None
    for _ in range(ROUNDS):
        search = every.of_some(belong)
        start = (pose, still, loads) if first is None else (first[0].pose, first[0].displacement, first[0].loads)
        first = _settled(search, (width, wide), start, progress)
        if first is None:
            return Sifted(search, belong, None)
        (one, own), law = first, every.errors
        if shared:
            every, shared = replace(every, errors=replace(law, alike=_shared_noise(one))), False
        loads, slope = one.loads * own / wide, one.slope * (wide / own)
        again = _belonging(every, one.displacement, loads, one.pose, slope, normals, belong, in_groups)
        if (again != belong).mean() < CHANGED and every.errors.alike == law.alike:
            return Sifted(search, belong, one if own == width else None)
        belong = again
    return Sifted(every.of_some(belong), belong, None)


def _settled(
    search: Search, widths: tuple[float, float], start: tuple[Pose, NDArray, NDArray], progress: Progress
) -> tuple[Found, float] | None:
    """The state for the first of the widths at which one settles, and that width [m]."""
    for width in widths:
        try:
            return search.run(width, *start, progress), width
        except SolverError:
            continue
    return None


def _belonging(
    every: Search,
    displacement: NDArray,
    loads: NDArray,
    pose: Pose,
    slope: NDArray,
    normals: NDArray,
    trusted: NDArray | None,
    in_groups: bool,
) -> Bool[np.ndarray, " n"]:
    """At a state; from the nearer half on, or from those trusted."""
    law = replace(every.errors, unfollowed=SLACK * every.errors.unfollowed).deformed(displacement)
    misfit = Misfit.at(every.outline, displacement, pose, every.seen)
    suspect = overhanging(misfit, pose.rotation.inv().apply(normals), law.expected)
    if trusted is None:
        away = np.abs(misfit.distance)
        trusted = away <= float(np.median(away[~suspect] if (~suspect).any() else away))
    state = np.concatenate([pose.numbers() / every.pose_width, loads])
    return predicted(misfit, every.jacobian(misfit, slope), state, law, suspect, trusted, in_groups)


def _shared_noise(found: Found) -> tuple[float, float]:
    """Standard deviation [m] of noise that neighbours share and over which distance [m], by what is left.

    None where no more is left than is expected of one distance, or the cloud's own roughness is half of it: the rest
    may be deformation that a narrow prior has not followed.
    """
    left, law = 1.4826 * float(np.median(np.abs(found.misfit.distance))), found.errors.law
    if left <= max(law.expected, HIDDEN * law.noise):
        return law.alike
    length = correlation_length(found.misfit.points, found.misfit.distance, found.misfit.normal)
    return float(np.sqrt(left**2 - law.noise**2)), max(length, SHORTEST)
