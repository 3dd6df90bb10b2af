"""Which points belong to the organ: tissue beside it, what lies on it and flying pixels come in coherent groups.

Student's law weighs each point by itself; a patch of another surface, whose points agree with each other, would be
explained by loads. Under the prior all distances are one Gaussian vector, r + J x₀ ~ N(0, J Jᵀ + C), x₀ the state they
are linearised at: how a patch may differ from what is beside it is in there. Two things tell that a point is foreign:

* The points that surely belong do not predict it, within 4 standard deviations. A forward search (Hadi and Simonoff,
  J Am Stat Assoc 88:1264, 1993): from the half that the surface lies nearest to, all that those predict, and so on.
* It hangs over: it lies off the surface along its own cloud's plane, beside a margin and not above the surface. Loads
  can pull a margin far out, so the first alone would let it pass.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree

from .errors import Errors
from .misfit import Misfit

PREDICTED, EXPECTED = 4.0, 3.0
"""Standard deviations up to which a point belongs: of its prediction; beside a margin, of what one distance errs by."""
AROUND = 20
"""Neighbours that a cloud's plane is laid through."""
LEVEL = 0.5
"""Standard deviation across a cloud's plane, over that along its shorter side, up to which it is a plane."""
BESIDE = 0.5
"""Cosine of the angle from the cloud's normal at which a point lies beside the surface and not above it."""
ROUNDS = 20


def cloud_normals(points: Float[NDArray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Unit normals of the plane through each point's neighbours, of either sign; zero where they lie on no plane."""
    near = cKDTree(points).query(points, k=min(AROUND + 1, len(points)))[1]
    around = points[near]
    _, size, axes = np.linalg.svd(around - around.mean(axis=1, keepdims=True), full_matrices=False)
    return axes[:, 2] * (size[:, 2] < LEVEL * size[:, 1])[:, None]


def overhanging(misfit: Misfit, normals: Float[NDArray, "n 3"], expected: float) -> Bool[np.ndarray, " n"]:
    """Whether each point lies off the surface, by more than is expected [m], along its own cloud's plane.

    `normals` are the cloud's, in the model's frame; a zero says nothing.
    """
    known = (normals**2).sum(axis=1) > 0.5
    along = np.abs(np.einsum("ni,ni->n", misfit.normal, normals)) < BESIDE
    return known & along & (np.abs(misfit.distance) > EXPECTED * expected)


def predicted(
    misfit: Misfit,
    jacobian: Float[NDArray, "n m"],
    state: Float[NDArray, " m"],
    law: Errors,
    suspect: Bool[NDArray, " n"],
    trusted: Bool[NDArray, " n"],
) -> Bool[np.ndarray, " n"]:
    """Whether each point is as those that belong predict it; none of the suspect ones.

    Args:
        misfit: at a state.
        jacobian: of the distances by pose and loads in units of their priors [m].
        state: pose and loads in the same units.
        law: of the errors.
        suspect: points that are out in any case.
        trusted: points to start from.
    """
    left = misfit.distance + jacobian @ state
    covariance = jacobian @ jacobian.T + law.covariance(misfit)
    belong = trusted & ~suspect
    for _ in range(ROUNDS):
        score = _scores(covariance, left, belong)
        now = (np.abs(score) < PREDICTED) & ~suspect
        if (now == belong).all() or now.sum() < 0.5 * trusted.sum():
            break
        belong = now
    return belong


def _scores(covariance: NDArray, left: NDArray, used: NDArray) -> NDArray:
    """Error over standard deviation of each point's prediction from those used, itself left out.

    Left out by the inverse of the covariance alone (Dubrule, Math Geol 15:687, 1983).
    """
    factor = cho_factor(covariance[np.ix_(used, used)], lower=True)
    inverse = cho_solve(factor, np.eye(int(used.sum())))
    weights = inverse @ left[used]
    score = np.empty(len(left))
    score[used] = weights / np.sqrt(np.diag(inverse))
    shared = covariance[np.ix_(~used, used)]
    variance = np.diag(covariance)[~used] - np.einsum("ij,jk,ik->i", shared, inverse, shared, optimize=True)
    score[~used] = (left[~used] - shared @ weights) / np.sqrt(np.maximum(variance, 1e-300))
    return score
