"""NIfTI, NRRD, MetaImage and other single-file volumes, by SimpleITK, which hands them out in LPS mm.

This is the only reader that meets RAS (inside NIfTI); ITK turns it round.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archive import Source
from .errors import ScanError
from .volume import Grid

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img.gz")


def is_image_file(name: str) -> bool:
    """Whether a file name is that of a volume file."""
    return name.lower().endswith(SUFFIXES)


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
        reason = [line for line in str(error).splitlines() if line.strip()][-1].strip()
        raise ScanError(f"cannot be read as a volume ({reason[:200]})", where=name, advice="Export it again") from error
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
