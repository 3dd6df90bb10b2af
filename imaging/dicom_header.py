"""What grouping and geometry need from a DICOM header, as plain data: `Instance` and its `Frame`s.

One frame is one slice, whether it is the only one of its file (CT, MR) or one of many (enhanced multi-frame objects,
whose functional groups are read here), so that everything above sees slices only.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from typing import IO, Literal

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from .archive import Source
from .dicom_frames import UNREADABLE, Frame, Vector, frames_of, many, number, text


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
    acquisition_time: str
    content_time: str
    instance_number: str
    gantry_tilt: float | None
    patient_position: str
    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    pixel_offset: int
    bits_stored: int
    high_bit: int
    lossy: bool
    padding: Vector
    frames: tuple[Frame, ...]

    @property
    def is_short(self) -> bool:
        """Whether the file ends before its uncompressed pixels do: it was cut off."""
        if not self.frames or self.transfer_syntax_uid not in _UNCOMPRESSED:
            return False
        bits = self.rows * self.columns * self.samples_per_pixel * self.bits_allocated * len(self.frames)
        # At least 8 bytes of tag and length come between the header's end and the pixels.
        return self.source.size < self.pixel_offset + 8 + bits // 8


@dataclass(frozen=True)
class Slice:
    """A frame and the file it is in."""

    instance: Instance
    frame: Frame


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
        # pydicom warns of every malformed value when it is first looked at; what matters here is told in plain words.
        with source.open() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = read_dataset(stream, pixels=False)
            return instance_from(dataset, source, stream.tell())
    except PermissionError:
        raise
    except UNREADABLE:
        return "broken"


def instance_from(dataset: Dataset, source: Source, pixel_offset: int = 0) -> Instance | Literal["other", "broken"]:
    """An `Instance` from a data set; "other" for a DICOMDIR, or what is neither an image nor in a series.

    Anonymisers empty UIDs: the meta information repeats those of the object, and a series without a UID is known by its
    study, number, description and modality.
    """
    meta = getattr(dataset, "file_meta", Dataset())
    syntax = meta.get("TransferSyntaxUID", None)
    sop_class = UID(text(dataset, "SOPClassUID") or text(meta, "MediaStorageSOPClassUID"))
    series = text(dataset, "SeriesInstanceUID")
    is_image = bool(number(dataset, "Rows") and number(dataset, "Columns"))
    if sop_class in _SLICES and not is_image:
        return "broken"
    if sop_class == MediaStorageDirectoryStorage or not (series or is_image):
        return "other"
    if not series:
        words = ("StudyInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "PatientID")
        series = "without UID: " + "/".join(text(dataset, word) for word in words)
    stored = int(number(dataset, "BitsStored") or number(dataset, "BitsAllocated") or 16)
    return Instance(
        source=source,
        patient_id=text(dataset, "PatientID"),
        patient_name=text(dataset, "PatientName").strip("^ "),
        study_uid=text(dataset, "StudyInstanceUID"),
        study_date=text(dataset, "StudyDate"),
        study_description=text(dataset, "StudyDescription"),
        series_uid=series,
        series_number=text(dataset, "SeriesNumber"),
        series_description=text(dataset, "SeriesDescription"),
        sop_class_uid=str(sop_class),
        sop_class=sop_class.name if sop_class else "object of no stated kind",
        sop_instance_uid=text(dataset, "SOPInstanceUID") or text(meta, "MediaStorageSOPInstanceUID") or source.name,
        transfer_syntax_uid=str(syntax or ""),
        transfer_syntax=syntax.name if syntax else "not stated",
        modality=text(dataset, "Modality"),
        image_type=tuple(str(word).upper() for word in many(dataset, "ImageType")),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        manufacturer=" ".join(filter(None, (text(dataset, "Manufacturer"), text(dataset, "ManufacturerModelName")))),
        kernel=" ".join(str(word) for word in many(dataset, "ConvolutionKernel")),
        contrast=text(dataset, "ContrastBolusAgent"),
        body_part=text(dataset, "BodyPartExamined"),
        acquisition=text(dataset, "AcquisitionNumber"),
        acquisition_time=text(dataset, "AcquisitionTime"),
        content_time=text(dataset, "ContentTime"),
        instance_number=text(dataset, "InstanceNumber"),
        gantry_tilt=number(dataset, "GantryDetectorTilt"),
        patient_position=text(dataset, "PatientPosition").upper(),
        rows=int(number(dataset, "Rows") or 0),
        columns=int(number(dataset, "Columns") or 0),
        samples_per_pixel=int(number(dataset, "SamplesPerPixel") or 1),
        bits_allocated=int(number(dataset, "BitsAllocated") or 16),
        pixel_offset=pixel_offset,
        bits_stored=stored,
        high_bit=int(number(dataset, "HighBit") or stored - 1),
        lossy=text(dataset, "LossyImageCompression") == "01" or str(syntax or "") in _LOSSY,
        padding=_padding(dataset),
        frames=frames_of(dataset) if is_image else (),
    )


def _padding(dataset: Dataset) -> Vector:
    """Pixel Padding Value, or the range up to Pixel Padding Range Limit (stored values, PS3.3 C.7.5.1.1.2)."""
    value, limit = number(dataset, "PixelPaddingValue"), number(dataset, "PixelPaddingRangeLimit")
    if value is None:
        return ()
    # Written as unsigned although pixels are signed, by scanners whose software does not look at the sign.
    bits = int(number(dataset, "BitsAllocated") or 16)
    if number(dataset, "PixelRepresentation") == 1:
        value = value - 2**bits if value >= 2 ** (bits - 1) else value
        limit = limit - 2**bits if limit is not None and limit >= 2 ** (bits - 1) else limit
    return (value,) if limit is None else (min(value, limit), max(value, limit))
