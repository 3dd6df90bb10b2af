"""One time step as a `System`: inertia and damping added to a problem, so that Newton's method steps in time.

The balance is that of `motion.step_residual`. Inertia stands with the external forces (d'Alembert): what a residual is
compared with is then the larger of loads and inertia, and a flight without loads has a measure too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .conserving import ConservingForces, ConservingSlope
from .host_system import HostTangent
from .integrators import Integrator
from .mass import MassMatrix
from .motion import Damping, Motion, blend, padded, prescribed_rates
from .problem import Problem
from .solution import State
from .step_tangent import ConservingTangent, MixedDampedTangent, StepTangent
from .supports import FixedNodes
from .system import Evaluation, NodalField, System, Tangent

EPS = np.finfo(float).eps


class Rates(NamedTuple):
    """At the end of a step: velocity and acceleration, and the step's own damping force."""

    velocity: NodalField
    acceleration: NodalField
    drag: NodalField


class StepSystem:
    """The balance of one step after another; `begin` a step, then hand it to `newton`."""

    def __init__(
        self,
        base: System,
        problem: Problem,
        mass: MassMatrix,
        integrator: Integrator,
        damping: Damping,
        duration: float,
    ) -> None:
        self.base, self.mass, self.integrator, self.damping = base, mass, integrator, damping
        self.duration = duration
        self.free, self.points, self.symmetric, self.definite = base.free, base.points, base.symmetric, base.definite
        self.nodes = problem.model.nodes
        self.weight = float(np.linalg.norm(mass.diagonal))
        self.stiff = float(damping.stiffness) > 0.0
        self.given = Prescription(problem, base, duration)
        self.damper: Tangent | None = None
        self.conserving = ConservingForces(problem) if integrator.conserving else None

    @property
    def problem(self) -> Problem:
        """What moves, with its history as it is now."""
        return self.base.problem

    def begin(self, old: Motion, step: float) -> None:
        """Fix the state before and the length [s] of the step."""
        self.old, base = old, self.base
        self.displacement = base.field_of(old)
        self.velocity, self.acceleration = self.padded(old.velocity), self.padded(old.acceleration)
        self.start, self.step = float(old.time), step
        _, self.rate, self.curvature = self.given(self.start + step, -1.0)
        if self.stiff:
            self.damper = base.linearize(self.displacement, self.start / self.duration, tissue_alone=True)

    def rates(self, moved: NodalField) -> Rates:
        """What goes with a displacement at the end of the step."""
        lag, free = self.integrator.force_lag, self.free
        velocity, acceleration = self.integrator.rates(
            moved, self.displacement, self.velocity, self.acceleration, self.step
        )
        if self.nodes < len(moved):
            velocity, acceleration = velocity * self.pressureless, acceleration * self.pressureless
        velocity = velocity * free + self.rate * (1.0 - free)
        acceleration = acceleration * free + self.curvature * (1.0 - free)
        middle = (1.0 - lag) * velocity + lag * self.velocity
        drag = float(self.damping.mass) * self.mass.product(middle)
        if self.damper is not None:
            drag = drag + float(self.damping.stiffness) * self.damper.product(middle)
        return Rates(velocity, acceleration, drag)

    def fraction(self, fraction: float) -> float:
        """Where forces are taken in a step that ends at a load fraction."""
        return fraction - self.integrator.force_lag * self.step / self.duration

    def middle(self, moved: NodalField) -> NodalField:
        """Where forces are taken."""
        return blend(moved, self.displacement, self.integrator.force_lag, self.nodes)

    @property
    def pressureless(self) -> NodalField:
        """(rows, 1): 1 for displacements, 0 for pressures."""
        return self.base.array((np.arange(len(self.points)) < self.nodes)[:, None] * 1.0)

    def padded(self, field: object) -> NodalField:
        """A nodal field (nodes, 3) on this system's device, with zeros for pressures."""
        return self.base.array(padded(jnp.asarray(field), len(self.points)))

    def motion(self, time: float, moved: NodalField, velocity: NodalField, acceleration: NodalField) -> Motion:
        """What is kept of fields of unknowns."""
        state = self.base.state_of(time / self.duration, moved)
        rates = (jnp.asarray(field)[: self.nodes] for field in (velocity, acceleration))
        speed, change = rates
        return Motion(
            state.load_fraction,
            state.displacement,
            state.pressure,
            materials=state.materials,
            time=time,
            velocity=speed,
            acceleration=change,
        )

    def use(self, problem: Problem) -> None:
        """Go on with another history of the same problem."""
        self.base.use(problem)

    def augment(self, displacement: NodalField, fraction: float) -> bool:
        """Move the multipliers of contacts on, where forces are taken."""
        return self.base.augment(self.middle(displacement), self.fraction(fraction))

    def advance(self, displacement: NodalField, fraction: float) -> None:
        """Move the slip history of contacts on to the end of a converged step."""
        self.base.advance(displacement, fraction)

    def bound(self, displacement: NodalField, fraction: float) -> Problem:
        """The problem with pairs as they are where forces are taken."""
        return self.base.bound(self.middle(displacement), self.fraction(fraction))

    def stride(self, displacement: NodalField, step: NodalField) -> float:
        """The largest share of a step that passes no contact surface unseen, where forces are taken."""
        return self.base.stride(self.middle(displacement), (1.0 - self.integrator.force_lag) * step)

    def field_of(self, state: State) -> NodalField:
        """The unknowns of a state."""
        return self.base.field_of(state)

    def state_of(self, fraction: float, field: NodalField) -> State:
        """The state of a field of unknowns."""
        return self.base.state_of(fraction, field)

    def zeros(self) -> NodalField:
        """No displacement."""
        return self.base.zeros()

    def array(self, values: object) -> NodalField:
        """A nodal field on this system's device."""
        return self.base.array(values)

    def prescribed(self, fraction: float) -> NodalField:
        """Prescribed displacement [m], zero where free."""
        return self.base.prescribed(fraction)

    def evaluate(self, displacement: NodalField, fraction: float) -> Evaluation:
        """Forces where the integrator takes them; inertia and damping among the external ones."""
        now = self.base.evaluate(self.middle(displacement), self.fraction(fraction))
        if self.conserving is not None:
            ends = (self.displacement, displacement, self.fraction(fraction))
            beyond = self.conserving.external(*ends) if self.conserving.terms else 0.0
            now = now._replace(internal=self.array(self.conserving(*ends)), external=now.external + self.array(beyond))
        rates, lag = self.rates(displacement), self.integrator.inertia_lag
        inertia = self.mass.product((1.0 - lag) * rates.acceleration + lag * self.acceleration)
        return now._replace(external=now.external - inertia - rates.drag)

    def between(self, stiffness: float) -> NodalField | None:
        """What a change of pressure counts in a tangent where that of displacement counts `stiffness`: it acts in full.

        Pressures are not blended and have no rate that would be damped.
        """
        if self.nodes == len(self.points) or stiffness == 1.0:
            return None
        return stiffness + (1.0 - stiffness) * self.pressureless

    def linearize(self, displacement: NodalField, fraction: float, *, tissue_alone: bool = False) -> Tangent:
        """(1 − αf) (K + b γ/βΔt K₀) + ((1 − αm)/βΔt² + (1 − αf) a γ/βΔt) M.

        Unknown pressures are not damped: `MixedDampedTangent`. On a device, whose solver takes no saddle point that is
        not symmetric, K stands for K₀ there. Of the tissue alone it is the problem's, without inertia.
        """
        if tissue_alone:
            return self.base.linearize(displacement, fraction, tissue_alone=True)
        rule, step = self.integrator, self.step
        inner = (1.0 - rule.force_lag) * rule.velocity_scale(step)
        damped = inner * float(self.damping.stiffness)
        apart = self.damper is not None and (self.definite or isinstance(self.damper, HostTangent))
        inertia = (1.0 - rule.inertia_lag) * rule.acceleration_scale(step) + inner * float(self.damping.mass)
        tangent = self.base.linearize(self.middle(displacement), self.fraction(fraction))
        between = self.between(1.0 - rule.force_lag + damped)
        noise = EPS * inertia * self.weight * float(abs(displacement).max())
        whole = tangent.shifted(1.0 - rule.force_lag + (0.0 if apart else damped), inertia, self.mass)
        if apart:
            whole = whole.plus(damped, self.damper)
        if apart and not self.definite and isinstance(whole, HostTangent):
            return MixedDampedTangent(whole, self, inertia, noise, between, damped)
        if self.conserving is None or not isinstance(whole, HostTangent):
            return StepTangent(whole, self, inertia, noise, between)
        slope = ConservingSlope(self.conserving, self.displacement, displacement, self.fraction(fraction))
        return ConservingTangent(whole, self, inertia, noise, slope)


class Prescription:
    """Prescribed displacement, velocity and acceleration at a time, compiled once."""

    def __init__(self, problem: Problem, base: System, duration: float) -> None:
        self.base, self.duration = base, duration
        constraints = problem.constraints()
        self.moves = any(not isinstance(constraint, FixedNodes) for constraint in constraints)

        def path(fraction: Array | float) -> Array:
            return problem.prescribed_displacement(fraction, constraints)

        self._rates: Callable = jax.jit(lambda time, side: prescribed_rates(path, time, duration, side))

    def __call__(self, time: float, side: float) -> tuple[NodalField, NodalField, NodalField]:
        """Just before (`side` = −1) or after (+1) a time [s]."""
        if not self.moves:
            still = self.base.zeros()
            return still, still, still
        displacement, rate, curvature = (self.base.array(part) for part in self._rates(time, side))
        return displacement, rate, curvature
