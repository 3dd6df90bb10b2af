"""Vessel wall: the wall and thrombus of an artery under the patient's blood pressure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, part
from ..quantities import LENGTH_SLIPS, PRESSURE_SLIPS, within
from ..schema import BedOrNone, Part, Patient, Scene, SegmentName, SolverOptions, TissueChoice, Vector
from .base import Outcome, Procedure
from .load_free import load_free_shape
from .solving import BED_UNIT, element_fields, field_steps, materials_and_densities, solve_steps, solver_report
from .validity import doubts
from .vessel_measures import planning_numbers
from .vessel_size import touching
from .wall_measures import short_note, wall_curves, wall_numbers
from .wall_stress import wall_fields, with_wall_stress

if TYPE_CHECKING:
    from ...engine.tissue.problem import Problem
    from ...engine.tissue.solution import Solution
    from ...imaging.volume import LabelMap
    from ...meshing.mesh import TetMesh
    from ..session import Session

NO_PREDICTOR_NOTE = (
    "Wall stress is no rupture predictor by itself: strength, growth, wall thickness and the patient's history "
    "are not in this number."
)
LOAD_FREE_NOTE = (
    "The shape in the scan is taken as free of load although blood pressure acted on it: displacements and strains are "
    "too large."
)
THICKNESS_NOTE = (
    "A CT does not show the wall: it is given one thickness everywhere. Wall stress is the mean over that thickness; "
    "residual stress, which evens it out in a living wall, is not modelled, so bending is reported apart."
)
SEPTUM_NOTE = (
    "{names} touch over {area:.0f} cm²: they are computed as one lumen under one pressure. A membrane between them, "
    "and what it holds together, is not in the model."
)
NO_THROMBUS_NOTE = "The scan shows no thrombus: the pressure acts on the wall alone."
STRETCH_NOTE = (
    "Without thrombus, what is computed is the stretch around the vessel's widest place, {length:.0f} mm high; "
    "the option box_mm chooses another."
)


MMHG = 133.322387415
"""Pa (BIPM, SI brochure, conventional millimetre of mercury)."""

FREE_TOLERANCE_MM = 0.03
"""How closely the load-free shape must come back to the scan: a wall moves by 1 mm, not by centimetres."""

SEPTUM_CM2 = 5.0
"""Contact of two lumens above which a note tells that the membrane between them is not modelled."""


class VesselWallOptions(Part):
    """Options of the procedure `vessel-wall`.

    `box_mm` (two corners, LPS) limits it to a stretch of the vessel. `scan_pressure_mmHg` acted while the scan was
    taken; without it the patient's mean arterial pressure, and 0 takes the scanned shape as free of load. `renal_mm`
    (LPS) is the origin of the lower renal artery, from which an aneurysm's neck is measured.
    """

    lumen: Annotated[tuple[SegmentName, ...], Field(min_length=1)] = ("aorta",)
    thrombus: tuple[SegmentName, ...] = ("aortic_thrombus",)
    wall: TissueChoice = TissueChoice(tissue="aneurysm_wall")
    clot: TissueChoice = TissueChoice(tissue="aortic_thrombus")
    wall_thickness_mm: Annotated[float, within(0.2, 10, "mm", LENGTH_SLIPS)] = 1.9
    layers: Annotated[int, Field(ge=1, le=6)] = 2
    edge_length_mm: Annotated[float, within(0.5, 10, "mm", LENGTH_SLIPS)] = 2.5
    outer_support_kPa_per_mm: BedOrNone = 0.02
    exclude_from_ends_mm: Annotated[float, within(0.1, 200, "mm", LENGTH_SLIPS, zero=True)] = 10.0
    scan_pressure_mmHg: Annotated[float, within(20, 300, "mmHg", PRESSURE_SLIPS, zero=True)] | None = None
    box_mm: tuple[Vector, Vector] | None = None
    renal_mm: Vector | None = None


@dataclass(frozen=True, eq=False)
class Pressurised:
    """The solved wall.

    Attributes:
        problem: the load-free wall under systolic pressure.
        solution: from the pressure of the scan to systolic.
        gap_mm: (N, 3) load-free shape minus scanned shape; None where the scan was taken as load-free.
        note: one line about where the computation began.
    """

    problem: Problem
    solution: Solution
    gap_mm: NDArray[np.float64] | None
    note: str


class VesselWall(Procedure):
    """Quasi-static: the lumen's pressure grows from that of the scan to systolic; the cut ends are held."""

    name = "vessel-wall"
    options = VesselWallOptions
    phases = ("arterial",)

    def labels_needed(self, scene: Scene) -> tuple[str, ...]:
        options: VesselWallOptions = self.parse(scene)
        return options.lumen

    def run(self, session: Session) -> Outcome:
        options: VesselWallOptions = self.parse(session.scene)
        options = options.model_copy(update={"lumen": lumen_names(options.lumen, session.labels)})
        with session.stage("wall mesh") as progress:
            mesh = _mesh(options, session.labels, progress)
        with session.stage("tissue solver") as progress:
            wall = pressurised(options, mesh, session.scene.patient, session.scene.solver, progress)
        with session.stage("measurements"):
            systolic = session.scene.patient.systolic_mmHg
            model = wall.problem.model
            elements = element_fields(model, wall.solution)
            chosen = {f"options.{key}": tissue for key, tissue in tissues_of(options, mesh).items()}
            strains = [one.strain for one in elements]
            session.notes += doubts(chosen, session.scene.solver.element, strains, mesh.volumes)
            read = wall_fields(mesh, model, elements)
            planning, missing = planning_numbers(session.labels, options)
            return Outcome(
                mesh=mesh,
                steps=with_wall_stress(field_steps(model, wall.solution, elements, shape=wall.gap_mm), read),
                numbers=wall_numbers(mesh, wall, read, options, session.labels, systolic, planning),
                curves=wall_curves(mesh, wall, read, options, systolic),
                solver=solver_report(wall.solution),
                node_sets={name: nodes for name, nodes in mesh.node_sets.items() if name.startswith("end_")},
                notes=(NO_PREDICTOR_NOTE, wall.note, THICKNESS_NOTE, *_notes(options, mesh, session.labels), *missing),
            )


