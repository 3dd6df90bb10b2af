"""DICOM slices written straight with pydicom, so that the reader is tested against something it did not write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def picture(k: int, rows: int = 12, columns: int = 16) -> np.ndarray:
    """(rows, columns) int16 in which every pixel of every slice has a value of its own."""
    return (k * 1000 + np.arange(rows)[:, None] * 20 + np.arange(columns)[None, :]).astype(np.int16)


def make_slice(position: Any, pixels: np.ndarray, **tags: Any) -> FileDataset:
    """A CT slice with one place and one picture. Tags override or, with None, remove."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = tags.get("SOPClassUID") or CTImageStorage
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    defaults: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "StudyInstanceUID": "1.2.3",
        "StudyDate": "20240229",
        "SeriesInstanceUID": "1.2.3.4",
        "SeriesNumber": "5",
        "SeriesDescription": "abdomen",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "FrameOfReferenceUID": "1.2.3.9",
        "SliceThickness": "2",
        "ImagePositionPatient": [f"{x:.10g}" for x in position],
        "ImageOrientationPatient": [f"{x:.10g}" for x in AXIAL],
        "PixelSpacing": ["0.75", "0.5"],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1 if pixels.dtype.kind == "i" else 0,
        "RescaleSlope": "1",
        "RescaleIntercept": "-1024",
    }
    for keyword, value in {**defaults, **tags}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    return dataset


def save(dataset: Dataset, file: Path) -> Path:
    """Write with meta information and preamble."""
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)
    return file


def write_series(
    folder: Path,
    positions: Sequence[Any],
    *,
    pixels: Callable[[int], np.ndarray] = picture,
    seed: int = 0,
    prefix: str = "IM",
    **tags: Any,
) -> list[Path]:
    """One file per position; file names and instance numbers are shuffled so that neither gives the order away."""
    shuffled = np.random.default_rng(seed).permutation(len(positions))
    files = []
    for k, position in enumerate(positions):
        dataset = make_slice(position, pixels(k), **{"InstanceNumber": str(int(shuffled[k]) + 1), **tags})
        files.append(save(dataset, folder / f"{prefix}{int(shuffled[-1 - k]):04d}"))
    return files


def even(count: int, step: float = 2.0, start: float = -7.0) -> list[tuple[float, float, float]]:
    """Positions of an axial stack along z."""
    return [(-10.0, -20.0, start + step * k) for k in range(count)]
