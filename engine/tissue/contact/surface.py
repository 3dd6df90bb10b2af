"""A set of triangles or quadrangles that others may touch: its edges, its rim, and its normals where it bends."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from . import triangle
from .triangle import CORNER_EDGES


class Surface(eqx.Module):
    """Topology of a facet set, found once.

    Attributes:
        faces: nodes of each facet as it was given: what carries the points that look.
        facets: nodes of each triangle that may be met: a facet, or a quarter of a quadrangle (`triangle`).
        corners: of each triangle; the middles of quadrangles are numbered after the nodes.
        edge_of: number of the edge after each corner.
        rim_edge: whether that edge belongs to one triangle only.
        rim_corner: whether a corner lies on the rim.
    """

    faces: Int[np.ndarray, "faces m"]
    facets: Int[np.ndarray, "facets m"]
    corners: Int[np.ndarray, "facets 3"]
    edge_of: Int[np.ndarray, "facets 3"]
    rim_edge: Bool[np.ndarray, "facets 3"]
    rim_corner: Bool[np.ndarray, "facets 3"]

    @classmethod
    def of(cls, faces: NDArray) -> Surface:
        """From nodes (facets, 3, 4 or 6)."""
        faces = np.asarray(faces)
        facets, corners = faces, faces[:, :3]
        if faces.shape[1] == 4:
            facets = np.concatenate([np.roll(faces, -k, axis=1) for k in range(4)])
            middle = int(faces.max()) + 1 + np.tile(np.arange(len(faces)), 4)
            corners = np.concatenate([facets[:, :2], middle[:, None]], axis=1)
        ends = np.sort(corners[:, CORNER_EDGES].astype(np.int64), axis=2)
        unique, edge, count = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
        edge = edge.reshape(-1, 3)
        on_rim = np.isin(corners, unique[count == 1])
        return cls(faces, facets, corners, edge.astype(np.int64), count[edge] == 1, on_rim)

    def normals(self, place: NDArray) -> PseudoNormals:
        """At positions (nodes, 3): of triangles, edges and corners."""
        corners = triangle.corners(place[self.facets])
        facet = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        edge = np.zeros((int(self.edge_of.max(initial=-1)) + 1, 3))
        node = np.zeros((int(self.corners.max(initial=-1)) + 1, 3))
        for k in range(3):
            there, back = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
            angle = np.arccos(np.clip(np.einsum("ij,ij->i", unit(there), unit(back)), -1.0, 1.0))
            np.add.at(edge, self.edge_of[:, k], facet)
            np.add.at(node, self.corners[:, k], angle[:, None] * facet)
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
