"""Displacement, loads and pose at once: Gauss–Newton on the misfit with equilibrium linearised beside it.

State u, loads f = B ξ, pose p; priors ξ ~ N(0, a²), p ~ N(0, P). One factorisation of the tangent K per step gives what
is still out of balance, d = −K⁻¹ r(u, ξ), and how the body follows the loads, S = K⁻¹B. The misfit of u + d + S δξ is
minimised together with the priors, and u moves along (Biros and Ghattas, SIAM J Sci Comput 27:687, 2005, call it
full space). Nothing is solved to the end before the loads are right; a solve per try took 20 times as long and failed
where a first guess of the loads had no equilibrium.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ....imaging.progress import Progress
from .free_body import FreeBody
from .misfit import Errors, Misfit, Pose
from .outline import Outline

STEPS = 30
CALM = 10
"""Steps after which only half of each is taken: pairs that swap to and fro settle between."""
LONGEST = 0.012
"""m that a node may move in one step."""
SETTLED = 0.1
"""Converged when a step is this share of the posterior's width per coordinate; pairs with facets jitter by less."""


@dataclass(frozen=True, eq=False)
class Found:
    """A most probable state.

    Attributes:
        displacement: (nodes, 3) m.
        loads: (n,) ξ in units of the prior's width.
        pose: of the body in the frame of the points.
        slope: (nodes, 3, n) ∂u/∂ξ [m].
        covariance: (6 + n, 6 + n) of pose (in units of its prior) and ξ, by Laplace's approximation.
        distance: (n,) m of each point to the surface.
        evidence: logarithm of the probability of the data under this width of the prior, up to a constant.
        steps: taken.
    """

    displacement: Float[np.ndarray, "nodes 3"]
    loads: Float[np.ndarray, " n"]
    pose: Pose
    slope: Float[np.ndarray, "nodes 3 n"]
    covariance: Float[np.ndarray, "m m"]
    distance: Float[np.ndarray, " n"]
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
        errors: of the distances.
        pose_width: (6,) rad and m.
    """

    body: FreeBody
    outline: Outline
    basis: Float[np.ndarray, "nodes 3 n"]
    seen: Float[np.ndarray, "n 3"]
    errors: Errors
    pose_width: Float[np.ndarray, "6"]

    def run(self, width: float, pose: Pose, displacement: NDArray, loads: NDArray, progress: Progress) -> Found:
        """The most probable state for one width of the loads' prior, from a first guess.

        Raises:
            SolverError: no convergence.
        """
        basis, moved, size = width * self.basis, displacement, np.inf
        for number in range(STEPS):
            slope, left, misfit = self._linear(basis, moved, loads, pose)
            self.errors.update(misfit.distance)
            jacobian = np.hstack([misfit.by_pose * self.pose_width, misfit.by_nodes(slope)])
            prior = np.concatenate([pose.numbers() / self.pose_width, loads])
            ahead = misfit.distance - misfit.by_nodes(left[:, :, None])[:, 0]
            solved = self.errors.inverse(np.column_stack([jacobian, ahead]))
            hessian = jacobian.T @ solved[:, :-1] + np.eye(len(prior))
            step = np.linalg.solve(hessian, jacobian.T @ solved[:, -1] - prior)
            size = float(np.sqrt(step @ hessian @ step / len(step)))
            progress(number / STEPS, f"width {1e3 * width:.3g}, step {number + 1}, change {size:.2g}")
            step *= 1.0 if number < CALM else 0.5
            moved, share = self.body.step(moved, left + slope @ step[6:], LONGEST)
            loads = loads + share * step[6:]
            pose = pose.turned(share * step[:6] * self.pose_width)
            idle = float(np.linalg.norm(left, axis=1).max()) < 0.5 * self.errors.noise
            if share == 1.0 and size < SETTLED and idle:
                return self._settled(basis, moved, loads, pose, number + 1)
        raise SolverError(
            f"not settled in {STEPS} steps: the last changed by {size:.2g} of the posterior's width",
            where="register",
            advice="Check that the points belong to this organ, or give their noise",
        )

    def _linear(self, basis: NDArray, moved: NDArray, loads: NDArray, pose: Pose) -> tuple[NDArray, NDArray, Misfit]:
        """S, d and the misfit."""
        rest, _, _ = self.body.out_of_balance(moved, basis @ loads)
        answer = self.body.compliance(moved).times(np.concatenate([basis, -rest[:, :, None]], axis=2))
        return answer[:, :, :-1], answer[:, :, -1], Misfit.at(self.outline, moved, pose, self.seen)

    def _settled(self, basis: NDArray, moved: NDArray, loads: NDArray, pose: Pose, steps: int) -> Found:
        """The equilibrium under the loads found, and the posterior there."""
        moved = self.body.balance(moved, basis @ loads, LONGEST)
        slope, _, misfit = self._linear(basis, moved, loads, pose)
        self.errors.update(misfit.distance)
        jacobian = np.hstack([misfit.by_pose * self.pose_width, misfit.by_nodes(slope)])
        hessian = jacobian.T @ self.errors.inverse(jacobian) + np.eye(jacobian.shape[1])
        prior = np.concatenate([pose.numbers() / self.pose_width, loads])
        evidence = -0.5 * (
            misfit.distance @ self.errors.inverse(misfit.distance)
            + self.errors.log_determinant()
            + prior @ prior
            - 2.0 * self.errors.log_weights()
            + np.linalg.slogdet(hessian)[1]
        )
        return Found(moved, loads, pose, slope, np.linalg.inv(hessian), misfit.distance, float(evidence), steps)
