"""Geometry of facet sets: normals, rims, orientation."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...meshing.mesh import OUTWARD
from .elements.base import FacetElement
from .model import MM, Model


def facet_frames(facet: FacetElement, position: Array) -> tuple[Array, Array]:
    """Shape functions (Q, m), and the normals ∂x/∂ξ × ∂x/∂η (Q, 3) [m²] of one facet at positions (m, 3) [m]."""
    points = facet.quadrature.points
    slope = jnp.asarray(facet.gradient(points))
    along = jnp.einsum("qad,ai->qdi", slope, position)
    return jnp.asarray(facet.shape(points)), jnp.cross(along[:, 0], along[:, 1])


def closed_or_held(facets: NDArray, held: NDArray | None) -> bool:
    """Whether a set of triangles (F, 3) has no rim, or one whose nodes are all held (`held` is (nodes,) bool)."""
    edges = np.sort(facets[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    rim = np.unique(unique[count == 1])
    return bool(rim.size == 0 or (held is not None and held[rim].all()))


def outward(model: Model, name: str) -> None:
    """Check that the facets of a set are faces of elements, and that those on the boundary point outward.

    Raises:
        SolverError: a triangle is no face, or a boundary facet points into the body.
    """
    corners = model.facets_of(name)[:, :3].astype(np.int64)
    cells = np.concatenate([np.asarray(block.nodes)[:, :4] for block in model.blocks]).astype(np.int64)
    faces = cells[:, OUTWARD].reshape(-1, 3)
    order, inverse_order = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True)
    owners = np.bincount(inverse_order.ravel(), minlength=len(order))
    lookup = {tuple(face): k for k, face in enumerate(order.tolist())} if len(order) < 1000 else None
    row = _rows(order, np.sort(corners, axis=1), lookup)
    if (row < 0).any():
        bad = int(np.flatnonzero(row < 0)[0])
        raise SolverError(f"triangle {bad} is no face of an element", where=f"facet set {name!r}")
    boundary = owners[row] == 1
    first = np.zeros(len(order), np.int64)
    first[inverse_order.ravel()] = np.arange(len(faces))
    wrong = boundary & (_parity(faces[first[row]]) != _parity(corners))
    if wrong.any():
        bad = int(np.flatnonzero(wrong)[0])
        at = np.round(np.asarray(model.points)[corners[bad]].mean(axis=0) / MM, 2)
        raise SolverError(
            f"{int(wrong.sum())} of {len(corners)} facets point into the body, the first is facet {bad} at {at} mm",
            where=f"facet set {name!r}",
            advice="Swap two nodes of these triangles so that normals point outward",
        )


def _parity(triangles: NDArray) -> NDArray[np.bool_]:
    """Whether the cyclic order of each row is that of its sorted row."""
    a, b, c = triangles.T
    return ((a < b) & (b < c)) | ((b < c) & (c < a)) | ((c < a) & (a < b))


def _rows(table: NDArray, wanted: NDArray, lookup: dict | None) -> NDArray[np.int64]:
    """Row of each wanted sorted triple in a lexicographically sorted table, −1 where it is not there."""
    if lookup is not None:
        return np.array([lookup.get(tuple(t), -1) for t in wanted.tolist()], dtype=np.int64)
    size = int(max(table.max(), wanted.max())) + 1
    pair = table[:, 0] * size + table[:, 1]
    want = wanted[:, 0] * size + wanted[:, 1]
    low, high = np.searchsorted(pair, want, "left"), np.searchsorted(pair, want, "right")
    rows = np.full(len(wanted), -1, np.int64)
    for shift in range(int((high - low).max(initial=0))):
        at = np.minimum(low + shift, len(table) - 1)
        hit = (low + shift < high) & (table[at, 2] == wanted[:, 2])
        rows[hit] = at[hit]
    return rows
