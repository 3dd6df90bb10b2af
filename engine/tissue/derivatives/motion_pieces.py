"""What a step in time has beside the forces where they are taken: inertia, prescribed motion, velocity and acceleration
at its end, and the same at the start of the motion; pure, compiled once, with their derivatives.

Contacts between tissues have no part in it, so that nothing here is compiled anew when pairs change.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ..discrete_gradient import beyond_half_way
from ..integrators import Integrator
from ..mass import mass_product
from ..motion import Clock, Damping, Motion, inertial_residual, middle_rate, padded, prescribed_rates, step_rates
from ..problem import Problem
from .parameters import Parameters, split


class Before(NamedTuple):
    """Displacement [m], velocity [m/s], acceleration [m/s²] (nodes, 3) at the start of a step."""

    displacement: Any
    velocity: Any
    acceleration: Any


class Inertial(NamedTuple):
    """`motion.inertial_residual` (rows, 3); velocity and acceleration (nodes, 3) at the end of the step; the velocity
    (rows, 3) with which it is damped."""

    balance: Any
    velocity: Any
    acceleration: Any
    damped: Any


class First(NamedTuple):
    """At time 0 (rows, 3): displacement; velocity; acceleration, 0 where free; M a + damping by mass [N]."""

    displacement: Any
    velocity: Any
    pushed: Any
    balance: Any


class MotionPieces:
    """Of one problem, its steps all of one length.

    Args:
        velocity: (nodes, 3) m/s at the start.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        duration: float,
        step: float,
        integrator: Integrator,
        damping: Damping,
        mass: str,
        velocity: NDArray,
    ) -> None:
        self.parameters, self.fixed = split(problem)
        self.duration, self.step, self.rule, self.damping, self.mass = duration, step, integrator, damping, mass
        self.speed = padded(jnp.asarray(velocity), len(problem.model.row_points))
        self.inertial = jax.jit(self._inertial)
        self.inertial_push = jax.jit(lambda at, way: jax.jvp(self._inertial, at, way)[1])
        self.inertial_pull = jax.jit(lambda at, cotangent: jax.vjp(self._inertial, *at)[1](cotangent))
        self.inertial_pull_rate = jax.jit(self._inertial_pull_rate)
        self.first = jax.jit(self._first)
        self.first_push = jax.jit(lambda at, way: jax.jvp(self._first, at, way)[1])
        self.first_pull = jax.jit(lambda at, cotangent: jax.vjp(self._first, *at)[1](cotangent))
        self.first_pull_rate = jax.jit(self._first_pull_rate)
        self._beyond_push = jax.jit(self._beyond_rate)
        self._beyond_pull = jax.jit(self._beyond_turned)

    def beyond(self, rows: Any, before: Any, fraction: float) -> Any:
        """The slope in `rows` of `discrete_gradient.beyond_half_way` and its transpose, as products."""
        at = (jnp.asarray(rows), jnp.asarray(before), fraction)
        return lambda d: np.asarray(self._beyond_push(*at, d)), lambda d: np.asarray(self._beyond_pull(*at, d))

    def _inertial(self, rows: Array, before: Before, parameters: Parameters, start: Array) -> Inertial:
        problem, nodes = eqx.combine(parameters, self.fixed), len(before.displacement)
        now: Any = start / self.duration
        rates: Any = {"velocity": before.velocity, "acceleration": before.acceleration}
        old = Motion(now, before.displacement, time=start, **rates)
        clock = Clock(start, self.step, self.duration)
        velocity, acceleration = step_rates(rows, old, problem, clock, self.rule)
        left = inertial_residual(rows, old, problem, clock, self.rule, self.damping, self.mass)
        return Inertial(left, velocity[:nodes], acceleration[:nodes], middle_rate(velocity, old, self.rule))

    def _first(self, acceleration: Array, parameters: Parameters) -> First:
        problem = eqx.combine(parameters, self.fixed)
        held = jnp.asarray(problem.held())
        moved, rate, curvature = prescribed_rates(problem.prescribed_displacement, 0.0, self.duration, 1.0)
        speed, pushed = jnp.where(held, rate, self.speed), jnp.where(held, curvature, 0.0)
        carried = jnp.where(held, pushed, acceleration) + self.damping.mass * speed
        return First(jnp.where(held, moved, 0.0), speed, pushed, mass_product(problem.model, carried, self.mass))

    def _inertial_pull_rate(self, at: Any, way: Any, cotangent: Inertial) -> Any:
        """The derivative of `inertial_pull` along a direction, the cotangent constant."""
        return jax.jvp(lambda *now: jax.vjp(self._inertial, *now)[1](cotangent), at, way)[1]

    def _first_pull_rate(self, at: Any, way: Any, cotangent: First) -> Any:
        """The derivative of `first_pull` along a direction, the cotangent constant."""
        return jax.jvp(lambda *now: jax.vjp(self._first, *now)[1](cotangent), at, way)[1]

    def _beyond(self, rows: Array, before: Array, fraction: Array) -> Array:
        return beyond_half_way(before, rows, eqx.combine(self.parameters, self.fixed), fraction)

    def _beyond_rate(self, rows: Array, before: Array, fraction: Array, along: Array) -> Array:
        return jax.jvp(lambda u: self._beyond(u, before, fraction), (rows,), (along,))[1]

    def _beyond_turned(self, rows: Array, before: Array, fraction: Array, weight: Array) -> Array:
        return jax.vjp(lambda u: self._beyond(u, before, fraction), rows)[1](weight)[0]
