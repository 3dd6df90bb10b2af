"""What grouping and geometry need from a DICOM header, as plain data: `Instance` and its `Frame`s.

One frame is one slice, whether it is the only one of its file (CT, MR) or one of many (enhanced multi-frame objects,
whose functional groups are read here), so that everything above sees slices only.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from .archive import Source

Vector = tuple[float, ...]


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
        unit: Rescale Type, "" if absent.
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


@dataclass(frozen=True)
class Instance:
    """One DICOM object of a folder: who, which series, which kind, and its frames (none if it is no image)."""

    source: Source
    patient_id: str
    patient_name: str
    study_uid: str
    study_date: str
    study_description: str
    series_uid: str
    series_number: str
    series_description: str
    sop_class_uid: str
    sop_class: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    transfer_syntax: str
    modality: str
    image_type: tuple[str, ...]
    frame_of_reference_uid: str
    manufacturer: str
    kernel: str
    contrast: str
    body_part: str
    acquisition: str
    instance_number: str
    gantry_tilt: float | None
    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    lossy: bool
    padding: Vector
    frames: tuple[Frame, ...]

    @property
    def is_short(self) -> bool:
        """Whether the file is smaller than its uncompressed pixels: it was cut off."""
        if not self.frames or self.transfer_syntax_uid not in _UNCOMPRESSED:
            return False
        bits = self.rows * self.columns * self.samples_per_pixel * self.bits_allocated * len(self.frames)
        return self.source.size < bits // 8


_UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_LOSSY = tuple(f"1.2.840.10008.1.2.4.{code}" for code in ("50", "51", "81"))
_SLICES = (CTImageStorage, MRImageStorage, EnhancedCTImageStorage, EnhancedMRImageStorage)


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file's first 132 bytes are those of DICOM, with or without the preamble (PS3.10, 7.1).

    Without a preamble a data set starts with a low element of group 0002 or 0008, little or big endian.
    """
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", start[:4])
        if group in (0x0002, 0x0008) and element <= 0x0100:
            return True
    return False


