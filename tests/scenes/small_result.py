"""A small result folder with a known content, for the tests of pictures, report and viewer."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyvista as pv

from preop.imaging.anatomy import BY_LABEL
from preop.imaging.segmentation.base import QualityNote, Segmentation
from preop.imaging.volume import Grid, LabelMap
from preop.meshing.mesh import SurfaceMesh, TetMesh
from preop.meshing.tetwild import positive
from preop.scenes.procedures.base import Curve, FieldStep, Number, Outcome
from preop.scenes.results import result_dict, write_result

if TYPE_CHECKING:
    from preop.scenes.session import Session

CENTRE = np.array([-60.0, 20.0, 40.0])
LIFT = np.array([0.0, -6.0, 12.0])
LIVER, TUMOUR = 10, 11


def ball_of_tetrahedra() -> pv.UnstructuredGrid:
    """A liver-sized ball (radius 40 mm) with a tumour (radius 12 mm) in its middle."""
    points = pv.Sphere(radius=40, center=CENTRE, theta_resolution=14, phi_resolution=14).points
    inner = [pv.Sphere(radius=r, center=CENTRE, theta_resolution=10, phi_resolution=10).points for r in (12, 24, 32)]
    grid = pv.PolyData(np.vstack([points, *inner, CENTRE[None]]).astype(float)).delaunay_3d()
    grid = grid.extract_cells(np.flatnonzero(np.asarray(grid.celltypes) == pv.CellType.TETRA))
    grid.clear_data()
    away = np.linalg.norm(np.asarray(grid.cell_centers().points) - CENTRE, axis=1)
    grid.cell_data["region"] = np.where(away < 12, TUMOUR, LIVER).astype(np.int32)
    return grid


def step_of(grid: pv.UnstructuredGrid, load: float) -> pv.UnstructuredGrid:
    """The grid with a displacement that grows with height, and fields of known values."""
    step = grid.copy()
    height = (np.asarray(grid.points)[:, 2] - CENTRE[2] + 40) / 80
    step.point_data["displacement"] = load * height[:, None] * LIFT
    step.point_data["displacement_magnitude"] = np.linalg.norm(step.point_data["displacement"], axis=1)
    step.point_data["set_grasp"] = (height > 0.95).astype(np.uint8)
    step.point_data["set_posterior bed"] = (height < 0.1).astype(np.uint8)
    tumour = np.asarray(grid.cell_data["region"]) == TUMOUR
    step.cell_data["strain"] = load * np.where(tumour, 0.1, 0.2)
    step.cell_data["von_mises_kPa"] = load * np.where(tumour, 8.0, 2.0)
    return step


def small_session(scratch: Path = Path()) -> Session:
    """A session as it is after a run, with results that are known."""
    from preop.scenes.assumptions import assumptions
    from preop.scenes.scene_file import load_scene
    from preop.scenes.session import Session, StageRecord

    scene = load_scene("liver-retraction").model_copy(
        update={"title": "Lift <of> a ball & more", "description": "A test."}
    )
    session = Session(scene, scratch, device="cpu", command="preop run liver-retraction --out PATH")
    session.segmentation = _segmentation()
    for name, radius in (("liver", 40), ("liver_tumor", 12)):
        ball = pv.Sphere(radius=radius, center=CENTRE)
        session.surfaces[name] = SurfaceMesh(np.asarray(ball.points), ball.faces.reshape(-1, 4)[:, 1:], name=name)
    outcome = _outcome()
    session.outcome = replace(outcome, assumptions=assumptions(scene, outcome))
    session.inputs.append({"name": "scan", "files": 3, "sha256": "ab" * 32})
    session.notes.append("One support was left out.")
    session.stages.append(StageRecord("tissue solver", 41.5, 812.5))
    session.agreement.append(
        {"name": "liver", "dice": 0.9512, "hausdorff_95_mm": 3.125, "volume_ml": 268.2, "truth_volume_ml": 271.4,
         "difference_percent": -1.18}
    )  # fmt: skip
    return session


def _segmentation() -> Segmentation:
    """The ball in voxels of 4 mm."""
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = CENTRE - 4 * 14.5
    grid = Grid((30, 30, 30), affine)
    away = np.linalg.norm(grid.points_from_index(np.argwhere(np.ones(grid.shape, bool))) - CENTRE, axis=1)
    voxels = np.select([away < 12, away < 40], [TUMOUR, LIVER], 0).reshape(grid.shape).astype(np.uint16)
    notes = (
        QualityNote("liver", 268.1, 1, 0, 0.0, False, False, "bad", "too small"),
        QualityNote("spleen", 210.7, 1, 0, 0.0, False, True, "ok", "plausible"),
    )
    return Segmentation(LabelMap(voxels, grid, BY_LABEL), notes, False, "portal", "Seen in the portal phase.")


def _outcome() -> Outcome:
    """Numbers that differ from each other, so that each is found by its value."""
    body = ball_of_tetrahedra()
    steps = [step_of(body, load) for load in (0.0, 1.0)]
    sets = {key: np.flatnonzero(steps[1].point_data[key]) for key in steps[1].point_data if key.startswith("set_")}
    points, nodes = np.asarray(body.points), body.cells.reshape(-1, 5)[:, 1:]
    return Outcome(
        mesh=TetMesh(points, positive(points, nodes)[1], np.asarray(body.cell_data["region"]),
                     {LIVER: "liver", TUMOUR: "liver_tumor"}),
        steps=tuple(
            FieldStep(
                load,
                {key: np.asarray(step.point_data[key]) for key in ("displacement", "displacement_magnitude")},
                {key: np.asarray(step.cell_data[key]) for key in ("strain", "von_mises_kPa")},
            )
            for load, step in zip((0.0, 1.0), steps, strict=True)
        ),
        numbers=(
            Number("shift", "Tumour displacement", 6.7082039, "mm", "its centre"),
            Number("force", "Grasper force", 0.000123456, "N", "pull"),
            Number("count", "Pieces", 12345, "", ""),
        ),
        curves=(Curve("Force", "lift", "mm", "force", "N", (0.0, 5.0, 13.4), (0.0, 0.7, 2.31)),),
        solver={
            "code": "converged", "advice": "", "unknowns": 1203, "seconds": {"total": 4.25},
            "steps": [
                {"load": 0.5, "result": "converged", "newton_iterations": 4, "residual": 2.5e-8},
                {"load": 0.875, "result": "converged", "newton_iterations": 6, "residual": 3.5e-9},
            ],
        },
        node_sets={key.removeprefix("set_"): members for key, members in sets.items()},
        notes=("Stress is no rupture predictor by itself.",),
    )  # fmt: skip


@cache
def _written() -> str:
    return json.dumps(result_dict(small_session()), allow_nan=False)


def numbers() -> dict[str, Any]:
    """The result.json of the small result, by the writer that every run uses."""
    return json.loads(_written())


def write_small_result(folder: Path) -> Path:
    """Write the result, without pictures; two load steps, two surfaces."""
    folder.mkdir(parents=True)
    write_result(small_session(), folder, pictures=False)
    return folder
