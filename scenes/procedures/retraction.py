"""Retraction: an organ's edge is grasped and carried along a path, under gravity, held by its ligaments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, field_validator

from ...imaging.errors import SceneError
from ..places import facets_at
from ..quantities import travel_problem, within
from ..schema import Bed, Part, Place, Region, Scene, SegmentName, Support, Vector
from .base import Outcome, Procedure
from .gravity import MOST_GRAVITY, STANDARD, Pull, pull_of, told
from .load_free import Hanging, load_free_shape
from .region_pieces import small_pieces
from .retraction_measures import retraction_curves, retraction_numbers, uncertain_outline
from .solving import (
    BED_UNIT,
    MM_PER_M,
    element_fields,
    field_steps,
    materials_and_densities,
    regions_present,
    solve_steps,
    solver_report,
)
from .validity import doubts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...engine.tissue.prescribed import Grip
    from ...engine.tissue.problem import Problem
    from ...engine.tissue.solution import Solution
    from ...engine.tissue.supports import Springs
    from ...imaging.progress import Progress
    from ...meshing.mesh import TetMesh
    from ..session import Session

SUPPORT_NOTE = (
    "Ligaments and neighbouring organs are elastic beds whose stiffness is assumed, not measured in this patient."
)
MESH_NOTE = (
    "The numbers depend somewhat on the mesh: on the phantom, force and shifts of five meshes lie within about a tenth "
    "of their middle, the peak strain within a third. A run with more tetrahedra tells how much it is here."
)
FEW_TETRAHEDRA = 10_000
"""Below this the organ's elements are about a centimetre long, a fifth of what the jaws hold across."""
COARSE_NOTE = (
    "Only {count} tetrahedra make up the organ: the numbers may be off by more than a tenth. Ask for more with the "
    "option tetrahedra."
)


class GraspOptions(Part):
    """Where the grasper holds and along which corners it is carried (mm from where it took hold, LPS).

    `grip_kPa_per_mm` is what the jaws' lining and the capsule give way: traction per slip. Rigid jaws would have a
    singular rim, at which stretch grows with the mesh.
    """

    where: Place
    path_mm: Annotated[tuple[Vector, ...], Field(min_length=1)]
    grip_kPa_per_mm: Bed = 1.0

    @field_validator("path_mm")
    @classmethod
    def _goes(cls, value: tuple[Vector, ...]) -> tuple[Vector, ...]:
        if problem := travel_problem(value):
            raise ValueError(problem)
        return value


class RetractionOptions(Part):
    """Options of the procedure `retraction`. The strain limit is a Green–Lagrange strain.

    Gravity in m/s², LPS; left out, it pulls towards what the patient lay on in the scanner (see `gravity`).
    """

    tetrahedra: Annotated[int, Field(ge=500, le=2_000_000)] = 40_000
    gravity: Vector = (0.0, STANDARD, 0.0)
    regions: Annotated[dict[str, Region], Field(min_length=1)]
    supports: Annotated[tuple[Support, ...], Field(min_length=1)]
    grasp: GraspOptions
    target: SegmentName = "liver_tumor"
    strain_limit: Annotated[float, within(0.001, 5, "", {"%": 0.01})] = 0.30

    @field_validator("gravity")
    @classmethod
    def _acceleration(cls, value: Vector) -> Vector:
        if np.linalg.norm(value) > MOST_GRAVITY:
            raise ValueError(f"must be in m/s² (9.81 on Earth, {MOST_GRAVITY:g} at most)")
        return value


@dataclass(frozen=True, eq=False)
class Lift:
    """The solved retraction.

    Attributes:
        problem: the load-free body under gravity, held by its supports, carried by the grasper.
        grip: the grasper.
        solution: its first state is the body under gravity, before the grasper moves.
        hanging: how the load-free shape was found.
    """

    problem: Problem
    grip: Grip
    solution: Solution
    hanging: Hanging


