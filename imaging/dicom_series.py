"""DICOM objects → stacks that could be a volume, however a series mixes them.

A series is what one SeriesInstanceUID says, but not every series is one volume: a localiser may sit inside, and several
echoes, phases or acquisitions repeat the same places. So a series is split by size, pixel spacing, orientation and
frame of reference, and where places repeat or stacks interleave, as `dicom_repeats` says. Slices that only their UIDs
tear apart are joined first, as `dicom_rejoin` says.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

from .dicom_frames import Frame
from .dicom_geometry import StackGeometry, orientation_word, stack_geometry
from .dicom_header import Instance, Slice
from .dicom_pixels import can_decode
from .dicom_rejoin import rejoined
from .dicom_repeats import by_phase, grouped
from .errors import GeometryError
from .wording import counted

MIN_SLICES = 2
_IMAGE_MODALITIES = ("CT", "MR", "PT", "NM", "US", "XA", "OT")
_NOT_A_SCAN = ("LOCALIZER", "SCOUT", "SCREEN SAVE", "SCREEN_SAVE", "DOSE_INFO", "DOSE INFO")


@dataclass(frozen=True)
class Stack:
    """Slices of one series that belong together.

    Attributes:
        key: short name by which `series=` chooses it: the series number, or number-part where a series was split.
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
        """Whether the slices are evenly spaced and complete, and no file of theirs was cut off."""
        whole = not any(one.instance.is_short for one in self.slices)
        return whole and self.geometry is not None and not self.geometry.faults

    @property
    def orientation(self) -> str:
        """axial, coronal, sagittal, oblique (…), unknown."""
        return orientation_word(self.slices[0].frame.orientation)

    @property
    def is_scan(self) -> bool:
        """Whether it is (part of) a cross-sectional scan, usable or not: no plan, screenshot or other object."""
        modality = self.first.modality
        return modality in ("CT", "MR", "PT") or (self.geometry is not None and modality in _IMAGE_MODALITIES)

    def label(self) -> str:
        """How to name it to a person."""
        first = self.first
        name = f"series {self.key}"
        return f"{name} ({first.series_description})" if first.series_description else name


def stacks_of(instances: Iterable[Instance]) -> list[Stack]:
    """Every series of image or non-image objects, split into stacks, in the order of their series numbers."""
    instances, joined = rejoined(instances)
    # One series UID for two patients (a careless anonymiser) must not make one body of them.
    series: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in instances:
        series[instance.series_uid, instance.patient_id or instance.patient_name].append(instance)
    ordered = sorted(series.values(), key=lambda one: (_natural(one[0].series_number), one[0].series_uid))
    numbers = [one[0].series_number for one in ordered]
    stacks: list[Stack] = []
    for index, members in enumerate(ordered):
        number = members[0].series_number
        clear = bool(number) and numbers.count(number) == 1
        parts = _split(members, number if clear else f"S{index + 1}")
        notes = joined.get(members[0].series_uid, ())
        stacks += [replace(one, notes=(*notes, *one.notes)) for one in parts] if notes else parts
    return stacks


def _natural(text: str) -> tuple[int, str]:
    return (int(text), "") if text.lstrip("-").isdigit() else (1 << 31, text)


def _split(members: list[Instance], key: str) -> list[Stack]:
    slices = [Slice(instance, frame) for instance in members for frame in instance.frames]
    if not slices:
        return [_listed_only(members, key)]
    slices, copies = _without_copies(slices)
    parts = [part for group in _same_shape(slices) for part in by_phase(group)]
    parts.sort(key=lambda part: len(part[0]), reverse=True)
    keys = [key] if len(parts) == 1 else [f"{key}-{index + 1}" for index in range(len(parts))]
    return [_stack(part, name, (*copies, *split)) for name, (part, split) in zip(keys, parts, strict=True)]


def _listed_only(members: list[Instance], key: str) -> Stack:
    empty = Frame(None, None, None, None, None, 1.0, 0.0, "", ())
    return Stack(key, tuple(Slice(one, empty) for one in members), None, _no_scan(members[0].sop_class))


def _no_scan(kind: str) -> str:
    """What an object is instead; `kind` is the name of its SOP class, or a UID that is in no list."""
    if kind[:1].isdigit():
        return f"not a scan but an object of the unknown kind {kind}"
    name = f"{kind.replace(' Storage', '')} object" if "Storage" in kind else kind
    # "an RT Plan", "an MR Spectroscopy": letters that are spoken with a vowel in front.
    vowel = re.match(r"[AEIOaeio]|Ultra|[FHLMNRSX](?=[A-Z\d\W])", name)
    return f"not a scan but {'an' if vowel else 'a'} {name}"


