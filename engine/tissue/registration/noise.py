"""The noise of points on a smooth surface, read off the points themselves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def roughness(points: Float[NDArray, "n 3"]) -> float:
    """Noise of points on a smooth surface [m], from their distance to the quadric through their 20 nearest neighbours.

    Each quadric z = a + bx + cy + dx² + exy + fy², over the plane of the neighbours, is fitted without its point; its
    value there errs by a variance that the fit tells. The median ignores outliers.
    """
    near = cKDTree(points).query(points, k=min(21, len(points)))[1][:, 1:]
    if near.shape[1] < 12:
        return 1e-3
    around = points[near]
    middle = around.mean(axis=1)
    axes = np.linalg.svd(around - middle[:, None])[2]
    local = np.einsum("nkj,nij->nki", around - middle[:, None], axes)
    own = np.einsum("nj,nij->ni", points - middle, axes)
    size = np.sqrt((local[..., :2] ** 2).mean(axis=(1, 2)))[:, None]
    rows, row = _quadric(local / size[:, None]), _quadric((own / size)[:, None])[:, 0]
    inverse = np.linalg.pinv(rows)
    height = own[:, 2] - np.einsum("nc,nck,nk->n", row, inverse, local[..., 2])
    error = np.einsum("nc,nck->nk", row, inverse)
    return max(float(1.4826 * np.median(np.abs(height) / np.sqrt(1.0 + (error**2).sum(axis=1)))), 2e-4)


def _quadric(local: NDArray) -> NDArray:
    x, y = local[..., 0], local[..., 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
