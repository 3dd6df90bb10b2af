"""Over what distance residuals go the same way: what a model gets wrong, it gets wrong in whole places."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

SAMPLES = 1500
BINS = 40


def decaying(places: Float[NDArray, "n 3"], length: float) -> sparse.csr_matrix:
    """exp(−d_ij/ℓ) of all pairs up to 6 ℓ, 1 on the diagonal."""
    pairs = cKDTree(places).query_pairs(6.0 * length, output_type="ndarray")
    values = np.exp(-np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1) / length)
    upper = sparse.coo_matrix((values, pairs.T), shape=(len(places),) * 2)
    return (upper + upper.T + sparse.eye(len(places))).tocsr()


def correlation_length(
    points: Float[NDArray, "n 3"],
    residuals: Float[NDArray, " n"],
    directions: Float[NDArray, "n c"] | None = None,
) -> float:
    """ℓ [m] of exp(−d/ℓ): where the autocorrelation of the errors (about zero) falls to 1/e; 0 if it starts lower.

    Of residuals r = n · e along `directions` n the autocorrelation is that of one component of e: least squares of
    r_i r_j on n_i · n_j. Without directions, that of r. Of many points, 1,500 are taken evenly.
    """
    chosen = np.linspace(0, len(points) - 1, min(len(points), SAMPLES)).astype(int)
    place, left = points[chosen], residuals[chosen]
    seen = np.ones((len(chosen), 1)) if directions is None else directions[chosen]
    first, second = np.triu_indices(len(chosen), 1)
    distance = np.linalg.norm(place[first] - place[second], axis=1)
    alike = np.einsum("ni,ni->n", seen[first], seen[second])
    product = left[first] * left[second] / max(float((left**2).mean()), 1e-300)
    reach = 0.5 * float(distance.max(initial=0.0))
    edges = reach * np.linspace(0.0, 1.0, BINS + 1) ** 1.5
    which = np.digitize(distance, edges) - 1
    known = [b for b in range(BINS) if (which == b).sum() >= 30]
    middle = np.array([distance[which == b].mean() for b in known])
    share = np.array([(product * alike)[which == b].sum() / (alike[which == b] ** 2).sum() for b in known])
    below = np.flatnonzero(share < np.exp(-1.0))
    if below.size == 0:
        return reach
    at = int(below[0])
    if at == 0:
        return 0.0
    step = (share[at - 1] - np.exp(-1.0)) / (share[at - 1] - share[at])
    return float(middle[at - 1] + step * (middle[at] - middle[at - 1]))
