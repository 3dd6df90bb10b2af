"""`Model`: reference geometry, elements and materials in SI units and LPS axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...meshing.mesh import TetMesh
from ..precision import require_float64
from .elements import element_named
from .elements.base import Element
from .materials import Material
from .promotion import Promotion, promote
from .stacking import MaterialStack, fitted, refuse_unknown, stack_materials

if TYPE_CHECKING:
    from .problem import Problem

MM = 1e-3
DEFAULT_DENSITY = 1060.0
"""kg/m³, soft tissue: mean of liver, muscle and blood in ICRU Report 44 (1989)."""


class ElementBlock(eqx.Module):
    """Elements of one type and one material class.

    Attributes:
        nodes: connectivity.
        material: every parameter an array over the elements of the block.
        density: kg/m³.
        region: label id.
        source: index of the element in the tetrahedral mesh.
    """

    element: Element = eqx.field(static=True)
    nodes: Int[Array, "elements nodes_per_element"]
    material: Material
    density: Float[Array, " elements"]
    region: Int[Array, " elements"]
    source: Int[Array, " elements"]


class Model(eqx.Module):
    """A body at rest: frozen, SI units, LPS axes. All floating arrays may be differentiated.

    Attributes:
        points: reference position of each node, m; the nodes of the mesh come first, mid-edge nodes after them.
        blocks: the elements.
        node_sets: name → node indices; facet sets appear here too, as the nodes of their facets.
        facet_sets: name → nodes of each facet, normals outward, in the order of the element's facet.
        region_names: (label id, name) pairs.
        mesh_nodes: number of nodes of the mesh the model was made from.
        pressure_corners: the node at which each unknown pressure of mixed elements stands. The field of unknowns has
            a row per node, then a row per pressure.
    """

    points: Float[Array, "nodes 3"]
    blocks: tuple[ElementBlock, ...]
    node_sets: dict[str, Int[np.ndarray, " n"]]
    facet_sets: dict[str, Int[np.ndarray, "facets nodes_per_facet"]]
    region_names: tuple[tuple[int, str], ...] = eqx.field(static=True)
    mesh_nodes: int = eqx.field(static=True)
    pressure_corners: Int[np.ndarray, " pressures"]

    @classmethod
    def from_mesh(
        cls,
        mesh: TetMesh,
        materials: Mapping[str, Material],
        *,
        density: float | Mapping[str, float] = DEFAULT_DENSITY,
        element: str = "T4",
    ) -> Model:
        """A model from a mesh: the only conversion from millimetres to metres.

        Args:
            mesh: points in LPS mm.
            materials: region name → material; every region of the mesh needs one (`"*"` stands for all others).
            density: kg/m³, one for all or by region name (`"*"` likewise).
            element: `"T4"`, or `"T10"` to add a node in the middle of every edge.

        Raises:
            SolverError: 64-bit floats are off; a region has no material; a parameter is out of range or of the wrong
                length; a name that is no region; no such element; a mesh without tetrahedra.
        """
        require_float64()
        if len(mesh.tetrahedra) == 0:
            raise SolverError("the mesh has no tetrahedra", where="model", advice="Mesh a region that is not empty")
        kind = element_named(element)
        names = _region_names(mesh)
        stack = stack_materials(materials, names, mesh)
        densities = _densities(density, names)
        promotion = promote(mesh, kind)
        corners, pressure_rows = _pressure_rows(mesh, kind, len(promotion.points))
        promotion = replace(promotion, elements=np.concatenate([promotion.elements, pressure_rows], axis=1))
        blocks = tuple(_blocks(mesh, kind, promotion, stack, densities, names))
        return cls(
            points=jnp.asarray(promotion.points * MM),
            blocks=blocks,
            node_sets=promotion.node_sets,
            facet_sets=promotion.facet_sets,
            region_names=tuple(sorted(names.items())),
            mesh_nodes=len(mesh.points),
            pressure_corners=corners,
        )

    def problem(
        self, *, loads: Sequence[Any] = (), supports: Sequence[Any] = (), prescribed: Sequence[Any] = ()
    ) -> Problem:
        """This body with loads, supports and prescribed motion.

        Raises:
            SolverError: a set is not there, two prescribed motions contradict each other, or the body floats.
        """
        from .problem import Problem

        return Problem.of(self, loads=loads, supports=supports, prescribed=prescribed)

    @property
    def nodes(self) -> int:
        """Number of nodes: the first rows of the field of unknowns."""
        return len(self.points)

    @property
    def row_points(self) -> Float[Array, "rows 3"]:
        """Reference position of each row of the field of unknowns, m: nodes, then the corners of the pressures."""
        return self.points if len(self.pressure_corners) == 0 else self.points[self._rows]

    @property
    def _rows(self) -> NDArray[np.int64]:
        return np.concatenate([np.arange(self.nodes), self.pressure_corners])

    @property
    def element(self) -> Element:
        """The element type of the first block."""
        return self.blocks[0].element

    def region_name(self, label: int) -> str:
        """The name of a label id."""
        return dict(self.region_names).get(label, f"region {label}")

    def nodes_of(self, name: str) -> Int[np.ndarray, " n"]:
        """Nodes of a set or of a region.

        Raises:
            SolverError: no node set, facet set or region has this name.
        """
        if name in self.node_sets:
            return self.node_sets[name]
        for label, region in self.region_names:
            if region == name:
                used = [np.asarray(b.nodes)[np.asarray(b.region) == label].ravel() for b in self.blocks]
                return np.unique(np.concatenate(used))
        known = sorted({*self.node_sets, *(region for _, region in self.region_names)})
        raise SolverError(f"no set or region is named {name!r}", where="model", advice=f"Choose from {known}")

    def facets_of(self, name: str) -> Int[np.ndarray, "facets nodes_per_facet"]:
        """Facets of a set.

        Raises:
            SolverError: no facet set has this name.
        """
        if name not in self.facet_sets:
            advice = f"Choose from {sorted(self.facet_sets)}" if self.facet_sets else "The mesh has no facet sets"
            raise SolverError(f"no facet set is named {name!r}", where="model", advice=advice)
        return self.facet_sets[name]


def _pressure_rows(mesh: TetMesh, kind: Element, first: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The corner of each pressure unknown, and the rows (E, pressures) of each element's.

    Pressure is continuous within a region and jumps between regions, as it does where stiffness jumps.
    """
    if kind.pressures == 0:
        return np.zeros(0, np.int64), np.zeros((len(mesh.tetrahedra), 0), np.int32)
    corners = mesh.tetrahedra[:, : kind.pressures].astype(np.int64)
    key = mesh.region.astype(np.int64)[:, None] * len(mesh.points) + corners
    unique, row = np.unique(key, return_inverse=True)
    return unique % len(mesh.points), (first + row.reshape(key.shape)).astype(np.int32)


