"""The slices of one DICOM object and where they are: `Frame`, for single-frame files and enhanced multi-frame ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from .archive import READ_ERRORS

Vector = tuple[float, ...]

UNREADABLE = (
    InvalidDicomError, BytesLengthException, TypeError, LookupError, AttributeError, OverflowError, *READ_ERRORS,
)  # fmt: skip
"""What pydicom and the decoders raise on bytes that are not what they should be."""


@dataclass(frozen=True)
class Frame:
    """One slice.

    Attributes:
        number: index of the frame in its file, None in a single-frame file.
        position: (3,) Image Position (Patient), LPS mm of the centre of the first pixel; None if absent.
        orientation: (6,) Image Orientation (Patient): direction of a row (to rising columns), then of a column.
        pixel_spacing: (2,) mm between rows, mm between columns.
        thickness: Slice Thickness mm; None if absent.
        slope, intercept: value = slope · stored + intercept.
        is_rescaled: whether the header says so; without, slope 1 and intercept 0 are only assumed.
        unit: Rescale Type, or the Units of PET; "" if absent.
        phase: what tells apart slices at the same place: echo, temporal position, b-value, stack …
    """

    number: int | None
    position: Vector | None
    orientation: Vector | None
    pixel_spacing: Vector | None
    thickness: float | None
    slope: float
    intercept: float
    unit: str
    phase: tuple[str, ...]
    is_rescaled: bool = True


def frames_of(dataset: Dataset) -> tuple[Frame, ...]:
    if "PerFrameFunctionalGroupsSequence" in dataset or "SharedFunctionalGroupsSequence" in dataset:
        return tuple(_functional_frames(dataset))
    count = int(dataset.get("NumberOfFrames") or 1)
    if count > 1:
        return tuple(_offset_frames(dataset, count))
    phase = tuple(text(dataset, word) for word in _PHASE)
    return (_frame([dataset], None, vector(dataset, "ImagePositionPatient", 3), phase),)


_PHASE = ("TemporalPositionIdentifier", "EchoNumbers", "EchoTime", "DiffusionBValue", "TriggerTime")


def _offset_frames(dataset: Dataset, count: int) -> Iterable[Frame]:
    """Frames of an RT dose or an older multi-frame object: offsets along the normal (PS3.3 C.8.8.3.2)."""
    start = vector(dataset, "ImagePositionPatient", 3)
    orientation = vector(dataset, "ImageOrientationPatient", 6)
    offsets = [float(value) for value in many(dataset, "GridFrameOffsetVector")]
    for number in range(count):
        position = None
        if start and orientation and len(offsets) == count:
            normal = np.cross(orientation[:3], orientation[3:])
            shift = offsets[number] - (offsets[0] if offsets[0] == start[2] else 0.0)
            position = tuple(float(x) for x in np.array(start) + shift * normal)
        yield _frame([dataset], number, position, ())


_GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
)


def _functional_frames(dataset: Dataset) -> Iterable[Frame]:
    """Frames of an enhanced object: per-frame functional groups over the shared ones (PS3.3 C.7.6.16)."""
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]))
    each = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    each = each or [Dataset() for _ in range(int(dataset.get("NumberOfFrames") or 1))]
    for number, own in enumerate(each):
        items = [item for name in _GROUPS for group in (own, shared) for item in list(group.get(name) or [])[:1]]
        content = list(own.get("FrameContentSequence") or [])[:1]
        echo = [item for group in (own, shared) for item in list(group.get("MREchoSequence") or [])[:1]]
        diffusion = [item for group in (own, shared) for item in list(group.get("MRDiffusionSequence") or [])[:1]]
        phase = (
            *(_first(content, word) for word in ("StackID", "TemporalPositionIndex", "FrameAcquisitionNumber")),
            _first(echo, "EffectiveEchoTime"),
            _first(diffusion, "DiffusionBValue"),
            _frame_type(own, shared),
        )
        position = next((v for v in (vector(item, "ImagePositionPatient", 3) for item in items) if v), None)
        yield _frame([*items, dataset], number, position, phase)


def _frame_type(own: Dataset, shared: Dataset) -> str:
    for name in ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence"):
        for group in (own, shared):
            for item in list(group.get(name) or [])[:1]:
                return "\\".join(str(word) for word in many(item, "FrameType"))
    return ""


def _first(items: list[Dataset], keyword: str) -> str:
    return text(items[0], keyword) if items else ""


_UNITS = ("RescaleType", "Units")
"""Where the unit of rescaled values is told; the latter in PET."""


def _frame(items: list[Dataset], number: int | None, position: Vector | None, phase: tuple[str, ...]) -> Frame:
    def find(keyword: str, count: int) -> Vector | None:
        return next((v for v in (vector(item, keyword, count) for item in items) if v), None)

    slope, intercept = find("RescaleSlope", 1), find("RescaleIntercept", 1)
    spacing = find("PixelSpacing", 2)
    thickness = find("SliceThickness", 1)
    return Frame(
        number=number,
        position=position,
        orientation=find("ImageOrientationPatient", 6),
        pixel_spacing=spacing,
        thickness=thickness[0] if thickness else None,
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        unit=next((t for word in _UNITS for item in items if (t := text(item, word))), ""),
        phase=phase,
        is_rescaled=bool(slope or intercept),
    )


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value of an element; None where it is absent or so malformed that pydicom cannot make sense of it.

    One odd element (a series number of "3.5") must not cost a slice: what geometry needs is checked where it is used.
    """
    try:
        return dataset.get(keyword)
    except UNREADABLE:
        return None


def text(dataset: Dataset, keyword: str) -> str:
    """The value as text, without padding; "" if there is none."""
    value = value_of(dataset, keyword)
    return "" if value is None else str(value).strip().strip("\0")


def many(dataset: Dataset, keyword: str) -> list[Any]:
    """All values of an element."""
    value = value_of(dataset, keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def number(dataset: Dataset, keyword: str) -> float | None:
    """The value of an element that holds one finite number, else None."""
    values = vector(dataset, keyword, 1)
    return values[0] if values else None


def vector(dataset: Dataset, keyword: str, count: int) -> Vector | None:
    """`count` finite numbers, or None where the element is absent, empty, too short or not a number."""
    try:
        values = tuple(float(value) for value in many(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and bool(np.isfinite(values).all()) else None


def as_array(vectors: Iterable[Vector]) -> NDArray[np.float64]:
    """(n, ...) float64."""
    return np.array(list(vectors), dtype=np.float64)
