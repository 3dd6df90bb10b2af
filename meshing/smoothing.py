"""Smoothing of voxel nets: stair-steps go, volume and thin parts stay.

Three steps, each of which answers a failure of the one before alone:

1. Taubin's λ|μ filter (1995) with every vertex held inside the box between the voxel
   centres around it (Gibson, 1998): the surface never leaves the voxels' uncertainty.
2. The smoothed normal displacement is taken back: a stair-step displaces to both sides
   and averages out, a thin vessel or a small tumour shrinks to one side and is restored.
   Volume is so conserved locally, and no branch pays for another.
3. A uniform normal offset per closed component brings its volume to the voxels'.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

LAMBDA, MU = 0.6, -0.61
"""Taubin's factors: pass-band at 1/λ + 1/μ ≈ 0.027 of the umbrella spectrum."""


def umbrella(cells: NDArray[np.int32], count: int) -> sparse.csr_matrix:
    """(V, V) row-stochastic matrix: the mean over each vertex's neighbours along the edges of polygons."""
    start, stop = cells.ravel(), np.roll(cells, -1, axis=1).ravel()
    ones = np.ones(2 * len(start))
    graph = sparse.csr_matrix((ones, (np.r_[start, stop], np.r_[stop, start])), shape=(count, count))
    graph.data[:] = 1.0
    degree = np.maximum(graph.getnnz(axis=1), 1)
    return sparse.diags(1.0 / degree) @ graph


def taubin_in_box(
    index: NDArray[np.float64], mean: sparse.csr_matrix, *, iterations: int, box: NDArray[np.float64]
) -> NDArray[np.float64]:
    """λ|μ filter on (V, 3) vertices, each held within ±`box` (3,) of where it began.

    The umbrella's weights are affine invariant, so this may run in index space.
    """
    moved, low, high = index.copy(), index - box, index + box
    for _ in range(iterations):
        for factor in (LAMBDA, MU):
            moved += factor * (mean @ moved - moved)
        np.clip(moved, low, high, out=moved)
    return moved


def vertex_normals(points: NDArray[np.float64], triangles: NDArray[np.int32]) -> NDArray[np.float64]:
    """(V, 3) unit area-weighted normals; zero where faces cancel."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    facing = np.cross(b - a, c - a)
    flat, count = triangles.ravel(), len(points)
    spread = np.repeat(facing, 3, axis=0)
    normals = np.stack([np.bincount(flat, spread[:, x], minlength=count) for x in range(3)], axis=1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)


def restore_locally(
    moved: NDArray[np.float64],
    origin: NDArray[np.float64],
    triangles: NDArray[np.int32],
    mean: sparse.csr_matrix,
    *,
    rounds: int = 3,
    width: int = 12,
) -> NDArray[np.float64]:
    """Take back the part of the displacement that is one-sided over a neighbourhood.

    Args:
        moved: (V, 3) mm after smoothing.
        origin: (V, 3) mm before.
        triangles: of the net.
        mean: `umbrella` of the net.
        rounds: repetitions; each leaves the part that the averaging could not see.
        width: averaging steps; about √width edges is the neighbourhood's radius.
    """
    restored = moved
    for _ in range(rounds):
        normal = vertex_normals(restored, triangles)
        offset = np.einsum("vi,vi->v", restored - origin, normal)
        for _ in range(width):
            offset = 0.5 * (offset + mean @ offset)
        restored = restored - offset[:, None] * normal
    return restored


def components(triangles: NDArray[np.int32], count: int) -> tuple[int, NDArray[np.int32]]:
    """Number of connected components, and (V,) the component of each vertex."""
    rows, columns = triangles[:, [0, 1]].ravel(), triangles[:, [1, 2]].ravel()
    graph = sparse.coo_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(count, count))
    return csgraph.connected_components(graph, directed=False)


def component_volumes(
    points: NDArray[np.float64], triangles: NDArray[np.int32], component: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """(count,) mm³ enclosed by each closed component; a cavity's is negative."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    six = np.einsum("ij,ij->i", a, np.cross(b, c))
    return np.bincount(component[triangles[:, 0]], six, minlength=count) / 6.0


def offset_to_volume(
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
    component: NDArray[np.int32],
    targets: NDArray[np.float64],
    *,
    limit_mm: float,
    tolerance: float = 1e-4,
) -> NDArray[np.float64]:
    """Offset each closed component along its normals until it encloses its target volume.

    Args:
        points: (V, 3) mm.
        triangles: (F, 3).
        component: (V,) the closed component of each vertex.
        targets: (n,) mm³ to be enclosed by each component; negative for a cavity.
        limit_mm: the largest offset allowed; a component that would need more keeps the limit.
        tolerance: relative.
    """
    number, wanted = len(targets), targets
    corrected, total = points.copy(), np.zeros(number)
    for _ in range(12):
        volumes = component_volumes(corrected, triangles, component, number)
        missing = wanted - volumes
        if (np.abs(missing) <= tolerance * np.abs(wanted)).all():
            break
        a, b, c = (corrected[triangles[:, i]] for i in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0
        areas = np.bincount(component[triangles[:, 0]], area, minlength=number)
        step = np.divide(missing, areas, out=np.zeros(number), where=areas > 0)
        step = np.clip(total + step, -limit_mm, limit_mm) - total
        total += step
        corrected += step[component][:, None] * vertex_normals(corrected, triangles)
    return corrected
