"""NIfTI, NRRD, MetaImage and other single-file volumes, by SimpleITK, which hands them out in LPS mm.

RAS is met inside NIfTI only, whose placement is read beside ITK (see `nifti_placement`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archive import READ_ERRORS, Source
from .errors import GeometryError, ScanError, write_error
from .image_headers import voxel_storage
from .image_payload import check_whole, data_sources
from .quiet import quiet_stderr
from .straighten import squared
from .volume import Grid

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")


def is_image_file(name: str) -> bool:
    """Whether a file name is that of a volume file."""
    return name.lower().endswith(SUFFIXES)


def format_name(name: str) -> str:
    """NIfTI, NRRD, MetaImage, … by the suffix."""
    suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(one)), "")
    if suffix.startswith(".nii"):
        return "NIfTI volume"
    return {".nrrd": "NRRD volume", ".nhdr": "NRRD volume", ".hdr": "Analyze volume"}.get(suffix, "MetaImage volume")


def read_image_file(source: Source, others: Iterable[Source] = ()) -> tuple[NDArray[Any], Grid, dict[str, str]]:
    """Voxels (I, J, K) as stored and scaled by the file, their grid in LPS mm, and the file's metadata.

    Real numbers that are not finite come as NaN or infinity, whatever the format.

    Args:
        source: on disk or in an archive.
        others: the files of that archive, among which may be the voxels of a detached header.

    Raises:
        ScanError: broken, truncated, not three-dimensional, or with several values per voxel.
    """
    import SimpleITK as sitk

    storage = voxel_storage(source)
    data = data_sources(source, storage, others)
    faults = check_whole(source, storage, data)
    with _apart(source, data) as file:
        try:
            # What fails is told by the error; MetaIO and the NIfTI library print it besides.
            with quiet_stderr(), _sheared_sform_read():
                image = sitk.ReadImage(str(file))
        except RuntimeError as error:
            raise _unreadable(error, source) from error
    image = _three_dimensional(image, source.name)
    size = image.GetSize()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    if storage.placement is not None:
        affine = storage.placement.affine
    # A key that is no text cannot be asked for.
    meta = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.isprintable()}
    voxels = sitk.GetArrayViewFromImage(image).T.copy(order="F")
    if faults is not None and voxels.dtype.kind == "f" and voxels.size == faults.size:
        voxels[faults.reshape(voxels.shape, order="F")] = np.nan
    return voxels, squared(Grid((size[0], size[1], size[2]), affine)), meta


@contextmanager
def _sheared_sform_read() -> Iterator[None]:
    """Let ITK read the voxels of a NIfTI file whatever its sform is: only the environment can tell it to."""
    name = "ITK_NIFTI_SFORM_PERMISSIVE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _apart(source: Source, data: list[Source]) -> Iterator[Path]:
    """A volume file in a folder of its own, with nothing beside it but the files that its header names.

    NIfTI's C library looks for the voxels by name: asked for `a.nii.gz` it reads those of an `a.nii` beside it.
    """
    if any("\udc80" <= letter <= "\udcff" for letter in source.name):
        # ITK would end the process without a word.
        shown = source.name.encode("utf-8", "backslashreplace").decode()
        raise ScanError("has a name that is not UTF-8 text", where=shown, advice="Rename the file")
    with tempfile.TemporaryDirectory(prefix="preop-") as name:
        folder = Path(name)
        file = _placed(source, folder / source.name.rsplit("/", 1)[-1])
        for one, relative in zip(data, voxel_storage(source).files, strict=True):
            if source.path is not None and Path(relative).is_absolute():
                continue
            target = folder / relative
            if not target.resolve().is_relative_to(folder.resolve()):
                # A header may point anywhere on a person's own disk; links inside a link's folder would not be found.
                yield source.path or _refuse_outside(source, relative)
                return
                # An Analyze or NIfTI header may name `a.img` where there is `a.img.gz`.
            packed = one.name.endswith(".gz") and not relative.endswith(".gz")
            _placed(one, target.with_name(f"{target.name}.gz") if packed else target)
        yield file


def _refuse_outside(source: Source, relative: str) -> Path:
    raise ScanError(f"has its voxels outside of the archive ({relative})", where=source.name, advice="Unpack it")


def _placed(source: Source, file: Path) -> Path:
    """A link to a file on disk; a copy of one in an archive."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if source.path is not None:
        file.symlink_to(source.path.absolute())
        return file
    with source.open() as stream, file.open("wb") as out:
        try:
            shutil.copyfileobj(stream, out, 1 << 20)
        except READ_ERRORS as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            raise ScanError(
                f"cannot be read to its end ({error})", where=source.name, advice="Copy the archive again"
            ) from error
    return file


