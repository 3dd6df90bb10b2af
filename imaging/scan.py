"""`read_scan`: whatever a hospital hands out → one `ImageVolume` in LPS mm, or one line that says why not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .archive import Source, open_sources
from .dicom_choice import choose, find, mixed_patients, patient_numbers
from .dicom_header import Instance, looks_like_dicom, read_instance
from .dicom_read import read_stack
from .dicom_series import Stack, stacks_of
from .errors import ScanError
from .file_checks import file_notes, header_of, missing_header, require_volume
from .image_files import is_image_file, read_image_file
from .image_payload import volume_file_parts
from .progress import Progress, part, silent
from .straighten import AIR_HU, straighten
from .volume import ImageVolume
from .wording import counted


def read_scan(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    phases: Sequence[str] = (),
    resample_uneven: bool = False,
    straighten_tilt: bool = False,
    accept_unplaced: bool = False,
    progress: Progress = silent,
) -> ImageVolume:
    """Read a scan.

    Args:
        path: a folder (searched recursively, also through links; names do not matter), a zip or tar, a multi-frame
            DICOM file, or a NIfTI, NRRD or MetaImage volume (of a pair, either file). What is no DICOM object is
            ignored.
        series: which series: the key that `inspect_scan` shows, a SeriesInstanceUID, a series number or a description.
            Without it the rule of `dicom_choice` picks one.
        phases: contrast phases that this rule prefers (native, arterial, portal, delayed), the best one first.
        resample_uneven: interpolate linearly between slices where some are missing or the spacing is uneven, with a
            note, instead of an error.
        straighten_tilt: bring a stack from a tilted gantry to an orthogonal grid (see `straighten`); without it the
            grid is sheared, which is exact but not what every tool takes. Axes that miss a right angle by rounding
            only are squared in any case.
        accept_unplaced: take a volume file that does not say how it lies in the patient as its reader lays it, with a
            note, instead of an error.
        progress: told a fraction and what is being read.

    Returns:
        float32 voxels (I, J, K) in HU for CT, on a grid in LPS mm, with notes on what was odd.

    Raises:
        ScanError: no scan there, or not one that can be trusted.
        GeometryError: directions or spacing in the header make no sense.
    """
    path = header_of(Path(path))
    with open_sources(path, looks_like_scan) as sources:
        headers = read_headers(sources, part(progress, 0.0, 0.3))
        volumes = [] if headers.instances else volume_files(sources)
        if volumes:
            chosen = _named(volumes, path, series)
            volume = from_image_file(chosen, sources, accept_unplaced, part(progress, 0.3, 1.0))
            files = (chosen.archive or path,) if chosen.path is None else volume_file_parts(chosen.path)
            volume = replace(volume, source_files=files)
            return straighten(volume) if straighten_tilt else volume
        if not headers.instances:
            raise nothing_found(path, sources, headers)
        stack, notes = pick(stacks_of(headers.instances), series, path, sources, phases)
        volume = read_stack(stack, resample_uneven=resample_uneven, progress=part(progress, 0.3, 1.0))
    if straighten_tilt:
        volume = straighten(volume, 2)
    files = dict.fromkeys(one.instance.source.path or one.instance.source.archive for one in stack.slices)
    return replace(volume, notes=(*notes, *headers.notes(), *volume.notes), source_files=tuple(filter(None, files)))


@dataclass(frozen=True)
class Headers:
    """What looking at every file gave.

    Attributes:
        instances: the DICOM objects.
        ignored: files that are no DICOM object.
        broken: files that begin like DICOM, or are empty, but cannot be read, by name.
    """

    instances: tuple[Instance, ...]
    ignored: int
    broken: tuple[str, ...]

    def notes(self, *, named: bool = False) -> tuple[str, ...]:
        """What a person should know about the files left out.

        Args:
            named: with their names, for a terminal: these may be names of people, and notes go into reports.
        """
        if not self.broken:
            return ()
        names = f"{', '.join(self.broken[:3])}{' …' if len(self.broken) > 3 else ''}"
        aside = names if named else "`preop inspect` names them"
        return (f"{counted(len(self.broken), 'file')} left out: damaged or empty ({aside})",)


def read_headers(sources: list[Source], progress: Progress = silent) -> Headers:
    """The headers of the DICOM objects among some files."""
    instances, broken, ignored = [], [], 0
    for number, source in enumerate(sources):
        progress(number / max(len(sources), 1), f"looking at {source.name}")
        found = read_instance(source)
        if isinstance(found, Instance):
            instances.append(found)
        elif found == "broken":
            broken.append(source.name)
        else:
            ignored += 1
    return Headers(tuple(instances), ignored, tuple(broken))


def looks_like_scan(source: Source) -> bool:
    """Whether a file could be one of a scan, by its name or its first bytes."""
    return is_image_file(source.name) or looks_like_dicom(source.read(132))


def volume_files(sources: list[Source]) -> list[Source]:
    """NIfTI, NRRD and MetaImage files among some files."""
    return [source for source in sources if is_image_file(source.name)]


def nothing_found(path: Path, sources: list[Source], headers: Headers) -> ScanError:
    """The error for a path at which there is no scan at all."""
    advice = "Give a DICOM folder, a zip of one, or a NIfTI, NRRD or MHA volume"
    if headers.broken:
        names = ", ".join(headers.broken[:3]) + (", …" if len(headers.broken) > 3 else "")
        return ScanError(f"nothing but damaged or empty files ({names})", where=str(path), advice="Export them again")
    if not sources:
        return ScanError("there are no files in it", where=str(path), advice=advice)
    if path.is_file() and len(sources) == 1 and sources[0].path == path:
        return ScanError("this file is no scan", where=str(path), advice=missing_header(path) or advice)
    return ScanError(f"no DICOM object among {counted(len(sources), 'file')}", where=str(path), advice=advice)


def _named(volumes: list[Source], path: Path, series: str | None) -> Source:
    """The one volume file, or the one whose name (or number in the listing) `series` gives."""
    where = str(path)
    if series is not None:
        wanted = [one for i, one in enumerate(volumes) if series in (one.name, str(i + 1))]
        if not wanted:
            names = ", ".join(one.name for one in volumes[:8])
            raise ScanError(f"there is no volume {series!r}", where=where, advice=f"There are: {names}")
        volumes = wanted
    if len(volumes) > 1:
        names = ", ".join(one.name for one in volumes[:4]) + (", …" if len(volumes) > 4 else "")
        raise ScanError(f"there are {len(volumes)} volume files ({names})", where=where, advice="Give one of them")
    return volumes[0]


def from_image_file(
    source: Source, others: list[Source], accept_unplaced: bool = False, progress: Progress = silent
) -> ImageVolume:
    """The volume of a NIfTI, NRRD or MetaImage file, without its source files. Arguments and errors: see `read_scan`.

    Args:
        source: the file.
        others: the files of its archive.
    """
    progress(None, f"reading {source.name}")
    voxels, grid, _ = read_image_file(source, others)
    require_volume(source, grid, accept_unplaced=accept_unplaced)
    if not np.issubdtype(voxels.dtype, np.number) or np.iscomplexobj(voxels):
        raise ScanError("holds no real numbers", where=source.name)
    progress(1.0, f"read {source.name}")
    values = voxels.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        raise ScanError("holds no number at all (NaN or infinity in every voxel)", where=source.name)
    low = float(values.min(where=finite, initial=np.inf))
    is_ct = low <= _AIR_BELOW
    notes = list(file_notes(source, grid))
    if not finite.all():
        # Resampling tools mark what lies outside of the scan in this way.
        beyond = AIR_HU if is_ct else low
        share = 100 * (1 - float(finite.mean()))
        values[~finite] = beyond
        notes += [f"{share:.2g} % of the voxels hold no number (NaN or infinity) and were set to {beyond:g}"]
    if is_ct:
        note = "the file does not say its modality: with air in it at negative values it is taken for a CT in HU"
        return ImageVolume(values, grid, "CT", "HU", (note, *notes))
    note = f"the file does not say its modality, and values from {low:g} are not those of a CT in HU"
    return ImageVolume(values, grid, "", "", (note, *notes))


_AIR_BELOW = -200.0
"""HU: a CT of a patient holds air (-1000) or at least bowel gas and lung; no MR has such values."""


def pick(
    stacks: list[Stack], series: str | None, path: Path, sources: list[Source], phases: Sequence[str] = ()
) -> tuple[Stack, tuple[str, ...]]:
    """The stack to read and notes on the choice.

    Raises:
        ScanError: an unknown series, two patients, or nothing that is a volume.
    """
    where = str(path)
    if series is not None:
        return _asked_for(stacks, series, where, phases)
    if several := mixed_patients(stacks):
        raise ScanError(
            f"scans of {len(several)} patients are mixed ({_whose(several)})",
            where=where,
            advice="Give one patient's folder, or name a series with --set patient.series=KEY",
        )
    choice = choose(stacks, phases)
    if choice.stack is None:
        raise _no_volume(stacks, path, sources)
    return choice.stack, (*choice.notes, *_objects_of_others(stacks))


def _objects_of_others(stacks: list[Stack]) -> tuple[str, ...]:
    """A note where a plan, a structure set or the like is of another patient than the scans."""
    people = patient_numbers(stacks)
    scanned = {people[id(one)] for one in stacks if one.is_scan}
    # An object that names nobody is of nobody else.
    named = [one for one in stacks if one.first.patient_id or one.first.patient_name]
    other = [one.key for one in named if people[id(one)] not in scanned]
    if not other or not scanned:
        return ()
    names = ", ".join(other[:6]) + (", …" if len(other) > 6 else "")
    return (f"beside the scan lie objects of another patient, which are left alone: series {names}",)


def _whose(people: dict[str, list[Stack]]) -> str:
    """Whose the series are, by the numbers of a listing: who they are is nobody's business who reads a log."""
    shown = []
    for person, stacks in list(people.items())[:6]:
        keys = ", ".join(one.key for one in stacks[:4])
        shown.append(f"{person}: series {keys}{' …' if len(stacks) > 4 else ''}")
    return "; ".join(shown) + ("; …" if len(people) > 6 else "")


