"""DICOM objects → stacks that could be a volume, and which of them is used.

A series is what one SeriesInstanceUID says, but not every series is one volume: a localiser may sit inside, and several
echoes, phases or acquisitions repeat the same places. So a series is split by size, pixel spacing, orientation and
frame of reference, and where places repeat, by whatever header element tells the repeats apart.

Which stack is used, in this order:
 1. evenly spaced and complete before not;
 2. CT before MR before anything else;
 3. at least half as long as the longest such stack (no test bolus, no slab of a few slices);
 4. original before derived (no maximum intensity projections, no reformats where the source is there);
 5. axial before other orientations;
 6. slices at most 3 mm apart;
 7. a soft reconstruction kernel before a sharp one (lung, bone), whose noise drowns soft tissue;
 8. more slices, then thinner ones.
Stacks equal in all of these are ranked by series number and UID, and a note says so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from .dicom_geometry import SAME_PLACE_MM, StackGeometry, orientation_word, stack_geometry
from .dicom_header import Frame, Instance
from .errors import GeometryError

MIN_SLICES = 2
_IMAGE_MODALITIES = ("CT", "MR", "PT", "NM", "US", "XA", "OT")
_NOT_A_SCAN = ("LOCALIZER", "SCOUT", "SCREEN SAVE", "SCREEN_SAVE", "DOSE_INFO", "DOSE INFO")


@dataclass(frozen=True)
class Slice:
    """A frame and the file it is in."""

    instance: Instance
    frame: Frame


@dataclass(frozen=True)
class Stack:
    """Slices of one series that belong together.

    Attributes:
        key: short name by which `series=` chooses it: the series number, or number.part where a series was split.
        slices: in the order of the geometry where there is one.
        geometry: None where the slices have no place in the patient.
        why_not: why it cannot be used as a volume; empty if it can.
        notes: oddities in words.
    """

    key: str
    slices: tuple[Slice, ...]
    geometry: StackGeometry | None
    why_not: str = ""
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Instance:
        """The header of its first file."""
        return self.slices[0].instance

    @property
    def even(self) -> bool:
        """Whether the slices are evenly spaced and complete."""
        return self.geometry is not None and not self.geometry.faults

    @property
    def orientation(self) -> str:
        """axial, coronal, sagittal, oblique (…), unknown."""
        return orientation_word(self.slices[0].frame.orientation)

    def label(self) -> str:
        """How to name it to a person."""
        first = self.first
        name = f"series {self.key}"
        return f"{name} ({first.series_description})" if first.series_description else name


def stacks_of(instances: Iterable[Instance]) -> list[Stack]:
    """Every series of image or non-image objects, split into stacks, in the order of their series numbers."""
    series: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        series[instance.series_uid].append(instance)
    ordered = sorted(series.values(), key=lambda one: (_natural(one[0].series_number), one[0].series_uid))
    numbers = [one[0].series_number for one in ordered]
    stacks: list[Stack] = []
    for index, members in enumerate(ordered):
        number = members[0].series_number
        clear = bool(number) and numbers.count(number) == 1
        stacks += _split(members, number if clear else f"#{index + 1}")
    return stacks


def _natural(text: str) -> tuple[int, str]:
    return (int(text), "") if text.lstrip("-").isdigit() else (1 << 31, text)


def _split(members: list[Instance], key: str) -> list[Stack]:
    slices = [Slice(instance, frame) for instance in members for frame in instance.frames]
    if not slices:
        return [_listed_only(members, key)]
    groups = _grouped(slices, _shape_key)
    parts = [part for group in groups for part in _by_phase(group)]
    parts.sort(key=len, reverse=True)
    stacks = []
    for index, part in enumerate(parts):
        stacks.append(_stack(part, key if len(parts) == 1 else f"{key}.{index + 1}"))
    return stacks


def _listed_only(members: list[Instance], key: str) -> Stack:
    empty = Frame(None, None, None, None, None, 1.0, 0.0, "", ())
    kind = members[0].sop_class
    why = f"no scan but a {kind}" if "Storage" not in kind else f"no scan but a {kind.replace(' Storage', '')} object"
    return Stack(key, tuple(Slice(one, empty) for one in members), None, why)


def _grouped(slices: list[Slice], key: Callable[[Slice], Hashable]) -> list[list[Slice]]:
    groups: dict[Hashable, list[Slice]] = defaultdict(list)
    for one in slices:
        groups[key(one)].append(one)
    return list(groups.values())


def _shape_key(one: Slice) -> Hashable:
    """Slices that differ here cannot share a grid. Direction cosines agree to 1e-3, spacing to 1e-4 mm."""
    instance, frame = one.instance, one.frame
    place = frame.position is not None
    orientation = tuple(round(x, 3) + 0.0 for x in frame.orientation) if frame.orientation else None
    spacing = tuple(round(x, 4) for x in frame.pixel_spacing) if frame.pixel_spacing else None
    size = (instance.rows, instance.columns, instance.samples_per_pixel)
    kind = _is_localizer(instance)
    return (*size, orientation, spacing, place, instance.frame_of_reference_uid, instance.sop_class_uid, kind)


def _is_localizer(instance: Instance) -> bool:
    return any(word in _NOT_A_SCAN for word in instance.image_type)


_REPEATS: tuple[Callable[[Slice], Hashable], ...] = (
    lambda one: one.frame.phase,
    lambda one: one.instance.acquisition,
    lambda one: one.instance.image_type,
    lambda one: one.instance.kernel,
    lambda one: one.frame.thickness,
    lambda one: (one.frame.phase, one.instance.acquisition, one.instance.image_type),
)


def _by_phase(group: list[Slice]) -> list[list[Slice]]:
    """Slices that repeat places, told apart by the first header element that leaves no repeat in any part."""
    if not _repeats(group):
        return [group]
    for key in _REPEATS:
        parts = _grouped(group, key)
        if len(parts) > 1 and not any(_repeats(part) for part in parts):
            return parts
    return [group]


def _repeats(group: list[Slice]) -> bool:
    first = group[0].frame
    if first.position is None or first.orientation is None or len(group) < 2:
        return False
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    along = np.sort(np.array([one.frame.position for one in group]) @ normal)
    return bool((np.diff(along) < SAME_PLACE_MM).any())


def _stack(slices: list[Slice], key: str) -> Stack:
    first = slices[0]
    why = _why_no_volume(slices)
    frame = first.frame
    no_place = frame.position is None or frame.orientation is None or frame.pixel_spacing is None
    if no_place or slices[0].instance.modality == "SEG":
        return Stack(key, tuple(slices), None, why or "slices that do not say where they are in the patient")
    kept, notes = _without_copies(slices)
    try:
        geometry = stack_geometry([one.frame for one in kept], f"series {key}")
    except GeometryError as error:
        return Stack(key, tuple(kept), None, error.what, notes)
    ordered = tuple(kept[i] for i in geometry.order)
    why = why or ("a single slice, no volume" if len(kept) < MIN_SLICES else "")
    return Stack(key, ordered, geometry, why, (*notes, *geometry.notes))


def _why_no_volume(slices: list[Slice]) -> str:
    instance = slices[0].instance
    if _is_localizer(instance):
        return "a localiser (scout), no volume"
    if instance.samples_per_pixel != 1:
        return "colour pictures, no scan"
    if instance.modality in ("SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "DOC", "KO"):
        return f"no scan but a {instance.sop_class.replace(' Storage', '')} object"
    if instance.modality not in _IMAGE_MODALITIES:
        return f"of modality {instance.modality or 'not stated'}, no cross-sectional scan"
    return ""


def _without_copies(slices: list[Slice]) -> tuple[list[Slice], tuple[str, ...]]:
    """Files that are in the folder twice (same SOP instance and frame) count once."""
    seen: dict[Hashable, Slice] = {}
    for one in sorted(slices, key=lambda one: one.instance.is_short):
        seen.setdefault((one.instance.sop_instance_uid, one.frame.number), one)
    copies = len({id(one.instance) for one in slices}) - len({id(one.instance) for one in seen.values()})
    notes = (f"{copies} files are copies of others (same SOP instance) and were left out",) if copies else ()
    return list(seen.values()), notes


@dataclass(frozen=True)
class Choice:
    """Which stack is used and why."""

    stack: Stack | None
    why: str
    notes: tuple[str, ...] = ()


def choose(stacks: list[Stack]) -> Choice:
    """The stack that the rule of this module picks, or none."""
    usable = [one for one in stacks if not one.why_not]
    if not usable:
        return Choice(None, "no series is a volume")
    longest = max(_extent(one) for one in usable if _modality(one) == min(map(_modality, usable)))
    ranked = sorted(usable, key=lambda one: (_rank(one, longest), stacks.index(one)))
    best = ranked[0]
    equals = [one for one in ranked[1:] if _rank(one, longest) == _rank(best, longest)]
    notes = ()
    if equals:
        others = ", ".join(one.label() for one in equals[:4])
        notes = (f"{best.label()} was used; {others} would do as well: name another with --set patient.series=KEY",)
    why = "the only volume" if len(usable) == 1 else _reason(best, ranked[1], longest)
    return Choice(best, why, notes)


_RULES = (
    "evenly spaced and complete", "its modality", "covers more", "original, not derived", "axial",
    "slices close enough", "a soft kernel", "more slices", "thinner slices",
)  # fmt: skip


def _rank(stack: Stack, longest: float) -> tuple[float, ...]:
    first = stack.first
    assert stack.geometry
    return (
        not stack.even,
        _modality(stack),
        _extent(stack) < 0.5 * longest,
        "DERIVED" in first.image_type[:1],
        "axial" not in stack.orientation,
        stack.geometry.step_mm > 3.0 + 1e-3,
        is_sharp(first.kernel),
        -len(stack.slices),
        round(stack.slices[0].frame.thickness or stack.geometry.step_mm, 2),
    )


def _reason(best: Stack, second: Stack, longest: float) -> str:
    for rule, a, b in zip(_RULES, _rank(best, longest), _rank(second, longest), strict=True):
        if a != b:
            return rule
    return "first of equals"


def _modality(stack: Stack) -> int:
    return {"CT": 0, "MR": 1, "PT": 2}.get(stack.first.modality, 3)


def _extent(stack: Stack) -> float:
    return stack.geometry.step_mm * (len(stack.slices) - 1) if stack.geometry else 0.0


def is_sharp(kernel: str) -> bool:
    """Whether a convolution kernel is an edge-enhancing one: lung or bone by name, or Siemens number 60 and above."""
    if re.search(r"LUNG|BONE|EDGE|SHARP", kernel.upper()):
        return True
    siemens = re.match(r"[A-Z][a-z]?(\d{2})[a-z]?\b", kernel)
    return bool(siemens) and int(siemens.group(1)) >= 60


def find(stacks: list[Stack], series: str) -> list[Stack]:
    """Stacks named by key, series UID (or its end, from 6 characters), number or description (in that order)."""
    wanted = series.strip()
    tests: tuple[Callable[[Stack], bool], ...] = (
        lambda one: one.key == wanted,
        lambda one: one.first.series_uid == wanted,
        lambda one: one.first.series_number == wanted,
        lambda one: one.first.series_description.lower() == wanted.lower(),
        lambda one: len(wanted) >= 6 and one.first.series_uid.endswith(wanted),
    )
    return next((hits for test in tests if (hits := [one for one in stacks if test(one)])), [])


def with_notes(stack: Stack, notes: Iterable[str]) -> Stack:
    """The stack with more notes."""
    return replace(stack, notes=(*stack.notes, *notes))


def patient_keys(stacks: Iterable[Stack]) -> dict[int, str]:
    """id() of each stack → its patient: the Patient ID, or the name where no object of that name has an ID."""
    stacks = list(stacks)
    named = {one.first.patient_name: one.first.patient_id for one in stacks if one.first.patient_id}
    keys = {}
    for one in stacks:
        name = one.first.patient_name
        keys[id(one)] = one.first.patient_id or (named.get(name, name) if name else "")
    return keys
