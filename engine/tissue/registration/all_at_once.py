"""Displacement, loads and pose at once: Gauss–Newton on the misfit with equilibrium linearised beside it.

State u, loads f = B ξ, pose p; priors ξ ~ N(0, a²), p ~ N(0, P). One factorisation of the tangent K per step gives what
is still out of balance, d = −K⁻¹ r(u, ξ), and how the body follows the loads, S = K⁻¹B. The misfit of u + d + S δξ is
minimised together with the priors, and u moves along (Biros and Ghattas, SIAM J Sci Comput 27:687, 2005, call it
full space). Nothing is solved to the end before the loads are right; a solve per try took 20 times as long and failed
where a first guess of the loads had no equilibrium.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from ....imaging.errors import SolverError
from ....imaging.progress import Progress
from .errors import Errors, Weighed
from .free_body import FreeBody, NoBalance
from .misfit import Misfit, Pose
from .outline import Outline

STEPS = 30
CALM = 10
"""Steps after which only half of each is taken, so that pairs that swap to and fro settle between, and after which a
stiffened body is not softened again."""
LONGEST = 0.012
"""m that a node may move in one step."""
SETTLED = 0.2
"""Converged when a step changes what the points see by this share of its posterior width, per coordinate that they
determine (the trace of 1 − H⁻¹, MacKay, Neural Computation 4:415, 1992); pairs with facets jitter by less."""


@dataclass(frozen=True, eq=False)
class Found:
    """A most probable state.

    Attributes:
        displacement: (nodes, 3) m.
        loads: (n,) ξ in units of the prior's width.
        pose: of the body in the frame of the points.
        slope: (nodes, 3, n) ∂u/∂ξ [m].
        covariance: (6 + n, 6 + n) of pose (in units of its prior) and ξ, by Laplace's approximation.
        misfit: of the points.
        jacobian: (points, 6 + n) how far their nearest places follow pose and loads [m].
        errors: the covariance of the misfit.
        held: the multipliers' force against rigid motion, over the forces within (roots of sums of squares).
        stiffened: s of the body that these loads balance; 0 where its own equilibrium was found.
        evidence: logarithm of the probability of the data under this width of the prior, up to a constant.
        steps: taken.
    """

    displacement: Float[np.ndarray, "nodes 3"]
    loads: Float[np.ndarray, " n"]
    pose: Pose
    slope: Float[np.ndarray, "nodes 3 n"]
    covariance: Float[np.ndarray, "m m"]
    misfit: Misfit
    jacobian: Float[np.ndarray, "points m"]
    errors: Weighed
    held: float
    stiffened: float
    evidence: float
    steps: int


@dataclass(frozen=True, eq=False)
class Search:
    """What stays the same while the width of the loads' prior is varied.

    Attributes:
        body: the organ.
        outline: its surface.
        basis: (nodes, 3, n) N per unit coordinate, at width 1.
        seen: (n, 3) m.
        errors: of the distances, while the body is at rest.
        pose_width: (6,) rad and m.
    """

    body: FreeBody
    outline: Outline
    basis: Float[np.ndarray, "nodes 3 n"]
    seen: Float[np.ndarray, "n 3"]
    errors: Errors
    pose_width: Float[np.ndarray, "6"]

    def of_some(self, chosen: Bool[NDArray, " n"]) -> Search:
        """The same search with some of the points."""
        return replace(self, seen=self.seen[chosen], errors=self.errors.of_some(chosen))

    def run(self, width: float, pose: Pose, displacement: NDArray, loads: NDArray, progress: Progress) -> Found:
        """The most probable state for one width of the loads' prior, from a first guess.

        Raises:
            SolverError: no convergence.
        """
        basis, moved, size, weighed = width * self.basis, displacement, np.inf, None
        least, floor, refused = 0.0, 0.0, None
        for number in range(STEPS):
            body, slope, left, misfit = self._linear(basis, moved, loads, pose, least)
            weighed = self.errors.deformed(moved).at(misfit, weighed)
            jacobian = self.jacobian(misfit, slope)
            prior = np.concatenate([pose.numbers() / self.pose_width, loads])
            ahead = misfit.distance - misfit.by_nodes(left[:, :, None])[:, 0]
            solved = weighed.inverse(np.column_stack([jacobian, ahead]))
            told = jacobian.T @ solved[:, :-1]
            hessian = _factor(told + np.eye(len(prior)))
            step = cho_solve(hessian, jacobian.T @ solved[:, -1] - prior)
            determined = float(np.trace(cho_solve(hessian, told)))
            size = float(np.sqrt(step @ told @ step / max(determined, 1.0)))
            progress(number / STEPS, f"width {1e3 * width:.3g}, step {number + 1}, change {size:.2g}")
            step *= 1.0 if number < CALM else 0.5
            moved, share = body.step(moved, left + slope @ step[6:], LONGEST)
            loads = loads + share * step[6:]
            pose = pose.turned(share * step[:6] * self.pose_width)
            least = max(floor, body.share if number >= CALM else 0.0)
            idle = float(np.linalg.norm(left, axis=1).max()) < 0.5 * self.errors.noise
            if share == 1.0 and size < SETTLED and idle:
                try:
                    return self._settled(body, moved, basis, loads, pose, weighed, number + 1)
                except NoBalance as error:
                    refused, least = error, body.stiffer
                    floor = least
        if refused is not None:
            raise refused
        raise SolverError(
            f"not settled in {STEPS} steps: the last changed by {size:.2g} of the posterior's width",
            where="register",
            advice="Check that the points belong to this organ, or give their noise",
        )

    def _linear(
        self, basis: NDArray, moved: NDArray, loads: NDArray, pose: Pose, least: float
    ) -> tuple[FreeBody, NDArray, NDArray, Misfit]:
        """The body, stiffened by `least` or as much more as makes it stable here; S, d and the misfit."""
        body, compliance = self.body.stable_at(moved, least)
        rest, _, _ = body.out_of_balance(moved, basis @ loads)
        answer = compliance.times(np.concatenate([basis, -rest[:, :, None]], axis=2))
        return body, answer[:, :, :-1], answer[:, :, -1], Misfit.at(self.outline, moved, pose, self.seen)

    def _settled(
        self, body: FreeBody, moved: NDArray, basis: NDArray, loads: NDArray, pose: Pose, weighed: Weighed, steps: int
    ) -> Found:
        """The equilibrium under the loads found, and the posterior there."""
        moved = body.balance(moved, basis @ loads, LONGEST)
        now, slope, _, misfit = self._linear(basis, moved, loads, pose, body.share)
        if now.share > body.share:
            raise NoBalance("the equilibrium found is unstable", where="register")
        weighed, jacobian = self.errors.deformed(moved).at(misfit, weighed), self.jacobian(misfit, slope)
        hessian = _factor(jacobian.T @ weighed.inverse(jacobian) + np.eye(jacobian.shape[1]))
        prior = np.concatenate([pose.numbers() / self.pose_width, loads])
        evidence = -0.5 * (
            misfit.distance @ weighed.inverse(misfit.distance)
            + weighed.log_determinant()
            + prior @ prior
            - 2.0 * weighed.log_weights()
            + 2.0 * np.log(np.diag(hessian[0])).sum()
        )
        covariance, held = cho_solve(hessian, np.eye(len(prior))), body.held(moved, basis @ loads)
        return Found(
            moved, loads, pose, slope, covariance, misfit, jacobian, weighed, held, body.share, float(evidence), steps
        )

    def jacobian(self, misfit: Misfit, slope: NDArray) -> Float[np.ndarray, "points m"]:
        """∂(n · y) by pose, in units of its prior, and loads."""
        return np.hstack([misfit.by_pose * self.pose_width, misfit.by_nodes(slope)])


def _factor(hessian: NDArray) -> tuple[NDArray, bool]:
    """Cholesky's factor.

    Raises:
        SolverError: not finite or not positive.
    """
    try:
        return cho_factor(hessian, lower=True)
    except (np.linalg.LinAlgError, ValueError) as error:
        raise SolverError(
            f"the posterior has no width ({error})",
            where="register",
            advice="Check units, noise and Prior; the model may be far softer or stiffer than its loads",
        ) from error