def _same_shape(slices: list[Slice]) -> list[list[Slice]]:
    """Slices that can share a grid: one size, frame of reference, orientation (to 1e-3), pixel spacing (to 1e-4 mm)."""
    found: list[list[Slice]] = []
    for group in grouped(slices, _shape_key):
        near: list[list[Slice]] = []
        for one in group:
            home = next((members for members in near if _near(members[0].frame, one.frame)), None)
            if home is None:
                near.append([one])
            else:
                home.append(one)
        found += near
    return found


def _near(a: Frame, b: Frame) -> bool:
    """Whether directions and pixel spacing of two slices agree; both have them, or neither."""
    pairs = ((a.orientation, b.orientation, 1e-3), (a.pixel_spacing, b.pixel_spacing, 1e-4))
    return all(
        p is q if p is None or q is None else max(abs(x - y) for x, y in zip(p, q, strict=True)) < limit
        for p, q, limit in pairs
    )


def _shape_key(one: Slice) -> Hashable:
    instance, frame = one.instance, one.frame
    size = (instance.rows, instance.columns, instance.samples_per_pixel)
    uids = (instance.frame_of_reference_uid, instance.sop_class_uid)
    return (*size, *uids, frame.position is not None, _is_localizer(instance))


def _is_localizer(instance: Instance) -> bool:
    return any(word in _NOT_A_SCAN for word in instance.image_type)


def _stack(slices: list[Slice], key: str, notes: tuple[str, ...]) -> Stack:
    first = slices[0]
    why = _why_no_volume(slices)
    frame = first.frame
    no_place = frame.position is None or frame.orientation is None or frame.pixel_spacing is None
    if no_place or slices[0].instance.modality == "SEG":
        return Stack(key, tuple(slices), None, why or "made of slices that do not say where they are in the patient")
    try:
        geometry = stack_geometry([one.frame for one in slices], f"series {key}")
    except GeometryError as error:
        return Stack(key, tuple(slices), None, f"damaged: {error.what}", notes)
    ordered = tuple(slices[i] for i in geometry.order)
    why = why or ("a single slice, not a volume" if len(slices) < MIN_SLICES else "")
    return Stack(key, ordered, geometry, why, (*notes, *geometry.notes))


def _why_no_volume(slices: list[Slice]) -> str:
    instance = slices[0].instance
    if _is_localizer(instance):
        return "a localiser (scout), not a volume"
    if "MOSAIC" in instance.image_type:
        return "made of pictures of many slices each (mosaics), which are not taken apart; export them as single slices"
    if instance.samples_per_pixel != 1:
        return "made of colour pictures, not a scan"
    if instance.modality in ("SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "DOC", "KO"):
        return _no_scan(instance.sop_class)
    if instance.modality not in _IMAGE_MODALITIES:
        modality = f"modality {instance.modality}" if instance.modality else "no stated modality"
        return f"of {modality}, not a cross-sectional scan"
    unknown = {one.instance.transfer_syntax for one in slices if not can_decode(one.instance.transfer_syntax_uid)}
    if unknown:
        return f"in an encoding that is not read ({', '.join(sorted(unknown))}); export it uncompressed"
    return _wrong_rescale(slices)


def _wrong_rescale(slices: list[Slice]) -> str:
    """What no scanner writes: such values are not those that were measured."""
    slopes = {one.frame.slope for one in slices}
    if 0.0 in slopes:
        return "damaged: its rescale slope is 0, so that every value would be the same"
    if slices[0].instance.modality == "CT" and min(slopes) < 0:
        return f"damaged: its rescale slope is {min(slopes):g}, but the values of a CT rise with density"
    without = sum(not one.frame.is_rescaled for one in slices)
    if 0 < without < len(slices):
        return f"damaged: {without} of its {len(slices)} slices have no rescale of their values, the others do"
    return ""


def _without_copies(slices: list[Slice]) -> tuple[list[Slice], tuple[str, ...]]:
    """Files that are in the folder twice (same SOP instance and frame) count once."""
    seen: dict[Hashable, Slice] = {}
    for one in sorted(slices, key=lambda one: one.instance.is_short):
        seen.setdefault((one.instance.sop_instance_uid, one.frame.number, one.frame.position), one)
    copies = len({id(one.instance) for one in slices}) - len({id(one.instance) for one in seen.values()})
    notes = (f"{counted(copies, 'file')} left out: the same SOP instance as another",) if copies else ()
    return list(seen.values()), notes
