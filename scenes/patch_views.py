"""From where held patches are seen: how much of each every view shows, and the one or two views that show all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .render_style import VIEWS, View

if TYPE_CHECKING:
    import pyvista as pv

SEEN = 0.03
"""A patch that shows less of itself than this counts as not seen."""
_WELL = 0.20
"""One view is enough if it shows this much of every patch."""
_PLENTY = 0.25
"""Views that show more than this of a patch are equals: the more usual one is taken."""
_SAMPLES = 64
_OFF_MM = 0.05

HELD_VIEWS: tuple[View, ...] = (
    VIEWS["surgeon"],
    *(VIEWS[name] for name in ("oblique", "oblique_left", "anterior", "right", "left")),
    View("above", "anterior view from above", (0.25, -0.75, 0.60)),
    View("below", "anterior view from below", (-0.20, -0.70, -0.68)),
    *(VIEWS[name] for name in ("posterior_oblique_left", "posterior_oblique_right", "posterior")),
    View("posterior_above", "posterior view from above", (0.20, 0.75, 0.62)),
    View("posterior_below", "posterior view from below", (0.20, 0.75, -0.62)),
    VIEWS["superior"],
    VIEWS["inferior"],
)
"""From where held patches are looked at, the most usual first."""


@dataclass(frozen=True)
class Sight:
    """What a view shows of a patch.

    Attributes:
        share: area as it is seen, foreshortened and unhidden, over the patch's own: 0 to 1.
        places: (n, 3) LPS mm, points that are seen, spread evenly; points of the whole patch where none is seen.
    """

    share: float
    places: NDArray[np.float64]

    @property
    def seen(self) -> bool:
        """Whether enough of it shows to be found."""
        return self.share >= SEEN


def sights(
    surface: pv.PolyData, pieces: Mapping[str, NDArray[np.int64]], views: Sequence[View] = HELD_VIEWS
) -> list[dict[str, Sight]]:
    """What each view shows of every patch, by rays from points spread evenly over its area.

    Args:
        surface: the whole closed body, wound outwards.
        pieces: name → its triangles (n,).
    """
    corners = np.asarray(surface.points, dtype=float)[surface.regular_faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(areas, 1e-12)[:, None]
    centres = corners.mean(axis=1)
    reach = 2 * float(np.linalg.norm(np.ptp(np.asarray(surface.points), axis=0)))
    chosen = {name: _spread(triangles, areas[triangles]) for name, triangles in pieces.items()}
    return [
        {name: _sight(surface, centres[some], normals[some], view, reach) for name, some in chosen.items()}
        for view in views
    ]


def pointed_at(
    places: NDArray[np.float64], flat: NDArray[np.float64], others: NDArray[np.float64], free: tuple[float, float]
) -> int:
    """Which point of a patch a line from its words should end at: well within it, not at its border.

    Args:
        places: (n, 3) LPS mm, points of the patch that are seen.
        flat: (n, 2) where they lie in the picture.
        others: (m, 2) where points of all else lie that is seen.
        free: left and right end of where words may stand.
    """
    away = np.linalg.norm(places - places.mean(axis=0), axis=1)
    if away.min() > 0.5 * away.max():
        return _outside_of_ring(flat, others, free)
    from_middle = np.linalg.norm(flat - flat.mean(axis=0), axis=1)
    inside = np.zeros(len(flat))
    if len(others):
        inside = np.linalg.norm(flat[:, None] - others[None], axis=-1).min(axis=1)
    return int(np.argmax(np.minimum(inside, from_middle.max()) - 0.5 * from_middle))


def _outside_of_ring(flat: NDArray[np.float64], others: NDArray[np.float64], free: tuple[float, float]) -> int:
    """The leftmost or the rightmost point of a ring: where there is more room with less of all else in it."""
    x, y = flat.T
    level = others[np.abs(others[:, 1] - y.mean()) < np.ptp(y)] if len(others) else others.reshape(0, 2)
    left, right = (level[:, 0] < x.min()).sum(), (level[:, 0] > x.max()).sum()
    beside = max(int(left + right), 1)
    on_left = (x.min() - free[0]) * (1 - left / beside)
    on_right = (free[1] - x.max()) * (1 - right / beside)
    return int(np.argmin(x) if on_left >= on_right else np.argmax(x))


def best_views(shown: Sequence[Mapping[str, Sight]]) -> tuple[int, ...]:
    """Which one view shows every patch well, or which two together show the worst seen patch best.

    The view that shows most of the first patch comes first.
    """
    shares = np.array([[sight.share for sight in one.values()] for one in shown])
    if not shares.size:
        return (0,)
    capped = np.minimum(np.round(shares, 2), _PLENTY)
    single = max(range(len(capped)), key=lambda one: sorted(capped[one]))
    if capped[single].min() >= _WELL:
        return (single,)
    both = max(combinations(range(len(capped)), 2), key=lambda two: sorted(capped[list(two)].max(axis=0)))
    gained = (capped[list(both)].max(axis=0) >= SEEN).sum() > (capped[single] >= SEEN).sum()
    better = capped[list(both)].max(axis=0).min() > capped[single].min()
    if not (gained or better):
        return (single,)
    return tuple(sorted(both, key=lambda one: -capped[one][0]))


def _spread(triangles: NDArray[np.int64], areas: NDArray[np.float64]) -> NDArray[np.int64]:
    """(_SAMPLES,) triangles at even steps of area; large ones more than once."""
    total = np.cumsum(areas)
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * total[-1]
    return triangles[np.minimum(np.searchsorted(total, steps), len(triangles) - 1)]


def _sight(
    surface: pv.PolyData, centres: NDArray[np.float64], normals: NDArray[np.float64], view: View, reach: float
) -> Sight:
    back = view.axes()[2]
    facing = np.maximum(normals @ back, 0)
    clear = np.array([
        weight > 0 and not len(surface.ray_trace(centre + _OFF_MM * back, centre + reach * back, first_point=True)[0])
        for centre, weight in zip(centres, facing, strict=True)
    ])  # fmt: skip
    seen = centres[clear] if clear.any() else centres
    return Sight(float((facing * clear).mean()), seen)