def _no_volume(stacks: list[Stack], path: Path, sources: list[Source]) -> ScanError:
    reasons = "; ".join(dict.fromkeys(f"{one.label()} is {one.why_not}" for one in stacks[:4]))
    more = f"; and {len(stacks) - 4} more" if len(stacks) > 4 else ""
    if path.is_file() and len(sources) == 1 and sources[0].path == path and len(stacks) == 1:
        advice = "Give the folder that holds the whole series"
        return ScanError(f"this file is {stacks[0].why_not}", where=str(path), advice=advice)
    advice = "Export the whole axial series from the archive (PACS)"
    return ScanError(f"there is no volume here ({reasons}{more})", where=str(path), advice=advice)


def _asked_for(stacks: list[Stack], series: str, where: str, phases: Sequence[str]) -> tuple[Stack, tuple[str, ...]]:
    hits = find(stacks, series)
    if not hits:
        known = ", ".join(one.key for one in stacks[:12]) + (", …" if len(stacks) > 12 else "")
        raise ScanError(f"there is no series {series!r}", where=where, advice=f"There are: {known}")
    usable = [one for one in hits if not one.why_not]
    if not usable:
        raise ScanError(
            f"{hits[0].label()} cannot be used: it is {hits[0].why_not}", where=where, advice="Choose another"
        )
    if several := mixed_patients(usable):
        # A description or a number may name a series of each.
        raise ScanError(
            f"series {series!r} is of {len(several)} patients ({_whose(several)})", where=where, advice="Name the key"
        )
    choice = choose(usable, phases)
    return choice.stack or usable[0], choice.notes
