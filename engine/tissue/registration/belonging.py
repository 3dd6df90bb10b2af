"""Which points belong to the organ: tissue beside it, what lies on it and flying pixels come in coherent groups.

Student's law weighs each point by itself; a patch of another surface, whose points agree with each other, would be
explained by loads. Under the prior all distances are one Gaussian vector, r + J x₀ ~ N(0, J Jᵀ + C), x₀ the state they
are linearised at: how a patch may differ from what is beside it is in there. Three things tell that a point is foreign:

* The points that surely belong do not predict it, within 4 standard deviations. A forward search (Hadi and Simonoff,
  J Am Stat Assoc 88:1264, 1993): from the half that the surface lies nearest to, all that those predict, and so on.
* It lies on top with its neighbours: those that surely belong, its neighbours not among them, predict the median of the
  group lower by 4 standard deviations. A lump whose every point could be noise is none as a whole. What lies deeper is
  not judged so: nobody sees through an organ, so there it was pushed in.
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
STRAY, REFITS = 2.5, 6
"""Robust standard deviations off a cloud's plane from which a neighbour has no part in it; and fits with those left."""
GROUP, LEAST = 12, 5
"""Nearest points that are judged together at most, and at least."""
REACH = 2.5
"""Times the cloud's spacing (to the sixth neighbour) within which points are of one group."""
BESIDE = 0.5
"""Cosine of the angle from the cloud's normal at which a point lies beside the surface and not above it."""
ROUNDS = 20


def cloud_normals(points: Float[NDArray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Unit normals of the plane through each point's neighbours, of either sign; zero where they lie on no plane.

    Neighbours far off the plane are left out of it: one flying pixel would tilt it.
    """
    around = points[cKDTree(points).query(points, k=min(AROUND + 1, len(points)))[1]]
    taken, size, axes = np.ones(around.shape[:2]), np.ones((1, 3)), np.eye(3)[None]
    for _ in range(REFITS):
        share = taken / taken.sum(axis=1, keepdims=True)
        away = around - np.einsum("nk,nki->ni", share, around)[:, None]
        size, axes = np.linalg.eigh(np.einsum("nk,nki,nkj->nij", share, away, away))
        height = np.abs(np.einsum("nki,ni->nk", away, axes[:, :, 0]))
        taken = (height <= STRAY * 1.4826 * np.median(height, axis=1, keepdims=True)).astype(float)
    size = np.sqrt(np.maximum(size, 0.0))
    return axes[:, :, 0] * (size[:, 0] < LEVEL * size[:, 1])[:, None]


def overhanging(misfit: Misfit, normals: Float[NDArray, "n 3"], expected: float) -> Bool[np.ndarray, " n"]:
    """Whether each point lies outside of the surface, by more than is expected [m], along its own cloud's plane.

    `normals` are the cloud's, in the model's frame; a zero says nothing.
    """
    known = (normals**2).sum(axis=1) > 0.5
    along = np.abs(np.einsum("ni,ni->n", misfit.normal, normals)) < BESIDE
    return known & along & (misfit.distance > EXPECTED * expected)


def predicted(
    misfit: Misfit,
    jacobian: Float[NDArray, "n m"],
    state: Float[NDArray, " m"],
    law: Errors,
    suspect: Bool[NDArray, " n"],
    trusted: Bool[NDArray, " n"],
    in_groups: bool,
) -> Bool[np.ndarray, " n"]:
    """Whether each point is as those that belong predict it; none of the suspect ones.

    Args:
        misfit: at a state.
        jacobian: of the distances by pose and loads in units of their priors [m].
        state: pose and loads in the same units.
        law: of the errors.
        suspect: points that are out in any case.
        trusted: points to start from.
        in_groups: whether points are judged with their neighbours too.
    """
    left = misfit.distance + jacobian @ state
    covariance = jacobian @ jacobian.T + law.covariance(misfit)
    belong = trusted & ~suspect
    for _ in range(ROUNDS):
        single, together = _scores(covariance, left, belong, misfit.points)
        now = (np.abs(single) < PREDICTED) & ~suspect
        if in_groups:
            now &= together < PREDICTED
        if (now == belong).all() or now.sum() < 0.5 * trusted.sum():
            break
        belong = now
    return belong


def _scores(covariance: NDArray, left: NDArray, used: NDArray, points: NDArray) -> tuple[NDArray, NDArray]:
    """Error over standard deviation of the prediction from those used: of each point, and of the group about it.

    What is judged is left out of what predicts it, by the inverse of the covariance alone (Dubrule, Math Geol 15:687,
    1983): of those used, the errors of some are (Q_gg)⁻¹ (Q r)_g with covariance (Q_gg)⁻¹. A group is of points used or
    of others; foreign ones among the others do not hide behind each other.
    """
    factor = cho_factor(covariance[np.ix_(used, used)], lower=True)
    inverse = cho_solve(factor, np.eye(int(used.sum())))
    weights = inverse @ left[used]
    shared = covariance[np.ix_(~used, used)]
    error = left[~used] - shared @ weights
    spread = covariance[np.ix_(~used, ~used)] - shared @ inverse @ shared.T

    def left_out(group: NDArray) -> tuple[NDArray, NDArray]:
        own = np.linalg.inv(inverse[np.ix_(group, group)])
        return own @ weights[group], own

    single, together = np.empty(len(left)), np.zeros(len(left))
    single[used] = weights / np.sqrt(np.diag(inverse))
    single[~used] = error / np.sqrt(np.maximum(np.diag(spread), 1e-300))
    reach = REACH * float(np.median(cKDTree(points).query(points, k=min(7, len(points)))[0][:, -1]))
    together[used] = [_above(*left_out(group)) for group in _groups(points[used], reach)]
    together[~used] = [_above(error[group], spread[np.ix_(group, group)]) for group in _groups(points[~used], reach)]
    return single, together


def _groups(points: NDArray, reach: float) -> list[NDArray]:
    """Of each point: the nearest, itself among them, not farther than `reach` [m]."""
    away, near = cKDTree(points).query(points, k=range(1, min(GROUP, len(points)) + 1)) if len(points) else ((), ())
    return [which[far <= reach] for far, which in zip(away, near, strict=True)]


def _above(error: NDArray, covariance: NDArray) -> float:
    """The median error of a group over its standard deviation; 0 for a small group.

    The median, for a flying pixel may be among them; its variance is at most π/2 times the mean's.
    """
    if len(error) < LEAST:
        return 0.0
    return float(np.median(error) / np.sqrt(np.pi / 2.0 * covariance.mean()))
