"""The load-free shape of a body that the scan shows under load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...engine.tissue.anderson import Anderson
from ...imaging.errors import MeshError, SolverError
from ...imaging.progress import Progress, part
from ..schema import SolverOptions
from .solving import MM_PER_M, solve_steps

if TYPE_CHECKING:
    from ...engine.tissue.problem import Problem
    from ...engine.tissue.solution import State

TOLERANCE_MM = 0.1
MAX_ROUNDS = 15


@dataclass(frozen=True, eq=False)
class Hanging:
    """A load-free body and its equilibrium under the load it was scanned with.

    Attributes:
        problem: the load-free body, load and supports.
        state: its equilibrium.
        gap_mm: (N, 3) load-free shape minus scanned shape, mm.
        residual_mm: largest distance of the equilibrium from the scanned shape, mm.
        rounds: solves it took.
    """

    problem: Problem
    state: State
    gap_mm: NDArray[np.float64]
    residual_mm: float
    rounds: int

    @property
    def sag_mm(self) -> float:
        """How far the load carries the body from its load-free shape, at most."""
        return float(np.linalg.norm(self.gap_mm, axis=1).max())

    def text(self) -> str:
        """One line for a person."""
        return (
            "The scan shows the organ under gravity. A load-free shape was solved for: gravity and the supports bring "
            f"it back to the scanned shape within {self.residual_mm:.2f} mm. Displacements are counted from the scan."
        )


def load_free_shape(
    problem_at: Callable[[NDArray[np.float64]], Problem],
    scanned: NDArray[np.float64],
    options: SolverOptions,
    progress: Progress,
    *,
    cause: str = "gravity",
    tolerance_mm: float = TOLERANCE_MM,
) -> Hanging:
    """Find X so that the body of shape X under its load has the scanned shape x.

    Fixed point X ← X − (x(X) − x), after Sellier (2011), An iterative method for the inverse
    elasto-static problem, J. Fluids Struct. 27, 1461-1470, accelerated after Anderson (1965),
    Iterative procedures for nonlinear integral equations, J. ACM 12, 547-560. Every
    solve starts from the last one's displacement.

    Args:
        problem_at: the problem with load and supports on a load-free shape (N, 3) mm.
        scanned: (N, 3) mm.
        cause: the load's name, for the error.
        tolerance_mm: largest distance of the loaded shape from the scanned one.

    Raises:
        SolverError: it does not settle; supports or tissue are too soft for the load.
    """
    shape, state = scanned.copy(), None
    solved: NDArray[np.float64] | None = None
    history = Anderson(depth=4)
    residual = np.inf
    for number in range(1, MAX_ROUNDS + 1):
        try:
            problem = problem_at(shape)
            state = solve_steps(
                problem, options, _round(progress, number, residual), fractions=[1.0], start=state
            ).final
        except (MeshError, SolverError):
            if solved is None:
                raise
            # Too far: the shape turned elements over, or gravity found no balance from there. Go half the way.
            shape = 0.5 * (solved + shape)
            history = Anderson(depth=4)
            continue
        solved = shape
        off = shape + np.asarray(state.displacement)[: len(scanned)] * MM_PER_M - scanned
        residual = float(np.linalg.norm(off, axis=1).max())
        if residual <= tolerance_mm:
            progress(1.0, "load-free shape found")
            return Hanging(problem, state, shape - scanned, residual, number)
        shape = history.next(shape, -off)
    raise SolverError(
        f"the load-free shape does not settle ({residual:.1f} mm off after {MAX_ROUNDS} rounds)",
        where=cause,
        advice="Stiffen the supports or the tissue: the load carries it too far",
    )


def _round(progress: Progress, number: int, residual: float) -> Progress:
    """How far off the last round was says how many are left: each takes a digit or two."""
    left = max(np.log10(residual / TOLERANCE_MM), 1.0) if np.isfinite(residual) else 3.0
    return part(progress, (number - 1) / (number + left), number / (number + left))
