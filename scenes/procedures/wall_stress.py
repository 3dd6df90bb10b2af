"""The stress a vessel wall carries: the mean over its thickness, and Laplace's estimate beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .solving import PA_PER_KPA, ElementFields

if TYPE_CHECKING:
    from ...engine.tissue.model import Model
    from ...meshing.mesh import TetMesh
    from .base import FieldStep


@dataclass(frozen=True, eq=False)
class WallFields:
    """Largest principal Cauchy stress of every kept state, kPa, and the last one's strain.

    Attributes:
        wall: one (E,) per state; in the wall the mean over its thickness, elsewhere of the element.
        element: one (E,) per state, of the element everywhere, bending included.
        strain: (E,) largest principal Green–Lagrange strain of the last state.
    """

    wall: Sequence[NDArray[np.float64]]
    element: Sequence[NDArray[np.float64]]
    strain: NDArray[np.float64]


def wall_fields(mesh: TetMesh, model: Model, elements: Sequence[ElementFields]) -> WallFields:
    """The stresses of all states of a solution on a mesh of `meshing.wall.vessel_wall`."""
    from ...engine.tissue.fields import element_volumes

    rest = np.asarray(element_volumes(model))
    wall = [largest_principal_kpa(through_thickness(mesh, one.stress, rest * one.volume_ratio)) for one in elements]
    return WallFields(wall, [one.principal / PA_PER_KPA for one in elements], elements[-1].strain)


def with_wall_stress(steps: Sequence[FieldStep], read: WallFields) -> tuple[FieldStep, ...]:
    """The steps with the field `wall_stress_kPa`; a rest state before the first has none."""
    rest = [np.zeros_like(read.wall[0])] * (len(steps) - len(read.wall))
    return tuple(
        replace(
            step,
            cell_data={**step.cell_data, "wall_stress_kPa": stress},
            units={**step.units, "wall_stress_kPa": "kPa"},
        )
        for step, stress in zip(steps, [*rest, *read.wall], strict=True)
    )


def through_thickness(mesh: TetMesh, stress: NDArray[np.float64], volumes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E, 3, 3) element stresses; each wall element has the mean over the column of elements it belongs to.

    A living wall is under residual stress that evens out the stress over its thickness in the loaded state (Fung 1991,
    What are the residual stresses doing in our blood vessels?, Ann. Biomed. Eng. 19, 237-249). A model that starts
    free of stress lacks it and bends instead, most of all where a section is not round. The resultant over the
    thickness hardly depends on that (Joldes et al. 2016, BioPARR, Sci. Rep. 7, 4641, average so too), nor
    on single elements.

    Args:
        mesh: of `meshing.wall.vessel_wall`, whose wall elements come first, in layers over the outer facets.
        stress: (E, 3, 3) Cauchy stress.
        volumes: (E,) weights.
    """
    columns = len(mesh.facet_sets["outer"])
    count = _wall_count(mesh)
    of_column = np.arange(count) % columns
    weight = np.bincount(of_column, volumes[:count], minlength=columns)
    weighted = (stress[:count] * volumes[:count, None, None]).reshape(count, 9)
    mean = np.stack([np.bincount(of_column, weighted[:, k], minlength=columns) for k in range(9)], axis=1)
    result = stress.copy()
    result[:count] = (mean / weight[:, None]).reshape(columns, 3, 3)[of_column]
    return result


def largest_principal_kpa(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E,) kPa of (E, 3, 3) Pa."""
    return np.linalg.eigvalsh(stress)[:, -1].astype(np.float64) / PA_PER_KPA


def laplace_kpa(mesh: TetMesh, pressure_kpa: float, thickness_mm: float) -> NDArray[np.float64]:
    """(E,) Laplace's p r / t of a thin tube at each wall element, 0 elsewhere.

    r is the radius of the largest sphere that touches the wall there from inside. The estimate knows no thrombus, no
    curvature along the vessel and no flare, where the tension is higher.

    Args:
        mesh: of `meshing.wall.vessel_wall`.
        pressure_kpa: in the lumen.
        thickness_mm: of the wall.
    """
    corner = mesh.points[mesh.facet_sets["outer"]]
    facing = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-300)
    radius = _touching_spheres(corner.mean(axis=1) - thickness_mm * facing, -facing, inside_places(mesh, parts=2))
    count = _wall_count(mesh)
    result = np.zeros(len(mesh.tetrahedra))
    result[:count] = (pressure_kpa * radius / thickness_mm)[np.arange(count) % len(radius)]
    return result


def inside_places(mesh: TetMesh, parts: int = 5) -> NDArray[np.float64]:
    """(n, 3) mm: places on the wall's inside, so close together that the nearest one stands for the surface."""
    from ...meshing.sets import boundary_facets

    facets, _ = boundary_facets(mesh.tetrahedra[: _wall_count(mesh)])
    held, outside = (np.zeros(len(mesh.points), dtype=bool) for _ in range(2))
    for name, nodes in mesh.node_sets.items():
        held[nodes] |= name.startswith("end_")
    outside[mesh.facet_sets["outer"]] = True
    inner = mesh.points[facets[~outside[facets].any(axis=1) & ~held[facets].all(axis=1)]]
    weight = [(i, j, parts - i - j) for i in range(parts + 1) for j in range(parts + 1 - i)]
    return np.einsum("wc,fcx->fwx", np.array(weight) / parts, inner).reshape(-1, 3)


def _touching_spheres(
    start: NDArray[np.float64], direction: NDArray[np.float64], places: NDArray[np.float64], step_mm: float = 0.5
) -> NDArray[np.float64]:
    """(n,) mm radius of the largest sphere that touches each start and holds no place, its centre along the direction.

    As long as the start is the nearest place, the distance grows as the way does; then another one is nearer.
    """
    tree, best = cKDTree(places), np.zeros(len(start))
    growing, way = np.arange(len(start)), 0.0
    while growing.size:
        way += step_mm
        distance = np.asarray(tree.query(start[growing] + way * direction[growing])[0])
        best[growing] = np.maximum(best[growing], distance)
        growing = growing[distance > 0.8 * way - step_mm]
    return best


def _wall_count(mesh: TetMesh) -> int:
    label = next(label for label, name in mesh.region_names.items() if name == "aortic_wall")
    return int((mesh.region == label).sum())
