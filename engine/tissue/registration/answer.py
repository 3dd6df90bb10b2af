"""What a registration says: where targets are now, how sure that is, and what the surface seen cannot tell."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..fitting.location import locate
from ..fitting.observation import vectors
from ..model import Model
from .all_at_once import Found
from .errors import Errors
from .rigid import Rigid

TOLD = 0.05
"""Probability of a width from which on `statement` speaks of its body."""
TOGETHER, GATHERED = 0.01, 5
"""m between neighbours of one group of points left out, and members from which on it is told."""
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
        """What the surface seen cannot tell."""
        explained = 1.0 - np.diag(self.found.covariance)[6:]
        most = max(one.stiffened for one, p in zip(self.states, self.probability, strict=True) if p >= TOLD)
        stiffened = (
            f" A stable shape was found with {most:g} times the stiffness at rest added alone: it is nearer to linear "
            "elasticity than the material given."
            if most > 0
            else ""
        )
        return (
            f"{100 * self.visible_share:.0f} % of the surface was seen. It determines {explained.sum():.1f} of "
            f"{len(explained)} patterns of load; of the others the prior speaks: a change of the median node by "
            f"{1e3 * float(self.probability @ self.widths):.0f} mm (RMS). {100 * self.found.held:.2g} % of the force "
            "within is what holds the body against rigid motion." + stiffened + self._refused() + self._strained()
        )

    def _refused(self) -> str:
        """How many points were left out, and where most of them lie."""
        count, total = len(self.left_out), len(self.left_out) + len(self.belonging)
        if count == 0:
            return ""
        share = f" {count} of {total} points ({100 * count / total:.1f} %) were left out as another surface's"
        gathered = _gathered(self.left_out)
        if len(gathered) < GATHERED:
            return share + f", no {GATHERED} of them together."
        middle = np.round(1e3 * gathered.mean(axis=0)).astype(int).tolist()
        return share + f", {len(gathered)} of them together about {middle} mm."

    def _strained(self) -> str:
        """A doubt, where the widest prior is the likeliest; or a wider one, and other tissue was found."""
        if not self.strained:
            return self._more_of_it()
        return (
            f" Doubt it: the likeliest width, {1e3 * self.widest:.0f} mm, is the widest tried. Points of other tissue "
            "or a noise that is too small make it so; compare with `rigid`, crop the points, or give `displacement`."
        )

    def _more_of_it(self) -> str:
        """A doubt: tissue that touches the organ without a step is found in part, and loads follow the rest."""
        if not self.width > self.assumed > 0.0 or len(_gathered(self.left_out)) < GATHERED:
            return ""
        return (
            f" Doubt it: the likeliest width, {1e3 * self.width:.0f} mm, is more than the {1e3 * self.assumed:.0f} mm "
            "assumed, and more of the tissue left out may be among the points kept; compare with `rigid`, crop the "
            "points, or give `displacement`."
        )

    def targets(self, points: Float[NDArray, "k 3"]) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3 3"]]:
        """Where points of the preoperative model [m] now are [m], and their covariance [m²].

        Means over the widths; the covariance holds how far the widths disagree (Hoeting et al., Stat Sci 14:382, 1999)
        and what the model cannot follow.

        Raises:
            SolverError: a point lies outside of the model.
        """
        rest = vectors(points, "targets", "targets")
        nodes, weights, _ = locate(self.model, rest, "targets", outside=SUBCAPSULAR)
        each = [self._placed(found, rest, nodes, weights) for found in self.states]
        places = np.array([place for place, _ in each])
        mean = np.einsum("w,wki->ki", self.probability, places)
        apart = places - mean
        covariance = np.einsum("w,wkij->kij", self.probability, np.array([spread for _, spread in each]))
        return mean, covariance + np.einsum("w,wki,wkj->kij", self.probability, apart, apart)

    def _placed(self, found: Found, rest: NDArray, nodes: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
        """Positions and covariance for one width.

        The model's place and d, of which the points see n · d: given all else, d's mean is c C⁻¹ r and its covariance
        δ² − c C⁻¹ cᵀ, c its covariance with what the points see; r = r₀ − J δξ carries it into the derivative.
        """
        now = rest + np.einsum("km,kmi->ki", weights, found.displacement[nodes])
        law = found.errors.law
        shared = law.shared(now, found.misfit)
        solved = found.errors.inverse(shared.reshape(-1, shared.shape[2]).T).T.reshape(shared.shape)
        now = now + solved @ found.misfit.distance
        rate = self.rate(found, now, nodes, weights) - self._turned(found, solved @ found.jacobian)
        own = law.unfollowed**2 + law.unseen(now, found.misfit, found.displacement)
        left = own[:, None, None] * np.eye(3) - np.einsum("kin,kjn->kij", solved, shared, optimize=True)
        turn = found.pose.rotation.as_matrix()
        spread = np.einsum("kin,nm,kjm->kij", rate, found.covariance, rate, optimize=True)
        return found.pose.seen_from_model(now), spread + turn @ left @ turn.T

    def rate(self, found: Found, now: NDArray, nodes: NDArray, weights: NDArray) -> Float[np.ndarray, "k 3 m"]:
        """How places of the model follow pose (in units of its prior) and loads [m]."""
        by_turn = -self._turned(found, _cross(now - found.pose.pivot)) * self.pose_width[:3]
        by_shift = np.broadcast_to(np.diag(self.pose_width[3:]), by_turn.shape)
        by_loads = self._turned(found, np.einsum("km,kmjn->kjn", weights, found.slope[nodes], optimize=True))
        return np.concatenate([by_turn, by_shift, by_loads], axis=2)

    @staticmethod
    def _turned(found: Found, values: NDArray) -> NDArray:
        return np.einsum("ij,kjn->kin", found.pose.rotation.as_matrix(), values, optimize=True)


def _gathered(points: NDArray) -> NDArray:
    """The largest group of points whose members have another within `TOGETHER`."""
    if len(points) == 0:
        return points
    pairs = cKDTree(points).query_pairs(TOGETHER, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(points), len(points)))
    label = connected_components(graph, directed=False)[1]
    return points[label == np.bincount(label).argmax()]


def _cross(vectors: NDArray) -> NDArray:
    """(k, 3, 3) matrices of v ×."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], axis=1)
