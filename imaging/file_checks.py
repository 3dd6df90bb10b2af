"""What the header of a volume file forbids or leaves open: where it lies, whether it is a volume, which file it is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from .archive import Source
from .dicom_header import looks_like_dicom
from .dicom_series import MIN_SLICES
from .errors import ScanError
from .image_headers import voxel_storage
from .straighten import TILTED, require_tilt_only, slice_axis, tilt_degrees
from .volume import Grid

UNPLACED = "the file does not say how it lies in the patient: left and right may be the wrong way round"
SINGLE_SLICE = "a single slice, not a volume"


def file_notes(source: Source, grid: Grid) -> tuple[str, ...]:
    """What a person should know about where a volume file puts its voxels, from its header alone."""
    storage, notes = voxel_storage(source), []
    if not storage.is_placed:
        notes.append(UNPLACED)
    elif storage.placement is not None:
        notes += storage.placement.notes
    slices = None if grid.is_orthogonal else slice_axis(grid)
    if slices is not None:
        notes.append(f"the volume is sheared by {tilt_degrees(grid, slices):.1f}° (a tilted gantry): {TILTED}")
    return tuple(notes)


def require_volume(source: Source, grid: Grid, *, accept_unplaced: bool = False) -> None:
    """Raise for a volume file that its header shows not to be of use as a scan.

    Args:
        source: the file.
        grid: where its reader puts it.
        accept_unplaced: allow a file that does not say how it lies in the patient.

    Raises:
        ScanError: a single slice, or a file that does not say how it lies in the patient.
        GeometryError: sheared otherwise than by a tilted gantry.
    """
    if min(grid.shape) < MIN_SLICES:
        raise ScanError(f"it is {SINGLE_SLICE}", where=source.name, advice="Give the whole volume")
    require_tilt_only(grid, source.name)
    if not accept_unplaced and not voxel_storage(source).is_placed:
        raise ScanError(
            UNPLACED.removeprefix("the file "),
            where=source.name,
            advice="Give the DICOM series, or take the file's axes for the patient's with "
            "--set patient.accept_unplaced=true",
        )


def header_of(path: Path) -> Path:
    """The header whose voxels a file holds, such as `a.hdr` for `a.img`; the path itself where there is none."""
    if not path.is_file() or path.suffix.lower() in (".nii", ".nrrd", ".mha", *_HEADERS):
        return path
    # What cannot be read is for the reader to tell.
    with suppress(OSError, ScanError):
        with path.open("rb") as stream:
            if looks_like_dicom(stream.read(132)):
                return path
        names = {path.name, path.name.removesuffix(".gz")}
        for file in _headers_beside(path):
            source = Source(file.name, file.stat().st_size, lambda file=file: file.open("rb"), file)
            if names & set(voxel_storage(source).files):
                return file
    return path


_HEADERS = (".hdr", ".mhd", ".nhdr")


def _headers_beside(path: Path) -> list[Path]:
    """Files of the same name that could be the header of one with voxels."""
    stem = path.name.split(".gz")[0].rsplit(".", 1)[0]
    return [
        file
        for file in sorted(path.parent.iterdir())
        if file.stem == stem and file.suffix.lower() in _HEADERS and file.is_file()
    ]


def missing_header(path: Path) -> str:
    """Advice for a file that looks like the voxels of a pair without its header; empty for others."""
    name = path.name.lower().removesuffix(".gz")
    suffix = next((end for end in (".img", ".zraw", ".raw") if name.endswith(end)), "")
    if not suffix:
        return ""
    stem = path.name[: len(name) - len(suffix)]
    pair = f"{stem}.hdr" if suffix == ".img" else f"{stem}.mhd or {stem}.nhdr"
    return f"If it holds the voxels of a volume, put its header {pair} beside it"
