"""From the four-node mesh to the nodes of an element: middles of edges, shared between neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...meshing.mesh import HexMesh, TetMesh
from .elements.base import Element


@dataclass(frozen=True, eq=False)
class Promotion:
    """Nodes, elements and sets of a mesh for one element type.

    Attributes:
        points: (nodes, 3) mm; the mesh's points first.
        elements: (E, n) int32.
        node_sets: name → node indices, middles of edges between two nodes of the set included.
        facet_sets: name → (F, m) int32.
    """

    points: NDArray[np.float64]
    elements: NDArray[np.int32]
    node_sets: dict[str, NDArray[np.int32]]
    facet_sets: dict[str, NDArray[np.int32]]


def promote(mesh: TetMesh | HexMesh, element: Element) -> Promotion:
    """The mesh with the nodes that `element` needs; curved edges are not made.

    Raises:
        SolverError: a triangle of a facet set has an edge that the mesh has not; a set names a node that is not there.
    """
    count = len(mesh.points)
    edges = _EdgeTable(mesh.cells, element.edges, count)
    points = np.concatenate([mesh.points, mesh.points[edges.pairs].mean(axis=1)]) if len(edges.pairs) else mesh.points
    elements = np.concatenate([mesh.cells, edges.of(mesh.cells, element.edges)], axis=1)
    facet_sets, node_sets = {}, {}
    for name, nodes in mesh.node_sets.items():
        node_sets[name] = edges.extend(_checked(np.asarray(nodes), count, name))
    for name, facets in mesh.facet_sets.items():
        corners = _checked(np.asarray(facets).reshape(-1, element.facet.corners), count, name)
        facet_sets[name] = np.concatenate([corners, edges.of(corners, element.facet_edges, name)], axis=1)
        node_sets.setdefault(name, np.unique(facet_sets[name]).astype(np.int32))
    return Promotion(points, elements.astype(np.int32), node_sets, facet_sets)


def _checked(nodes: NDArray, count: int, name: str) -> NDArray[np.int32]:
    if nodes.size and (nodes.min() < 0 or nodes.max() >= count):
        raise SolverError(f"node {int(nodes.max())} is not among the {count} nodes of the mesh", where=f"set {name!r}")
    return nodes.astype(np.int32)


class _EdgeTable:
    """Sorted unique edges (m, 2) of a mesh; the middle of edge k is node `count + k`."""

    def __init__(self, cells: NDArray, local: NDArray, count: int) -> None:
        self.count = count
        keys = self._keys(cells, local)
        self.keys = np.unique(keys)
        self.pairs = np.stack([self.keys // count, self.keys % count], axis=1)

    def _keys(self, cells: NDArray, local: NDArray) -> NDArray[np.int64]:
        ends = np.sort(cells.astype(np.int64)[:, local], axis=2)
        return ends[..., 0] * self.count + ends[..., 1]

    def of(self, cells: NDArray, local: NDArray, name: str = "") -> NDArray[np.int32]:
        """Mid-edge nodes (n, len(local)) of cells."""
        keys = self._keys(cells, local)
        if not keys.size:
            return np.zeros(keys.shape, np.int32)
        row = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        if (self.keys[row] != keys).any():
            bad = int(np.flatnonzero((self.keys[row] != keys).any(axis=1))[0])
            raise SolverError(f"triangle {bad} is no face of a tetrahedron", where=f"facet set {name!r}")
        return (self.count + row).astype(np.int32)

    def extend(self, nodes: NDArray[np.int32]) -> NDArray[np.int32]:
        """The nodes and the middles of all edges between two of them."""
        inside = np.zeros(self.count, bool)
        inside[nodes] = True
        middles = self.count + np.flatnonzero(inside[self.pairs].all(axis=1))
        return np.concatenate([np.unique(nodes), middles]).astype(np.int32)
