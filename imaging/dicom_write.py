"""Writing a volume as a DICOM CT series: CT Image Storage, one file per slice."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from .errors import NOT_A_MEDICAL_DEVICE, GeometryError, ScanError, write_error
from .permissions import umask
from .progress import Progress, silent
from .volume import Grid, ImageVolume

INTERCEPT = -1024
"""HU of the stored value 0."""
STORED_RANGE = (-32768, 32767)
DATE, TIME = "20000101", "120000"
"""The same series is written to the same bytes every time, so its date is fixed."""
INJECTION_TIMES = {"arterial": "115925", "portal": "115850"}
"""When the contrast agent was given: 35 s and 70 s before the scan."""
WINDOW = {"centre": 40, "width": 400}


def write_ct_series(
    volume: ImageVolume,
    folder: str | Path,
    *,
    patient_name: str = "Phantom^Synthetic",
    patient_id: str = "PHANTOM",
    study_description: str = "Synthetic phantom",
    series_description: str = "Synthetic phantom, not a patient",
    phase: str = "",
    seed: int = 0,
    slice_thickness: float | None = None,
    progress: Progress = silent,
) -> list[Path]:
    """Write a CT volume as a new folder of slices, in order of the K index.

    The folder appears whole or not at all. UIDs follow from the seed, the patient and
    the voxels: the same call writes the same bytes, other voxels get other UIDs.

    Args:
        volume: voxels in HU on an orthogonal grid; oblique grids are kept as they are.
        folder: to be made; may exist if it is empty.
        phase: "native", "arterial", "portal", or "" where it is not known; decides the contrast attributes.
        slice_thickness: mm; the distance between slices if not given.
    Returns:
        The files, first slice first.
    Raises:
        GeometryError: the grid is sheared, which CT Image Storage cannot say in one place.
        ScanError: the volume is not in HU or out of range.
        DiskError: the folder cannot be written.
    """
    target = Path(folder).absolute()
    stored = _stored_values(volume)
    _require_writable(volume.grid, target)
    header = _series_header(
        volume, stored, seed, patient_name, patient_id, study_description, series_description, phase
    )
    header.SliceThickness = DSfloat(float(slice_thickness or volume.spacing[2]), auto_format=True)
    header.SpacingBetweenSlices = DSfloat(float(volume.spacing[2]), auto_format=True)
    work: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
        names = _write_slices(header, stored, volume.grid, work, progress)
        if target.is_dir():
            target.rmdir()
        work.chmod(0o777 & ~umask())
        work.rename(target)
        work = None
    except OSError as error:
        raise write_error(error, str(target)) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    progress(1.0, "DICOM series written")
    return [target / name for name in names]


def _stored_values(volume: ImageVolume) -> NDArray[np.int16]:
    """(I, J, K) stored values: HU − intercept, rounded."""
    if volume.modality != "CT" or volume.unit != "HU":
        raise ScanError(f"a CT series needs HU, not {volume.modality} in {volume.unit or 'no unit'}")
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ScanError("some voxels are not finite", where="volume", advice="Replace them before writing")
    if low - INTERCEPT < STORED_RANGE[0] or high - INTERCEPT > STORED_RANGE[1]:
        raise ScanError(f"HU from {low:.0f} to {high:.0f} do not fit 16 bits", where="volume", advice="Clip the volume")
    return np.rint(volume.voxels - np.float32(INTERCEPT)).astype(np.int16)


def _require_writable(grid: Grid, target: Path) -> None:
    if not grid.is_orthogonal:
        raise GeometryError("a sheared grid cannot be written as CT slices", advice="Resample it to an orthogonal grid")
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise ScanError("already holds files", where=str(target), advice="Give a new or an empty folder")


def _uid(*parts: object) -> str:
    """A UID under the root of UUIDs, 2.25 (ITU-T X.667), named by the parts."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, 'preop|' + '|'.join(map(str, parts))).int}"


