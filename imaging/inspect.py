"""`inspect_scan`: what a folder, archive or file holds, from headers alone, and which series would be used.

Patients are only numbered: names, IDs and UIDs appear in `to_dict(identify=True)` and nowhere else, so that a listing
can be shown or mailed without telling who was scanned. Free text of the scanner (series descriptions) and file names
are shown as they are.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .archive import Source, open_sources
from .contrast_phase import phase_hint, phase_of_file
from .dicom_choice import choose, patient_numbers
from .dicom_geometry import orientation_word
from .dicom_read import require_readable
from .dicom_series import Stack, stacks_of
from .errors import GeometryError, PreopError, ScanError
from .file_checks import SINGLE_SLICE, file_notes, header_of, require_volume
from .foreseen import unmet_needs
from .image_files import format_name, read_image_grid
from .progress import Progress, silent
from .scan import from_image_file, looks_like_scan, nothing_found, pick, read_headers, volume_files
from .volume import Grid


@dataclass(frozen=True)
class SeriesSummary:
    """One stack of slices, or one object that is no image.

    Attributes:
        key: by which `series=` chooses it.
        size: (I, J, K) voxels; K counts slices.
        spacing_mm: along I, J, K; None where slices have no place. K is the median distance between slices.
        thickness_mm: Slice Thickness, None if absent.
        orientation: axial, coronal, sagittal, oblique (…), unknown.
        phase: what the header hints about the contrast phase, "" if nothing.
        oddities: what a person should know, in words.
        usable: whether `read_scan(series=key)` can give a volume, if need be with `resample_uneven` or
            `accept_unplaced`.
        chosen: whether `read_scan` takes it when nothing is asked for, and reads it.
        why: why it is chosen, or why it cannot be used; to follow "it is". Empty for the others.
        segmentable: whether it meets what the built-in segmenter needs, as far as was seen; an oddity tells why not.
    """

    key: str
    modality: str
    description: str
    kind: str
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] | None
    thickness_mm: float | None
    orientation: str
    date: str
    manufacturer: str
    transfer_syntax: str
    kernel: str
    body_part: str
    phase: str
    oddities: tuple[str, ...]
    usable: bool
    chosen: bool
    why: str
    series_uid: str = ""
    segmentable: bool = True

    @property
    def slices(self) -> int:
        """Slices in it."""
        return self.size[2]


@dataclass(frozen=True)
class StudySummary:
    """One visit of one patient."""

    patient: str
    date: str
    description: str
    series: tuple[SeriesSummary, ...]
    patient_id: str = ""
    patient_name: str = ""
    study_uid: str = ""


@dataclass(frozen=True)
class Inspection:
    """What was found at a path.

    Attributes:
        path: as given.
        studies: with their series.
        ignored_files: files that are no scan.
        notes: on the whole, such as damaged files or the choice among equals.
        problem: the line with which `read_scan` would refuse; empty if it would read.
    """

    path: str
    studies: tuple[StudySummary, ...]
    ignored_files: int
    notes: tuple[str, ...]
    problem: str

    @property
    def chosen(self) -> SeriesSummary | None:
        """The series that `read_scan` takes."""
        return next((one for study in self.studies for one in study.series if one.chosen), None)

    def to_dict(self, *, identify: bool = False) -> dict[str, Any]:
        """Plain data for JSON; patient names, IDs and UIDs only if `identify`."""
        found = asdict(self)
        for study in found["studies"]:
            for word in () if identify else ("patient_id", "patient_name", "study_uid"):
                del study[word]
            for series in study["series"]:
                if not identify:
                    del series["series_uid"]
        return found


def inspect_scan(path: str | os.PathLike[str], *, progress: Progress = silent) -> Inspection:
    """List the studies and series at a path from their headers alone; a lone volume file is read as `read_scan` does.

    Such a file may be whole and a CT or not: only its voxels tell.

    Args:
        path: as for `read_scan`.
        progress: told after every file.

    Raises:
        ScanError: nothing at this path, nothing readable, or no scan among the files.
    """
    path = header_of(Path(path))
    with open_sources(path, looks_like_scan) as sources:
        headers = read_headers(sources, progress)
        if not headers.instances:
            volumes = volume_files(sources)
            if not volumes:
                raise nothing_found(path, sources, headers)
            return _of_volume_files(str(path), volumes, sources, progress)
        stacks = stacks_of(headers.instances)
        problem, notes = "", headers.notes(named=True)
        try:
            stack, more = pick(stacks, None, path, sources)
            notes += more
            require_readable(stack)
        except PreopError as error:
            problem = error.line()
        return Inspection(str(path), _studies(stacks, problem), headers.ignored, notes, problem)


def _studies(stacks: list[Stack], problem: str) -> tuple[StudySummary, ...]:
    choice = choose(stacks)
    people = patient_numbers(stacks)
    # What will be refused is not chosen, however good one of the series is.
    chosen = None if problem else choice.stack
    grouped: dict[tuple[str, str], list[Stack]] = {}
    for stack in stacks:
        grouped.setdefault((people[id(stack)], stack.first.study_uid), []).append(stack)
    studies = []
    for (person, _), members in grouped.items():
        first = members[0].first
        series = tuple(_summary(one, one is chosen, choice.why) for one in members)
        studies.append(
            StudySummary(
                person,
                _date(first.study_date),
                first.study_description,
                series,
                first.patient_id,
                first.patient_name,
                first.study_uid,
            )
        )
    return tuple(studies)


def _summary(stack: Stack, chosen: bool, why: str) -> SeriesSummary:
    first, frame = stack.first, stack.slices[0].frame
    spacing = None
    if stack.geometry and frame.pixel_spacing:
        spacing = (frame.pixel_spacing[1], frame.pixel_spacing[0], round(stack.geometry.gap_mm, 4))
    oddities = (*(stack.geometry.faults if stack.geometry else ()), *stack.notes, *_storage_oddities(stack))
    unmet: tuple[str, ...] = ()
    if stack.geometry and not stack.why_not:
        unmet = unmet_needs(first.modality, _covered_size(stack), stack.geometry.affine)
    return SeriesSummary(
        key=stack.key,
        modality=first.modality,
        description=first.series_description,
        kind=first.sop_class.replace(" Storage", ""),
        size=_size(stack),
        spacing_mm=spacing,
        thickness_mm=frame.thickness,
        orientation=orientation_word(frame.orientation),
        date=_date(first.study_date),
        manufacturer=first.manufacturer,
        transfer_syntax=first.transfer_syntax,
        kernel=first.kernel,
        body_part=first.body_part,
        phase=phase_hint(first.series_description, first.contrast),
        oddities=(*oddities, *unmet),
        usable=not stack.why_not,
        chosen=chosen,
        why=stack.why_not or (why if chosen else ""),
        series_uid=first.series_uid,
        segmentable=not unmet,
    )


def _size(stack: Stack) -> tuple[int, int, int]:
    return stack.first.columns, stack.first.rows, len(stack.slices)


def _covered_size(stack: Stack) -> tuple[int, int, int]:
    """With as many slices as fill the stack from end to end: some may be missing, or at the place of another."""
    assert stack.geometry
    along, step = stack.geometry.along, stack.geometry.step_mm
    return stack.first.columns, stack.first.rows, 1 + round((along[-1] - along[0]) / step) if step > 0 else 1


def _storage_oddities(stack: Stack) -> tuple[str, ...]:
    """What the headers say about the pixels without reading them."""
    found = []
    short = [one.instance.source.name for one in stack.slices if one.instance.is_short]
    if short:
        found.append(f"{len(short)} truncated: {', '.join(short[:3])}{' …' if len(short) > 3 else ''}")
    syntaxes = {one.instance.transfer_syntax for one in stack.slices}
    if len(syntaxes) > 1:
        names = list(dict.fromkeys(map(short_syntax, sorted(syntaxes))))
        found.append(f"stored in {len(syntaxes)} ways: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}")
    scales = {(one.frame.slope, one.frame.intercept) for one in stack.slices}
    if len(scales) > 1:
        found.append(f"{len(scales)} different rescale slopes or intercepts")
    thicknesses = sorted({one.frame.thickness for one in stack.slices if one.frame.thickness})
    if len(thicknesses) > 1:
        found.append(f"slice thickness from {thicknesses[0]:g} to {thicknesses[-1]:g} mm")
    return tuple(found)


def short_syntax(name: str) -> str:
    """DICOM's names of transfer syntaxes are sentences: their first words are enough."""
    if name.endswith("Endian"):
        return "uncompressed"
    return name.split(",")[0].split(" (")[0].replace(" Image Compression", "")


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else text


