"""From a scan to a result folder: the stages every scene runs through."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import SEGMENTS, WHOLES
from ..imaging.errors import GeometryError, ScanError, SceneError, SegmentationError
from ..imaging.progress import Progress, part, silent
from .assumptions import assumptions
from .atomic import atomic_folder, file_error, require_free
from .gl import prepare_off_screen
from .procedures import procedure
from .schema import Patient, Scene, Vector
from .session import Session
from .whole_organs import note_missing, require_whole

if TYPE_CHECKING:
    from ..imaging.volume import Grid, LabelMap

TRUST_LINE = "The segmentation is not to be trusted as it is: look at its notes before using any number."


def run_scene(
    scene: Scene,
    out: Path,
    *,
    scan: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    pictures: bool = True,
    command: str = "",
    progress: Progress = silent,
) -> Session:
    """Run a scene and write its result folder.

    Args:
        scene: what to do.
        out: the result folder; it appears whole at the end, or not at all.
        scan: a scan to use instead of the scene's own.
        device: auto, cpu or gpu.
        overwrite: replace an earlier result at `out`.
        pictures: stills, animation and report; off for batches that only want numbers.
        command: the command that asked for it, for the provenance.

    Raises:
        PreopError: one line: what is wrong, where, what to do.
    """
    from ..engine.compiled import keep_compiled
    from ..engine.device import select_device

    if scan is not None:
        scene = scene.model_copy(update={"patient": _patient_with_scan(scene.patient, scan)})
    require_possible(scene)
    require_free(out, overwrite=overwrite)
    if pictures:
        prepare_off_screen()
    chosen = select_device(device)
    keep_compiled()
    with _scratch() as scratch:
        session = Session(scene, scratch, device=chosen, command=command, progress=progress)
        compute(session)
        from .results import write_result

        with atomic_folder(out, overwrite=overwrite) as folder:
            write_result(session, folder, pictures=pictures)
    return session


def require_possible(scene: Scene) -> None:
    """What can be known before any work: the inputs are there, and the segmenter gives what the procedure needs.

    Raises:
        SceneError, ScanError, SegmentationError: one of them is not so.
    """
    from ..imaging.segmentation.registry import segmenter

    where = scene.where()
    if scene.patient.scan is None:
        raise SceneError("names no scan", where=where, advice="Give it with --dicom PATH")
    if scene.patient.scan != "phantom" and not (scene.folder / scene.patient.scan).exists():
        raise ScanError(
            "there is nothing at this path", where=str(scene.folder / scene.patient.scan), advice="Check the spelling"
        )
    needed = procedure(scene.procedure).labels_needed(scene)
    if scene.segmentation.labels is not None:
        file = scene.folder / scene.segmentation.labels
        if not file.exists():
            raise SegmentationError("the label map is not there", where=str(file), advice="Check segmentation.labels")
        return
    gives = segmenter(scene.segmentation.segmenter).gives
    known = {*gives, *(whole for name in gives for whole in SEGMENTS[name].part_of)}
    lacking = [name for name in needed if gives and name not in known]
    if lacking:
        raise SegmentationError(
            f"the segmenter {scene.segmentation.segmenter} does not give {', '.join(lacking)}",
            where=where,
            advice="Give a label map as segmentation.labels, or another segmenter",
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for intermediate files. What fails in the block is told by the file it concerns, read or written."""
    try:
        with tempfile.TemporaryDirectory(prefix="preop-", ignore_cleanup_errors=True) as name:
            yield Path(name)
    except OSError as error:
        raise file_error(error) from error


def compute(session: Session) -> Session:
    """All stages up to the numbers, without writing anything but scratch files."""
    kind = procedure(session.scene.procedure)
    read_patient(session)
    segment(session)
    session.labels.require(kind.labels_needed(session.scene), where=f"segmentation for {session.scene.where()}")
    require_whole(session, kind.labels_whole(session.scene))
    note_missing(session, kind.parse(session.scene))
    make_surfaces(session)
    outcome = kind.run(session)
    session.outcome = replace(outcome, assumptions=outcome.assumptions or assumptions(session.scene, outcome))
    return session


def _patient_with_scan(patient: Patient, scan: Path) -> Patient:
    # Absolute, so that the scene as run says which scan it was whatever the folder.
    return patient.model_copy(update={"scan": str(scan.absolute())})


def read_patient(session: Session) -> None:
    """Fill `volume` (and `truth` for the embedded patient).

    The phantom takes the same road as a patient: it is written as a DICOM series and read back.
    """
    from ..imaging.scan import read_scan
    from .provenance import input_record

    patient = session.scene.patient
    embedded = patient.scan == "phantom"
    assert patient.scan is not None
    source = _write_phantom(session) if embedded else (session.scene.folder / patient.scan).absolute()
    with session.stage("read scan") as progress:
        session.volume = read_scan(
            source,
            series=patient.series,
            phases=wanted_phases(session.scene),
            resample_uneven=patient.resample_uneven,
            straighten_tilt=patient.straighten_tilt,
            accept_unplaced=patient.accept_unplaced,
            progress=part(progress, 0, 0.9),
        )
        _require_orthogonal(session.volume.grid, str(source))
        progress(0.9, "checksum")
        session.inputs.append(input_record("phantom" if embedded else "scan", session.volume.source_files))
        session.notes.extend(session.volume.notes)


