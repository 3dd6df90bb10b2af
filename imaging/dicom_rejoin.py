"""Slices that an anonymiser tore apart: a series UID, or a frame of reference, of its own for every slice.

By the letter of DICOM such slices are as many series, or lie in as many unrelated frames. They are joined, with a note
that says why, where nothing but these UIDs speaks against it: at least `MIN_SLICES` objects of one slice each, of one
patient and study, with one series number, description, kind and size, whose places make one even stack without a gap
or a repeat. Anything less stays apart, as it is then no matter of UIDs alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import replace

import numpy as np

from .dicom_geometry import SAME_PLACE_MM, stack_geometry
from .dicom_header import Instance
from .errors import GeometryError

MIN_SLICES = 3
"""Two slices are always evenly spaced."""


def rejoined(instances: Iterable[Instance]) -> tuple[list[Instance], dict[str, tuple[str, ...]]]:
    """The objects, torn ones with one series UID and frame of reference, and notes by series UID."""
    everything = list(instances)
    notes: dict[str, tuple[str, ...]] = {}
    changed: dict[int, Instance] = {}
    for alike in _lookalikes(everything):
        members = _once(alike)
        series = {one.series_uid for one in members}
        frames = {one.frame_of_reference_uid for one in members}
        torn_series, torn_frames = len(series) == len(members), len(frames) == len(members)
        if len(members) < MIN_SLICES or not (torn_series or torn_frames):
            continue
        if not (torn_series or len(series) == 1) or not _is_one_stack(members):
            continue
        first = min(members, key=lambda one: one.series_uid)
        # Of frames that contradict each other none is known to be that of other series.
        frame = "" if len(frames) > 1 else first.frame_of_reference_uid
        for one in alike:
            changed[id(one)] = replace(one, series_uid=first.series_uid, frame_of_reference_uid=frame)
        notes[first.series_uid] = (_note(len(members), torn_series, torn_frames),)
    return [changed.get(id(one), one) for one in everything], notes


def _note(count: int, torn_series: bool, torn_frames: bool) -> str:
    what = " and ".join(
        words for words, torn in (("series UID", torn_series), ("frame of reference", torn_frames)) if torn
    )
    return (
        f"each of its {count} slices has a {what} of its own (an anonymiser's mistake): joined, as together they are "
        "one even stack"
    )


def _lookalikes(instances: list[Instance]) -> list[list[Instance]]:
    """Objects of one slice each that differ in place and pixels only, as far as their headers tell."""
    found: dict[Hashable, list[Instance]] = defaultdict(list)
    for one in instances:
        frame = one.frames[0] if len(one.frames) == 1 else None
        if frame and frame.position and frame.orientation and frame.pixel_spacing:
            found[_likeness(one)].append(one)
    return [members for members in found.values() if len(members) >= MIN_SLICES]


def _once(instances: list[Instance]) -> list[Instance]:
    """Without the copies of an object that has been exported twice."""
    seen: dict[Hashable, Instance] = {}
    for one in instances:
        uids = one.sop_instance_uid, one.series_uid, one.frame_of_reference_uid
        seen.setdefault((*uids, one.frames[0].position), one)
    return list(seen.values())


def _likeness(one: Instance) -> Hashable:
    frame = one.frames[0]
    who = (one.patient_id or one.patient_name, one.study_uid, one.study_date)
    what = (one.modality, one.sop_class_uid, one.series_number, one.series_description, one.image_type, one.kernel)
    size = (one.rows, one.columns, one.samples_per_pixel)
    directions = tuple(round(value, 2) + 0.0 for value in frame.orientation or ())
    return who, what, size, directions, tuple(round(value, 3) for value in frame.pixel_spacing or ()), frame.phase


def _is_one_stack(members: list[Instance]) -> bool:
    try:
        geometry = stack_geometry([one.frames[0] for one in members], "")
    except GeometryError:
        return False
    return not geometry.faults and bool((np.diff(geometry.along) >= SAME_PLACE_MM).all())
