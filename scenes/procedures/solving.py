"""From scene options to the engine and back: materials, the solve, fields per step, the solver's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...imaging.progress import Progress
from ..schema import Region, SolverOptions, TissueChoice
from .base import FieldStep

if TYPE_CHECKING:
    from ...engine.tissue.materials import Material
    from ...engine.tissue.model import Model
    from ...engine.tissue.problem import Problem
    from ...engine.tissue.solution import Solution, State
    from ...imaging.volume import LabelMap

MM_PER_M = 1e3
PA_PER_KPA = 1e3
BED_UNIT = 1e6
"""N/m³ in 1 kPa/mm."""


def regions_present(regions: Mapping[str, Region], labels: LabelMap) -> dict[str, Region]:
    """Without the optional regions of which the scan shows nothing."""
    return {name: region for name, region in regions.items() if not region.optional or labels.mask(region.labels).any()}


def materials_and_densities(choices: Mapping[str, TissueChoice]) -> tuple[dict[str, Material], dict[str, float]]:
    """Neo-Hookean materials and densities (kg/m³) by region, from the catalogue and its overrides."""
    from ...engine.tissue.materials import NeoHookean
    from ...engine.tissue.tissues import TISSUES

    materials, densities = {}, {}
    for name, choice in choices.items():
        tissue = TISSUES[choice.tissue]
        young = tissue.young if choice.young_kPa is None else choice.young_kPa * PA_PER_KPA
        poisson = tissue.poisson if choice.poisson is None else choice.poisson
        materials[name] = NeoHookean.from_young(young, poisson)
        densities[name] = tissue.density if choice.density is None else choice.density
    return materials, densities


def solve_steps(
    problem: Problem,
    options: SolverOptions,
    progress: Progress,
    *,
    fractions: Sequence[float] | None = None,
    start: State | None = None,
) -> Solution:
    """Solve to full load.

    Raises:
        SolverError: the load was not reached; the line says where it stopped and what to try.
    """
    from ...engine.tissue.static import solve

    steps = options.load_steps if fractions is None else list(fractions)
    solution = solve(problem, load_steps=steps, tolerance=options.tolerance, start=start, progress=progress)
    return solution.require_converged()


@dataclass(frozen=True, eq=False)
class ElementFields:
    """What one state does to each element of the mesh.

    Attributes:
        strain: (E,) largest principal Green–Lagrange strain.
        stress: (E, 3, 3) Cauchy stress, Pa, LPS axes.
        principal: (E,) its largest eigenvalue, Pa.
        volume_ratio: (E,) volume over volume at rest.
    """

    strain: NDArray[np.float64]
    stress: NDArray[np.float64]
    principal: NDArray[np.float64]
    volume_ratio: NDArray[np.float64]


def element_fields(model: Model, solution: Solution) -> tuple[ElementFields, ...]:
    """Of every kept state. Steps, numbers and curves share them: each takes a pass over all elements."""
    from ...engine.tissue import fields

    found = []
    for state in solution.states:
        strain = np.asarray(fields.principal_strains(model, state)).max(axis=1)
        stress = np.asarray(fields.cauchy_stress(model, state))
        principal = np.linalg.eigvalsh(stress)[:, -1]
        found.append(ElementFields(strain, stress, principal, np.asarray(fields.volume_ratio(model, state))))
    return tuple(found)


def field_steps(
    model: Model,
    solution: Solution,
    elements: Sequence[ElementFields],
    *,
    shape: NDArray[np.float64] | None = None,
) -> tuple[FieldStep, ...]:
    """Displacement (mm), strain and stress (kPa) of every kept state, in the mesh's own nodes and elements.

    Strain and stress count from the load-free shape: the mesh's points plus the field `load_free_offset`.

    Args:
        elements: of `element_fields`.
        shape: (N, 3) mm, the model's reference shape minus the mesh's, where they differ: displacements are
            then counted from the mesh. None where the mesh is the reference; then the rest state comes first.
    """
    from ...engine.tissue.solution import State

    pairs = list(zip(solution.states, elements, strict=True))
    if shape is None:
        none = np.zeros(len(elements[0].strain))
        rest = ElementFields(none, np.zeros((len(none), 3, 3)), none, none + 1.0)
        pairs.insert(0, (State(0.0, 0.0 * model.points), rest))
    return tuple(_step(model, state, fields, 0.0 if shape is None else shape) for state, fields in pairs)


def _step(model: Model, state: State, elements: ElementFields, shape: NDArray[np.float64] | float) -> FieldStep:
    from ...engine.tissue.fields import von_mises_of

    moved = np.asarray(state.displacement)[: model.mesh_nodes] * MM_PER_M
    displacement = shape + moved
    return FieldStep(
        load=float(state.load_fraction),
        point_data={
            "displacement": displacement,
            "displacement_magnitude": np.linalg.norm(displacement, axis=1),
            "load_free_offset": np.zeros_like(moved) + shape,
        },
        cell_data={
            "strain": elements.strain,
            "von_mises_kPa": von_mises_of(elements.stress) / PA_PER_KPA,
            "max_principal_stress_kPa": elements.principal / PA_PER_KPA,
            "volume_ratio": elements.volume_ratio,
        },
        units=_UNITS,
    )


_UNITS = {
    "displacement": "mm",
    "displacement_magnitude": "mm",
    "load_free_offset": "mm",
    "strain": "1",
    "von_mises_kPa": "kPa",
    "max_principal_stress_kPa": "kPa",
    "volume_ratio": "1",
}


def solver_report(solution: Solution) -> dict[str, Any]:
    """Code, advice and statistics for result.json."""
    statistics = solution.statistics
    return {
        "code": solution.result.name,
        "advice": solution.result.advice,
        "unknowns": statistics.unknowns,
        "elements": statistics.elements,
        "linear_solver": statistics.linear_solver,
        "tolerance": statistics.tolerance,
        "stability": statistics.stability,
        "newton_iterations": statistics.newton_iterations,
        "cg_iterations": statistics.linear_iterations,
        "cutbacks": statistics.cutbacks,
        "seconds": {name: float(value) for name, value in statistics.seconds.items()},
        "steps": [
            {
                "load": float(step.load_fraction),
                "result": step.result.name,
                "newton_iterations": step.newton_iterations,
                "cg_iterations": step.linear_iterations,
                "residual": float(step.residuals[-1]) if step.residuals else None,
                "line_search_steps": step.line_search_steps,
                "energy_J": float(step.energy),
                "min_jacobian": float(step.min_jacobian),
            }
            for step in statistics.steps
        ],
    }