class Retraction(Procedure):
    """Quasi-static: gravity first, then the grasper's path in equal steps."""

    name = "retraction"
    options = RetractionOptions
    # Of the liver: tumours, portal and hepatic veins stand out at once.
    phases = ("portal",)

    def labels_needed(self, scene: Scene) -> tuple[str, ...]:
        options: RetractionOptions = self.parse(scene)
        return tuple(label for region in options.regions.values() if not region.optional for label in region.labels)

    def labels_whole(self, scene: Scene) -> tuple[str, ...]:
        return self.labels_needed(scene)

    def run(self, session: Session) -> Outcome:
        from ...meshing.tetrahedra import tetrahedralize

        options: RetractionOptions = self.parse(session.scene)
        stated = "gravity" in options.model_fields_set
        pull = Pull(options.gravity) if stated else pull_of(session.volume)
        options = options.model_copy(update={"gravity": pull.vector})
        regions = regions_present(options.regions, session.labels)
        with session.stage("tetrahedra") as progress:
            mesh = tetrahedralize(
                session.labels,
                {name: region.labels for name, region in regions.items()},
                target_tetrahedra=options.tetrahedra,
                # One more round of meshing costs more than a third of elements more or less.
                tolerance=0.35,
                progress=progress,
            )
        session.notes.extend(uncertain_outline(session, mesh, options.target))
        if session.scene.solver.element == "T4" and len(mesh.tetrahedra) < FEW_TETRAHEDRA:
            session.notes.append(COARSE_NOTE.format(count=len(mesh.tetrahedra)))
        mesh, held = _with_sets(options, mesh, session)
        with session.stage("load-free shape") as progress:
            body = _Body(options, regions, mesh, held, session.scene.solver.element)
            hanging = load_free_shape(body.problem(), session.scene.solver, progress)
        with session.stage("tissue solver") as progress:
            lift = _lift(body, hanging, session, progress)
        with session.stage("measurements"):
            elements = element_fields(lift.problem.model, lift.solution)
            chosen = {f"options.regions.{name}": region for name, region in regions.items()}
            strains = [one.strain for one in elements]
            session.notes += doubts(chosen, session.scene.solver.element, strains, mesh.volumes)
            outcome = Outcome(
                mesh=mesh,
                steps=field_steps(lift.problem.model, lift.solution, elements, shape=hanging.gap_mm),
                numbers=retraction_numbers(mesh, lift, options, elements),
                curves=retraction_curves(mesh, lift, options),
                solver=solver_report(lift.solution),
                node_sets={name: mesh.node_sets[name] for name in ("grasp", *held)},
                deforming=tuple(sorted({label for region in regions.values() for label in region.labels})),
                notes=(hanging.text(), SUPPORT_NOTE, MESH_NOTE, *small_pieces(mesh, options.target)),
            )
            return told(outcome, session.scene, pull)


_GRASP = "options.grasp.where"


def _with_sets(options: RetractionOptions, mesh: TetMesh, session: Session) -> tuple[TetMesh, dict[str, Support]]:
    """The mesh with the grasped nodes and each support's facets; an optional support may find nothing."""
    where = session.scene.where
    surface = mesh.facet_sets["surface"]
    patch = facets_at(options.grasp.where, mesh, session.labels, where=f"{where(_GRASP)}, {_GRASP}")
    facet_sets: dict[str, NDArray[np.int32]] = {"grasp": surface[patch]}
    held: dict[str, Support] = {}
    for number, support in enumerate(options.supports):
        place = f"{where(f'options.supports.{number}.where')}, options.supports ({support.name})"
        try:
            # What the jaws hold cannot also hang on a ligament.
            facets = facets_at(support.where, mesh, session.labels, where=place, taken=patch)
        except SceneError:
            if not support.optional:
                raise
            session.notes.append(f"The support “{support.name}” found nothing to hold on to and was left out.")
            continue
        facet_sets[support.name], held[support.name] = surface[facets], support
    sets = {name: np.unique(facets).astype(np.int32) for name, facets in facet_sets.items()}
    mesh = replace(mesh, node_sets={**mesh.node_sets, **sets}, facet_sets={**mesh.facet_sets, **facet_sets})
    return mesh, held


@dataclass(frozen=True, eq=False)
class _Body:
    """The organ with its materials, weight and supports, in the shape of the scan."""

    options: RetractionOptions
    regions: dict[str, Region]
    mesh: TetMesh
    held: dict[str, Support]
    element: str

    def problem(self, prescribed: Sequence[Grip] = (), settled: float = 1.0) -> Problem:
        """Gravity (whole from the load fraction `settled` on) and supports."""
        from ...engine.tissue.loads import Gravity
        from ...engine.tissue.model import Model

        materials, densities = materials_and_densities(self.regions)
        model = Model.from_mesh(self.mesh, materials, density=densities, element=self.element)
        beds = [bed_of(name, support) for name, support in self.held.items()]
        gravity = Gravity(self.options.gravity, during=(0.0, settled))
        return model.problem(loads=[gravity], supports=beds, prescribed=list(prescribed))


def bed_of(name: str, support: Support) -> Springs:
    """The engine's bed on the facet set `name` (N/m³)."""
    from ...engine.tissue.supports import Springs

    along = support.tangential_kPa_per_mm
    return Springs(
        name,
        support.stiffness_kPa_per_mm * BED_UNIT,
        None if along is None else along * BED_UNIT,
        one_sided=support.one_sided,
    )


def _lift(body: _Body, hanging: Hanging, session: Session, progress: Progress) -> Lift:
    """From the shape of the scan, which gravity and the supports hold in balance, along the grasper's path."""
    from ...engine.tissue.prescribed import Grip

    # The first leg stands still: gravity, already in balance, comes on again and the jaws take hold. Then they lift.
    corners = np.vstack([np.zeros(3), np.asarray(body.options.grasp.path_mm) / MM_PER_M])
    begin = 1.0 / len(corners)
    stiffness = body.options.grasp.grip_kPa_per_mm * BED_UNIT
    grip = Grip("grasp", stiffness, corners.tolist(), rest=hanging.state.displacement)
    problem = hanging.unloaded(body.problem([grip], settled=begin))
    fractions = [begin, *np.linspace(begin, 1.0, session.scene.solver.load_steps + 1)[1:]]
    solution = solve_steps(problem, session.scene.solver, progress, fractions=fractions, start=hanging.state)
    return Lift(problem, grip, solution, hanging)
