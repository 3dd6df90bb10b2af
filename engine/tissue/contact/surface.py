"""A set of triangles that others may touch: its edges, its rim, and its normals where it bends."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .triangle import CORNER_EDGES


class Surface(eqx.Module):
    """Topology of a facet set, found once.

    Attributes:
        facets: nodes of each facet.
        edge_of: number of the edge after each corner.
        rim_edge: whether that edge belongs to one facet only.
        rim_corner: whether a corner lies on the rim.
    """

    facets: Int[np.ndarray, "facets m"]
    edge_of: Int[np.ndarray, "facets 3"]
    rim_edge: Bool[np.ndarray, "facets 3"]
    rim_corner: Bool[np.ndarray, "facets 3"]

    @classmethod
    def of(cls, facets: NDArray, where: str) -> Surface:
        """From nodes (facets, 3 or 6).

        Raises:
            SolverError: the facets are not triangles.
        """
        if facets.shape[1] not in (3, 6):
            raise SolverError(
                f"facets of {facets.shape[1]} nodes cannot be searched",
                where=where,
                advice="Contact between tissues takes the triangles of T4 and T10",
            )
        ends = np.sort(facets[:, CORNER_EDGES].astype(np.int64), axis=2)
        unique, edge, count = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
        edge = edge.reshape(-1, 3)
        rim = count[edge] == 1
        on_rim = np.isin(facets[:, :3], unique[count == 1])
        return cls(np.asarray(facets), edge.astype(np.int64), rim, on_rim)

    def normals(self, place: NDArray) -> PseudoNormals:
        """At positions (nodes, 3): of facets, edges and corners."""
        corners = place[self.facets[:, :3]]
        facet = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        edge = np.zeros((int(self.edge_of.max(initial=-1)) + 1, 3))
        node = np.zeros_like(place)
        for k in range(3):
            there, back = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
            angle = np.arccos(np.clip(np.einsum("ij,ij->i", unit(there), unit(back)), -1.0, 1.0))
            np.add.at(edge, self.edge_of[:, k], facet)
            np.add.at(node, self.facets[:, k], angle[:, None] * facet)
        return PseudoNormals(facet, edge, node)


class PseudoNormals(NamedTuple):
    """Normals that tell inside from outside wherever the nearest point lies: on facets (unit), edges, nodes.

    Source: Bærentzen and Aanæs (2005), angle-weighted pseudonormals.
    """

    facet: NDArray[np.float64]
    edge: NDArray[np.float64]
    node: NDArray[np.float64]


def unit(vectors: NDArray) -> NDArray[np.float64]:
    """Each over its length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)
