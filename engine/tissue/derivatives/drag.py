"""The force b K v of damping by stiffness, K the tissue's own ∂f/∂u at one displacement: its change with that and p."""

from __future__ import annotations

import jax
import numpy as np
from numpy.typing import NDArray

from .parameters import Parameters
from .sensitivity import Sensitivity


class Drag:
    """At one state.

    Args:
        forces: those of the elements at the displacement where their slope is taken.
        rate: v (rows, 3) [m/s].
        damping: b [s].
    """

    def __init__(self, forces: Sensitivity, rate: NDArray, damping: float) -> None:
        self.forces, self.rate, self.damping = forces, rate, damping
        self.parameters = forces.parameters

    def push(self, way: Parameters, along: NDArray, rate: NDArray) -> NDArray[np.float64]:
        """Its change (rows, 3) [N] as parameters, displacements and v change."""
        curved = self.forces.push_forces(way, along, self.rate)
        return self.damping * (curved + self.forces.push_forces(self._nothing(), rate))

    def pull(self, weight: NDArray) -> tuple[NDArray[np.float64], Parameters, NDArray[np.float64]]:
        """b λ·K v, λ zero where held: its slopes by the displacement (rows, 3), the parameters, and v (rows, 3)."""
        share = self.damping * weight
        slope, tree = self.forces.pull_rate(share, self.rate, self._nothing())
        return slope, tree, self.forces.pull_both(share)[0]

    def pull_rate(
        self, weight: NDArray, way: Parameters, along: NDArray, rate: NDArray
    ) -> tuple[NDArray[np.float64], Parameters, NDArray[np.float64]]:
        """The derivative of `pull` as parameters, displacements and v change, λ constant."""
        share = self.damping * weight
        curved, own = self.forces.pull_rate_rate(share, self.rate, along, way)
        slope, tree = self.forces.pull_rate(share, rate, self._nothing())
        by_rate, _ = self.forces.pull_rate(share, along, way)
        return slope + curved, jax.tree.map(lambda a, b: a + b, tree, own), by_rate

    def _nothing(self) -> Parameters:
        return jax.tree.map(np.zeros_like, self.parameters)
