"""Motion in time without a tangent: central differences with a lumped mass, for impact, contact and many small steps.

path = solve(problem, duration=0.01, velocity=(0.0, 0.0, -2.0), keep=50)
path.scaling.line()    # what mass was added, where a longer step was asked for
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from . import given
from .contact.overconstrained import check_contacts
from .explicit_march import ExplicitMarch
from .explicit_steps import Stepper
from .history import remembers, with_slip
from .mass import refuse_massless
from .motion import Motion, prescribed_rates
from .places import element_place
from .problem import Problem, require_problem
from .record import compile_seconds
from .solution import State, Statistics
from .stable_step import MassScaling, lumped_masses, no_scaling, nodal_masses, scale_masses, stable_step
from .start import start_velocity
from .system import Timer
from .trajectory import ExplicitTrajectory


def solve(
    problem: Problem,
    *,
    duration: float,
    until: float | None = None,
    step: float | None = None,
    safety: float = 0.9,
    mass_scaling: bool = False,
    damping: float = 0.0,
    velocity: Any = None,
    start: State | None = None,
    keep: int | Sequence[float] = 20,
    progress: Progress = silent,
) -> ExplicitTrajectory:
    """The motion of a body by central differences (Belytschko, Liu and Moran, *Nonlinear Finite Elements*, box 6.1).

    Args:
        problem: what moves; loads and paths are taken at the load fraction time / duration.
        duration: seconds in which the load fraction goes from 0 to 1.
        until: seconds at which to stop; `duration` by default.
        step: s; by default `safety` times the stable step, looked at again as the body deforms. A longer one than that
            needs `mass_scaling`, and is otherwise refused.
        safety: share of the stable step of the linear problem that is used.
        mass_scaling: raise the mass of the elements that would need a shorter step; reported in `scaling`.
        damping: a of C = a M [1/s].
        velocity, start: as of `dynamic.solve`.
        keep: how many motions are kept after the start, evenly, or their times [s].
        progress: called several times; raising in it, or Ctrl-C, stops the solve.

    Returns:
        A trajectory; `result` is `blown_up` or `inverted_element` where it did not reach its end.

    Raises:
        SolverError: an argument out of range, a node without mass, or a step that is not stable.
    """
    require_float64()
    end = duration if until is None else until
    _check(problem, duration, end, safety, damping, step)
    _refuse_pressures(problem)
    timer = Timer()
    with timer.part("total"), compile_seconds(timer):
        with timer.part("setup"):
            check_contacts(problem, ())
            masses = lumped_masses(problem.model)
            first = _first(problem, start, velocity, duration)
            masses, scaling = _scaled(problem, first, masses, step, safety, mass_scaling, duration)
            going = with_slip(problem, first) if first.contacts else problem
            stepper = Stepper(going, nodal_masses(problem.model, masses), damping, duration)
        march = ExplicitMarch(problem, stepper, first, step, safety, progress)
        result, where = march.run(_times(float(first.time), end, keep))
    statistics = Statistics(
        seconds=dict(timer.seconds),
        unknowns=int((~problem.held()).sum()),
        elements=sum(len(block.nodes) for block in problem.model.blocks),
        linear_solver="none",
    )
    return ExplicitTrajectory(
        result,
        tuple(march.states),
        march.energy,
        statistics,
        where,
        scaling,
        march.count,
        march.shortest,
        march.longest,
        problem=problem,
    )


def _first(problem: Problem, start: State | None, velocity: Any, duration: float) -> Motion:
    """The motion at the start; its acceleration is found by the first step."""
    points = problem.model.points
    if start is not None and np.shape(start.displacement) != points.shape:
        raise SolverError(f"the state to start from has {len(start.displacement)} nodes", where="start")
    if isinstance(start, Motion):
        return start
    moved = jnp.zeros_like(points) if start is None else jnp.asarray(start.displacement)
    given, rate, _ = prescribed_rates(problem.prescribed_displacement, 0.0, duration, 1.0)
    held = jnp.asarray(problem.held())
    speed = jnp.asarray(start_velocity(problem.model, velocity))
    return Motion(
        0.0,
        jnp.where(held, given, moved),
        time=0.0,
        velocity=jnp.where(held, rate, speed),
        acceleration=jnp.zeros_like(points),
    )


def _scaled(
    problem: Problem,
    first: Motion,
    masses: list[np.ndarray],
    step: float | None,
    safety: float,
    mass_scaling: bool,
    duration: float,
) -> tuple[list[np.ndarray], MassScaling]:
    refuse_massless(problem.model, nodal_masses(problem.model, masses))
    remembers(problem.model)  # refuses sheets and strands that would
    if step is None:
        if mass_scaling:
            raise SolverError("mass scaling needs the step that is wanted", where="explicit.solve", advice="Give step")
        return masses, no_scaling(problem.model)
    fraction = float(first.time) / duration
    bound = stable_step(problem, np.asarray(first.displacement), fraction, masses)
    if step <= safety * bound.step * (1.0 + 1e-9):
        return masses, no_scaling(problem.model)
    if mass_scaling:
        return scale_masses(problem.model, bound, masses, step, safety)
    stepper = Stepper(problem, nodal_masses(problem.model, masses), 0.0, duration)
    longest = safety * 2.0 / stepper.largest_frequency(stepper.begin(first))
    if step <= longest * (1.0 + 1e-9):
        return masses, no_scaling(problem.model)
    raise SolverError(
        f"a step of {step:.3g} s is not stable: {longest:.3g} s is, and the stiffest is "
        f"{element_place(problem.model, bound.worst_element)}",
        where="explicit.solve",
        advice="Leave the step to the solver, improve the mesh there, or allow mass_scaling",
    )


def _times(begin: float, end: float, keep: int | Sequence[float]) -> list[float]:
    if np.ndim(keep) == 0:
        count = given.whole(keep, "motions to keep", "keep", least=0)
        wanted = [float(time) for time in np.linspace(begin, end, count + 1)[1:]] if count >= 1 else [end]
    else:
        wanted = sorted(np.asarray(given.array(keep, "a time", "keep", (None,))).tolist())
        wanted = wanted if wanted and wanted[-1] == end else [*wanted, end]
    if not (begin < wanted[0] and max(wanted) <= end):
        raise SolverError(f"times to keep must lie within {begin:g} to {end:g} s", where="keep")
    return wanted


def _check(problem: Problem, duration: float, end: float, safety: float, damping: float, step: float | None) -> None:
    where = "explicit.solve"
    require_problem(problem, where)
    given.number(duration, "a duration", where, above=0.0, advice="Give seconds")
    given.number(end, "an end", where, above=0.0, advice="Give seconds")
    given.number(safety, "a safety", where, above=0.0, advice="Use 0.5 to 0.95")
    given.number(damping, "a damping", where, low=0.0, advice="Give 1/s")
    if step is not None:
        given.number(step, "a step", where, above=0.0, advice="Give seconds")


def _refuse_pressures(problem: Problem) -> None:
    if len(problem.model.pressure_corners):
        raise SolverError(
            "unknown pressures have no mass: they are in balance at every instant, which takes a linear solve per step",
            where="explicit.solve",
            advice="Use displacement elements (T4, H8), or dynamic.solve",
        )
