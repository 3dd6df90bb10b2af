"""Loads that nothing seen tells of have a scale of their own: κ times that of the loads seen.

ln κ ~ N(0, τ²) between ln ½ and ln 8: at τ = 1 κ's median is 1.4 and the root mean square of ln κ 0.8. Less than half
was not tried; it would make intervals narrower.

The width w of the loads' prior is found from what the seen part shows. Organs are pushed in a few places: one Gaussian
field of one width, fitted to those that show, is too sure of those that do not (in the phantom the evidence asked for
half of the width that held the errors of the hidden side). With ξ ~ N(0, κ²) the posterior is
(JᵀC⁻¹J + diag(1, κ⁻²))⁻¹: patterns that the points determine keep their widths, the others take κ's. The state found is
left as it is, which is an approximation: patterns that the points determine in part would move with κ.
What is said of a target is a mixture of Gaussians over w and κ; its tails are heavier than one Gaussian's, so intervals
are its quantiles (a scale mixture: Andrews and Mallows, J R Stat Soc B 36:99, 1974).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.special import ndtr

SCALES = 2.0 ** np.arange(-1.0, 3.5, 0.5)
"""κ that are summed over, evenly in its logarithm: 0.5 to 8."""
HALVINGS = 40
"""Of the range that a quantile is searched in, 12 standard deviations about each place."""


class Scales(NamedTuple):
    """κ and the probability of each."""

    size: Float[np.ndarray, " s"]
    probability: Float[np.ndarray, " s"]

    @classmethod
    def of(cls, uneven: float) -> Scales:
        """For a τ (see above); 0: κ = 1 alone."""
        if uneven == 0.0:
            return cls(np.ones(1), np.ones(1))
        density = np.exp(-0.5 * (np.log(SCALES) / uneven) ** 2)
        return cls(SCALES, density / density.sum())


def rescaled(covariance: Float[NDArray, "m m"], fixed: int, size: float) -> Float[np.ndarray, "m m"]:
    """The posterior's covariance had all but the first `fixed` coordinates a prior of variance κ² in place of 1."""
    if size == 1.0:
        return covariance
    precision = np.linalg.inv(covariance)
    precision[np.diag_indices_from(precision)] += np.where(np.arange(len(precision)) < fixed, 0.0, size**-2 - 1.0)
    inverse = np.linalg.inv(precision)
    return (inverse + inverse.T) / 2.0


class Mixture(NamedTuple):
    """What is said of k places: Gaussians by width of the loads' prior (w of them) and by κ (s of them).

    Attributes:
        place: (w, k, 3) m.
        spread: (w, s, k, 3, 3) m².
        probability: (w, s).
    """

    place: Float[np.ndarray, "w k 3"]
    spread: Float[np.ndarray, "w s k 3 3"]
    probability: Float[np.ndarray, "w s"]

    def moments(self) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3 3"]]:
        """Mean [m] and covariance [m²], which holds how far the widths disagree."""
        each = self.probability.sum(axis=1)
        mean = np.einsum("w,wki->ki", each, self.place)
        apart = self.place - mean
        within = np.einsum("ws,wskij->kij", self.probability, self.spread)
        return mean, within + np.einsum("w,wki,wkj->kij", each, apart, apart)

    def beyond(self, plane: Float[NDArray, "k 3"], way: Float[NDArray, "k 3"]) -> Float[np.ndarray, " k"]:
        """Probability that a place lies beyond a plane through points [m], on the side that a way [m] points to."""
        ahead = np.einsum("wki,ki->wk", self.place - plane, way)
        across = np.sqrt(np.einsum("ki,wskij,kj->wsk", way, self.spread, way))
        ahead = np.broadcast_to(ahead[:, None], across.shape)
        share = ndtr(np.divide(ahead, across, out=np.zeros_like(across), where=across > 0.0))
        return np.einsum("ws,wsk->k", self.probability, share)

    def quantile(self, share: float) -> Float[np.ndarray, "k 3"]:
        """Coordinates [m] below which the true ones lie with a probability, by halving."""
        width = np.sqrt(np.einsum("wskii->wski", self.spread))
        low = (self.place[:, None] - 12.0 * width).min(axis=(0, 1))
        high = (self.place[:, None] + 12.0 * width).max(axis=(0, 1))
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            below = np.einsum("ws,wski->ki", self.probability, ndtr((middle - self.place[:, None]) / width)) < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2.0
