"""A model of a mesh: the only conversion from millimetres to metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import jax
import numpy as np

from ...imaging.errors import SolverError
from ...meshing.mesh import HexMesh, TetMesh
from ..precision import require_float64
from .block import ElementBlock
from .densities import densities_of
from .elements import element_named
from .elements.base import Element
from .materials import Material
from .model import MM, Model
from .pressure_rows import pressure_rows
from .promotion import Promotion, promote
from .stacking import MaterialStack, fitted, stack_materials

SMALLEST, LARGEST = 0.5, 2e4
"""mm: a body of less was meshed in metres, one of more in micrometres."""


def meshed(
    mesh: TetMesh | HexMesh,
    materials: Mapping[str, Material],
    density: float | Mapping[str, float],
    element: str | None,
) -> Model:
    """See `Model.from_mesh`."""
    require_float64()
    kind = _element(mesh, element)
    _plausible_size(mesh)
    names = _region_names(mesh)
    stack = stack_materials(materials, names, mesh)
    densities = densities_of(density, names)
    promotion = promote(mesh, kind)
    ends = mesh.cells[:, : kind.pressures]
    corners, rows = pressure_rows(ends, mesh.region, len(mesh.points), len(promotion.points))
    promotion = replace(promotion, elements=np.concatenate([promotion.elements, rows], axis=1))
    return Model(
        points=jax.device_put(promotion.points * MM),
        blocks=tuple(_blocks(mesh, kind, promotion, stack, densities, names)),
        node_sets=promotion.node_sets,
        facet_sets={**promotion.facet_sets},
        region_names=tuple(sorted(names.items())),
        mesh_nodes=len(mesh.points),
        pressure_corners=corners,
    )


def _element(mesh: TetMesh | HexMesh, name: str | None) -> Element:
    """The element that is asked for, or T4 or H8, of a mesh that it can be made of."""
    if not isinstance(mesh, (TetMesh, HexMesh)):
        raise SolverError(f"a {type(mesh).__name__} is no mesh", where="model", advice="Give a TetMesh or HexMesh")
    if len(mesh.cells) == 0:
        cells = "hexahedra" if isinstance(mesh, HexMesh) else "tetrahedra"
        raise SolverError(f"the mesh has no {cells}", where="model", advice="Mesh a region that is not empty")
    kind = element_named(name or ("H8" if isinstance(mesh, HexMesh) else "T4"))
    if kind.dimension != 3 or kind.corners != mesh.cells.shape[1]:
        raise SolverError(
            f"{kind.name} cannot be made of a {type(mesh).__name__}",
            where="element",
            advice="Take T4 or T10 for tetrahedra, H8 for hexahedra",
        )
    return kind


def _plausible_size(mesh: TetMesh | HexMesh) -> None:
    """Raise where a body is so small or large that its points cannot be in millimetres."""
    used = np.zeros(len(mesh.points), bool)
    used[mesh.cells.ravel()] = True
    size = float(np.ptp(mesh.points[used], axis=0).max())
    if not SMALLEST <= size <= LARGEST:
        unit = "metres" if size < SMALLEST else "micrometres"
        raise SolverError(
            f"the body measures {size:.3g} mm",
            where="model",
            advice=f"Give points in mm; they seem to be in {unit}",
        )


def _region_names(mesh: TetMesh | HexMesh) -> dict[int, str]:
    return {int(label): mesh.region_names.get(int(label), f"region {int(label)}") for label in np.unique(mesh.region)}


def _blocks(
    mesh: TetMesh | HexMesh,
    kind: Element,
    promotion: Promotion,
    stack: MaterialStack,
    densities: dict[int, float],
    names: Mapping[int, str],
) -> list[ElementBlock]:
    blocks, centres = [], mesh.points[mesh.cells].mean(axis=1)
    for labels, parameters in stack:
        chosen = np.flatnonzero(np.isin(mesh.region, labels))
        row = np.searchsorted(labels, mesh.region[chosen])
        blocks.append(
            ElementBlock(
                element=kind,
                nodes=jax.device_put(promotion.elements[chosen]),
                material=fitted(parameters(row, chosen), kind, mesh.region[chosen], names, chosen, centres[chosen]),
                density=jax.device_put(np.array([densities[int(label)] for label in labels])[row]),
                region=jax.device_put(mesh.region[chosen]),
                source=jax.device_put(chosen.astype(np.int32)),
            )
        )
    return blocks