def read_dataset(stream: IO[bytes], *, pixels: bool) -> Dataset:
    """A pydicom data set. Raises InvalidDicomError, EOFError or ValueError and the like when it is broken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(stream, force=True, stop_before_pixels=not pixels)


def read_instance(source: Source) -> Instance | Literal["other", "broken"]:
    """The header of one file.

    Returns:
        The header; "other" for what is no DICOM object of a patient (such as a DICOMDIR); "broken" for what begins like
        one but cannot be read, an image whose header ends before its size, and for empty files.
    """
    if source.size == 0:
        return "broken"
    if not looks_like_dicom(source.read(132)):
        return "other"
    try:
        with source.open() as stream:
            dataset = read_dataset(stream, pixels=False)
            return instance_from(dataset, source)
    except PermissionError:
        raise
    except (InvalidDicomError, EOFError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OSError):
        return "broken"


def instance_from(dataset: Dataset, source: Source) -> Instance | Literal["other", "broken"]:
    """An `Instance` from a data set; "other" for a DICOMDIR, or what is neither an image nor in a series.

    Anonymisers empty UIDs: the meta information repeats those of the object, and a series without a UID is known by its
    study, number, description and modality.
    """
    meta = getattr(dataset, "file_meta", Dataset())
    syntax = meta.get("TransferSyntaxUID", None)
    sop_class = UID(_text(dataset, "SOPClassUID") or _text(meta, "MediaStorageSOPClassUID"))
    series = _text(dataset, "SeriesInstanceUID")
    is_image = "Rows" in dataset and "Columns" in dataset
    if sop_class == MediaStorageDirectoryStorage or not (series or is_image):
        return "other"
    if sop_class in _SLICES and not is_image:
        return "broken"
    if not series:
        words = ("StudyInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "PatientID")
        series = "without UID: " + "/".join(_text(dataset, word) for word in words)
    return Instance(
        source=source,
        patient_id=_text(dataset, "PatientID"),
        patient_name=_text(dataset, "PatientName").strip("^ "),
        study_uid=_text(dataset, "StudyInstanceUID"),
        study_date=_text(dataset, "StudyDate"),
        study_description=_text(dataset, "StudyDescription"),
        series_uid=series,
        series_number=_text(dataset, "SeriesNumber"),
        series_description=_text(dataset, "SeriesDescription"),
        sop_class_uid=str(sop_class),
        sop_class=sop_class.name if sop_class else "object of no stated kind",
        sop_instance_uid=_text(dataset, "SOPInstanceUID") or _text(meta, "MediaStorageSOPInstanceUID") or source.name,
        transfer_syntax_uid=str(syntax or ""),
        transfer_syntax=syntax.name if syntax else "not stated",
        modality=_text(dataset, "Modality"),
        image_type=tuple(str(word).upper() for word in _many(dataset, "ImageType")),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        manufacturer=" ".join(filter(None, (_text(dataset, "Manufacturer"), _text(dataset, "ManufacturerModelName")))),
        kernel=" ".join(str(word) for word in _many(dataset, "ConvolutionKernel")),
        contrast=_text(dataset, "ContrastBolusAgent"),
        body_part=_text(dataset, "BodyPartExamined"),
        acquisition=_text(dataset, "AcquisitionNumber"),
        instance_number=_text(dataset, "InstanceNumber"),
        gantry_tilt=_number(dataset, "GantryDetectorTilt"),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        samples_per_pixel=int(dataset.get("SamplesPerPixel") or 1),
        bits_allocated=int(dataset.get("BitsAllocated") or 16),
        lossy=_text(dataset, "LossyImageCompression") == "01" or str(syntax or "") in _LOSSY,
        padding=_padding(dataset),
        frames=_frames(dataset) if is_image else (),
    )


def _padding(dataset: Dataset) -> Vector:
    """Pixel Padding Value, or the range up to Pixel Padding Range Limit (stored values, PS3.3 C.7.5.1.1.2)."""
    value, limit = _number(dataset, "PixelPaddingValue"), _number(dataset, "PixelPaddingRangeLimit")
    if value is None:
        return ()
    return (value,) if limit is None else (min(value, limit), max(value, limit))


def _frames(dataset: Dataset) -> tuple[Frame, ...]:
    if "PerFrameFunctionalGroupsSequence" in dataset or "SharedFunctionalGroupsSequence" in dataset:
        return tuple(_functional_frames(dataset))
    count = int(dataset.get("NumberOfFrames") or 1)
    if count > 1:
        return tuple(_offset_frames(dataset, count))
    phase = tuple(_text(dataset, word) for word in _PHASE)
    return (_frame([dataset], None, _vector(dataset, "ImagePositionPatient", 3), phase),)


_PHASE = ("TemporalPositionIdentifier", "EchoNumbers", "EchoTime", "DiffusionBValue", "TriggerTime")


def _offset_frames(dataset: Dataset, count: int) -> Iterable[Frame]:
    """Frames of an RT dose or an older multi-frame object: offsets along the normal (PS3.3 C.8.8.3.2)."""
    start = _vector(dataset, "ImagePositionPatient", 3)
    orientation = _vector(dataset, "ImageOrientationPatient", 6)
    offsets = [float(value) for value in _many(dataset, "GridFrameOffsetVector")]
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
        position = next((v for v in (_vector(item, "ImagePositionPatient", 3) for item in items) if v), None)
        yield _frame([*items, dataset], number, position, phase)


def _frame_type(own: Dataset, shared: Dataset) -> str:
    for name in ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence"):
        for group in (own, shared):
            for item in list(group.get(name) or [])[:1]:
                return "\\".join(str(word) for word in _many(item, "FrameType"))
    return ""


def _first(items: list[Dataset], keyword: str) -> str:
    return _text(items[0], keyword) if items else ""


def _frame(items: list[Dataset], number: int | None, position: Vector | None, phase: tuple[str, ...]) -> Frame:
    def find(keyword: str, count: int) -> Vector | None:
        return next((v for v in (_vector(item, keyword, count) for item in items) if v), None)

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
        unit=next((t for t in (_text(item, "RescaleType") for item in items) if t), ""),
        phase=phase,
    )


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip().strip("\0")


def _many(dataset: Dataset, keyword: str) -> list[Any]:
    value = dataset.get(keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def _number(dataset: Dataset, keyword: str) -> float | None:
    values = _vector(dataset, keyword, 1)
    return values[0] if values else None


def _vector(dataset: Dataset, keyword: str, count: int) -> Vector | None:
    """`count` finite numbers, or None where the element is absent, empty, too short or not a number."""
    try:
        values = tuple(float(value) for value in _many(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and bool(np.isfinite(values).all()) else None


def as_array(vectors: Iterable[Vector]) -> NDArray[np.float64]:
    """(n, ...) float64."""
    return np.array(list(vectors), dtype=np.float64)
