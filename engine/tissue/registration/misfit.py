"""How far points seen lie from an outline, what changes that, and how much of it is error.

Signed distance: r = n · (x' − y), x' the point in the model's frame, y the nearest place, n from y to x', outward; so
that a point beyond a margin counts, which the facet's own normal would not see. Errors are of two kinds:
independent ones of variance σ², Student's law with 4 degrees of freedom (Lange, Little and Taylor, J Am Stat Assoc
84:881, 1989); and what the model cannot follow, alike over a distance ℓ: covariance δ² exp(−d/ℓ) (Kennedy and O'Hagan,
J R Stat Soc B 63:425, 2001). Without the second, hundreds of points beside each other claim to know the hidden side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from ..fitting.observation import STUDENT_FREEDOM
from .outline import Outline

TOUCHING = 1e-7
"""m: nearer than this the facet's normal is taken."""


class Pose(NamedTuple):
    """x_seen = R (x − c) + c + t: rotation, shift t [m], pivot c [m]."""

    rotation: Rotation
    shift: Float[np.ndarray, "3"]
    pivot: Float[np.ndarray, "3"]

    def seen_from_model(self, position: NDArray) -> NDArray:
        """Positions in the frame of the points."""
        return self.rotation.apply(position - self.pivot) + self.pivot + self.shift

    def model_from_seen(self, position: NDArray) -> NDArray:
        """Positions in the model's frame."""
        return self.rotation.inv().apply(position - self.pivot - self.shift) + self.pivot

    def turned(self, change: NDArray) -> Pose:
        """After a small turn [rad] in the model's frame and a shift [m]."""
        return Pose(self.rotation * Rotation.from_rotvec(change[:3]), self.shift + change[3:], self.pivot)

    def numbers(self) -> Float[np.ndarray, "6"]:
        """Rotation vector and shift."""
        return np.concatenate([self.rotation.as_rotvec(), self.shift])


class Misfit(NamedTuple):
    """At one state: r (n,) m, ∂y·n/∂pose (n, 6) per rad and m, and how y·n follows nodes: (n, m) of each."""

    distance: Float[np.ndarray, " n"]
    by_pose: Float[np.ndarray, "n 6"]
    normal: Float[np.ndarray, "n 3"]
    nodes: NDArray
    weights: Float[np.ndarray, "n m"]

    @classmethod
    def at(cls, outline: Outline, displacement: NDArray, pose: Pose, seen: NDArray) -> Misfit:
        """Each point with its nearest place."""
        back = pose.model_from_seen(seen)
        nodes, weights, before, normal = outline.nearest(displacement, back)
        place = before + np.einsum("nm,nmi->ni", weights, displacement[nodes])
        gap = back - place
        away = np.linalg.norm(gap, axis=1)
        near = away < TOUCHING
        unit = np.where(near[:, None], normal, gap / np.where(near, 1.0, away)[:, None])
        normal = unit * np.where(np.einsum("ni,ni->n", unit, normal) < 0, -1.0, 1.0)[:, None]
        turn = np.cross(back - pose.pivot, normal)
        by_pose = np.hstack([turn, normal @ pose.rotation.as_matrix().T])
        return cls(np.einsum("ni,ni->n", normal, gap), by_pose, normal, nodes, weights)

    def by_nodes(self, field: Float[NDArray, "nodes 3 k"]) -> Float[np.ndarray, "n k"]:
        """n · y of a field of displacements."""
        return np.einsum("ni,nm,nmik->nk", self.normal, self.weights, field[self.nodes], optimize=True)


class Errors:
    """The covariance of r."""

    def __init__(self, seen: NDArray, noise: float, unfollowed: float, length: float) -> None:
        self.noise = noise
        self._alike = unfollowed**2 * np.exp(-cdist(seen, seen) / length)
        self._expected = np.zeros(len(seen))

    def update(self, distance: Float[NDArray, " n"]) -> None:
        """Weights of Student's law, given what of the distances the model cannot follow."""
        for _ in range(2):
            square = ((distance - self._expected) / self.noise) ** 2
            self.weight = (STUDENT_FREEDOM + 1.0) / (STUDENT_FREEDOM + square)
            self._factor = cho_factor(np.diag(self.noise**2 / self.weight) + self._alike, lower=True)
            self._expected = self._alike @ cho_solve(self._factor, distance)

    def inverse(self, values: NDArray) -> NDArray:
        """C⁻¹ values."""
        return cho_solve(self._factor, values)

    def log_weights(self) -> float:
        """Logarithm of the weights' own law, Gamma(2, 2): with it the weighted squares are Student's density."""
        return 0.5 * STUDENT_FREEDOM * float((np.log(self.weight) - self.weight).sum())

    def log_determinant(self) -> float:
        """ln det of C/σ²."""
        return 2.0 * float(np.log(np.diag(self._factor[0]) / self.noise).sum())
