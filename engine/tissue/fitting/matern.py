"""Smooth random fields on a mesh: Matérn priors by the first modes of a Laplacian.

A Matérn field solves (κ² − Δ)^(α/2) g = white noise (Whittle 1954; Lindgren, Rue and Lindström, J R Stat Soc B
73:423, 2011). In the modes φ of the Laplacian, −Δφ = μφ with natural boundaries, it has independent coefficients of
variance ∝ (κ² + μ)^−α. Here α = 2; in three dimensions that is an exponential correlation, on a surface one with
ν = 1. κ = √(8ν)/ℓ. The variance at each point is set to 1 with all modes that are computed, so that the boundary,
where the natural condition raises it, is like the inside.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh

from ....imaging.errors import SolverError
from ..model import Model

EXTRA = 2
"""Modes computed over modes kept: what the kept ones miss is measured with the rest."""


def element_modes(model: Model, length: float, modes: int) -> tuple[NDArray, NDArray]:
    """Basis (elements, modes) and the share of the variance it misses (elements,), in the mesh's element order.

    The Laplacian couples elements that share a facet: area over distance of the centres (two-point flux).
    """
    corners = np.concatenate([np.asarray(b.nodes)[:, :4] for b in model.blocks]).astype(np.int64)
    source = np.concatenate([np.asarray(b.source) for b in model.blocks])
    corners = corners[np.argsort(source)]
    points = np.asarray(model.points)
    centre = points[corners].mean(axis=1)
    edges = points[corners[:, 1:]] - points[corners[:, :1]]
    volume = np.abs(np.linalg.det(edges)) / 6.0
    left, right, area = _shared_facets(corners, points)
    weight = area / np.linalg.norm(centre[left] - centre[right], axis=1)
    return matern_modes(volume, graph_laplacian(left, right, weight, len(corners)), length, modes, dimension=3)


def surface_modes(points: NDArray, triangles: NDArray, length: float, modes: int) -> tuple[NDArray, NDArray, NDArray]:
    """On a triangulated surface: basis (points, modes), missed variance (points,), area of each point (points,) m²."""
    area, stiffness = cotangent_laplacian(points, triangles)
    basis, missed = matern_modes(area, stiffness, length, modes, dimension=2)
    return basis, missed, area


def graph_laplacian(left: NDArray, right: NDArray, weight: NDArray, count: int) -> sparse.csr_matrix:
    """Σ w (e_l − e_r)(e_l − e_r)ᵀ."""
    adjacency = sparse.coo_matrix((weight, (left, right)), (count, count))
    adjacency = (adjacency + adjacency.T).tocsr()
    return sparse.csr_matrix(sparse.diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency)


def cotangent_laplacian(points: NDArray, triangles: NDArray) -> tuple[NDArray, sparse.csr_matrix]:
    """Area of each point and the stiffness matrix of linear triangles, ∫ ∇N_a · ∇N_b dA."""
    count = len(points)
    corner = points[triangles]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    double = np.maximum(np.linalg.norm(normal, axis=1), 1e-300)
    area = np.bincount(triangles.ravel(), np.repeat(double / 6.0, 3), count)
    pairs = []
    for k in range(3):
        a, b = corner[:, (k + 1) % 3] - corner[:, k], corner[:, (k + 2) % 3] - corner[:, k]
        cotangent = np.einsum("fi,fi->f", a, b) / double
        pairs.append((triangles[:, (k + 1) % 3], triangles[:, (k + 2) % 3], 0.5 * cotangent))
    left, right, weight = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return area, graph_laplacian(left, right, weight, count)


def matern_modes(
    mass: NDArray, stiffness: sparse.csr_matrix, length: float, modes: int, *, dimension: int
) -> tuple[NDArray, NDArray]:
    """Basis (n, modes) with unit variance per point, and the share of it that the modes kept miss (n,).

    Raises:
        SolverError: a part of the mesh without measure.
    """
    if not (mass > 0).all():
        bad = int(np.flatnonzero(~(mass > 0))[0])
        raise SolverError("a part of the mesh has no volume or area", where=f"Matérn prior, entry {bad}")
    count = len(mass)
    wanted = min(EXTRA * modes + 8, count)
    scale = 1.0 / np.sqrt(mass)
    symmetric = sparse.diags(scale) @ stiffness @ sparse.diags(scale)
    values, vectors = _lowest(sparse.csc_matrix(symmetric), wanted)
    smoothness = 2.0 - dimension / 2.0
    kappa = np.sqrt(8.0 * smoothness) / length
    variance = (kappa**2 + np.maximum(values, 0.0)) ** -2.0
    every = vectors * scale[:, None] * np.sqrt(variance)
    total = (every**2).sum(axis=1)
    kept = every[:, :modes] / np.sqrt(total)[:, None]
    return kept, np.maximum(1.0 - (kept**2).sum(axis=1), 0.0)


def _lowest(matrix: sparse.csc_matrix, wanted: int) -> tuple[NDArray, NDArray]:
    """The lowest eigenpairs, with signs that do not depend on chance."""
    count = matrix.shape[0]
    if wanted > 0.4 * count or count < 200:
        values, vectors = np.linalg.eigh(matrix.toarray())
        values, vectors = values[:wanted], vectors[:, :wanted]
    else:
        size = float(matrix.diagonal().mean())
        start = np.random.default_rng(0).standard_normal(count)
        values, vectors = eigsh(matrix, k=wanted, sigma=-1e-3 * size / count ** (2 / 3), which="LM", v0=start)
        order = np.argsort(values)
        values, vectors = values[order], vectors[:, order]
    largest = np.abs(vectors).argmax(axis=0)
    return values, vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])


def _shared_facets(corners: NDArray, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    faces = np.sort(corners[:, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]].reshape(-1, 3), axis=1)
    order = np.lexsort((faces[:, 2], faces[:, 1], faces[:, 0]))
    same = (faces[order[1:]] == faces[order[:-1]]).all(axis=1)
    first, second = order[:-1][same], order[1:][same]
    triangle = points[faces[first]]
    normal = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
    return first // 4, second // 4, np.linalg.norm(normal, axis=1) / 2.0


def correlation(distance: Float[NDArray, "..."], length: float) -> Float[NDArray, "..."]:
    """exp(−d/ℓ'), ℓ' = ℓ/2: the field's correlation in three dimensions, 0.14 at d = ℓ."""
    return np.exp(-2.0 * distance / length)
