"""Whether a tied surface has its partner: once, everywhere; and why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..model import MM
from .clipping import planes, segments
from .overlap import Solids
from .uncovered_facets import uncovered

UNCOVERED = 0.02
"""Share of the area of a tied surface that may have nothing opposite."""
TWICE = 1.5
"""Share of a facet's area that may be found opposite: more, and the other surface lies there in two layers."""


class Group(NamedTuple):
    """Facets of one kind: nodes (n, 3, 4 or 6), corners (n, 3 or 4, 3) [m], which are of sheets, solids behind them."""

    facets: NDArray[np.int64]
    corners: NDArray[np.float64]
    sheet: NDArray[np.bool_]
    behind: list[Solids]


def check_coverage(
    slave: Sequence[Group], master: Sequence[Group], covered: Sequence[NDArray], reach: float, free: bool, where: str
) -> None:
    """The first surface has the other opposite, nowhere twice, but for 2 % of its area and less than half of a facet.

    Args:
        covered: area [m²] of each facet of each group that was found opposite.
        free: whether what has nothing opposite is left free, as long as something has.

    Raises:
        SolverError: one has not; how much of the surface, which facet, where, and what is there.
    """
    whole = np.concatenate([plane_areas(group.corners) for group in slave])
    found = np.concatenate(covered)
    share = found / whole
    if not found.any() or (not free and found.sum() < (1 - UNCOVERED) * whole.sum()):
        missing = f"{100 * (1 - found.sum() / whole.sum()):.1f} % of the surface has"
        _refuse(missing, int(np.argmin(share)), slave, master, reach, where)
    told = np.zeros(0, np.int64) if free else _uncovered(slave, master, share, reach)
    if told.size:
        missing = f"{len(told)} facet{'s have' if len(told) > 1 else ' has'} more than half of its area with"
        _refuse(missing, int(told[0]), slave, master, reach, where)
    if share.max(initial=0.0) > TWICE:
        bad = int(np.argmax(share))
        middle = _one(slave, bad)[0][0].mean(axis=0)
        raise SolverError(
            f"facet {bad} at {np.round(middle / MM, 2)} mm has the other surface opposite {share[bad]:.1f} times",
            where=where,
            advice="Leave out facets that lie behind others, name each once, or give a smaller reach",
        )


def _uncovered(slave: Sequence[Group], master: Sequence[Group], share: NDArray, reach: float) -> NDArray[np.int64]:
    corners = [group.corners for group in slave]
    nodes = [group.facets[:, : group.corners.shape[1]] for group in slave]
    return uncovered(corners, nodes, share, [group.corners for group in master], reach)


def _refuse(
    missing: str, bad: int, slave: Sequence[Group], master: Sequence[Group], reach: float, where: str
) -> NoReturn:
    corners, sheet = _one(slave, bad)
    what, advice = _why(corners, sheet, master, reach)
    at = np.round(corners[0].mean(axis=0) / MM, 2)
    raise SolverError(
        f"{missing} nothing opposite, the first is facet {bad} at {at} mm: {what}",
        where=where,
        advice=f"{advice}. With uncovered='free' such parts are left untied",
    )


def plane_areas(corners: NDArray) -> NDArray[np.float64]:
    """Of facets (n, 3 or 4, 3) on their planes."""
    return 0.5 * np.linalg.norm(np.cross(corners[:, 2] - corners[:, 0], corners[:, -1] - corners[:, 1]), axis=1)


def _one(groups: Sequence[Group], number: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The corners (1, …) of a facet counted through all groups, and whether it is of a sheet."""
    for group in groups:
        if number < len(group.facets):
            return group.corners[number : number + 1], group.sheet[number : number + 1]
        number -= len(group.facets)
    raise IndexError(number)


def _why(corners: NDArray, sheet: NDArray, master: Sequence[Group], reach: float) -> tuple[str, str]:
    """What the other surface does where a facet does not find it, and what to do."""
    facing, turned = (_nearest(corners, [group.corners[:, ::step] for group in master]) for step in (1, -1))
    if sheet.all() or all(group.sheet.all() for group in master):
        facing = min(facing, turned)
    if facing <= reach:
        return "the other surface ends there", "Tie the smaller surface to the larger one"
    if turned <= reach:
        return "the other surface faces the same way there", "Tie the side that faces it, or turn the facets of one"
    if np.isfinite(min(facing, turned)):
        far, limit = min(facing, turned) / MM, reach / MM
        return (
            f"the other surface is {far:.3g} mm away, and the reach is {limit:.3g} mm",
            "Give a larger reach, or points in the units of the other part",
        )
    away = min(float(np.linalg.norm(group.corners - corners.mean(axis=1), axis=2).min()) for group in master) / MM
    return (
        f"nothing of the other surface lies along its normal, its nearest corner is {away:.3g} mm away",
        "Tie the smaller surface to the larger one; a facet and its partner face each other within 60°",
    )


def _nearest(corners: NDArray, master: Sequence[NDArray]) -> float:
    """How far along its normal a facet has one that faces it; infinite where there is none."""
    plane, found = planes(corners), np.inf
    for other in master:
        far = float(np.linalg.norm(other - plane.origin, axis=2).max())
        cut = segments(corners, other, far)
        height = np.abs((other[cut.master] - plane.origin) @ plane.normal[0]).min(axis=1)
        found = min(found, float(height.min(initial=np.inf)))
    return found
