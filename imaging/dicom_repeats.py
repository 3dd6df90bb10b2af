"""Several acquisitions under one series UID → a stack each.

Echoes, phases and reconstructions of one series lie either at the same places, or interleaved: the second acquisition
between the slices of the first, so that the places alone look like one stack of half the spacing. Both are split by
whatever header element tells them apart.

A new acquisition number by itself is no reason to split: scanners count table positions, rotations and beds of one
scan in it, whose slices follow each other. So interleaved slices are split only if each part is an even stack by
itself. In MR the odd slices of one stack are often taken before the even ones, so there only echo, phase, b-value and
image type count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from .dicom_geometry import SAME_PLACE_MM, stack_geometry
from .dicom_header import Slice
from .errors import GeometryError

Parts = list[tuple[list[Slice], tuple[str, ...]]]
"""Slices that belong together, with notes."""

_ELEMENTS: dict[str, Callable[[Slice], Hashable]] = {
    "echo, phase or b-value": lambda one: one.frame.phase,
    "acquisition": lambda one: one.instance.acquisition,
    "image type": lambda one: one.instance.image_type,
    "kernel": lambda one: one.instance.kernel,
    "slice thickness": lambda one: one.frame.thickness,
    "acquisition and image type": lambda one: (one.instance.acquisition, one.instance.image_type),
    "phase and image type": lambda one: (one.frame.phase, one.instance.image_type),
    "acquisition time": lambda one: one.instance.acquisition_time,
    "content time": lambda one: one.instance.content_time,
}
_MR_INTERLEAVES = ("echo, phase or b-value", "image type", "phase and image type")

MIN_INTERLEAVED = 3
"""Slices that make an even stack by themselves: two are always evenly spaced."""


def grouped(slices: Iterable[Slice], key: Callable[[Slice], Hashable]) -> list[list[Slice]]:
    """Slices of one key each, in the order of their first."""
    groups: dict[Hashable, list[Slice]] = defaultdict(list)
    for one in slices:
        groups[key(one)].append(one)
    return list(groups.values())


def by_phase(group: list[Slice]) -> Parts:
    """Slices that repeat places, told apart by the first header element that leaves no repeat in any part.

    An element that is new for every slice (such as a trigger time) tells nothing apart: there may be at most twice as
    many parts as there are slices at one place.
    """
    most = _most_at_one_place(group)
    if most == 1:
        return _by_interleaving(group)
    for words, key in (*_ELEMENTS.items(), *_parts_of_phase(group)):
        parts = grouped(group, key)
        if 1 < len(parts) <= 2 * most and all(_most_at_one_place(part) == 1 for part in parts):
            note = f"the series holds {len(parts)} stacks at the same place, one per {words}"
            return [(part, (note,)) for part in parts]
    return [(group, ())]


def _parts_of_phase(group: list[Slice]) -> Iterator[tuple[str, Callable[[Slice], Hashable]]]:
    """Single elements of the phase, then pairs: a b-value tells stacks apart though each slice has a trigger time."""
    count = len(group[0].frame.phase)
    choices = [(i,) for i in range(count)] + list(combinations(range(count), 2))
    for chosen in choices:
        yield "echo, phase or b-value", lambda one, chosen=chosen: tuple(one.frame.phase[i] for i in chosen)


def _by_interleaving(group: list[Slice]) -> Parts:
    """Stacks between whose slices others lie, if each is even by itself."""
    along = _along(group)
    if along is None:
        return [(group, ())]
    order = np.argsort(along, kind="stable")
    is_mr = group[0].instance.modality == "MR"
    for words, key in _ELEMENTS.items():
        parts = grouped(group, key)
        alternating = len(parts) > 1 and _alternate([key(group[i]) for i in order], len(parts))
        if alternating and all(_is_even(part) for part in parts):
            what = f"{len(parts)} interleaved stacks, one per {words}"
            if is_mr and words not in _MR_INTERLEAVES:
                return [(group, (f"the slices could be {what}: taken for one stack, as is usual in MR",))]
            return [(part, (f"the series holds {what}: each is a stack of its own",)) for part in parts]
    return [(group, _successive(group))]


def _successive(group: list[Slice]) -> tuple[str, ...]:
    """A note on acquisitions that follow each other in one stack; none if nearly every slice counts as one."""
    count = len(grouped(group, _ELEMENTS["acquisition"]))
    if not 1 < count <= len(group) // 4:
        return ()
    return (f"its slices come from {count} acquisitions, one beside the other, and are taken for one stack",)


def _alternate(keys: list[Hashable], parts: int) -> bool:
    """Whether parts change more often along the stack than stacks that follow or meet each other would."""
    changes = sum(a != b for a, b in pairwise(keys))
    return changes >= 2 * parts and changes >= len(keys) // 3


def _is_even(part: list[Slice]) -> bool:
    if len(part) < MIN_INTERLEAVED:
        return False
    try:
        geometry = stack_geometry([one.frame for one in part], "")
    except GeometryError:
        return False
    # A slice that is missing makes a stack no less of one: both together would still be mixed.
    return not geometry.faults or geometry.missing > 0


def _most_at_one_place(group: list[Slice]) -> int:
    """How many slices share a place along the normal, at most."""
    along = _along(group)
    if along is None:
        return 1
    along = np.sort(along)
    places = np.cumsum(np.diff(along, prepend=along[0]) > SAME_PLACE_MM)
    return int(np.bincount(places).max())


def _along(group: list[Slice]) -> NDArray[np.float64] | None:
    """(n,) mm of each slice along the normal of the first; None where slices have no place."""
    first = group[0].frame
    if first.position is None or first.orientation is None or first.pixel_spacing is None:
        return None
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    return np.array([one.frame.position for one in group]) @ normal
