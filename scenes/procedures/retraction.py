"""Retraction: an organ's edge is grasped and carried along a path, under gravity, held by its ligaments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, model_validator

from ...imaging.errors import SceneError
from ..places import facets_on, nodes_at
from ..schema import Part, Place, Positive, Region, Scene, SegmentName, Support, Vector
from .base import Outcome, Procedure
from .retraction_measures import retraction_curves, retraction_numbers
from .solving import (
    BED_UNIT,
    MM_PER_M,
    field_steps,
    materials_and_densities,
    regions_present,
    solve_steps,
    solver_report,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...engine.tissue.model import Model
    from ...engine.tissue.problem import Problem
    from ...engine.tissue.solution import Solution
    from ...meshing.mesh import TetMesh
    from ..session import Session

LOAD_FREE_NOTE = (
    "The shape in the scan is taken as free of load. Gravity is applied to it first; lift, tumour displacement and "
    "grasper force are counted from the shape that gravity gives."
)
SUPPORT_NOTE = (
    "Ligaments and neighbouring organs are elastic beds whose stiffness is assumed, not measured in this patient."
)


class GraspOptions(Part):
    """Where the grasper holds and along which corners it is carried (mm from where it took hold, LPS)."""

    where: Place
    path_mm: Annotated[tuple[Vector, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _moves(self) -> GraspOptions:
        if not any(any(corner) for corner in self.path_mm):
            raise ValueError("path_mm must lead somewhere")
        return self


class RetractionOptions(Part):
    """Options of the procedure `retraction`. Gravity in m/s²; the stretch limit is a Green–Lagrange strain."""

    tetrahedra: Annotated[int, Field(ge=500, le=2_000_000)] = 40_000
    gravity: Vector = (0.0, 9.81, 0.0)
    regions: Annotated[dict[str, Region], Field(min_length=1)]
    supports: Annotated[tuple[Support, ...], Field(min_length=1)]
    grasp: GraspOptions
    target: SegmentName = "liver_tumor"
    stretch_limit: Positive = 0.30


@dataclass(frozen=True, eq=False)
class Lift:
    """The solved retraction.

    Attributes:
        settled: load fraction at which gravity is fully on and the lift begins.
        sag: (3,) m, how far gravity alone carries the patch.
    """

    problem: Problem
    solution: Solution
    settled: float
    sag: NDArray[np.float64]


class Retraction(Procedure):
    """Quasi-static: gravity first, then the grasper's path in equal steps."""

    name = "retraction"
    options = RetractionOptions

    def labels_needed(self, scene: Scene) -> tuple[str, ...]:
        options: RetractionOptions = self.parse(scene)
        return tuple(label for region in options.regions.values() if not region.optional for label in region.labels)

    def run(self, session: Session) -> Outcome:
        from ...engine.tissue.model import Model
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
        mesh, held = _with_sets(options, mesh, session)
        with session.stage("tissue solver") as progress:
            materials, densities = materials_and_densities(regions)
            model = Model.from_mesh(mesh, materials, density=densities, element=session.scene.solver.element)
            lift = _lift(options, model, held, session, progress)
        with session.stage("measurements"):
            return Outcome(
                mesh=mesh,
                steps=field_steps(model, lift.solution),
                numbers=retraction_numbers(mesh, lift, options),
                curves=retraction_curves(mesh, lift, options),
                solver=solver_report(lift.solution),
                node_sets={name: mesh.node_sets[name] for name in ("grasp", *held)},
                deforming=tuple(sorted({label for region in regions.values() for label in region.labels})),
                notes=(LOAD_FREE_NOTE, SUPPORT_NOTE),
            )


def _with_sets(options: RetractionOptions, mesh: TetMesh, session: Session) -> tuple[TetMesh, dict[str, Support]]:
    """The mesh with the grasped nodes and each support's facets; an optional support may find nothing."""
    where = f"scene {session.scene.name}, options"
    grasp = nodes_at(options.grasp.where, mesh, session.labels, where=f"{where}.grasp.where")
    node_sets: dict[str, NDArray] = {"grasp": grasp}
    facet_sets: dict[str, NDArray[np.int32]] = {}
    held: dict[str, Support] = {}
    for support in options.supports:
        try:
            nodes = nodes_at(support.where, mesh, session.labels, where=f"{where}.supports ({support.name})")
            # What the grasper holds cannot also hang on a ligament.
            facets = facets_on(mesh, np.setdiff1d(nodes, grasp), where=f"{where}.supports ({support.name})")
        except SceneError:
            if not support.optional:
                raise
            session.notes.append(f"The support “{support.name}” found nothing to hold on to and was left out.")
            continue
        node_sets[support.name], facet_sets[support.name], held[support.name] = np.unique(facets), facets, support
    sets = {name: np.asarray(nodes, dtype=np.int32) for name, nodes in node_sets.items()}
    mesh = replace(mesh, node_sets={**mesh.node_sets, **sets}, facet_sets={**mesh.facet_sets, **facet_sets})
    return mesh, held


def _lift(options: RetractionOptions, model: Model, held: dict[str, Support], session: Session, progress) -> Lift:
    """Gravity alone shows where the patch hangs; from there it is carried along the path.

    Holding the patch where the scan shows it while gravity comes on would make the
    grasper carry weight before it moves.
    """
    from ...engine.tissue.loads import Gravity
    from ...engine.tissue.prescribed import Grasp
    from ...engine.tissue.supports import Springs
    from ...imaging.progress import part

    beds = [Springs(name, support.stiffness_kPa_per_mm * BED_UNIT) for name, support in held.items()]
    alone = model.problem(loads=[Gravity(options.gravity)], supports=beds)
    hanging = solve_steps(alone, session.scene.solver, part(progress, 0.0, 0.2), fractions=[1.0])
    patch = np.asarray(model.nodes_of("grasp"))
    sag = np.asarray(hanging.final.displacement)[patch].mean(axis=0)
    path = sag + np.vstack([np.zeros(3), np.asarray(options.grasp.path_mm) / MM_PER_M])
    settled = 1.0 / len(path)
    problem = model.problem(
        loads=[Gravity(options.gravity, during=(0.0, settled))], supports=beds, prescribed=[Grasp("grasp", path=path)]
    )
    fractions = [settled, *np.linspace(settled, 1.0, session.scene.solver.load_steps + 1)[1:]]
    solution = solve_steps(problem, session.scene.solver, part(progress, 0.2, 1.0), fractions=fractions)
    return Lift(problem, solution, settled, sag)
