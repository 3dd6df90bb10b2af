"""Stored pixels of one file → numbers, whatever the transfer syntax.

pydicom with pylibjpeg-openjpeg (JPEG 2000), pyjpegls (JPEG-LS) and its own RLE decodes most. Lossless and 12-bit JPEG
have no other permissively licensed Python decoder, so those frames go through GDCM, which SimpleITK carries.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID, CTImageStorage, ImplicitVRLittleEndian, generate_uid

from .archive import Source
from .dicom_frames import UNREADABLE
from .dicom_header import read_dataset
from .errors import ScanError
from .quiet import quiet_stderr

_BY_GDCM = frozenset(f"1.2.840.10008.1.2.4.{code}" for code in ("50", "51", "57", "70"))
"""JPEG baseline, extended (12 bit), lossless, lossless selection value 1."""

_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")


def can_decode(transfer_syntax_uid: str) -> bool:
    """Whether pixels of this encoding can be read; a file that does not state one is told by pydicom."""
    if not transfer_syntax_uid or transfer_syntax_uid in _BY_GDCM or transfer_syntax_uid in _JPEG_LS:
        return True
    try:
        return get_decoder(UID(transfer_syntax_uid)).is_available
    except NotImplementedError:
        return False


def read_pixels(source: Source, transfer_syntax_uid: str) -> NDArray[Any]:
    """(frames, rows, columns) stored values of a greyscale image, before any rescale.

    Raises:
        ScanError: pixels missing, shorter than the header says, damaged, in colour, or in an unknown encoding.
    """
    try:
        with source.open() as stream:
            dataset = read_dataset(stream, pixels=True)
    except UNREADABLE as error:
        raise damaged_slice(source, str(error)) from error
    if not any(word in dataset for word in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise damaged_slice(source, "it ends before its pixels, or has none")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise ScanError("is a colour picture, not a scan", where=source.name, advice="Choose another series")
    if not transfer_syntax_uid:
        _assume_syntax(dataset)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = _decoded(dataset, transfer_syntax_uid)
    except NotImplementedError as error:
        # A RuntimeError to Python, but no sign of damage.
        raise ScanError(
            f"its pixels are encoded in a way that is not read ({_short(str(error))})",
            where=source.name,
            advice="Export the series uncompressed",
        ) from error
    except UNREADABLE as error:
        raise damaged_slice(source, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    return pixels.reshape(-1, int(dataset.Rows), int(dataset.Columns))


def _decoded(dataset: Dataset, transfer_syntax_uid: str) -> NDArray[Any]:
    if transfer_syntax_uid in _BY_GDCM:
        return _by_gdcm(dataset)
    # pydicom would clear the bits above the stored ones as if the high bit were always the last of them, and with them
    # padding values; what the bits mean is the caller's to say.
    dataset.pixel_array_options(correct_unused_bits=False)
    try:
        return dataset.pixel_array
    except RuntimeError:
        # Older JPEG-LS encoders pad the stream with a byte that CharLS (in pyjpegls) refuses and GDCM accepts.
        if transfer_syntax_uid not in _JPEG_LS:
            raise
    return _by_gdcm(dataset)


def damaged_slice(source: Source, reason: str) -> ScanError:
    """The error for a file whose pixels are not all there or make no sense."""
    advice = "Copy or export this slice again"
    return ScanError(f"the slice is truncated or damaged ({_short(reason)})", where=source.name, advice=advice)


def _short(reason: str) -> str:
    reason = " ".join(reason.split())
    return reason if len(reason) <= 200 else f"{reason[:197]}…"


def _assume_syntax(dataset: Dataset) -> None:
    """A file without meta information: pydicom found out how it is encoded, and is only told so here."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit, little = dataset.original_encoding
    if not implicit:
        from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

        meta.TransferSyntaxUID = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta = meta


_PIXEL_ELEMENTS = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation",
)  # fmt: skip


def _by_gdcm(dataset: Dataset) -> NDArray[Any]:
    """Each encapsulated frame in a bare file of its own: GDCM then applies no rescale and sees no odd header."""
    import SimpleITK as sitk

    count = int(dataset.get("NumberOfFrames") or 1)
    frames = []
    with tempfile.TemporaryDirectory(prefix="preop-") as folder:
        for number, data in enumerate(generate_frames(dataset.PixelData, number_of_frames=count)):
            file = Path(folder) / f"{number}.dcm"
            _bare_file(dataset, data, file)
            reader = sitk.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileName(str(file))
            # GDCM tries its 8-bit JPEG decoder first, whose C library tells of each refusal of a 12-bit stream.
            with quiet_stderr():
                frames.append(np.asarray(sitk.GetArrayFromImage(reader.Execute())))
            file.unlink()
    return np.concatenate(frames)


def _bare_file(dataset: Dataset, data: bytes, file: Path) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    bare = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    bare.SOPClassUID, bare.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    bare.RescaleSlope, bare.RescaleIntercept = 1, 0
    for keyword in _PIXEL_ELEMENTS:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    bare.PixelData = encapsulate([data])
    bare["PixelData"].is_undefined_length = True
    bare.save_as(file, enforce_file_format=True)
