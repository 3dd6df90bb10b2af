"""Label maps and folders of masks, from and to files.

A label map is a NIfTI, NRRD or MetaImage file of small integers. What they mean is taken, in this order, from `names`,
from a `labels.json` beside it (or `<file>.labels.json`), from the segment names inside a 3D Slicer `.seg.nrrd`, or from
`anatomy` where the file says that preop wrote it. Ids of other tools are not guessed at: they become `label_7`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .anatomy import BY_LABEL, Segment
from .archive import Source
from .compare import require_overlap, share_inside
from .errors import GeometryError, ScanError, SegmentationError, write_error
from .file_checks import header_of
from .image_files import SUFFIXES, is_image_file, read_image_file, read_image_grid, write_image_file
from .image_headers import voxel_storage
from .image_payload import volume_file_parts
from .label_names import segment_for, segment_name
from .masks import MaskSet, label_map_of, masks_of
from .progress import Progress, silent
from .regrid import is_lossless, regrid
from .volume import Grid, ImageVolume, LabelMap
from .wording import counted

_WRITTEN_BY = "preop label map"


def read_labels(
    path: str | os.PathLike[str],
    *,
    like: Grid | None = None,
    names: Mapping[int, str] | None = None,
    progress: Progress = silent,
) -> LabelMap:
    """Read a label map file, or a folder of masks painted into one (parts over wholes, small over large).

    Args:
        path: a label map, or a folder of masks or with one label map and its `labels.json`.
        like: bring it to this grid: exactly if axes are only swapped, flipped or cropped, else to the nearest voxel.
            What that cost is told by the label map's notes. A file that does not say how it lies in the patient is
            laid on it voxel by voxel, with a note, if it has its size.
        names: label id → segment name, where the file has no names.
        progress: told what is being read.

    Raises:
        ScanError: nothing there or unreadable.
        SegmentationError: the file is no label map.
        GeometryError: it has next to nothing in common with `like`, or no place and another size.
    """
    found = _label_file(Path(path))
    if found is None:
        told: list[str] = []
        painted = label_map_of(_masks_of_folder(Path(path), like, progress, told))
        return replace(painted, notes=tuple(dict.fromkeys(told)))
    progress(None, f"reading {found.name}")
    voxels, grid, meta = read_image_file(_source(found))
    labels = _integers(voxels, found)
    segments = _segments(found, labels, meta, names)
    notes: tuple[str, ...] = ()
    if like is not None and not voxel_storage(_source(found)).is_placed:
        _require_same_shape(grid, like, found)
        grid, notes = like, (_BY_ORDER.format("the label map"),)
    elif like is not None:
        require_overlap(grid, like, whose="label map and scan", where=found.name)
        labels, note = regrid(labels, grid, like, where=found.name)
        notes = _regrid_notes(note, share_inside(like, grid))
        grid = like
    progress(1.0, f"read {found.name}")
    return LabelMap(labels.astype(np.uint16, copy=False), grid, segments, notes)


_BY_ORDER = (
    "{} does not say how it lies in the patient: its voxels were laid on those of the scan in the file's order; "
    "left and right, head and feet may be the wrong way round"
)


def _require_same_shape(grid: Grid, like: Grid, file: Path) -> None:
    """Voxels without a place can only be those of the scan, one by one."""
    if grid.shape != like.shape:
        sizes = f"{'×'.join(map(str, grid.shape))} voxels, the scan {'×'.join(map(str, like.shape))}"
        raise GeometryError(
            f"does not say how it lies in the patient, and is of another size than the scan: it has {sizes}",
            where=file.name,
            advice="Export it again with its place, such as a NIfTI file with an sform",
        )


def _regrid_notes(note: str, covered: float) -> tuple[str, ...]:
    """What bringing labels to the scan's grid cost; nothing where only their storage differed."""
    notes = () if is_lossless(note) else (f"label map on another grid than the scan: {_of_scan(note)}",)
    if covered < _COVERED:
        part = f"the label map covers {100 * covered:.0f} % of the scan: what lies beyond has no label"
        notes = (*notes, part)
    return notes


def _of_scan(note: str) -> str:
    return note.replace("of another grid", "of the scan")


_COVERED = 0.99
"""Part of the scan that a label map covers if it covers all of it but for rounding at its rim."""


def read_masks(
    path: str | os.PathLike[str],
    *,
    like: Grid | None = None,
    names: Mapping[int, str] | None = None,
    progress: Progress = silent,
) -> MaskSet:
    """Read a folder of masks (file stem → segment name), or a label map, as masks that may overlap.

    Masks are loaded when asked for. Files in the folder that are no masks (such as the scan itself) are left out, with
    a note. For the arguments and errors see `read_labels`; names of files are understood as in `label_names`.
    """
    if _label_file(Path(path)) is not None:
        return masks_of(read_labels(path, like=like, names=names, progress=progress))
    return _masks_of_folder(Path(path), like, progress, [])