def _series_header(
    volume: ImageVolume,
    stored: NDArray[np.int16],
    seed: int,
    patient_name: str,
    patient_id: str,
    study_description: str,
    series_description: str,
    phase: str,
) -> Dataset:
    """Everything that all slices share."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName, header.PatientID = patient_name, patient_id
    header.PatientBirthDate, header.PatientSex = "", "O"
    who = (seed, patient_name, patient_id, study_description)
    content = hashlib.sha256(stored.tobytes(order="F")).hexdigest()
    header.StudyInstanceUID = _uid("study", *who)
    header.SeriesInstanceUID = _uid("series", *who, series_description, phase, volume.affine.tobytes().hex(), content)
    header.FrameOfReferenceUID = volume.grid.frame_of_reference_uid or _uid("frame", *who)
    header.PositionReferenceIndicator = ""
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = DATE
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = TIME
    header.AccessionNumber, header.ReferringPhysicianName, header.StudyID = "", "", "1"
    header.StudyDescription, header.SeriesDescription = study_description, series_description
    header.SeriesNumber, header.AcquisitionNumber = 1, 1
    header.Modality, header.SOPClassUID = "CT", CTImageStorage
    header.BodyPartExamined, header.PatientPosition = "ABDOMEN", "HFS"
    header.QualityControlSubject = header.QualityControlImage = "YES"
    header.ImageComments = f"Synthetic phantom, not a patient. {NOT_A_MEDICAL_DEVICE}"
    _add_equipment(header, phase)
    _add_pixel_description(header, volume)
    return header


def _add_equipment(header: Dataset, phase: str) -> None:
    """General Equipment, CT acquisition and Contrast/Bolus attributes."""
    header.Manufacturer, header.ManufacturerModelName = "preop", "Analytic phantom"
    header.InstitutionName, header.DeviceSerialNumber, header.SoftwareVersions = "", "0", "preop"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.KVP, header.XRayTubeCurrent, header.ExposureTime = "120", 200, 500
    header.ConvolutionKernel, header.GantryDetectorTilt = "STANDARD", "0"
    header.RotationDirection, header.ScanOptions = "CW", "HELICAL MODE"
    if phase in INJECTION_TIMES:
        header.ContrastBolusAgent, header.ContrastBolusRoute = "Iodine (simulated)", "IV"
        header.ContrastBolusStartTime = INJECTION_TIMES[phase]
    if phase:
        header.ProtocolName = f"Abdomen {phase} phase"


def _add_pixel_description(header: Dataset, volume: ImageVolume) -> None:
    """Image Pixel, Image Plane (but the position), rescale and window."""
    columns, rows, _ = volume.grid.shape
    header.Rows, header.Columns = rows, columns
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = str(INTERCEPT), "1", "HU"
    header.WindowCenter, header.WindowWidth = str(WINDOW["centre"]), str(WINDOW["width"])
    header.WindowCenterWidthExplanation = "ABDOMEN"
    # PixelSpacing is (between rows, between columns); I runs along a row.
    header.PixelSpacing = [DSfloat(float(volume.spacing[axis]), auto_format=True) for axis in (1, 0)]
    cosines = volume.grid.direction[:, :2].T.ravel()
    header.ImageOrientationPatient = [DSfloat(float(c), auto_format=True) for c in cosines + 0.0]


def _write_slices(
    header: Dataset, stored: NDArray[np.int16], grid: Grid, folder: Path, progress: Progress
) -> list[str]:
    """One file per slice; the names in order."""
    count = grid.shape[2]
    normal = np.cross(grid.direction[:, 0], grid.direction[:, 1])
    names = []
    for k in range(count):
        position = grid.points_from_index([0, 0, k])
        image = Dataset(header)
        image.SOPInstanceUID = _uid("instance", header.SeriesInstanceUID, k)
        image.file_meta = _file_meta(image.SOPInstanceUID)
        image.InstanceNumber = k + 1
        image.ImagePositionPatient = [DSfloat(float(p), auto_format=True) for p in position + 0.0]
        image.SliceLocation = DSfloat(float(position @ normal), auto_format=True)
        image.PixelData = np.ascontiguousarray(stored[:, :, k].T).astype("<i2", copy=False).tobytes()
        name = f"IM{k + 1:05d}.dcm"
        image.save_as(folder / name, enforce_file_format=True)
        names.append(name)
        progress((k + 1) / (count + 1), "writing DICOM slices")
    return names


def _file_meta(instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_uid("implementation"))
    meta.ImplementationVersionName = "PREOP"
    return meta
