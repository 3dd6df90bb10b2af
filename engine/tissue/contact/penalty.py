"""How stiff a contact is where nothing is said: a multiple of the stiffness of the element behind each facet."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse

from ....imaging.errors import SolverError
from ..block import ElementBlock
from ..kernels import Chunks
from ..model import MM, Model

STIFFNESS_SHARE = 20.0
"""Penalty over the facet's own stiffness per area: a pressure p then sinks in by about p h / 20 M, h the height of the
element and M its modulus. Ten times more costs linear iterations, ten times less is seen in Hertz's pressure."""
ONSET_SHARE = 1e-5
"""Width of the rounding of the contact's onset over the facet's size."""


def facet_sizes(model: Model, facets: NDArray) -> Float[np.ndarray, " facets"]:
    """Edge of the equilateral triangle of the same area [m]; of a quadrangle, of half its area."""
    corners = np.asarray(model.points)[facets[:, : 4 if facets.shape[1] == 4 else 3]]
    across = np.cross(corners[:, -1] - corners[:, 0], corners[:, -2] - corners[:, 0])
    if facets.shape[1] == 4:
        across = 0.5 * np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    return np.sqrt(2.0 * np.linalg.norm(across, axis=1) / np.sqrt(3.0))


def surface_sizes(model: Model, name: str) -> Float[np.ndarray, " facets"]:
    """Of all facets of a set [m], whatever their kinds."""
    return np.concatenate([facet_sizes(model, facets) for _, facets in model.facet_groups(name)])


def default_penalty(model: Model, facets: NDArray, where: str) -> Float[np.ndarray, " facets"]:
    """20 k/A [Pa/m]: k the mean translational stiffness of the facet's nodes in the elements behind it, at rest.

    For a linear tetrahedron of height h this is 20 (λ + 4μ)/3h.

    Raises:
        SolverError: a facet belongs to no element, or its stiffness is not finite.
    """
    found = np.zeros(len(facets))
    for block in model.blocks:
        owner = owners(model, block, facets)
        mine = np.flatnonzero(owner >= 0)
        if mine.size:
            found[mine] += _nodal_stiffness(model, block, owner[mine], facets[mine])
    triangles = 2.0 if facets.shape[1] == 4 else 1.0
    area = triangles * facet_sizes(model, facets) ** 2 * np.sqrt(3.0) / 4.0
    bad = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if bad.size:
        at = np.round(np.asarray(model.points)[facets[bad[0]]].mean(axis=0) / MM, 2)
        raise SolverError(
            f"facet {int(bad[0])} at {at} mm has no element with a finite stiffness behind it",
            where=where,
            advice="Give the contact's penalty [Pa/m], or choose facets of the elements",
        )
    return STIFFNESS_SHARE * found / area


def owners(model: Model, block: ElementBlock, facets: NDArray) -> NDArray[np.int64]:
    """The element of a block that has all nodes of each facet (the first of two), −1 where there is none."""
    count, width = len(model.points), facets.shape[1]
    nodes = np.asarray(block.nodes)[:, : block.element.nodes]
    touch = _incidence(facets, count) @ _incidence(nodes, count).T
    whole = (touch.multiply(touch == width)).tocsr() if touch.nnz else touch.tocsr()
    whole.eliminate_zeros()
    has = np.diff(whole.indptr) > 0
    found = np.full(len(facets), -1, np.int64)
    found[has] = whole.indices[whole.indptr[:-1][has]]
    return found


def _incidence(cells: NDArray, count: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(cells)), cells.shape[1])
    return sparse.csr_matrix((np.ones(cells.size, np.int32), (rows, cells.ravel())), (len(cells), count))


def _nodal_stiffness(model: Model, block: ElementBlock, owner: NDArray, facets: NDArray) -> NDArray[np.float64]:
    """Sum over the nodes of each facet of a third of the trace of their own stiffness block [N/m]."""
    points, nodes = np.asarray(model.row_points), np.asarray(block.nodes)
    width = nodes.shape[1]
    first, second = np.triu_indices(width)
    own = np.flatnonzero(first == second)
    result = np.zeros(len(owner))
    chunks = Chunks(len(owner), block.element.chunk)
    for rows, true in zip(chunks.rows, chunks.slices(), strict=True):
        chosen = owner[rows]
        material = jax.tree.map(lambda leaf, r=chosen: jnp.asarray(np.asarray(leaf)[r]), block.material)
        at = jnp.asarray(points[nodes[chosen]])
        blocks = np.asarray(block.element.tangent(at, jnp.zeros_like(at), material))
        trace = 2.0 * blocks[:, own][:, :, [0, 4, 8]].sum(axis=2) / 3.0  # own blocks are halved
        on_facet = (nodes[chosen][:, :, None] == facets[rows][:, None, :]).any(axis=2)
        result[true] = (trace * on_facet).sum(axis=1)[: true.stop - true.start]
    return result
