"""The rigid motion that lays a surface on points seen of it: iterative closest points, point to plane, trimmed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..fitting.closest import closest_on_surface

TRIMMED = 0.9
"""Share of the points, nearest first, that each step uses (Chetverikov et al., Image Vision Comput 23:299, 2005)."""


class Rigid(NamedTuple):
    """x_seen = R(w) (x − c) + c + t: rotation vector w [rad], translation t [m], pivot c [m], RMS distance left [m]."""

    rotation: Float[np.ndarray, "3"]
    translation: Float[np.ndarray, "3"]
    pivot: Float[np.ndarray, "3"]
    rms: float

    def seen_from_model(self, position: NDArray) -> NDArray:
        """Positions in the frame of the points."""
        return Rotation.from_rotvec(self.rotation).apply(position - self.pivot) + self.pivot + self.translation

    def model_from_seen(self, position: NDArray) -> NDArray:
        """Positions in the model's frame."""
        moved = position - self.pivot - self.translation
        return Rotation.from_rotvec(-self.rotation).apply(moved) + self.pivot


def align(
    points: Float[NDArray, "n 3"],
    surface: Float[NDArray, "v 3"],
    triangles: NDArray,
    *,
    pivot: NDArray | None = None,
    first: tuple[NDArray, NDArray] | None = None,
    iterations: int = 60,
) -> Rigid:
    """The motion of the surface that brings it nearest to the points, from a first guess.

    Each step pairs points with the nearest places, keeps the nearest 90 %, and solves the linearised distance along
    the normals; a slight pull of the turn and shift (1e-3 of the data's weight) holds what the points leave open.
    """
    centre = surface.mean(axis=0) if pivot is None else pivot
    turn, shift = (np.zeros(3), np.zeros(3)) if first is None else first
    now = Rigid(np.asarray(turn, float), np.asarray(shift, float), centre, np.inf)
    corners = surface[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-300)[:, None]
    size = float(np.linalg.norm(np.ptp(surface, axis=0)))
    for _ in range(iterations):
        back = now.model_from_seen(points)
        which, bary = closest_on_surface(back, corners)
        place = np.einsum("nk,nki->ni", bary, corners[which])
        gap = back - place
        distance = np.linalg.norm(gap, axis=1)
        keep = distance <= np.quantile(distance, TRIMMED)
        normal = normals[which[keep]]
        rows = np.hstack([np.cross(place[keep] - centre, normal) / size, normal])
        right = np.einsum("ni,ni->n", gap[keep], normal)
        matrix = rows.T @ rows
        step = np.linalg.solve(matrix + 1e-3 * len(rows) / 6.0 * np.eye(6), rows.T @ right)
        turned = Rotation.from_rotvec(now.rotation)
        spin = turned * Rotation.from_rotvec(step[:3] / size)
        rms = float(np.sqrt((distance[keep] ** 2).mean()))
        now = Rigid(spin.as_rotvec(), now.translation + turned.apply(step[3:]), centre, rms)
        if np.linalg.norm(step) < 1e-5 * size * 0.1:
            break
    return now


def align_from_many(points: NDArray, surface: NDArray, triangles: NDArray, *, degrees: float = 10.0) -> Rigid:
    """`align` from the first guess and from six turns of it; the best fit of all."""
    starts = [np.zeros(3)] + [s * np.radians(degrees) * np.eye(3)[a] for a in range(3) for s in (1.0, -1.0)]
    centre = surface.mean(axis=0)
    found = [
        align(points, surface, triangles, pivot=centre, first=(turn, np.zeros(3)), iterations=25) for turn in starts
    ]
    best = min(found, key=lambda one: one.rms)
    return align(points, surface, triangles, pivot=centre, first=(best.rotation, best.translation))
