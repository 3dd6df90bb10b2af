"""How far points seen lie from an outline, and what changes that.

Signed distance: r = n · (x' − y), x' the point in the model's frame, y the nearest place, n from y to x', outward; so
that a point beyond a margin counts, which the facet's own normal would not see. How r errs: `errors`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

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
    """At one state: x' (n, 3) m, r (n,) m, ∂(n · y)/∂pose (n, 6) per rad and m, and n · y by nodes: (n, m) each."""

    points: Float[np.ndarray, "n 3"]
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
        return cls(back, np.einsum("ni,ni->n", normal, gap), by_pose, normal, nodes, weights)

    def by_nodes(self, field: Float[NDArray, "nodes 3 k"]) -> Float[np.ndarray, "n k"]:
        """n · y of a field of displacements."""
        return np.einsum("ni,nm,nmik->nk", self.normal, self.weights, field[self.nodes], optimize=True)
