"""How the fields at time 0 depend on the parameters: M a = f − C v where free, the path's own derivatives where held.

The unknown is the acceleration alone, so that the solves are with M_ff.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        return way.displacement, way.velocity, self.answered(-force - np.asarray(way.balance)) + way.pushed

    def pull(self, moved: Array, speed: Array, pushed: Array) -> tuple[History, Parameters]:
        """Cotangents (rows, 3), carried to the history at rest and to the problem."""
        return self.carried(self.answered(np.asarray(pushed)), moved, speed, pushed)

    def carried(self, weight: NDArray, moved: Array, speed: Array, pushed: Array) -> tuple[History, Parameters]:
        """`pull` with `weight` M_ff⁻¹ of `pushed`: linear in all of them."""
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

    def pull_rate(
        self, given: Sequence[Array], rates: Sequence[Array], change: Any, along: Parameters
    ) -> tuple[History, History, Parameters]:
        """What `pull` gives the history at rest, its rate, and the rate of what it gives the problem.

        Args:
            given, rates: cotangents (rows, 3) of displacement, velocity and acceleration, and their rates.
            change: of the fields at time 0, as parameters change along ṗ (`along`).
        """
        at, way = (self.acceleration, self.pieces.parameters), (padded(change.acceleration, len(self.free)), along)
        weight, still = self.answered(np.asarray(given[2])), jnp.zeros_like(self.acceleration)
        # M ẇ = d(cotangent) − Ṁ w
        heavier = self.pieces.first_pull_rate(at, way, First(still, still, still, jnp.asarray(weight)))[0]
        weight_rate = self.answered(np.asarray(rates[2] - heavier))
        history, _ = self.carried(weight, *given)
        rate, by_problem = self.carried(weight_rate, *rates)
        moved = np.asarray(padded(change.displacement, len(self.free)))
        curved, tree = self.forces.pull_rate(
            weight, moved, self.steps.way(change.history, along, self.forces.parameters)
        )
        slope, by_rate, by_rate_rate = self.forces.pull_both(weight)[0], np.zeros(()), np.zeros_like(still)
        history_rate, rest = self.steps.parted(tree)
        if self.drag.damping:
            more, _, by_rate = self.drag.pull(weight)
            early = self.steps.way(change.history, along, self.drag.parameters)
            speed = np.asarray(padded(change.velocity, len(moved)))
            bent, tree, by_rate_rate = self.drag.pull_rate(weight, early, moved, speed)
            slope, curved = slope + more, curved + bent
            history_rate, rest = jax.tree.map(lambda a, b: a + b, (history_rate, rest), self.steps.parted(tree))
        found = First(given[0] - slope, given[1] - by_rate, given[2], -jnp.asarray(weight))
        by_first = self.pieces.first_pull_rate(at, way, found)[1]
        turned = First(-jnp.asarray(curved), -jnp.asarray(by_rate_rate), still, still)
        through = self.pieces.first_pull(at, turned)[1]
        total = jax.tree.map(lambda a, b, c: a + b + c, by_problem, by_first, through)
        minus = jax.tree.map(jnp.negative, rest)
        return history, jax.tree.map(lambda a, b: a - b, rate, history_rate), gathered(total, minus)

    def answered(self, force: NDArray) -> NDArray[np.float64]:
        """M_ff⁻¹ of what acts where free."""
        return solve_mass(self.mass, force * self.free, self.free)
