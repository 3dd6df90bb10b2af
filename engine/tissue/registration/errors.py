"""How the distances of points seen err, and what of that concerns targets.

Errors of r = n · (x' − y) are of two kinds. Independent ones of variance σ², Student's law with 4 degrees of freedom
(Lange, Little and Taylor, J Am Stat Assoc 84:881, 1989). And d(x), the displacement that the model cannot follow: a
random field with covariance δ² exp(−|x − x'|/ℓ) along each axis, of which a point sees n · d (Kennedy and O'Hagan,
J R Stat Soc B 63:425, 2001). Without it, hundreds of points beside each other claim to know the hidden side. A target
moves by the model's displacement and d: what is said of it holds both, as there prediction of reality does.

δ² = δ₀² + (c U)², U the RMS of the model's displacement along each axis, rigid motion taken out: a part of what a model
errs by, where its stiffness is not the patient's, grows with what it deforms by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from ..fitting.observation import STUDENT_FREEDOM
from .misfit import Misfit
from .prior import Prior

ROUNDS = 2
"""Of weights given what the model cannot follow, and of that given the weights."""


@dataclass(frozen=True, eq=False)
class Errors:
    """The law of the distances.

    Attributes:
        noise: σ [m].
        unfollowed: δ [m], δ₀ of a body at rest.
        unlike: c.
        length: ℓ [m].
        places: (n, 3) m of the points.
        alike: standard deviation [m] of noise that neighbours share, and over which distance [m].
    """

    noise: float
    unfollowed: float
    unlike: float
    length: float
    places: Float[np.ndarray, "n 3"]
    alike: tuple[float, float] = (0.0, 1e-3)

    @classmethod
    def of(cls, seen: NDArray, noise: float, prior: Prior) -> Errors:
        """For points (n, 3) m, on a body at rest."""
        size, length = prior.unfollowed
        return cls(noise, size, prior.unlike, length, seen)

    def of_some(self, chosen: Bool[NDArray, " n"]) -> Errors:
        """The law for some of the points."""
        return replace(self, places=self.places[chosen])

    @property
    def expected(self) -> float:
        """Standard deviation of one distance [m]."""
        return float(np.sqrt(self.noise**2 + self.alike[0] ** 2 + self.unfollowed**2))

    def beside(self, misfit: Misfit) -> Float[np.ndarray, "n n"]:
        """Covariance [m²] of what is not independent: n · d, and noise that neighbours share."""
        away = cdist(self.places, self.places)
        together = self.unfollowed**2 * np.exp(-away / self.length) * (misfit.normal @ misfit.normal.T)
        return together + self.alike[0] ** 2 * np.exp(-away / self.alike[1])

    def covariance(self, misfit: Misfit) -> Float[np.ndarray, "n n"]:
        """Of all [m²], each point weighed alike."""
        return self.beside(misfit) + self.noise**2 * np.eye(len(self.places))

    def deformed(self, displacement: Float[NDArray, "nodes 3"]) -> Errors:
        """The law for a body that rest has left by a displacement [m]; to be asked of the law at rest."""
        return replace(self, unfollowed=float(np.hypot(self.unfollowed, self.unlike * _deformation(displacement))))

    def at(self, misfit: Misfit, before: Weighed | None = None) -> Weighed:
        """The covariance where the points lie by so much off, weights started from those of the step before."""
        beside = self.beside(misfit)
        expected = np.zeros(len(beside)) if before is None else before.expected
        weight, factor = np.ones(len(beside)), None
        for _ in range(ROUNDS):
            square = ((misfit.distance - expected) / self.noise) ** 2
            weight = (STUDENT_FREEDOM + 1.0) / (STUDENT_FREEDOM + square)
            factor = cho_factor(np.diag(self.noise**2 / weight) + beside, lower=True)
            expected = beside @ cho_solve(factor, misfit.distance)
        return Weighed(self, weight, expected, factor)

    def shared(self, places: NDArray, misfit: Misfit) -> Float[np.ndarray, "k 3 n"]:
        """Covariance [m²] of d at places (k, 3) of the deformed model with what the points see of it."""
        near = self.unfollowed**2 * np.exp(-cdist(places, misfit.points) / self.length)
        return near[:, None, :] * misfit.normal.T


def _deformation(displacement: NDArray) -> float:
    """U [m], of a displacement without rigid motion."""
    return float(np.sqrt((displacement**2).mean()))


@dataclass(frozen=True, eq=False)
class Weighed:
    """Errors at one state.

    Attributes:
        law: of which they are.
        weight: (n,) of each point by Student's law.
        expected: (n,) m, what of each distance is n · d.
        factor: Cholesky's, of the covariance C.
    """

    law: Errors
    weight: Float[np.ndarray, " n"]
    expected: Float[np.ndarray, " n"]
    factor: Any

    def inverse(self, values: NDArray) -> NDArray:
        """C⁻¹ values."""
        return cho_solve(self.factor, values)

    def log_weights(self) -> float:
        """Logarithm of the weights' own law, Gamma(2, 2) of ln w: with it weighted squares are Student's density."""
        return 0.5 * STUDENT_FREEDOM * float((np.log(self.weight) - self.weight).sum())

    def log_determinant(self) -> float:
        """ln det of C/σ²."""
        return 2.0 * float(np.log(np.diag(self.factor[0]) / self.law.noise).sum())