def _masks_of_folder(path: Path, like: Grid | None, progress: Progress, told: list[str]) -> MaskSet:
    """The masks of a folder; what is noticed about them, now or as they are loaded, is added to `told`."""
    files = _image_files(path)
    grid = like
    loaders: dict[str, list[Callable[[], NDArray[np.bool_]]]] = {}
    notes: list[str] = []
    for number, file in enumerate(files):
        progress(number / len(files), f"looking at {file.name}")
        own, bytes_per_voxel = read_image_grid(_source(file))
        if bytes_per_voxel > 1 and not _is_mask(read_image_file(_source(file))[0]):
            notes.append(f"{file.name} is no mask and was left out")
            continue
        grid = grid or own
        if like is not None and not voxel_storage(_source(file)).is_placed:
            _require_same_shape(own, like, file)
            told.append(_BY_ORDER.format("one or more of the masks"))
        elif like is not None:
            require_overlap(own, like, whose="mask and scan", where=file.name)
        load = _loader(file, grid, told if like else [], by_order=like is not None)
        loaders.setdefault(segment_name(_stem(file)), []).append(load)
    if notes:
        told.append(f"{counted(len(notes), 'file')} beside the masks left out: no mask")
    if grid is None or not loaders:
        raise SegmentationError("there is no mask in this folder", where=str(path), advice="; ".join(notes[:3]))
    taken = set(BY_LABEL)
    segments = {name: segment_for(name, taken) for name in loaders}
    return MaskSet(grid, segments, {name: _union(several) for name, several in loaders.items()}, tuple(notes))


def label_source_files(path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """The files on disk that `read_labels` or `read_masks` reads at a path, for provenance.

    They are the label map or the masks of the folder, what their headers refer to, and the `labels.json` with names.

    Raises:
        ScanError: nothing there, or unreadable.
    """
    found = _label_file(Path(path))
    images = [found] if found is not None else _image_files(Path(path))
    parts = [part for image in images for part in volume_file_parts(image)]
    names = _sidecar(found) if found is not None else None
    return (*parts, names) if names is not None else tuple(parts)


def write_labels(path: str | os.PathLike[str], labels: LabelMap) -> None:
    """Write a label map (.nii.gz, .nrrd, .mha) and, beside it, `labels.json` with names, codes and colours.

    Both files appear whole or not at all.

    Raises:
        GeometryError: NIfTI and a sheared grid (a gantry tilt that was not straightened).
        DiskError: the folder cannot be written to.
    """
    path = Path(path)
    write_image_file(path, labels.labels, labels.grid, description=_WRITTEN_BY)
    present = set(map(int, np.flatnonzero(np.bincount(labels.labels.ravel(order="K")))))
    table = {
        str(label): {
            "name": segment.name,
            "snomed_ct": segment.code,
            "meaning": segment.meaning,
            "colour": [round(c, 4) for c in segment.colour],
            "part_of": list(segment.part_of),
            "present": label in present,
        }
        for label, segment in sorted(labels.segments.items())
    }
    part = path.with_name(f".labels.json.{os.getpid()}.part")
    try:
        part.write_text(json.dumps({"file": path.name, "labels": table}, indent=1) + "\n", encoding="utf-8")
        os.replace(part, path.with_name("labels.json"))
    except OSError as error:
        raise write_error(error, str(path.with_name("labels.json"))) from error
    finally:
        part.unlink(missing_ok=True)


def write_volume(path: str | os.PathLike[str], volume: ImageVolume) -> None:
    """Write a volume as .nii.gz, .nrrd or .mha, whole or not at all. Errors as in `write_labels`."""
    write_image_file(Path(path), volume.voxels, volume.grid, description=f"{volume.modality} {volume.unit}".strip())


def _label_file(path: Path) -> Path | None:
    """The label map that a path means: the file itself, or the one that a folder's labels.json is about."""
    if path.is_file():
        return header_of(path)
    if not path.exists():
        raise ScanError("there is nothing at this path", where=str(path), advice="Check the spelling")
    table = path / "labels.json"
    if table.is_file():
        named = _json(table).get("file", "")
        files = [path / named] if named else _image_files(path)
        if len(files) == 1 and files[0].is_file():
            return files[0]
    return None


def _image_files(folder: Path) -> list[Path]:
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file() and is_image_file(file.name))
    except PermissionError as error:
        raise ScanError("permission denied", where=str(folder), advice="Ask its owner") from error
    if not files:
        advice = f"A label map or a folder of masks is needed ({', '.join(SUFFIXES[:5])})"
        raise ScanError("no mask or label map is in this folder", where=str(folder), advice=advice)
    return files


def _source(file: Path) -> Source:
    return Source(file.name, file.stat().st_size, lambda: file.open("rb"), file)


