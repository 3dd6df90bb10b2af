"""How the fields at time 0 depend on the parameters: M a = f − C v where free, the path's own derivatives where held.

The unknown is the acceleration alone, so that the solves are with M_ff.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ..motion import padded
from ..start import solve_mass
from ..time_step import StepSystem
from .drag import Drag
from .motion_pieces import First, MotionPieces
from .parameters import Parameters
from .remembered import History
from .sensitivity import Sensitivity
from .swept_steps import SweptSteps, gathered


class MotionStart:
    """At one start.

    Args:
        velocity, acceleration: (nodes, 3) at time 0.
    """

    def __init__(
        self, steps: SweptSteps[Any], system: StepSystem, pieces: MotionPieces, velocity: Any, acceleration: Any
    ) -> None:
        self.steps, self.mass, self.free, self.pieces = steps, system.mass, np.asarray(system.free), pieces
        self.velocity, self.acceleration = (padded(jnp.asarray(f), len(self.free)) for f in (velocity, acceleration))
        moved = np.asarray(pieces.first(self.acceleration, pieces.parameters).displacement)
        self.forces = Sensitivity(steps.rest.bound_at(moved, 0.0), moved, 0.0)
        tissue = Sensitivity(steps.rest, moved, 0.0, tissue_alone=True)
        self.drag = Drag(tissue, np.asarray(self.velocity), float(system.damping.stiffness))

    def push(self, history: History, along: Parameters) -> tuple[Array, Array, Any]:
        """Changes of displacement, velocity and acceleration (rows, 3), of those of the history and parameters."""
        at = (self.acceleration, self.pieces.parameters)
        way: First = self.pieces.first_push(at, (jnp.zeros_like(self.acceleration), along))
        change, moved = self.steps.way(history, along, self.forces.parameters), np.asarray(way.displacement)
        force = self.forces.push_forces(change, moved)
        if self.drag.damping:
            force = force + self.drag.push(change, moved, np.asarray(way.velocity))
        return way.displacement, way.velocity, self._pushed(-force - np.asarray(way.balance)) + way.pushed

    def pull(self, moved: Array, speed: Array, pushed: Array) -> tuple[History, Parameters]:
        """Cotangents (rows, 3), carried to the history at rest and to the problem."""
        weight = self._pushed(np.asarray(pushed))
        slope, tree = self.forces.pull_both(weight)
        history, rest = self.steps.parted(tree)
        if self.drag.damping:
            curved, tree, by_rate = self.drag.pull(weight)
            slope, speed = slope + curved, speed - by_rate
            history, rest = jax.tree.map(lambda a, b: a + b, (history, rest), self.steps.parted(tree))
        found = First(moved - slope, speed, pushed, -jnp.asarray(weight))
        by_first = self.pieces.first_pull((self.acceleration, self.pieces.parameters), found)[1]
        minus = jax.tree.map(jnp.negative, (history, rest))
        return minus[0], gathered(by_first, minus[1])

    def _pushed(self, force: NDArray) -> NDArray[np.float64]:
        """M_ff⁻¹ of what acts where free."""
        return solve_mass(self.mass, force * self.free, self.free)
