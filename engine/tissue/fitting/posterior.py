"""Laplace's approximation: the normal law that has the maximum and the curvature of the posterior.

With residuals in units of noise, J their Jacobian and D the prior's precision (1 for coordinates with a prior, 0 for
others), the covariance of ξ is (JᵀWJ + D)⁻¹. The eigenvalues λ of JᵀWJ compare data with a prior of width 1:
along an eigenvector the data leave the share 1/(1 + λ) of the prior's variance (Bui-Thanh, Ghattas, Martin and
Stadler, SIAM J Sci Comput 35:A2494, 2013).

Where residuals go together, JᵀWr varies by B = JᵀW cov(r) WJ and not by H = JᵀWJ; the covariance is then
(H + D)⁻¹ (B + D) (H + D)⁻¹, of the same maximum (Huber's sandwich; Liang and Zeger, Biometrika 73:13, 1986).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

OPEN_SHARE = 0.1
"""A direction of whose variance the data explain less than this is undetermined."""
FROM_PRIOR = 0.5
"""One that has a prior, and less than this explained, is known mostly from it."""
ROUGH = float(np.log(2.0))
"""Half a 95 % interval, as a logarithm, above which a number is known only roughly: a factor of 2 either way. So much
do tissues of one kind differ between people; a wider interval says little more than the tissue's name."""
WIDE = 1e2
"""Standard deviation, in natural units, told for a direction that neither data nor a prior hold."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Mean and covariance of the coordinates ξ, and what the data say of each direction.

    Attributes:
        mean: (n,).
        covariance: (n, n).
        information: (n,) eigenvalues λ of JᵀWJ, largest first.
        directions: (n, n) their eigenvectors in columns.
        flat: (n,) which coordinates have no prior.
    """

    mean: Float[np.ndarray, " n"]
    covariance: Float[np.ndarray, "n n"]
    information: Float[np.ndarray, " n"]
    directions: Float[np.ndarray, "n n"]
    flat: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, mean: NDArray, normal: NDArray, flat: NDArray, scatter: NDArray | None = None) -> Posterior:
        """From JᵀWJ at the maximum, and the covariance of JᵀWr where that is not the same."""
        values, vectors = np.linalg.eigh(0.5 * (normal + normal.T))
        order = np.argsort(values)[::-1]
        values, vectors = np.maximum(values[order], 0.0), vectors[:, order]
        precision = normal + np.diag(np.where(flat, WIDE**-2.0, 1.0))
        covariance = np.linalg.inv(0.5 * (precision + precision.T))
        if scatter is not None:
            covariance = covariance @ (precision - normal + scatter) @ covariance
        return cls(mean, 0.5 * (covariance + covariance.T), values, vectors, np.asarray(flat, bool))

    @property
    def spread(self) -> Float[np.ndarray, " n"]:
        """Standard deviation of each coordinate."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def expected(self) -> Float[np.ndarray, " n"]:
        """Standard deviation of the best values before the data are seen, at least 0.1; infinite without a prior.

        In a linear model their covariance is (H + D)⁻¹ (H D⁻¹ H + B) (H + D)⁻¹ = D⁻¹ − 2 (H + D)⁻¹ + covariance. What
        is smaller than 0.1 is not told apart from how far a search ends from the maximum.
        """
        precision = (self.directions * self.information) @ self.directions.T
        narrow = np.linalg.inv(precision + np.diag(np.where(self.flat, WIDE**-2.0, 1.0)))
        spread = np.sqrt(np.maximum(1.0 - 2.0 * np.diag(narrow) + np.diag(self.covariance), 0.01))
        return np.where(self.flat, np.inf, spread)

    @property
    def explained(self) -> Float[np.ndarray, " n"]:
        """Share of the variance along each direction that the data remove, λ/(1 + λ)."""
        return self.information / (1.0 + self.information)

    @property
    def undetermined(self) -> Float[np.ndarray, "n k"]:
        """Directions that the data leave open, in columns."""
        return self.directions[:, self.explained < OPEN_SHARE]

    def freedom(self, jacobian: NDArray, weight: NDArray) -> float:
        """How many numbers residuals with this Jacobian determined: tr(J C Jᵀ W)."""
        return float(np.einsum("mi,ij,mj,m->", jacobian, self.covariance, jacobian, weight))

    def deviation(self, slope: NDArray) -> NDArray:
        """Covariance (k, k) of quantities with derivative (k, n) by ξ."""
        return slope @ self.covariance @ slope.T
