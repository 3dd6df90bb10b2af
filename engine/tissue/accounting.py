"""The energy account of a motion, and the step from one motion to the next."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .history import changed
from .materials import Material
from .motion import Motion
from .newton import NewtonOutcome, dot
from .supports import LigamentTerm
from .system import Evaluation, NodalField
from .time_step import Rates, StepSystem
from .trajectory import EnergyAccount


class Accountant:
    """Adds up work and energies step by step."""

    def __init__(self, system: StepSystem, first: Motion) -> None:
        self.system = system
        self.energy = EnergyAccount()
        points = np.asarray(system.problem.model.row_points)
        bound = [term for term in system.problem.fixed_terms() if isinstance(term, LigamentTerm)]
        self.ligaments = (
            [] if system.integrator.conserving else [(term, points[np.asarray(term.nodes)]) for term in bound]
        )
        materials = [block.material for block in system.problem.model.blocks]
        self.elastic = not any(_follows(material) for material in materials)
        self.kinked = bool(self.ligaments) or any(getattr(material, "cable", False) for material in materials)
        one = np.ones_like(points)
        self.nothing = 1e-16 * dot(one, np.asarray(system.mass.product(system.array(one)))) * np.ptp(points) ** 2
        moved = system.base.field_of(first)
        start = system.base.evaluate(moved, float(first.load_fraction))
        self._note(float(first.time), moved, system.padded(first.velocity), start.energy, 0.0, 0.0)

    def look(self, outcome: NewtonOutcome, rates: Rates, fraction: float) -> Evaluation:
        """Forces and energy at the end of a step that converged, which may still have inverted an element."""
        if self.system.integrator.force_lag == 0.0:
            self.after = outcome.evaluation
        else:
            self.after = self.system.base.evaluate(outcome.displacement, fraction)
        self.work, self.drag = (
            self._work(outcome, rates),
            dot(rates.drag, outcome.displacement - self.system.displacement),
        )
        return self.after

    def gained(self, rates: Rates) -> tuple[float, float]:
        """Energy from nowhere [J]: of the step looked at, and of all up to its end, over the largest that went about.

        Zero for a body whose materials follow the load or remember: theirs is no potential of the shape alone.
        """
        energy = self.energy
        total = 0.5 * dot(rates.velocity, self.system.mass.product(rates.velocity)) + self.after.energy
        external = energy.external[-1] + self.work
        scale = max(total, energy.total.max(), abs(external), np.abs(energy.external).max(), self.nothing)
        if not self.elastic:
            return 0.0, 0.0
        step = total - energy.total[-1] - self.work + self.drag
        return float(step / scale), float((energy.drift[-1] + step) / scale)

    def accept(self, outcome: NewtonOutcome, rates: Rates, time: float, fraction: float) -> Motion:
        """The motion after a step, entered in the account."""
        system = self.system
        external, damped = self.energy.external[-1] + self.work, self.energy.damped[-1] + self.drag
        self._note(time, outcome.displacement, rates.velocity, self.after.energy, external, damped)
        return system.motion(time, outcome.displacement, rates.velocity, rates.acceleration)

    def _work(self, outcome: NewtonOutcome, rates: Rates) -> float:
        """Of loads and supports over the step, and of what moves held nodes [J]; ligaments' by what they store."""
        system, lag = self.system, self.system.integrator.inertia_lag
        change = outcome.displacement - system.displacement
        inertia = system.mass.product((1.0 - lag) * rates.acceleration + lag * system.acceleration)
        loads = outcome.evaluation.external + inertia + rates.drag
        holding = outcome.evaluation.residual * (1.0 - system.free)
        work = dot((loads + holding)[: system.nodes], change[: system.nodes])
        for term, reference in self.ligaments:
            before, after = (np.asarray(field)[term.nodes] for field in (system.displacement, outcome.displacement))
            there = np.asarray(system.middle(outcome.displacement))[term.nodes]
            work += float(_beyond(term, reference, before, after, there))
        return work

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


@jax.jit
def _beyond(term: LigamentTerm, reference: Array, before: Array, after: Array, there: Array) -> Array:
    """What the potential gives of a step's work [J] beyond the forces that the step took `there`."""
    fraction = jnp.zeros(())
    mean = jax.vmap(LigamentTerm.mean_force, (0, 0, 0, 0, None))(term, reference, before, after, fraction)
    return jnp.sum((mean - term.forces(reference, there, fraction)) * (after - before))


def _follows(material: Material) -> bool:
    """Whether a material's energy changes at the same shape: with the load, or by its history."""
    now = zip(jax.tree.leaves(material), jax.tree.leaves(material.at(0.5)), strict=True)
    return any(old is not new for old, new in now) or any(jax.tree.leaves(changed(material)))
