"""Retraction: an organ's edge is grasped and carried along a path, under gravity, held by its ligaments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from ...imaging.errors import SceneError
from ..places import nodes_at
from ..schema import Part, Place, Positive, Region, Scene, SegmentName, Support, Vector
from .base import Outcome, Procedure
from .measures import retraction_curves, retraction_numbers
from .solving import field_steps, materials_of, regions_present, solver_report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...engine.tissue import Problem, Solution
    from ...meshing.mesh import TetMesh
    from ..session import Session

LOAD_FREE_NOTE = (
    "The shape in the scan is taken as free of load: gravity is applied to it first, and displacements are counted "
    "from the shape that this gives."
)


class GraspOptions(Part):
    """Where the grasper holds and along which corners it is carried (mm, relative, LPS)."""

    where: Place
    path_mm: Annotated[tuple[Vector, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _moves(self) -> GraspOptions:
        if not any(any(corner) for corner in self.path_mm):
            raise ValueError("path_mm must lead somewhere")
        return self


class RetractionOptions(Part):
    """Options of the procedure `retraction`."""

    tetrahedra: Annotated[int, Field(ge=500, le=2_000_000)] = 40_000
    gravity: Vector = (0.0, 9.81, 0.0)
    regions: Annotated[dict[str, Region], Field(min_length=1)]
    supports: tuple[Support, ...] = ()
    grasp: GraspOptions
    target: SegmentName = "liver_tumor"
    stretch_limit: Positive = 0.30


class Retraction(Procedure):
    """Quasi-static: gravity first, then the grasper's path in equal steps."""

    name = "retraction"
    options = RetractionOptions

    def labels_needed(self, scene: Scene) -> tuple[str, ...]:
        options: RetractionOptions = self.parse(scene)
        return tuple(label for region in options.regions.values() if not region.optional for label in region.labels)

    def run(self, session: Session) -> Outcome:
        from ...meshing.tetrahedra import tetrahedralize

        options: RetractionOptions = self.parse(session.scene)
        regions = regions_present(options.regions, session.labels)
        with session.stage("tetrahedra") as progress:
            mesh = tetrahedralize(
                session.labels,
                {name: region.labels for name, region in regions.items()},
                target_tetrahedra=options.tetrahedra,
                progress=progress,
            )
        sets = _node_sets(options, mesh, session)
        with session.stage("tissue solver") as progress:
            solution, problem = _solve(options, regions, mesh, sets, session, progress)
        with session.stage("measurements"):
            steps = field_steps(problem, solution)
            return Outcome(
                mesh=mesh,
                steps=steps,
                numbers=retraction_numbers(mesh, problem, solution, options),
                curves=retraction_curves(problem, solution, options),
                solver=solver_report(solution),
                node_sets=sets,
                deforming=tuple(sorted({label for region in regions.values() for label in region.labels})),
                notes=(LOAD_FREE_NOTE,),
            )


def _node_sets(options: RetractionOptions, mesh: TetMesh, session: Session) -> dict[str, NDArray[np.int64]]:
    """The grasped nodes and the nodes of each support; an optional support may find nothing."""
    where = f"scene {session.scene.name}, options"
    grasp = nodes_at(options.grasp.where, mesh, session.labels, where=f"{where}.grasp.where")
    sets = {"grasp": grasp}
    for support in options.supports:
        try:
            nodes = nodes_at(support.where, mesh, session.labels, where=f"{where}.supports ({support.name})")
        except SceneError:
            if not support.optional:
                raise
            session.notes.append(f"The support “{support.name}” found nothing to hold on to and was left out.")
            continue
        # What the grasper holds cannot also hang on a ligament.
        sets[support.name] = np.setdiff1d(nodes, grasp)
    return sets