def lumen_names(lumen: tuple[str, ...], labels: LabelMap) -> tuple[str, ...]:
    """The lumen's segments with those of a dissection, which label maps name as aorta_true_lumen, aorta_false_lumen."""
    present = [s.name for label, s in labels.segments.items() if s.name not in lumen and (labels.labels == label).any()]
    parts = [p for p in present if p.endswith("_lumen") and any(p.startswith(f"{name}_") for name in lumen)]
    return (*lumen, *parts)


def _mesh(options: VesselWallOptions, labels: LabelMap, progress: Progress) -> TetMesh:
    from ...meshing.wall import vessel_wall

    return vessel_wall(
        labels,
        lumen=options.lumen,
        thrombus=options.thrombus if labels.mask(options.thrombus).any() else (),
        thickness_mm=options.wall_thickness_mm,
        layers=options.layers,
        edge_length_mm=options.edge_length_mm,
        roi_mm=options.box_mm,
        progress=progress,
    )


def pressurised(
    options: VesselWallOptions, mesh: TetMesh, patient: Patient, solver: SolverOptions, progress: Progress
) -> Pressurised:
    """The load-free shape that the scan's pressure brings to the scanned one, then systolic pressure on it.

    Raises:
        SolverError: no equilibrium.
    """
    pulse = patient.systolic_mmHg - patient.diastolic_mmHg
    scan = patient.diastolic_mmHg + pulse / 3 if options.scan_pressure_mmHg is None else options.scan_pressure_mmHg

    def at(mmhg: float) -> Problem:
        return _problem(options, mesh, solver.element, mmhg)

    def from_scan(note: str) -> Pressurised:
        problem = at(patient.systolic_mmHg)
        return Pressurised(problem, solve_steps(problem, solver, part(progress, 0.6, 1.0)), None, note)

    if scan == 0:
        return from_scan(LOAD_FREE_NOTE)
    try:
        free = load_free_shape(
            at(scan), solver, part(progress, 0.0, 0.6), cause="blood pressure", tolerance_mm=FREE_TOLERANCE_MM
        )
    except SolverError as error:
        # a long, softly bedded vessel moves as a whole: rather an answer that says what it lacks than none
        return from_scan(f"No load-free shape was found ({error.what}). {LOAD_FREE_NOTE}")
    problem = free.unloaded(at(patient.systolic_mmHg))
    share = scan / patient.systolic_mmHg
    fractions = [share, *np.linspace(share, 1.0, solver.load_steps + 1)[1:]] if share < 1 else [1.0]
    solution = solve_steps(problem, solver, part(progress, 0.6, 1.0), fractions=fractions, start=free.state)
    note = (
        f"The scan is taken to show the vessel at {scan:.0f} mmHg. A load-free shape was solved for that this pressure "
        f"brings back to the scanned one within {free.residual_mm:.2f} mm; displacements are counted from the scan."
    )
    return Pressurised(problem, solution, free.gap_mm, note)


def _notes(options: VesselWallOptions, mesh: TetMesh, labels: LabelMap) -> list[str]:
    notes = short_note(mesh, options.exclude_from_ends_mm)
    if "aortic_thrombus" not in mesh.region_names.values():
        notes += [NO_THROMBUS_NOTE] + (
            [STRETCH_NOTE.format(length=np.ptp(mesh.points[:, 2]))] if options.box_mm is None else []
        )
    names, area = touching(labels, options.lumen)
    if area > SEPTUM_CM2:
        notes.append(SEPTUM_NOTE.format(names=" and ".join(names), area=area))
    return notes


def tissues_of(options: VesselWallOptions, mesh: TetMesh) -> dict[str, TissueChoice]:
    """Option → tissue of each part that the mesh holds."""
    present = mesh.region_names.values()
    return {key: getattr(options, key) for key, region in _REGION_OF.items() if region in present}


_REGION_OF = {"wall": "aortic_wall", "clot": "aortic_thrombus"}
"""The mesh's region of each option that names a tissue."""


def _problem(options: VesselWallOptions, mesh: TetMesh, element: str, mmhg: float) -> Problem:
    """The wall under a pressure, its ends held, the tissue around it as an elastic bed."""
    from ...engine.tissue.loads import Pressure
    from ...engine.tissue.model import Model
    from ...engine.tissue.supports import Fixed, Springs

    chosen = {_REGION_OF[key]: tissue for key, tissue in tissues_of(options, mesh).items()}
    materials, densities = materials_and_densities(chosen)
    model = Model.from_mesh(mesh, materials, density=densities, element=element)
    supports: list = [Fixed(name) for name in mesh.node_sets if name.startswith("end_")]
    if options.outer_support_kPa_per_mm:
        supports.append(Springs("outer", options.outer_support_kPa_per_mm * BED_UNIT))
    return model.problem(loads=[Pressure("lumen", mmhg * MMHG)], supports=supports)
