"""`read_scan`: whatever a hospital hands out → one `ImageVolume` in LPS mm, or one line that says why not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .archive import Source, open_sources
from .dicom_header import Instance, read_instance
from .dicom_read import read_stack
from .dicom_series import Stack, choose, find, patients, stacks_of
from .errors import ScanError
from .image_files import is_image_file, read_image_file
from .progress import Progress, part, silent
from .volume import ImageVolume


def read_scan(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    resample_uneven: bool = False,
    progress: Progress = silent,
) -> ImageVolume:
    """Read a scan.

    Args:
        path: a folder (searched recursively; names do not matter), a zip or tar, a multi-frame DICOM file, or a
            NIfTI, NRRD or MetaImage volume. What is no DICOM object is ignored.
        series: which series: the key that `inspect_scan` shows, a SeriesInstanceUID, a series number or a description.
            Without it the rule of `dicom_series` picks one.
        resample_uneven: interpolate linearly between slices where some are missing or the spacing is uneven, with a
            note, instead of an error.
        progress: told a fraction and what is being read.

    Returns:
        float32 voxels (I, J, K) in HU for CT, on a grid in LPS mm, with notes on what was odd.

    Raises:
        ScanError: no scan there, or not one that can be trusted.
        GeometryError: directions or spacing in the header make no sense.
    """
    with open_sources(path) as sources:
        file = _image_file(Path(path), sources)
        if file is not None:
            return _from_image_file(file, progress)
        instances = read_headers(sources, part(progress, 0.0, 0.3))
        stacks = stacks_of(instances)
        stack, notes = pick(stacks, series, str(path), len(sources))
        volume = read_stack(stack, resample_uneven=resample_uneven, progress=part(progress, 0.3, 1.0))
    return ImageVolume(volume.voxels, volume.grid, volume.modality, volume.unit, (*notes, *volume.notes))


def read_headers(sources: list[Source], progress: Progress = silent) -> list[Instance]:
    """The headers of the DICOM objects among some files."""
    instances = []
    for number, source in enumerate(sources):
        progress(number / max(len(sources), 1), f"looking at {source.name}")
        instance = read_instance(source)
        if instance is not None:
            instances.append(instance)
    return instances


def _image_file(path: Path, sources: list[Source]) -> Source | None:
    if path.is_file() and len(sources) == 1 and is_image_file(sources[0].name):
        return sources[0]
    return None


def _from_image_file(source: Source, progress: Progress) -> ImageVolume:
    progress(None, f"reading {source.name}")
    voxels, grid, _ = read_image_file(source)
    if not np.issubdtype(voxels.dtype, np.number) or np.iscomplexobj(voxels):
        raise ScanError("holds no real numbers", where=source.name)
    progress(1.0, f"read {source.name}")
    return ImageVolume(
        voxels.astype(np.float32), grid, "CT", "HU", ("the file does not say its modality: CT was assumed",)
    )


def pick(stacks: list[Stack], series: str | None, where: str, files: int) -> tuple[Stack, tuple[str, ...]]:
    """The stack to read and notes on the choice.

    Raises:
        ScanError: nothing to choose from, an unknown series, or two patients.
    """
    if not stacks:
        what = "the folder is empty" if files == 0 else f"no DICOM object among {files} files"
        raise ScanError(what, where=where, advice="Give a DICOM folder, a zip of one, or a NIfTI, NRRD or MHA volume")
    if series is not None:
        return _asked_for(stacks, series, where), ()
    people = patients(stacks)
    if len(people) > 1:
        raise ScanError(
            f"scans of {len(people)} patients are mixed (patient IDs {', '.join(people[:6])})",
            where=where,
            advice="Give one patient's folder, or name a series with --set patient.series=KEY",
        )
    choice = choose(stacks)
    if choice.stack is None:
        reasons = "; ".join(dict.fromkeys(f"{one.label()}: {one.why_not}" for one in stacks[:4]))
        raise ScanError(f"there is no volume here ({reasons})", where=where, advice="Export the whole axial series")
    return choice.stack, choice.notes


def _asked_for(stacks: list[Stack], series: str, where: str) -> Stack:
    hits = find(stacks, series)
    if not hits:
        known = ", ".join(one.key for one in stacks[:12])
        raise ScanError(f"there is no series {series!r}", where=where, advice=f"There are: {known}")
    usable = [one for one in hits if not one.why_not]
    if not usable:
        raise ScanError(f"{hits[0].label()} cannot be used: {hits[0].why_not}", where=where, advice="Choose another")
    return choose(usable).stack or usable[0]
