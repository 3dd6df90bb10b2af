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
from .central_differences import Flight, Observation, Stepper
from .history import remembers
from .mass import refuse_massless
from .motion import Motion, prescribed_rates
from .places import element_place
from .problem import Problem
from .record import compile_seconds
from .solution import ResultCode, State, Statistics
from .stable_step import MassScaling, lumped_masses, no_scaling, nodal_masses, scale_masses, stable_step
from .start import start_velocity
from .system import Timer
from .trajectory import EnergyAccount, ExplicitTrajectory

CHECK_STEPS = 400
"""Steps between two looks at the stable step, which shrinks where elements are squeezed."""
BLOW_UP = 50.0
"""Energy from nowhere, over the largest that went about, that ends a motion. Close to the limit of stability the energy
of a fast vibration swings by more than tenfold and is bounded all the same; beyond the limit it grows without end."""


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
    _check(duration, end, safety, damping, step)
    timer = Timer()
    with timer.part("total"), compile_seconds(timer):
        with timer.part("setup"):
            masses = lumped_masses(problem.model)
            first = _first(problem, start, velocity, duration)
            masses, scaling = _scaled(problem, first, masses, step, safety, mass_scaling, duration)
            stepper = Stepper(problem, nodal_masses(problem.model, masses), damping, duration)
        march = March(problem, stepper, first, step, safety, progress)
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
    )


class March:
    """Runs compiled batches of steps and looks at the body between them."""

    def __init__(
        self,
        problem: Problem,
        stepper: Stepper,
        first: Motion,
        step: float | None,
        safety: float,
        progress: Progress,
    ) -> None:
        self.problem, self.stepper, self.progress = problem, stepper, progress
        self.fixed, self.safety = step, safety
        self.flight = stepper.begin(first)
        self.looked: tuple[int, float] | None = None
        self.count, self.shortest, self.longest = 0, np.inf, 0.0
        self.states: list[Motion] = []
        self.energy = EnergyAccount()
        self.nothing = 1e-24 * stepper.energy_scale
        self.keep(stepper.observe(self.flight))

    def run(self, times: list[float]) -> tuple[ResultCode, str]:
        """All steps up to each time [s]."""
        begin, seen = float(self.flight.time), self.stepper.observe(self.flight)
        for time in times:
            while float(self.flight.time) < time * (1.0 - 1e-12):
                longest = self.stable() if self.fixed is None else self.fixed
                steps = max(1, int(np.ceil((time - float(self.flight.time)) / longest - 1e-9)))
                step = (time - float(self.flight.time)) / steps
                batch = min(steps, CHECK_STEPS)
                flight = self.stepper.advance(self.flight, step, batch)
                seen = self.stepper.observe(flight)
                failed = self._failure(flight, seen)
                if failed is not None:
                    return failed
                self.flight, self.count = flight, self.count + batch
                self.shortest, self.longest = min(self.shortest, step), max(self.longest, step)
                done = (float(flight.time) - begin) / (times[-1] - begin)
                self.progress(min(float(done), 1.0), f"{float(flight.time):.4g} s, step {step:.2e} s")
            self.flight = self.flight._replace(time=jnp.asarray(time))
            self.keep(seen._replace(motion=_timed(seen.motion, time, self.stepper.duration)))
        self.progress(1.0, "end of the motion")
        return ResultCode.converged, ""

    def stable(self) -> float:
        """The step that is safe for the body as it was not long ago [s]."""
        if self.looked is None or self.count - self.looked[0] >= CHECK_STEPS:
            self.looked = (self.count, self.safety * 2.0 / self.stepper.largest_frequency(self.flight))
        return self.looked[1]

    def keep(self, seen: Observation) -> None:
        """Keep a motion and enter it in the account."""
        energy, motion = self.energy, seen.motion
        self.states.append(motion)
        energy.time.append(float(motion.time))
        energy.kinetic.append(float(seen.kinetic))
        energy.strain.append(float(seen.strain))
        energy.external.append(float(seen.external))
        energy.damped.append(float(seen.damped))
        energy.momentum.append(np.asarray(seen.momentum))
        energy.angular_momentum.append(np.asarray(seen.angular_momentum))

    def _failure(self, flight: Flight, seen: Observation) -> tuple[ResultCode, str] | None:
        """Named where energy comes from nowhere or an element turned inside out."""
        total, energy = float(seen.kinetic) + float(seen.strain), self.energy
        drift = total - energy.total[0] - float(seen.external) + float(seen.damped)
        scale = max(float(energy.total.max()), abs(float(seen.external)), self.nothing)
        inverted, blown = not float(flight.min_jacobian) > 0, not drift <= BLOW_UP * scale
        if not (inverted or blown):
            return None
        place = element_place(self.problem.model, self.stepper.source(int(flight.worst)))
        at = float(flight.worst_time) if inverted else float(flight.time)
        where = f"near {at:.6g} s, {place}"
        return (ResultCode.inverted_element if inverted and not blown else ResultCode.blown_up), where


def _timed(motion: Motion, time: float, duration: float) -> Motion:
    return Motion(
        time / duration,
        motion.displacement,
        time=time,
        velocity=motion.velocity,
        acceleration=motion.acceleration,
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
    if problem.moving():
        raise SolverError(
            "contact between tissues is searched for by the implicit solvers only",
            where="explicit.solve",
            advice="Use dynamic.solve, or rigid bodies",
        )
    if any(contact.frictional for contact in problem.contacts):
        raise SolverError(
            "friction has a history, which the implicit solvers step only",
            where="explicit.solve",
            advice="Use dynamic.solve, or no friction",
        )
    if remembers(problem.model):
        raise SolverError(
            "materials with a history are stepped by the implicit solvers only",
            where="explicit.solve",
            advice="Use dynamic.solve",
        )
    if len(problem.model.pressure_corners):
        raise SolverError("pressure unknowns have no mass", where="explicit.solve", advice="Use displacement elements")
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
    if isinstance(keep, (int, np.integer)):
        wanted = [float(time) for time in np.linspace(begin, end, int(keep) + 1)[1:]] if keep >= 1 else [end]
    else:
        wanted = sorted(float(time) for time in keep)
        wanted = wanted if wanted and wanted[-1] == end else [*wanted, end]
    if not (begin < wanted[0] and max(wanted) <= end):
        raise SolverError(f"times to keep must lie within {begin:g} to {end:g} s", where="keep")
    return wanted


def _check(duration: float, end: float, safety: float, damping: float, step: float | None) -> None:
    if not (np.isfinite(duration) and duration > 0 and np.isfinite(end)):
        raise SolverError(f"a duration of {duration} s is not possible", where="explicit.solve")
    if not safety > 0:
        raise SolverError(f"a safety of {safety} is not possible", where="explicit.solve", advice="Use 0.5 to 0.95")
    if not damping >= 0:
        raise SolverError("damping must not be negative", where="explicit.solve")
    if step is not None and not (np.isfinite(step) and step > 0):
        raise SolverError(f"a step of {step} s is not possible", where="explicit.solve")
