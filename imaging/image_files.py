"""NIfTI, NRRD, MetaImage and other single-file volumes, by SimpleITK, which hands them out in LPS mm.

This is the only reader that meets RAS (inside NIfTI); ITK turns it round.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archive import Source
from .errors import GeometryError, ScanError
from .volume import Grid

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img.gz")


def is_image_file(name: str) -> bool:
    """Whether a file name is that of a volume file."""
    return name.lower().endswith(SUFFIXES)


def format_name(name: str) -> str:
    """NIfTI, NRRD, MetaImage, … by the suffix."""
    suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(one)), "")
    if suffix.startswith(".nii"):
        return "NIfTI volume"
    return {".nrrd": "NRRD volume", ".nhdr": "NRRD volume", ".hdr": "Analyze volume"}.get(suffix, "MetaImage volume")


def read_image_grid_anywhere(source: Source) -> Grid:
    """The grid of a volume file on disk or in an archive. Errors as for reading."""
    return read_image_grid(source)[0] if source.path is not None else read_image_file(source)[1]


def read_image_file(source: Source) -> tuple[NDArray[Any], Grid, dict[str, str]]:
    """Voxels (I, J, K) as stored and scaled by the file, their grid in LPS mm, and the file's metadata.

    Raises:
        ScanError: broken, not three-dimensional, or with several values per voxel.
    """
    if source.path is not None:
        return _read(source.path, source.name)
    with tempfile.TemporaryDirectory(prefix="preop-") as folder:
        file = Path(folder) / Path(source.name).name
        file.write_bytes(source.read())
        return _read(file, source.name)


def _read(file: Path, name: str) -> tuple[NDArray[Any], Grid, dict[str, str]]:
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise _unreadable(error, name) from error
    image = _three_dimensional(image, name)
    size = image.GetSize()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    meta = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return sitk.GetArrayViewFromImage(image).T.copy(order="F"), Grid((size[0], size[1], size[2]), affine), meta


def _three_dimensional(image: Any, name: str) -> Any:
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ScanError("has several values per voxel, no scan", where=name, advice="Give one component")
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        raise ScanError(
            f"has {image.GetDimension()} dimensions {image.GetSize()}", where=name, advice="Give one volume"
        )
    return image


def read_image_grid(source: Source) -> tuple[Grid, int]:
    """The grid of a volume file on disk and the bytes of a voxel, from its header alone. Errors as for reading."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(source.path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(error, source.name) from error
    size, count = reader.GetSize(), reader.GetDimension()
    if count < 3 or any(n != 1 for n in size[3:]):
        raise ScanError(f"has {count} dimensions {size}", where=source.name, advice="Give one volume")
    direction = np.array(reader.GetDirection()).reshape(count, count)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    wide = reader.GetPixelID() not in (sitk.sitkUInt8, sitk.sitkInt8)
    return Grid((size[0], size[1], size[2]), affine), 2 if wide else 1


def write_image_file(path: Path, voxels: NDArray[Any], grid: Grid, *, description: str = "") -> None:
    """Write voxels (I, J, K) as the format its suffix names, beside the target and then renamed.

    Raises:
        GeometryError: a sheared grid, which ITK's formats do not hold.
        ScanError: an unknown suffix, no permission, no space.
    """
    import SimpleITK as sitk

    suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if path.name.lower().endswith(one)), None)
    if suffix is None:
        raise ScanError("is no known volume format", where=path.name, advice=f"Use one of {', '.join(SUFFIXES[:5])}")
    if not grid.is_orthogonal:
        advice = "Read the scan with its tilt straightened (straighten_tilt)"
        raise GeometryError(
            "a sheared grid (gantry tilt) cannot be written to a volume file", where=path.name, advice=advice
        )
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(grid.spacing.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetMetaData("ITK_FileNotes", description)
    part = path.with_name(f".{path.name.removesuffix(suffix)}.{os.getpid()}.part{suffix}")
    try:
        sitk.WriteImage(image, str(part), useCompression=True)
        os.replace(part, path)
    except (RuntimeError, OSError) as error:
        raise ScanError(
            f"cannot be written ({_reason(error)})", where=str(path), advice="Is there space, and the right to?"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]


def _unreadable(error: BaseException, name: str) -> ScanError:
    return ScanError(f"cannot be read as a volume ({_reason(error)})", where=name, advice="Export it again")
