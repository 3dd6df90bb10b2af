"""`Model`: reference geometry, elements and materials in SI units and LPS axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...meshing.mesh import HexMesh, TetMesh
from ..precision import require_float64
from . import given
from .block import ElementBlock
from .densities import DEFAULT_DENSITY
from .elements import facet_of
from .elements.base import Element, FacetElement
from .materials import Material, Sheet, Strand
from .named_sets import checked_facets, checked_set
from .parts import Part, blocks_of, with_pressures

if TYPE_CHECKING:
    from .problem import Problem

MM = 1e-3
FacetNodes = Int[np.ndarray, "facets nodes_per_facet"]


class Model(eqx.Module):
    """A body at rest: frozen, SI units, LPS axes. All floating arrays may be differentiated.

    Attributes:
        points: reference position of each node, m; the nodes of the mesh come first, mid-edge nodes after them.
        blocks: the elements.
        node_sets: name → node indices; facet sets appear here too, as the nodes of their facets.
        facet_sets: name → nodes of each facet, normals outward, in the order of the element's facet; a tuple of such
            arrays where triangles and quadrangles are in one set.
        region_names: (label id, name) pairs.
        mesh_nodes: number of nodes of the mesh the model was made from.
        pressure_corners: the node at which each unknown pressure of mixed elements stands. The field of unknowns has
            a row per node, then a row per pressure.
    """

    points: Float[Array, "nodes 3"]
    blocks: tuple[ElementBlock, ...]
    node_sets: dict[str, Int[np.ndarray, " n"]]
    facet_sets: dict[str, FacetNodes | tuple[FacetNodes, ...]]
    region_names: tuple[tuple[int, str], ...] = eqx.field(static=True)
    mesh_nodes: int = eqx.field(static=True)
    pressure_corners: Int[np.ndarray, " pressures"]

    @classmethod
    def from_mesh(
        cls,
        mesh: TetMesh | HexMesh,
        materials: Mapping[str, Material],
        *,
        density: float | Mapping[str, float] = DEFAULT_DENSITY,
        element: str | None = None,
    ) -> Model:
        """A model from a mesh: the only conversion from millimetres to metres.

        Args:
            mesh: points in LPS mm.
            materials: region name → material; every region of the mesh needs one (`"*"` stands for all others).
            density: kg/m³, one for all or by region name (`"*"` likewise).
            element: `"T4"`, or `"T10"` to add a node in the middle of every edge; `"H8"` for hexahedra. None takes
                T4 or H8.

        Raises:
            SolverError: 64-bit floats are off; a region has no material; a parameter is out of range or of the wrong
                length; a name that is no region; no such element, or one of another shape; a mesh without elements.
        """
        from .meshed import meshed

        return meshed(mesh, materials, density, element)

    @classmethod
    def from_parts(
        cls,
        points: Float[np.ndarray, "nodes 3"],
        parts: Sequence[Part],
        *,
        node_sets: Mapping[str, Sequence[int] | NDArray] | None = None,
        facet_sets: Mapping[str, NDArray | Sequence[NDArray]] | None = None,
    ) -> Model:
        """A body of elements of several kinds that share nodes.

        Args:
            points: m (not mm), LPS.
            parts: elements of one kind and material each; parts of the same region name are one region.
            node_sets: name → nodes.
            facet_sets: name → facets (F, 3 | 4 | 6) with normals outward, or several such arrays.

        Raises:
            SolverError: 64-bit floats are off; a node that is not there; an element that is inverted or has no size at
                rest (its number and place); a bad parameter.
        """
        require_float64()
        places = np.asarray(given.array(points, "points", "model", (None, 3), advice="Give x, y, z in m"))
        if not isinstance(parts, (list, tuple)) or not parts or not all(isinstance(part, Part) for part in parts):
            raise SolverError("a body needs parts", where="model", advice="Give a list of Part")
        names = list(dict.fromkeys(part.region for part in parts))
        labels = {name: label for label, name in enumerate(names, 1)}
        sets = {name: checked_set(nodes, len(places), name) for name, nodes in (node_sets or {}).items()}
        facets = {name: checked_facets(parts_of, len(places), name) for name, parts_of in (facet_sets or {}).items()}
        for name, arrays in facets.items():
            sets.setdefault(name, np.unique(np.concatenate([a.ravel() for a in arrays])).astype(np.int32))
        blocks, corners = with_pressures(blocks_of(places, parts, labels), len(places))
        return cls(
            points=jnp.asarray(places),
            blocks=blocks,
            node_sets=sets,
            facet_sets={name: arrays[0] if len(arrays) == 1 else arrays for name, arrays in facets.items()},
            region_names=tuple((label, name) for name, label in labels.items()),
            mesh_nodes=len(places),
            pressure_corners=corners,
        )

    def with_sheet(
        self, facets: str, sheet: Sheet, *, density: float = DEFAULT_DENSITY, name: str = "", bending: bool = False
    ) -> Model:
        """This body with a membrane or shell on a facet set, sharing its nodes; see `attachments.with_sheet`."""
        from .attachments import with_sheet

        return with_sheet(self, facets, sheet, density=density, name=name, bending=bending)

    def with_strands(
        self,
        name: str,
        pairs: Sequence[tuple[int, int]] | NDArray,
        strand: Strand,
        *,
        density: float = DEFAULT_DENSITY,
    ) -> Model:
        """This body with strands between pairs of nodes; see `attachments.with_strands`."""
        from .attachments import with_strands

        return with_strands(self, name, pairs, strand, density=density)

    def problem(
        self,
        *,
        loads: Sequence[Any] = (),
        supports: Sequence[Any] = (),
        prescribed: Sequence[Any] = (),
        contacts: Sequence[Any] = (),
        floating: bool = False,
    ) -> Problem:
        """This body with loads, supports, prescribed motion and contacts.

        Args:
            floating: whether parts of it may be held by nothing, for the dynamic solvers.

        Raises:
            SolverError: a set is not there, two prescribed motions contradict each other, or the body floats.
        """
        from .problem import Problem

        return Problem.of(
            self, loads=loads, supports=supports, prescribed=prescribed, contacts=contacts, floating=floating
        )

    @property
    def nodes(self) -> int:
        """Number of nodes: the first rows of the field of unknowns."""
        return len(self.points)

    @property
    def row_points(self) -> Float[Array, "rows 3"]:
        """Reference position of each row of the field of unknowns, m: nodes, then the corners of the pressures."""
        return self.points if len(self.pressure_corners) == 0 else self.points[self._rows]

    @property
    def _rows(self) -> Int[Array, " rows"]:
        return jnp.concatenate([jnp.arange(self.nodes), jnp.asarray(self.pressure_corners)])

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
                used = [
                    np.asarray(b.nodes)[np.asarray(b.region) == label, : b.element.nodes].ravel() for b in self.blocks
                ]
                return np.unique(np.concatenate(used))
        known = sorted({*self.node_sets, *(region for _, region in self.region_names)})
        raise SolverError(f"no set or region is named {name!r}", where="model", advice=f"Choose from {known}")

    def facets_of(self, name: str) -> Int[np.ndarray, "facets nodes_per_facet"]:
        """Facets of a set that are all of one kind.

        Raises:
            SolverError: no facet set has this name, or it holds triangles and quadrangles.
        """
        groups = self.facet_groups(name)
        if len(groups) > 1:
            raise SolverError(
                f"facet set {name!r} holds {' and '.join(kind.name for kind, _ in groups)} facets",
                where="model",
                advice="Make a set of each kind",
            )
        return groups[0][1]

    def facet_groups(self, name: str) -> list[tuple[FacetElement, FacetNodes]]:
        """Facets of a set by their kind.

        Raises:
            SolverError: no facet set has this name.
        """
        if name not in self.facet_sets:
            advice = f"Choose from {sorted(self.facet_sets)}" if self.facet_sets else "The mesh has no facet sets"
            raise SolverError(f"no facet set is named {name!r}", where="model", advice=advice)
        given = self.facet_sets[name]
        return [(facet_of(array.shape[1]), array) for array in (given if isinstance(given, tuple) else (given,))]