def _of_volume_files(path: str, volumes: list[Source], sources: list[Source], progress: Progress) -> Inspection:
    """A listing of NIfTI, NRRD or MetaImage files: one is used, of several none."""
    alone = len(volumes) == 1
    files = [_look(source, sources, progress if alone else None) for source in volumes]
    problem = next((one.problem for one in reversed(files) if one.problem), "")
    if not alone:
        problem = f"{path}: there are {len(volumes)} volume files. Give one of them"
    series = [_file_summary(str(n + 1), one, chosen=alone and not one.problem) for n, one in enumerate(files)]
    study = StudySummary("patient 1", "", "", tuple(series))
    return Inspection(path, (study,), len(sources) - len(volumes), (), problem)


@dataclass(frozen=True, eq=False)
class _VolumeFile:
    """What was seen of a volume file; `why` it is no volume (to follow "it is"), `problem` the line that refuses it."""

    name: str
    grid: Grid | None
    oddities: tuple[str, ...] = ()
    why: str = ""
    problem: str = ""
    segmentable: bool = True


_ASSUMED = "the file does not say its modality: CT is assumed if the values can be HU"


def _look(source: Source, sources: list[Source], progress: Progress | None) -> _VolumeFile:
    """Look at a header; with somebody to tell of progress, also at the voxels: nothing else says what they are."""
    try:
        grid = read_image_grid(source, sources)[0]
    except ScanError as error:
        return _VolumeFile(source.name, None, why=f"not a readable volume: it {error.what}", problem=error.line())
    oddities, problem = (_ASSUMED, *file_notes(source, grid)), ""
    try:
        require_volume(source, grid)
    except GeometryError as error:
        return _VolumeFile(source.name, grid, why=f"not a scan: {error.what}", problem=error.line())
    except ScanError as error:
        if error.what.endswith(SINGLE_SLICE):
            return _VolumeFile(source.name, grid, why=SINGLE_SLICE, problem=error.line())
        problem = error.line()
    if progress is None:
        return _VolumeFile(source.name, grid, oddities, "", problem)
    try:
        volume = from_image_file(source, sources, True, progress)
    except ScanError as error:
        return _VolumeFile(source.name, grid, why=f"not a readable volume: it {error.what}", problem=error.line())
    unmet = unmet_needs(volume.modality, grid.shape, grid.affine)
    return _VolumeFile(source.name, grid, (*volume.notes, *unmet), "", problem, not unmet)


def _file_summary(key: str, file: _VolumeFile, *, chosen: bool) -> SeriesSummary:
    grid, spacing, orientation = file.grid, None, "unknown"
    if grid:
        spacing = (float(grid.spacing[0]), float(grid.spacing[1]), float(grid.spacing[2]))
        orientation = orientation_word((*map(float, grid.direction[:, 0]), *map(float, grid.direction[:, 1])))
    return SeriesSummary(
        key=key,
        modality="",
        description=file.name,
        kind=format_name(file.name),
        size=grid.shape if grid else (0, 0, 0),
        spacing_mm=spacing,
        thickness_mm=None,
        orientation=orientation,
        date="",
        manufacturer="",
        transfer_syntax="",
        kernel="",
        body_part="",
        phase=phase_of_file(file.name),
        oddities=file.oddities,
        usable=not file.why,
        chosen=chosen,
        why=file.why or ("the only volume" if chosen else ""),
        segmentable=file.segmentable,
    )
