"""Where a motion starts: displacement, velocity, and the acceleration that balances the forces there."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...imaging.errors import SolverError
from . import given
from .mass import MassMatrix
from .model import Model
from .motion import Motion
from .newton import dot
from .problem import Problem
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
    check_start(start, system.problem)
    if isinstance(start, Motion):
        if velocity is not None:
            raise SolverError("a motion has a velocity already", where="velocity", advice="Give a motion or a velocity")
        return start
    moved = system.zeros() if start is None else system.base.field_of(start)
    held, rate, curvature = system.given(0.0, 1.0)
    moved = moved * free + held * (1.0 - free)
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
    value = velocity(jnp.asarray(points)) if callable(velocity) else velocity
    found = given.array(value, "a velocity", "velocity", (3,), points.shape, advice="Give x, y, z in m/s")
    return np.broadcast_to(np.asarray(found), points.shape).copy()


def check_start(start: State | None, problem: Problem) -> None:
    """A state to start from belongs to the model, and all of it is known.

    Raises:
        SolverError: it does not, or has a value that is not finite; tells the node.
    """
    if start is None:
        return
    if not isinstance(start, State):
        raise SolverError(f"a {type(start).__name__} is no state", where="start", advice="Take one of a solution")
    wanted = problem.model.row_points.shape
    if start.rows.shape != wanted:
        raise SolverError(
            f"the state to start from has {len(start.rows)} rows, the model {wanted[0]}",
            where="start",
            advice="Start from a state of the same mesh and element",
        )
    given.number(start.load_fraction, "a load fraction", "start")
    fields = [start.rows, *((start.velocity, start.acceleration) if isinstance(start, Motion) else ())]
    for field in fields:
        bad = np.flatnonzero(~np.isfinite(np.asarray(field)).all(axis=1))
        if bad.size:
            raise SolverError(
                f"the state to start from is not finite at row {bad[0]}", where="start", advice="Start from rest"
            )


def _acceleration(system: StepSystem, moved: NodalField, speed: NodalField, pushed: NodalField) -> NodalField:
    """M a = f − C v where free, with the acceleration of held components given."""
    now = system.base.evaluate(moved, 0.0)
    force = -now.residual - float(system.damping.mass) * system.mass.product(speed)
    if system.stiff:
        tangent = system.base.linearize(moved, 0.0, tissue_alone=True)
        force = force - float(system.damping.stiffness) * tangent.product(speed)
    right = (force - system.mass.product(pushed)) * system.free
    return solve_mass(system.mass, right, system.free) + pushed


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