def _stem(file: Path) -> str:
    name = file.name
    for suffix in (".gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".seg"):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    return name


def _integers(voxels: NDArray[Any], file: Path) -> NDArray[np.uint16]:
    """A label map's voxels as uint16; a scan given by mistake is refused."""
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        what = "is no label map: it holds values that are no numbers (NaN or infinity)"
        raise SegmentationError(what, where=file.name, advice="Give whole numbers from 0 to 65535")
    low, high = voxels.min(), voxels.max()
    if low < 0 or high > 65535 or (voxels.dtype.kind == "f" and not np.array_equal(voxels, np.rint(voxels))):
        what = f"is no label map: values from {low:g} to {high:g}"
        raise SegmentationError(what, where=file.name, advice="Give whole numbers from 0 to 65535")
    return voxels.astype(np.uint16)


def _is_mask(voxels: NDArray[Any]) -> bool:
    low, high = voxels.min(), voxels.max()
    return bool(low >= 0 and ((voxels == 0) | (voxels == high)).all())


def _loader(file: Path, like: Grid, told: list[str], *, by_order: bool) -> Callable[[], NDArray[np.bool_]]:
    def load() -> NDArray[np.bool_]:
        voxels, grid, _ = read_image_file(_source(file))
        if not _is_mask(voxels):
            raise SegmentationError("is no mask: it has more than one value", where=file.name, advice="Give a mask")
        if by_order and grid.shape == like.shape and not voxel_storage(_source(file)).is_placed:
            return voxels != 0
        mask, note = regrid(voxels != 0, grid, like, where=file.name)
        # A mask cut to its organ is a usual way to store it.
        if "resampled" in note:
            told.append(f"masks on another grid than the scan: {_of_scan(note)}")
        return mask

    return load


def _union(several: list[Callable[[], NDArray[np.bool_]]]) -> Callable[[], NDArray[np.bool_]]:
    def load() -> NDArray[np.bool_]:
        mask = several[0]()
        for one in several[1:]:
            mask = mask | one()
        return mask

    return load


def _segments(
    file: Path, labels: NDArray[np.uint16], meta: Mapping[str, str], names: Mapping[int, str] | None
) -> dict[int, Segment]:
    table: dict[int, Segment] = {}
    present = [int(i) for i in np.flatnonzero(np.bincount(labels.ravel(order="K"))) if i]
    if names is not None:
        table = {int(label): _named(name, int(label)) for label, name in names.items()}
    elif (beside := _sidecar(file)) is not None:
        table = _from_json(beside)
    elif slicer := _slicer_names(meta):
        table = {label: _named(name, label) for label, name in slicer.items()}
    elif _WRITTEN_BY in " ".join(meta.values()):
        table = dict(BY_LABEL)
    for label in present:
        table.setdefault(label, Segment(f"label_{label}", label, "", f"label {label}", (0.7, 0.7, 0.7)))
    return table


def _named(name: str, label: int) -> Segment:
    known = segment_for(segment_name(name))
    return Segment(known.name, label, known.code, known.meaning, known.colour, known.part_of)


def _sidecar(file: Path) -> Path | None:
    own = file.with_name(f"{_stem(file)}.labels.json")
    shared = file.with_name("labels.json")
    if own.is_file():
        return own
    if shared.is_file() and _json(shared).get("file", file.name) == file.name:
        return shared
    return None


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SegmentationError(
            f"is no readable JSON ({error})", where=str(file), advice="Correct or remove it"
        ) from error
    if not isinstance(found, dict):
        raise SegmentationError("must be an object: label id → name", where=str(file))
    return found


def _from_json(file: Path) -> dict[int, Segment]:
    """Either {"1": "liver", …} or what `write_labels` writes."""
    content = _json(file)
    rows = content.get("labels", content)
    table: dict[int, Segment] = {}
    try:
        for key, row in rows.items():
            if isinstance(row, str):
                table[int(key)] = _named(row, int(key))
                continue
            base = _named(row["name"], int(key))
            colour = tuple(row.get("colour", base.colour))
            parts = tuple(row.get("part_of", base.part_of))
            code, meaning = row.get("snomed_ct", base.code), row.get("meaning", base.meaning)
            table[int(key)] = Segment(base.name, int(key), code, meaning, colour, parts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SegmentationError(
            "must map label ids to names", where=str(file), advice='Such as {"1": "liver"}'
        ) from error
    return table


def _slicer_names(meta: Mapping[str, str]) -> dict[int, str]:
    """Segment{n}_Name and Segment{n}_LabelValue of 3D Slicer's segmentation NRRD."""
    found = {}
    for key, name in meta.items():
        if key.startswith("Segment") and key.endswith("_Name"):
            value = meta.get(key.replace("_Name", "_LabelValue"), "")
            if value.isdigit():
                found[int(value)] = name
    return found
