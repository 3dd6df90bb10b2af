"""Marks at the places of a result's numbers, such as the wall's peak stress: where they lie, and what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .report_words import capitalised, figure

if TYPE_CHECKING:
    import pyvista as pv

    from .render_style import View

_SKIN_MM = 4.0
"""A ray that leaves the body within this distance has crossed no more than the wall in which the mark lies."""


@dataclass(frozen=True)
class Mark:
    """A number at its place.

    Attributes:
        words: what stands beside it: `Peak 183 kPa`, `Top 1 %: above 157 kPa`.
        nodes: of the tetrahedron in which it lies; it moves with them.
        told: what a caption calls it, where that is more than the words.
    """

    words: str
    nodes: tuple[int, ...]
    told: str = ""

    @property
    def sentence(self) -> str:
        """What a caption calls it, within a sentence."""
        return self.told or self.words[:1].lower() + self.words[1:]

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(3,) where it lies on a shape (N, 3) of the grid."""
        return np.asarray(points, dtype=float)[list(self.nodes)].mean(axis=0)


def marks_of(data: Mapping[str, Any], field: str, grid: pv.UnstructuredGrid) -> list[Mark]:
    """The numbers of a result.json that have a place in a field, peaks first: they choose the view.

    Args:
        grid: undeformed tetrahedra, LPS mm.
    """
    told = [one for one in data["numbers"] if one.get("field") == field and one.get("place_mm")]
    if not told:
        return []
    told.sort(key=lambda one: "percentile" in one["name"])
    corners = np.asarray(grid.cells).reshape(-1, 5)[:, 1:]
    centres = np.asarray(grid.points, dtype=float)[corners].mean(axis=1)
    found = []
    for one in told:
        nearest = int(np.argmin(np.linalg.norm(centres - np.asarray(one["place_mm"], dtype=float), axis=1)))
        words, told = _words(one["name"].rpartition(", ")[2], f"{figure(one['value'])} {one['unit']}")
        found.append(Mark(words, tuple(int(n) for n in corners[nearest]), told))
    return found


def _words(name: str, value: str) -> tuple[str, str]:
    """What stands beside a mark and what its caption says; of "Wall stress, peak" the name is what follows the comma.

    A percentile has no place of its own: the mark stands in the largest patch that lies above it.
    """
    percentile = re.fullmatch(r"(\d+)(?:st|nd|rd|th) percentile", name)
    if percentile is None:
        return f"{capitalised(name)} {value}", ""
    return f"Top {100 - int(percentile[1])} %: above {value}", f"the largest patch above the {name}, {value}"


def is_seen(place: NDArray[np.float64], surface: pv.PolyData, view: View) -> bool:
    """Whether nothing of a surface lies between a place just below it and the camera."""
    back = view.axes()[2]
    reach = 2 * float(np.linalg.norm(np.ptp(np.asarray(surface.points), axis=0)))
    hits, _ = surface.ray_trace(place, place + reach * back)
    return all(float((hit - place) @ back) < _SKIN_MM for hit in np.atleast_2d(hits) if len(hit) == 3)


def seen_from(places: Sequence[NDArray[np.float64]], surface: pv.PolyData, views: Sequence[View]) -> View:
    """The view that shows most of some places, the earlier ones first; the first view where none shows more."""
    return max(views, key=lambda view: [is_seen(place, surface, view) for place in places]) if places else views[0]