def _region_names(mesh: TetMesh) -> dict[int, str]:
    return {int(label): mesh.region_names.get(int(label), f"region {int(label)}") for label in np.unique(mesh.region)}


def _densities(density: float | Mapping[str, float], names: dict[int, str]) -> dict[int, float]:
    values = {}
    if isinstance(density, Mapping):
        refuse_unknown("densities", density, names)
    for label, name in names.items():
        value = density.get(name, density.get("*", DEFAULT_DENSITY)) if isinstance(density, Mapping) else density
        if not (np.isfinite(value) and value >= 0):
            raise SolverError(f"density {value} kg/m³ is not possible", where=f"region {name!r}")
        if 0 < value < 50:
            raise SolverError(
                f"density {value} is implausible",
                where=f"region {name!r}",
                advice="Give kg/m³: soft tissue is near 1060",
            )
        values[label] = float(value)
    return values


def _blocks(
    mesh: TetMesh,
    kind: Element,
    promotion: Promotion,
    stack: MaterialStack,
    densities: dict[int, float],
    names: Mapping[int, str],
) -> list[ElementBlock]:
    blocks = []
    for labels, parameters in stack:
        chosen = np.flatnonzero(np.isin(mesh.region, labels))
        row = np.searchsorted(labels, mesh.region[chosen])
        blocks.append(
            ElementBlock(
                element=kind,
                nodes=jnp.asarray(promotion.elements[chosen]),
                material=fitted(parameters(row, chosen), kind, mesh.region[chosen], names),
                density=jnp.asarray(np.array([densities[int(label)] for label in labels])[row]),
                region=jnp.asarray(mesh.region[chosen]),
                source=jnp.asarray(chosen.astype(np.int32)),
            )
        )
    return blocks