def wanted_phases(scene: Scene) -> tuple[str, ...]:
    """Contrast phases by preference: the patient's, else that of the segmentation, else those of the procedure."""
    if scene.patient.phases is not None:
        return scene.patient.phases
    told = scene.segmentation.phase
    return procedure(scene.procedure).phases if told == "auto" else (told,)


def _require_orthogonal(grid: Grid, where: str) -> None:
    """Refuse a sheared scan before any work: its results could not be written."""
    if not grid.is_orthogonal:
        raise GeometryError(
            "its slices are sheared against each other by a tilted gantry, and the scene forbids straightening them",
            where=where,
            advice="Allow it with --set patient.straighten_tilt=true",
        )


def _write_phantom(session: Session) -> Path:
    from ..imaging.dicom_write import write_ct_series
    from ..imaging.phantom import PhantomParameters, make_phantom

    options = session.scene.patient.phantom
    with session.stage("phantom patient") as progress:
        parameters = PhantomParameters(**options.model_dump())
        phantom = make_phantom(parameters, progress=part(progress, 0, 0.8))
        folder = session.scratch / "phantom-dicom"
        write_ct_series(phantom.volume, folder, phase=options.phase, seed=options.seed, progress=part(progress, 0.8, 1))
        session.truth = phantom.labels
    return folder


def segment(session: Session) -> None:
    """Fill `segmentation`, and the agreement with the truth where there is one."""
    from ..imaging.labelfile import label_source_files
    from ..imaging.segmentation.base import Seed, SegmentationRequest
    from ..imaging.segmentation.registry import segmenter
    from .provenance import input_record

    options, volume = session.scene.segmentation, session.volume
    assert volume is not None
    seeds = {organ: Seed(point=_array(seed.point), box=_corners(seed.box)) for organ, seed in options.seeds.items()}
    name, choice = options.segmenter, {}
    if options.labels is not None:
        file = (session.scene.folder / options.labels).absolute()
        name, choice = "labels", {"path": str(file)}
    request = SegmentationRequest(phase=options.phase, seeds=seeds, options=choice)
    with session.stage("segmentation") as progress:
        chosen = segmenter(name)
        chosen.check(volume, request)
        session.segmentation = chosen.segment(volume, request, progress)
        session.inputs += [input_record("label map", label_source_files(path)) for path in choice.values()]
    assert session.segmentation is not None
    if not session.segmentation.trusted:
        session.notes.append(TRUST_LINE)
    if session.truth is not None:
        _compare_with_truth(session)


def _array(point: Vector | None) -> NDArray[np.float64] | None:
    return None if point is None else np.asarray(point, dtype=np.float64)


def _corners(box: tuple[Vector, Vector] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    return None if box is None else (np.asarray(box[0], dtype=np.float64), np.asarray(box[1], dtype=np.float64))


def _compare_with_truth(session: Session) -> None:
    from ..imaging.compare import compare_labels
    from .agreement_table import remarks

    labels, truth = session.labels, session.truth
    assert truth is not None
    # A segmenter that gives "bone" is not to blame for the ribs that the truth tells apart.
    known = [*SEGMENTS, *WHOLES]
    names = [name for name in known if name in labels.names or (labels.mask(name).any() and truth.mask(name).any())]
    missed = wholly_missed(labels, truth, _gives(session))
    with session.stage("comparison with the known truth") as progress:
        found = compare_labels(labels, truth, [*names, *missed], progress=progress)
    session.agreement = [a.to_dict() for a in found]
    session.agreement_remarks = remarks(found)


def _gives(session: Session) -> tuple[str, ...]:
    from ..imaging.segmentation.registry import segmenter

    options = session.scene.segmentation
    return () if options.labels is not None else segmenter(options.segmenter).gives


def wholly_missed(labels: LabelMap, truth: LabelMap, gives: tuple[str, ...]) -> list[str]:
    """Segments of the truth of which the labels hold nothing, neither by name nor in a whole given instead of them."""
    held = {name for name in (*SEGMENTS, *WHOLES) if labels.mask(name).any()}

    def in_a_whole(name: str) -> bool:
        return bool(gives) and name not in gives and any(whole in held for whole in SEGMENTS[name].part_of)

    return [name for name in truth.names if truth.mask(name).any() and name not in held and not in_a_whole(name)]


def make_surfaces(session: Session) -> None:
    """Fill `surfaces` with what the scene shows and the scan holds."""
    from ..meshing.surface import surfaces_from_labels

    labels = session.labels
    names = [name for name in session.scene.show if labels.mask(name).any()]
    with session.stage("surfaces") as progress:
        session.surfaces = dict(surfaces_from_labels(labels, names, progress=progress))
