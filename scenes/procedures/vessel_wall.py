"""Vessel wall: the wall and thrombus of an artery under the patient's blood pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ..schema import Part, Scene, SegmentName, TissueChoice, Vector
from .base import Outcome, Procedure
from .solving import BED_UNIT, field_steps, materials_and_densities, solve_steps, solver_report
from .wall_measures import wall_curves, wall_numbers

if TYPE_CHECKING:
    from ...meshing.mesh import TetMesh
    from ..session import Session

NO_PREDICTOR_NOTE = (
    "Wall stress is no rupture predictor by itself: strength, growth, wall thickness and the patient's history "
    "are not in this number."
)
LOAD_FREE_NOTE = (
    "The shape in the scan is taken as free of load although blood pressure acted on it, and the wall is given one "
    "thickness everywhere: displacements are too large rather than too small, stresses are those of the scanned shape."
)
NO_THROMBUS_NOTE = "The scan shows no thrombus: the pressure acts on the wall alone."
STRETCH_NOTE = (
    "Without thrombus, computed is the stretch of 60 mm above and below the vessel's widest place; "
    "`box_mm` chooses another."
)


MMHG = 133.322387415
"""Pa (BIPM, SI brochure, conventional millimetre of mercury)."""


class VesselWallOptions(Part):
    """Options of the procedure `vessel-wall`; `box_mm` (two corners, LPS) limits it to a stretch of the vessel."""

    lumen: Annotated[tuple[SegmentName, ...], Field(min_length=1)] = ("aorta",)
    thrombus: tuple[SegmentName, ...] = ("aortic_thrombus",)
    wall: TissueChoice = TissueChoice(tissue="aneurysm_wall")
    clot: TissueChoice = TissueChoice(tissue="aortic_thrombus")
    wall_thickness_mm: Annotated[float, Field(gt=0.2, le=10)] = 1.9
    layers: Annotated[int, Field(ge=1, le=6)] = 2
    edge_length_mm: Annotated[float, Field(ge=0.5, le=10)] = 2.5
    outer_support_kPa_per_mm: Annotated[float, Field(ge=0)] = 0.02
    exclude_from_ends_mm: Annotated[float, Field(ge=0)] = 10.0
    box_mm: tuple[Vector, Vector] | None = None


class VesselWall(Procedure):
    """Quasi-static: the lumen's pressure grows from zero to systolic; the cut ends are held."""

    name = "vessel-wall"
    options = VesselWallOptions

    def labels_needed(self, scene: Scene) -> tuple[str, ...]:
        options: VesselWallOptions = self.parse(scene)
        return options.lumen

    def run(self, session: Session) -> Outcome:
        from ...meshing.wall import vessel_wall

        options: VesselWallOptions = self.parse(session.scene)
        thrombus = options.thrombus if session.labels.mask(options.thrombus).any() else ()
        with session.stage("wall mesh") as progress:
            mesh = vessel_wall(
                session.labels,
                lumen=options.lumen,
                thrombus=thrombus,
                thickness_mm=options.wall_thickness_mm,
                layers=options.layers,
                edge_length_mm=options.edge_length_mm,
                roi_mm=options.box_mm,
                progress=progress,
            )
        with session.stage("tissue solver") as progress:
            problem = _problem(options, mesh, session)
            solution = solve_steps(problem, session.scene.solver, progress)
        with session.stage("measurements"):
            notes = [NO_PREDICTOR_NOTE, LOAD_FREE_NOTE]
            if not thrombus:
                notes += [NO_THROMBUS_NOTE] + ([STRETCH_NOTE] if options.box_mm is None else [])
            return Outcome(
                mesh=mesh,
                steps=field_steps(problem.model, solution),
                numbers=wall_numbers(mesh, problem, solution, options, session.labels),
                curves=wall_curves(mesh, problem.model, solution, options, session.scene.patient.systolic_mmHg),
                solver=solver_report(solution),
                node_sets={name: nodes for name, nodes in mesh.node_sets.items() if name.startswith("end_")},
                notes=tuple(notes),
            )


def _problem(options: VesselWallOptions, mesh: TetMesh, session: Session):
    """The wall under systolic pressure, its ends held, the tissue around it as an elastic bed."""
    from ...engine.tissue.loads import Pressure
    from ...engine.tissue.model import Model
    from ...engine.tissue.supports import Fixed, Springs

    chosen = {"aortic_wall": options.wall, "aortic_thrombus": options.clot}
    present = {name: chosen[name] for name in mesh.region_names.values()}
    materials, densities = materials_and_densities(present)
    model = Model.from_mesh(mesh, materials, density=densities, element=session.scene.solver.element)
    supports: list = [Fixed(name) for name in mesh.node_sets if name.startswith("end_")]
    if options.outer_support_kPa_per_mm:
        supports.append(Springs("outer", options.outer_support_kPa_per_mm * BED_UNIT))
    return model.problem(loads=[Pressure("lumen", session.scene.patient.systolic_mmHg * MMHG)], supports=supports)
