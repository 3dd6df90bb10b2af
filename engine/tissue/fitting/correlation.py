"""Over what distance residuals go the same way: what a model gets wrong, it gets wrong in whole places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

SAMPLES = 1500
BINS = 40
LEAST_PAIRS = 30
"""Of a bin of distances."""
FIELD_ERROR = 0.1
"""Of an autocorrelation read off one field, beside that of the number of pairs."""
SURE = 5.0
"""Standard deviations from independence at which residuals go together by more than chance."""
LEAST_EFFECT = 1.3
"""n over the effective number below which intervals stay as they are: they would widen by less than 14 %."""
PLACES = 4000
"""Of more, evenly taken ones stand for all where pairs are summed."""
ROWS = 500


@dataclass(frozen=True)
class Together:
    """Residuals that go together: of their variance the share a, as a·exp(−d/ℓ).

    Attributes:
        share: a; the rest is independent.
        length: ℓ [m].
        effect: n over the effective number of independent residuals, for a shift of the body.
    """

    share: float
    length: float
    effect: float


@dataclass(frozen=True)
class _Pairs:
    """Of sampled residuals: distances [m], r_i r_j over the mean square, and n_i · n_j."""

    distance: NDArray
    product: NDArray
    alike: NDArray

    @classmethod
    def of(cls, points: NDArray, residuals: NDArray, directions: NDArray) -> _Pairs:
        chosen = np.linspace(0, len(points) - 1, min(len(points), SAMPLES)).astype(int)
        place, left, seen = points[chosen], residuals[chosen], directions[chosen]
        first, second = np.triu_indices(len(chosen), 1)
        return cls(
            np.linalg.norm(place[first] - place[second], axis=1),
            left[first] * left[second] / max(float((left**2).mean()), 1e-300),
            np.einsum("ni,ni->n", seen[first], seen[second]),
        )

    @property
    def reach(self) -> float:
        """Half of the largest distance."""
        return 0.5 * float(self.distance.max(initial=0.0))

    def binned(self) -> tuple[NDArray, NDArray, NDArray]:
        """Of bins of distance: the middle [m], the autocorrelation of one component, the pairs it comes from."""
        edges = self.reach * np.linspace(0.0, 1.0, BINS + 1) ** 1.5
        which = np.digitize(self.distance, edges) - 1
        inside = (which >= 0) & (which < BINS)
        pairs, middle, share, weight = (
            np.bincount(which[inside], values[inside], BINS)
            for values in (np.ones(len(which)), self.distance, self.product * self.alike, self.alike**2)
        )
        known = (pairs >= LEAST_PAIRS) & (weight > 0.0)
        return middle[known] / pairs[known], share[known] / weight[known], weight[known]


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
    pairs = _Pairs.of(points, residuals, np.ones((len(points), 1)) if directions is None else directions)
    middle, share, _ = pairs.binned()
    below = np.flatnonzero(share < np.exp(-1.0))
    if below.size == 0:
        return pairs.reach
    at = int(below[0])
    if at == 0:
        return 0.0
    step = (share[at - 1] - np.exp(-1.0)) / (share[at - 1] - share[at])
    return float(middle[at - 1] + step * (middle[at] - middle[at - 1]))


def measured(
    places: Float[NDArray, "n 3"], residuals: Float[NDArray, " m"], directions: Float[NDArray, "m c"]
) -> Together | None:
    """How residuals go together; None where it is no more than chance, or would widen an interval by little.

    m is a multiple of n, the residuals of a place side by side. a and ℓ are those of least squares on the
    autocorrelation by distance, up to where it first falls to zero: beyond, the fit has taken out what it could.
    """
    pairs = _Pairs.of(np.repeat(places, len(residuals) // len(places), axis=0), residuals, directions)
    middle, share, weight = pairs.binned()
    if len(middle) < 3:
        return None
    until = np.flatnonzero(share <= 0.0)
    kept = slice(0, max(3, int(until[0]) + 1) if until.size else len(middle))
    amount, length = _fitted(middle[kept], share[kept], weight[kept], pairs.reach)
    near = pairs.distance < length
    size = float(np.sqrt((pairs.alike[near] ** 2).sum()))
    if size == 0.0 or float((pairs.product * pairs.alike)[near].sum()) < SURE * size:
        return None
    whole, square = gathered(places, directions, directions, length), float((directions**2).sum())
    effect = 1.0 + amount * (float(np.trace(whole)) / square - 1.0)
    return Together(amount, length, effect) if effect > LEAST_EFFECT else None


def _fitted(middle: NDArray, share: NDArray, weight: NDArray, reach: float) -> tuple[float, float]:
    """a between 0 and 1 and ℓ of a·exp(−d/ℓ)."""
    precision = 1.0 / (1.0 / weight + FIELD_ERROR**2)
    best = (np.inf, 0.0, reach)
    for length in np.geomspace(0.5 * middle[0], 2.0 * reach, 60):
        shape = np.exp(-middle / length)
        amount = float(np.clip((precision * shape * share).sum() / (precision * shape**2).sum(), 0.0, 1.0))
        best = min(best, (float((precision * (share - amount * shape) ** 2).sum()), amount, float(length)))
    return best[1], best[2]


def gathered(
    places: Float[NDArray, "p 3"], directions: Float[NDArray, "m c"], jacobian: Float[NDArray, "m n"], length: float
) -> Float[NDArray, "n n"]:
    """JᵀρJ, ρ_ij = n_i · n_j exp(−d_ij/ℓ); of more than 4,000 places, from that many evenly taken ones."""
    count, size = len(places), jacobian.shape[1]
    rows = [
        (along[:, None] * jacobian).reshape(count, -1, size).sum(axis=1) for along in directions.T
    ]  # of each axis, what an error along it at a place does
    own = np.sum([row.T @ row for row in rows], axis=0)
    chosen = np.linspace(0, count - 1, min(count, PLACES)).astype(int)
    across = np.concatenate([row[chosen] for row in rows], axis=1)
    total = np.zeros((across.shape[1],) * 2)
    for first in range(0, len(chosen), ROWS):
        part = slice(first, first + ROWS)
        total += across[part].T @ (np.exp(-cdist(places[chosen[part]], places[chosen]) / length) @ across)
    total -= across.T @ across
    blocks = np.sum([total[k * size : (k + 1) * size, k * size : (k + 1) * size] for k in range(len(rows))], axis=0)
    return own + (count / len(chosen)) ** 2 * blocks
