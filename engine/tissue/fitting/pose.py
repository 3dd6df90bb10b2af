"""An unknown rigid motion between the model's frame and the frame of the observations."""

from __future__ import annotations

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float

from ..problem import Problem
from .setting import Reported, Setting, Unknown


class RigidPose(Unknown):
    """Rotation vector [rad] and translation [m] about the body's centre, on top of the setting's own.

    `spreads` = (rotation, translation) are prior standard deviations; None leaves the pose to the data.
    """

    label = "pose"

    def __init__(self, spreads: tuple[float, float] | None = None) -> None:
        self.prior = spreads
        turn, shift = (0.1, 0.01) if spreads is None else spreads
        self.scale = np.array([turn] * 3 + [shift] * 3)

    @property
    def size(self) -> int:
        """Six."""
        return 6

    @property
    def flat(self) -> Bool[np.ndarray, " n"]:
        """All or none."""
        return np.full(6, self.prior is None)

    @property
    def limit(self) -> float:
        """0.3 rad in one step."""
        return 0.3 / self.scale[0]

    def apply(self, setting: Setting, coordinates: Float[Array, " n"]) -> Setting:
        """Adds to the pose."""
        change = coordinates * self.scale
        return eqx.tree_at(
            lambda s: (s.rotation, s.translation),
            setting,
            (setting.rotation + change[:3], setting.translation + change[3:]),
        )

    def force_slope(self, problem: Problem) -> Float[np.ndarray, "rows 3 n"]:
        """A pose exerts no force."""
        return np.zeros((*problem.model.points.shape, 6))

    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """Six numbers."""
        return [
            Reported(f"{kind} {axis}", unit, 0.0, float(scale), logarithmic=False)
            for (kind, unit, axis), scale in zip(
                [("rotation", "rad", a) for a in "xyz"] + [("shift", "m", a) for a in "xyz"], self.scale, strict=True
            )
        ]
