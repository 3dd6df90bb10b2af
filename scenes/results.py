"""Writing a result folder: data first, then pictures and the report made from that data."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ..imaging.errors import NOT_A_MEDICAL_DEVICE
from ..imaging.progress import Progress, part
from .carried_surfaces import carried_surfaces
from .mesh_record import mesh_record, mesh_seed
from .plain_words import name_words
from .provenance import code_version, machine, versions
from .report_patient import segmentation_text
from .result_folder import LAYOUT
from .used_segments import used_segments

if TYPE_CHECKING:
    from .session import Session

LABELS = "labels.nii.gz"


def write_result(session: Session, folder: Path, *, pictures: bool = True) -> None:
    """Write everything `preop view` and the report read.

    Args:
        session: a session whose stages have run.
        folder: an empty folder; the caller renames it into place.
        pictures: also stills, animation and report.html.
    """
    with session.stage("writing") as progress:
        (folder / "scene.yaml").write_text(scene_text(session), encoding="utf-8")
        _write_labels(session, folder)
        _write_surfaces(session, folder / "surfaces", part(progress, 0.2, 0.5))
        _write_steps(session, folder / "fields", part(progress, 0.5, 1.0))
        write_json(folder / "result.json", result_dict(session))
    if pictures:
        with session.stage("pictures") as progress:
            _pictures(session, folder, progress)
        # Once more, now with the cost of the pictures in it; the report reads this file.
        write_json(folder / "result.json", result_dict(session))
        with session.stage("report"):
            from .report import write_report

            write_report(folder)


def scene_text(session: Session) -> str:
    """The scene as run, after overrides and --dicom, as YAML that runs again.

    Paths to a person's files are left out, as names of folders are often names of people: the scan is asked for anew
    with --dicom, and labels that were given are read from the result's own label map.
    """
    data = session.scene.model_dump(mode="json", exclude_defaults=False)
    header = f"# The scene as run by preop {versions()['preop']}.\n# {NOT_A_MEDICAL_DEVICE}\n"
    if data["patient"]["scan"] != "phantom":
        data["patient"]["scan"] = None
        sums = ", ".join(one["sha256"] for one in session.inputs if one["name"] == "scan")
        header += f"# The path of the scan is not kept: run it again with --dicom PATH (SHA-256 {sums}).\n"
    if data["segmentation"]["labels"] is not None:
        data["segmentation"]["labels"] = LABELS
    return header + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Strict JSON: a NaN is a fault, not a number."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def result_dict(session: Session) -> dict[str, Any]:
    """Every number of the report, ready for JSON."""
    outcome, segmentation = session.outcome, session.segmentation
    assert outcome is not None
    assert segmentation is not None
    scene = session.scene
    data = {
        "preop": versions()["preop"],
        "layout": LAYOUT,
        "disclaimer": NOT_A_MEDICAL_DEVICE,
        "scene": {key: getattr(scene, key) for key in ("name", "title", "description", "procedure")},
        "patient": _patient(session),
        "status": outcome.solver["code"],
        "numbers": [asdict(number) for number in outcome.numbers],
        "curves": [asdict(curve) for curve in outcome.curves],
        "assumptions": [asdict(assumption) for assumption in outcome.assumptions],
        "segmentation": {
            "trusted": segmentation.trusted,
            "phase": segmentation.phase,
            "text": segmentation.text,
            "used": used_segments(session),
            "notes": [asdict(note) for note in segmentation.notes],
        },
        "meshes": [mesh_record(session)],
        "surfaces": [_surface_dict(name, surface) for name, surface in _all_surfaces(session).items()],
        "solver": dict(outcome.solver),
        "agreement": session.agreement,
        "agreement_remarks": session.agreement_remarks,
        "notes": list(outcome.notes),
        "warnings": session.notes,
        "provenance": _provenance(session),
    }
    data["segmentation"]["text"] = segmentation_text(data)
    return data


def _patient(session: Session) -> dict[str, Any]:
    """What was scanned and how finely: nothing that tells who it was."""
    volume = session.volume
    grid = session.labels.grid if volume is None else volume.grid
    return {
        "source": "phantom" if session.scene.patient.scan == "phantom" else "scan",
        "modality": None if volume is None else volume.modality,
        "voxels": list(grid.shape),
        "spacing_mm": [float(one) for one in grid.spacing],
    }


def _provenance(session: Session) -> dict[str, Any]:
    patient = session.scene.patient
    return {
        "command": session.command,
        "code": code_version(),
        "inputs": session.inputs,
        "versions": versions(),
        "machine": machine(),
        "device": session.device,
        "seed": patient.phantom.seed if patient.scan == "phantom" else None,
        "mesh_seed": mesh_seed(session),
        "started": _utc(session.started),
        "finished": _utc(time.time()),
        "stages": [asdict(stage) for stage in session.stages],
    }


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _surface_dict(name: str, surface: Any) -> dict[str, Any]:
    return {
        "name": name,
        "triangles": len(surface.triangles),
        "volume_ml": surface.volume / 1000,
        "area_cm2": float(surface.areas.sum() / 100),
    }


def _all_surfaces(session: Session) -> dict[str, Any]:
    assert session.outcome is not None
    return {**session.surfaces, **session.outcome.surfaces}


def _write_labels(session: Session, folder: Path) -> None:
    from ..imaging.labelfile import write_labels

    write_labels(folder / LABELS, session.labels)


def _write_surfaces(session: Session, folder: Path, progress: Progress) -> None:
    from ..meshing.io import write_surface

    folder.mkdir()
    surfaces = _all_surfaces(session)
    for number, (name, surface) in enumerate(surfaces.items()):
        for suffix in (".vtp", ".stl", ".glb"):
            progress(number / len(surfaces), f"{name_words(name)} {suffix[1:]}")
            write_surface(folder / f"{name}{suffix}", surface)


def _write_steps(session: Session, folder: Path, progress: Progress) -> None:
    """One VTU per load step, a .pvd over them, and the carried surfaces per step."""
    from ..meshing.io import write_collection, write_tetrahedra

    assert session.outcome is not None
    outcome = session.outcome
    folder.mkdir()
    # Sets travel as marks on the nodes, which every viewer can show.
    marks = {f"set_{name}": _mark(nodes, len(outcome.mesh.points)) for name, nodes in outcome.node_sets.items()}
    files = []
    for number, step in enumerate(outcome.steps):
        progress(0.5 * number / len(outcome.steps), f"fields of load step {number + 1} of {len(outcome.steps)}")
        file = folder / f"step_{number:03d}.vtu"
        points, units = {**step.point_data, **marks}, {**step.units, **dict.fromkeys(marks, "1")}
        write_tetrahedra(file, outcome.mesh, points, step.cell_data, units=units)
        files.append((step.load, file))
    write_collection(folder / "steps.pvd", files)
    _write_deformed(session, folder.parent / "deformed", part(progress, 0.5, 1.0))


def _mark(nodes: NDArray, count: int) -> NDArray[np.uint8]:
    marked = np.zeros(count, dtype=np.uint8)
    marked[nodes] = 1
    return marked


def _write_deformed(session: Session, folder: Path, progress: Progress) -> None:
    """The anatomy that the mesh carries, moved along at every load step."""
    from dataclasses import replace

    from ..meshing.io import write_surface

    assert session.outcome is not None
    outcome = session.outcome
    folder.mkdir()
    for count, (name, (surface, embedding)) in enumerate(carried_surfaces(session).items()):
        for number, step in enumerate(outcome.steps):
            done = (count + number / len(outcome.steps)) / len(outcome.deforming)
            progress(done, f"{name_words(name)} at load step {number + 1}")
            moved = surface.points + embedding.apply(outcome.mesh.tetrahedra, step.point_data["displacement"])
            file = folder / f"{name}_step_{number:03d}.vtp"
            write_surface(file, replace(surface, points=moved), single_precision=True)


def _pictures(session: Session, folder: Path, progress: Progress) -> None:
    from .pictures import write_pictures

    assert session.volume is not None
    write_pictures(folder, session.volume, session.labels, progress)
