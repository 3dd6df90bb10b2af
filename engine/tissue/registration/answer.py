"""What a registration says: where targets are now, how sure that is, and what the surface seen cannot tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from .. import given
from ..fitting.location import locate
from ..fitting.observation import vectors
from ..model import Model
from .all_at_once import Found
from .errors import Errors
from .rigid import Rigid
from .statement import said_of
from .uneven import Mixture, Scales, rescaled

ASKED = 150
"""Nodes, about, at which the answer is compared with rigid alignment."""
SUBCAPSULAR = 0.5
"""Element sizes that a target may lie outside of the mesh: its facets cut corners of the organ."""


@dataclass(frozen=True, eq=False)
class Registration:
    """A registered model.

    Attributes:
        states: displacement, pose, loads and their covariance, for each width of the loads' prior.
        widths: RMS displacement of the median node [m] that each assumes.
        probability: of each width, by evidence; all alike before anything is seen.
        rigid: the alignment before deformation, for comparison.
        model: the preoperative model.
        errors: the law of the points' errors, and of what the model cannot follow, for a body at rest.
        visible_share: of the outline, by area, that lies near what was seen.
        pose_width: of the prior, rad and m.
        belonging: (n, 3) m, the points used.
        left_out: (n, 3) m, the points judged to be of something else.
        widest: width [m] beyond which none was tried; 0 where the width was given.
        assumed: width [m] that was thought likely; 0 where it was given.
        uneven: `Prior.uneven`.
    """

    states: tuple[Found, ...]
    widths: Float[np.ndarray, " w"]
    probability: Float[np.ndarray, " w"]
    rigid: Rigid
    model: Model
    errors: Errors
    visible_share: float
    pose_width: Float[np.ndarray, "6"]
    belonging: Float[np.ndarray, "n 3"] = field(default_factory=lambda: np.zeros((0, 3)))
    left_out: Float[np.ndarray, "n 3"] = field(default_factory=lambda: np.zeros((0, 3)))
    widest: float = 0.0
    assumed: float = 0.0
    uneven: float = 0.0

    @property
    def found(self) -> Found:
        """The state of the most probable width."""
        return self.states[int(self.probability.argmax())]

    @property
    def width(self) -> float:
        """The most probable width [m]."""
        return float(self.widths[self.probability.argmax()])

    @property
    def strained(self) -> bool:
        """Whether the likeliest width is the widest tried: the data ask for more than was thought possible."""
        return self.width >= self.widest > 0.0

    @property
    def share_left_out(self) -> float:
        """Of the points, those judged to be of something else."""
        return len(self.left_out) / max(len(self.left_out) + len(self.belonging), 1)

    @property
    def noise(self) -> float:
        """Standard deviation of the points along the surface's normal [m], given or found."""
        return float(np.hypot(self.errors.noise, self.errors.alike[0]))

    @property
    def statement(self) -> str:
        """What the surface seen cannot tell, and what speaks against this answer."""
        return said_of(self)

    @cached_property
    def rigid_nearer(self) -> float:
        """Probability that `rigid` places a point nearer to the truth than `targets`, in the mean over `ASKED` nodes.

        Nearer is what lies beyond the plane half way: Φ(−|a|/2σ) of a Gaussian, a from the one place to the other, σ
        along a; here of the mixture. One half where the two places are the same.
        """
        nodes = np.asarray(self.model.points)
        some = nodes[:: max(len(nodes) // ASKED, 1)]
        mixture = self._mixture(some)
        place = mixture.moments()[0]
        way = self.rigid.seen_from_model(some) - place
        return float(mixture.beyond(place + 0.5 * way, way).mean())

    def targets(self, points: Float[NDArray, "k 3"]) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3 3"]]:
        """Where points of the preoperative model [m] now are [m], and their covariance [m²].

        Means over the widths; the covariance holds how far the widths disagree (Hoeting et al., Stat Sci 14:382, 1999),
        what the model cannot follow, and that hidden loads may be larger than those seen (`uneven`).

        Raises:
            SolverError: a point lies outside of the model.
        """
        return self._mixture(points).moments()

    def intervals(
        self, points: Float[NDArray, "k 3"], share: float = 0.95
    ) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3"]]:
        """Between which each coordinate [m] of points of the preoperative model [m] now lies, with a probability.

        Quantiles: the law has heavier tails than the Gaussian of `targets`, so that 1 and 1.96 of its standard
        deviations hold more than 68 and less than 95 %.

        Raises:
            SolverError: a point lies outside of the model; a share that is no probability.
        """
        given.number(share, "a share", "intervals", above=0.0, below=1.0, advice="Give 0.95 for 95 %")
        mixture = self._mixture(points)
        return mixture.quantile((1.0 - share) / 2.0), mixture.quantile((1.0 + share) / 2.0)

    def _mixture(self, points: Float[NDArray, "k 3"]) -> Mixture:
        rest = vectors(points, "targets", "targets")
        nodes, weights, _ = locate(self.model, rest, "targets", outside=SUBCAPSULAR)
        scales = Scales.of(self.uneven)
        each = [self._placed(found, rest, nodes, weights, scales) for found in self.states]
        place, spread = (np.array(values) for values in zip(*each, strict=True))
        return Mixture(place, spread, np.outer(self.probability, scales.probability))

    def _placed(
        self, found: Found, rest: NDArray, nodes: NDArray, weights: NDArray, scales: Scales
    ) -> tuple[NDArray, NDArray]:
        """Positions (k, 3) for one width, and their covariance (s, k, 3, 3) for each scale of the hidden loads.

        The model's place and d, of which the points see n · d: given all else, d's mean is c C⁻¹ r and its covariance
        δ² − c C⁻¹ cᵀ, c its covariance with what the points see; r = r₀ − J δξ carries it into the derivative.
        """
        now = rest + np.einsum("km,kmi->ki", weights, found.displacement[nodes])
        law = found.errors.law
        shared = law.shared(now, found.misfit)
        solved = found.errors.inverse(shared.reshape(-1, shared.shape[2]).T).T.reshape(shared.shape)
        now = now + solved @ found.misfit.distance
        rate = self.rate(found, now, nodes, weights) - self._turned(found, solved @ found.jacobian)
        left = law.unfollowed**2 * np.eye(3) - np.einsum("kin,kjn->kij", solved, shared, optimize=True)
        turn = found.pose.rotation.as_matrix()
        wide = [rescaled(found.covariance, len(self.pose_width), size) for size in scales.size]
        spread = [np.einsum("kin,nm,kjm->kij", rate, one, rate, optimize=True) for one in wide]
        return found.pose.seen_from_model(now), np.array(spread) + turn @ left @ turn.T

    def rate(self, found: Found, now: NDArray, nodes: NDArray, weights: NDArray) -> Float[np.ndarray, "k 3 m"]:
        """How places of the model follow pose (in units of its prior) and loads [m]."""
        by_turn = -self._turned(found, _cross(now - found.pose.pivot)) * self.pose_width[:3]
        by_shift = np.broadcast_to(np.diag(self.pose_width[3:]), by_turn.shape)
        by_loads = self._turned(found, np.einsum("km,kmjn->kjn", weights, found.slope[nodes], optimize=True))
        return np.concatenate([by_turn, by_shift, by_loads], axis=2)

    @staticmethod
    def _turned(found: Found, values: NDArray) -> NDArray:
        return np.einsum("ij,kjn->kin", found.pose.rotation.as_matrix(), values, optimize=True)


def _cross(vectors: NDArray) -> NDArray:
    """(k, 3, 3) matrices of v ×."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], axis=1)
