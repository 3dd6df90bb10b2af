"""Laplace's equation on a mesh: a smooth coordinate from one side of a body to another, from which fibres follow."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg, spsolve

from ...imaging.errors import SolverError
from ...meshing.mesh import HexMesh, TetMesh
from ..precision import require_float64
from .elements import element_named
from .elements.base import Element

TOLERANCE = 1e-10
DIRECT_NODES = 5000
"""Up to so many unknowns a sparse factorisation is quicker than a hierarchy of grids."""


Side = str | NDArray | tuple[str | NDArray, ...]


class Harmonic(NamedTuple):
    """A solution of Laplace's equation.

    Attributes:
        values: φ at the nodes of the mesh (N,), between 0 and 1.
        gradient: its mean over each element (E, 3), 1/mm, LPS.
        means: its mean over each element (E,).
    """

    values: NDArray[np.float64]
    gradient: NDArray[np.float64]
    means: NDArray[np.float64]


def laplace(mesh: TetMesh | HexMesh, low: Side, high: Side) -> Harmonic:
    """φ with ∇²φ = 0, φ = 0 on `low`, φ = 1 on `high`, no flux elsewhere; linear in each tetrahedron.

    Args:
        mesh: its corners carry φ.
        low: name of a facet or node set, node indices, or several of either.
        high: likewise.

    Raises:
        SolverError: a set is not there, is empty, or shares a node with the other; a piece of the mesh touches neither.
    """
    require_float64()
    if not isinstance(mesh, (TetMesh, HexMesh)):
        raise SolverError(f"a {type(mesh).__name__} is no mesh", where="laplace", advice="Give a TetMesh or HexMesh")
    zeros, ones = _nodes(mesh, low), _nodes(mesh, high)
    shared = np.intersect1d(zeros, ones)
    if shared.size:
        place = np.round(mesh.points[shared[0]], 2)
        raise SolverError(
            f"node {shared[0]} at {place} mm lies on both sides",
            where="laplace",
            advice="Take it out of one of the two sets: φ cannot be 0 and 1 at once",
        )
    element = element_named("T4" if isinstance(mesh, TetMesh) else "H8")
    slopes, weight = element.geometry(jnp.asarray(mesh.points[mesh.cells]), element.quadrature)
    slopes, weight = np.asarray(slopes), np.asarray(weight)
    matrix = _stiffness(mesh, element, slopes, weight)
    _reached(mesh, matrix, np.concatenate([zeros, ones]))
    values = np.zeros(len(mesh.points))
    values[ones] = 1.0
    used = np.unique(mesh.cells)
    free = np.setdiff1d(used, np.concatenate([zeros, ones]))
    if free.size:
        values[free] = _solve(matrix[free][:, free].tocsr(), -(matrix[free] @ values))
    local = values[mesh.cells]
    gradient = np.einsum("aiqe,ea,qe->ei", slopes, local, weight) / weight.sum(axis=0)[:, None]
    return Harmonic(values, gradient, local.mean(axis=1))


def _nodes(mesh: TetMesh | HexMesh, chosen: Side) -> NDArray[np.int64]:
    if isinstance(chosen, tuple):
        return np.unique(np.concatenate([_nodes(mesh, part) for part in chosen]))
    if not isinstance(chosen, str):
        nodes = np.unique(np.asarray(chosen))
        if nodes.size and (nodes.dtype.kind not in "iu" or nodes.min() < 0 or nodes.max() >= len(mesh.points)):
            told = f"{nodes.min()} to {nodes.max()} are not all among the {len(mesh.points)} nodes"
            raise SolverError(told, where="laplace", advice="Give the name of a set, or node indices")
        nodes = nodes.astype(np.int64)
    elif chosen in mesh.facet_sets:
        nodes = np.unique(mesh.facet_sets[chosen]).astype(np.int64)
    elif chosen in mesh.node_sets:
        nodes = np.unique(mesh.node_sets[chosen]).astype(np.int64)
    else:
        known = sorted({*mesh.facet_sets, *mesh.node_sets})
        raise SolverError(f"no set is named {chosen!r}", where="laplace", advice=f"Choose from {known}")
    if not nodes.size:
        raise SolverError(f"set {chosen!r} is empty", where="laplace", advice="Choose another set")
    return nodes


def _stiffness(mesh: TetMesh | HexMesh, element: Element, slopes: NDArray, weight: NDArray) -> sparse.csr_matrix:
    """∫ ∇N_a · ∇N_b dV [mm]."""
    if not (weight > 0).all():
        bad = int(np.argwhere(~(weight > 0))[0, 1])
        place = np.round(mesh.points[mesh.cells[bad]].mean(axis=0), 2)
        raise SolverError(f"element {bad} at {place} mm has no volume or is inside out", where="laplace")
    blocks = np.einsum("aiqe,biqe,qe->eab", slopes, slopes, weight)
    rows = np.repeat(mesh.cells, element.nodes, axis=1)
    columns = np.tile(mesh.cells, (1, element.nodes))
    size = (len(mesh.points),) * 2
    return sparse.coo_matrix((blocks.ravel(), (rows.ravel(), columns.ravel())), shape=size).tocsr()


def _reached(mesh: TetMesh | HexMesh, matrix: sparse.csr_matrix, held: NDArray) -> None:
    count, piece = connected_components(matrix, directed=False)
    used = np.zeros(count, bool)
    used[piece[np.unique(mesh.cells)]] = True
    used[piece[held]] = False
    if used.any():
        node = int(np.flatnonzero(used[piece])[0])
        raise SolverError(
            f"the piece of the mesh with node {node} at {np.round(mesh.points[node], 2)} mm touches neither side",
            where="laplace",
            advice="Remove the piece from the mesh, or add nodes of it to the sets",
        )


def _solve(matrix: sparse.csr_matrix, right: NDArray) -> NDArray:
    if len(right) <= DIRECT_NODES:
        return spsolve(matrix.tocsc(), right)
    import pyamg

    hierarchy = pyamg.smoothed_aggregation_solver(matrix)
    solution, failed = cg(matrix, right, rtol=TOLERANCE, maxiter=500, M=hierarchy.aspreconditioner())
    if failed:
        raise SolverError("Laplace's equation did not converge", where="laplace", advice="Check the mesh for slivers")
    return solution
