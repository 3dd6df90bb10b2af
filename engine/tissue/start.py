"""Where a motion starts: displacement, velocity, and the acceleration that balances the forces there."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...imaging.errors import SolverError
from .mass import MassMatrix
from .model import Model
from .motion import Motion
from .newton import dot
from .solution import State
from .system import NodalField
from .time_step import StepSystem

MASS_ITERATIONS = 500


def first_motion(system: StepSystem, start: State | None, velocity: Any) -> Motion:
    """The motion at the start; a given `Motion` is taken as it is.

    Raises:
        SolverError: the wrong shape, NaN, or a velocity given beside a `Motion`.
    """
    model, free = system.problem.model, system.free
    if start is not None and start.rows.shape != system.points.shape:
        raise SolverError(
            f"the state to start from has {len(start.rows)} unknowns, the model {len(system.points)}",
            where="start",
            advice="Start from a state of the same mesh and element",
        )
    if isinstance(start, Motion):
        if velocity is not None:
            raise SolverError("a motion has a velocity already", where="velocity", advice="Give a motion or a velocity")
        return start
    moved = system.zeros() if start is None else system.base.field_of(start)
    given, rate, curvature = system.given(0.0, 1.0)
    moved = moved * free + given * (1.0 - free)
    speed = system.padded(start_velocity(model, velocity)) * free + rate * (1.0 - free)
    acceleration = _acceleration(system, moved, speed, curvature * (1.0 - free))
    return system.motion(0.0, moved, speed, acceleration)


def start_velocity(model: Model, velocity: Any) -> np.ndarray:
    """(nodes, 3) m/s of a vector, a nodal field or a function of the reference positions.

    Raises:
        SolverError: the wrong shape, or NaN.
    """
    points = np.asarray(model.points)
    if velocity is None:
        return np.zeros_like(points)
    given = np.asarray(velocity(jnp.asarray(points)) if callable(velocity) else velocity, float)
    if given.shape not in ((3,), points.shape):
        raise SolverError(f"a velocity has shape {given.shape}", where="velocity", advice=f"Use (3,) or {points.shape}")
    if not np.isfinite(given).all():
        raise SolverError("a velocity is not finite", where="velocity")
    return np.broadcast_to(given, points.shape).copy()


def _acceleration(system: StepSystem, moved: NodalField, speed: NodalField, given: NodalField) -> NodalField:
    """M a = f − C v where free, with the acceleration of held components given."""
    now = system.base.evaluate(moved, 0.0)
    force = -now.residual - float(system.damping.mass) * system.mass.product(speed)
    if system.stiff:
        tangent = system.base.linearize(moved, 0.0)
        force = force - float(system.damping.stiffness) * tangent.product(speed)
    right = (force - system.mass.product(given)) * system.free
    return solve_mass(system.mass, right, system.free) + given


def solve_mass(mass: MassMatrix, right: NodalField, free: NodalField) -> NodalField:
    """M_ff a_f = right: conjugate gradients scaled by the diagonal, which a mass matrix needs few of (Wathen 1987).

    Raises:
        SolverError: they do not settle.
    """
    weights = np.where(mass.diagonal > 0, mass.diagonal, 1.0)[:, None]
    diagonal: Any = weights if isinstance(right, np.ndarray) else jax.numpy.asarray(weights)
    heavy: Any = (
        mass.diagonal[:, None] > 0 if isinstance(right, np.ndarray) else jnp.asarray(mass.diagonal[:, None] > 0)
    )
    right = right * heavy
    solution, residual = 0.0 * right, right
    direction, before, goal = 0.0 * right, 1.0, 1e-30 * dot(right, right / diagonal)
    for iteration in range(MASS_ITERATIONS):
        better = residual / diagonal
        now = dot(residual, better)
        if now <= goal:
            return solution
        direction = better + (now / before if iteration else 0.0) * direction
        image = mass.product(direction) * free
        length = now / dot(direction, image)
        solution, residual, before = solution + length * direction, residual - length * image, now
    raise SolverError("the first acceleration was not found", where="mass", advice="Look for slivers, or lump the mass")