def _three_dimensional(image: Any, name: str) -> Any:
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise _several_values(name)
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        raise _dimensions(image.GetSize(), name)
    return image


def _several_values(name: str) -> ScanError:
    return ScanError("has several values per voxel, no scan", where=name, advice="Give one component")


def _dimensions(size: tuple[int, ...], name: str) -> ScanError:
    counts = " × ".join(map(str, size))
    return ScanError(f"has {len(size)} dimensions ({counts}), not 3", where=name, advice="Give one volume")


def read_image_grid(source: Source, others: Iterable[Source] = (), *, whole: bool = False) -> tuple[Grid, int]:
    """The grid of a volume file and the bytes of a voxel, from its header alone.

    Args:
        source, others: as for `read_image_file`, and so are the errors.
        whole: also make sure that all voxels are there, for which what is compressed has to be unpacked.
    """
    import SimpleITK as sitk

    storage = voxel_storage(source)
    data = data_sources(source, storage, others)
    reader = sitk.ImageFileReader()
    with _apart(source, data) as file:
        reader.SetFileName(str(file))
        try:
            with quiet_stderr(), _sheared_sform_read():
                reader.ReadImageInformation()
        except RuntimeError as error:
            raise _unreadable(error, source) from error
    size, count = reader.GetSize(), reader.GetDimension()
    if reader.GetNumberOfComponents() != 1:
        raise _several_values(source.name)
    if count < 3 or any(n != 1 for n in size[3:]):
        raise _dimensions(size, source.name)
    if whole:
        check_whole(source, storage, data)
    direction = np.array(reader.GetDirection()).reshape(count, count)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    if storage.placement is not None:
        affine = storage.placement.affine
    wide = reader.GetPixelID() not in (sitk.sitkUInt8, sitk.sitkInt8)
    return squared(Grid((size[0], size[1], size[2]), affine)), 2 if wide else 1


def write_image_file(path: Path, voxels: NDArray[Any], grid: Grid, *, description: str = "") -> None:
    """Write voxels (I, J, K) as the format its suffix names, beside the target and then renamed.

    Raises:
        GeometryError: a sheared grid, which ITK's formats do not hold.
        ScanError: an unknown suffix.
        DiskError: no permission, no space.
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
        # ITK's NIfTI writer says nothing of a full disk but a line on standard error, so what was written is looked at.
        with quiet_stderr():
            sitk.WriteImage(image, str(part), useCompression=True)
        read_image_grid(Source(part.name, part.stat().st_size, lambda: part.open("rb"), part), whole=True)
        os.replace(part, path)
    except (RuntimeError, OSError) as error:
        raise write_error(error, str(path)) from error
    except ScanError as error:
        raise write_error(OSError(errno.ENOSPC, "truncated"), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    """ITK's last words, without what means nothing to a person: addresses, a scratch file's path, a stale errno."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Reason:", "Exception thrown"))]
    words = re.sub(r"^(ITK|sitk::)\s?ERROR:\s*(\w+\(0x[0-9a-f]+\):\s*)?", "", told[-1]) if told else ""
    return words[:200] if words and "preop-" not in words else "its header or its voxels are not what they should be"


def _unreadable(error: BaseException, source: Source) -> ScanError:
    name = source.name
    if "Unable to determine ImageIO" in str(error):
        if voxel_storage(source).is_nifti_2:
            return ScanError("is NIfTI-2, which is not read", where=name, advice="Convert it to NIfTI-1")
        return ScanError(
            "cannot be read as a volume (its header is none of a known format)", where=name, advice="Export it again"
        )
    return ScanError(f"cannot be read as a volume ({_reason(error)})", where=name, advice="Export it again")
