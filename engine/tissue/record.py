"""What a solve tells of itself: iterations, times, memory."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from .newton import NewtonOutcome
from .solution import Statistics, StepStatistics
from .system import System, Timer


def statistics_of(
    system: System, timer: Timer, steps: list[StepStatistics], *, cutbacks: int, tolerance: float, stability: str
) -> Statistics:
    """Of a whole solve."""
    return Statistics(
        steps=tuple(steps),
        cutbacks=cutbacks,
        seconds=dict(timer.seconds),
        unknowns=int(np.asarray(system.free).sum()),
        elements=sum(len(block.nodes) for block in system.problem.model.blocks),
        linear_solver=type(system).__name__,
        preconditioners=timer.counts["preconditioner"],
        **hierarchy_of(system),
        tolerance=tolerance,
        stability=stability,
    )


def step_statistics(goal: float, outcome: NewtonOutcome) -> StepStatistics:
    """Of one attempt."""
    record = outcome.record
    return StepStatistics(
        goal,
        outcome.result,
        record.newton_iterations,
        record.linear_iterations,
        tuple(record.residuals),
        record.line_search_steps,
        outcome.evaluation.energy,
        outcome.evaluation.min_jacobian,
        tuple(record.linear_residuals),
    )


def hierarchy_of(system: System) -> dict[str, Any]:
    """Levels and complexity of the multigrid hierarchy in use, and the memory held at most."""
    solver = getattr(system, "solver", None)
    hierarchy = getattr(getattr(solver, "inner", solver), "hierarchy", None)
    found: dict[str, Any] = {"peak_memory_mib": peak_memory()}
    return (
        found if hierarchy is None else {**found, "levels": tuple(hierarchy.sizes), "complexity": hierarchy.complexity}
    )


def peak_memory() -> float:
    """MiB this process has held at most."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class compile_seconds:
    """Adds what JAX spends on tracing and compiling to a timer."""

    def __init__(self, timer: Timer) -> None:
        self.timer = timer

    def __enter__(self) -> None:
        import jax

        self.start = time.perf_counter()
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def __exit__(self, *_: object) -> None:
        import jax

        jax.monitoring.unregister_event_duration_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event in _COMPILE_EVENTS:
            self.timer.seconds["compile"] += duration_secs


_COMPILE_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
}
