"""The energy account of a motion, and the step from one motion to the next."""

from __future__ import annotations

import numpy as np

from .motion import Motion
from .newton import NewtonOutcome, dot
from .system import Evaluation, NodalField
from .time_step import Rates, StepSystem
from .trajectory import EnergyAccount


class Accountant:
    """Adds up work and energies step by step."""

    def __init__(self, system: StepSystem, first: Motion) -> None:
        self.system = system
        self.energy = EnergyAccount()
        moved = system.base.field_of(first)
        start = system.base.evaluate(moved, float(first.load_fraction))
        self._note(float(first.time), moved, system.padded(first.velocity), start.energy, 0.0, 0.0)

    def look(self, outcome: NewtonOutcome, rates: Rates, fraction: float) -> Evaluation:
        """Forces and energy at the end of a step that converged, which may still have inverted an element."""
        if self.system.integrator.force_lag == 0.0:
            self.after = outcome.evaluation
        else:
            self.after = self.system.base.evaluate(outcome.displacement, fraction)
        return self.after

    def accept(self, outcome: NewtonOutcome, rates: Rates, time: float, fraction: float) -> Motion:
        """The motion after a step, entered in the account."""
        system = self.system
        change = outcome.displacement - system.displacement
        lag = system.integrator.inertia_lag
        inertia = system.mass.product((1.0 - lag) * rates.acceleration + lag * system.acceleration)
        loads = outcome.evaluation.external + inertia + rates.drag
        holding = outcome.evaluation.residual * (1.0 - system.free)
        work = dot((loads + holding)[: system.nodes], change[: system.nodes])
        external, damped = self.energy.external[-1] + work, self.energy.damped[-1] + dot(rates.drag, change)
        self._note(time, outcome.displacement, rates.velocity, self.after.energy, external, damped)
        return system.motion(time, outcome.displacement, rates.velocity, rates.acceleration)

    def _note(
        self, time: float, moved: NodalField, velocity: NodalField, strain: float, external: float, damped: float
    ) -> None:
        carried = self.system.mass.product(velocity)
        energy, flow = self.energy, np.asarray(carried)
        energy.time.append(time)
        energy.kinetic.append(0.5 * dot(velocity, carried))
        energy.strain.append(strain)
        energy.external.append(external)
        energy.damped.append(damped)
        energy.momentum.append(flow.sum(axis=0))
        energy.angular_momentum.append(np.cross(np.asarray(self.system.points) + np.asarray(moved), flow).sum(axis=0))
