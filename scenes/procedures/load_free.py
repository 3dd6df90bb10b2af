"""The load-free shape of a body that the scan shows under gravity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
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
    """A load-free body and its equilibrium under gravity.

    Attributes:
        problem: the load-free body, gravity and supports.
        state: its equilibrium.
        gap_mm: (N, 3) load-free shape minus scanned shape, mm.
        residual_mm: largest distance of the equilibrium from the scanned shape, mm.
        rounds: gravity solves it took.
    """

    problem: Problem
    state: State
    gap_mm: NDArray[np.float64]
    residual_mm: float
    rounds: int

    @property
    def sag_mm(self) -> float:
        """How far gravity carries the body from its load-free shape, at most."""
        return float(np.linalg.norm(self.gap_mm, axis=1).max())

    def text(self) -> str:
        """One line for a person."""
        return (
            f"The scan shows the organ under gravity. A load-free shape was solved for: gravity and the supports bring it "
            f"back to the scanned shape within {self.residual_mm:.2f} mm. Displacements are counted from the scan."
        )


def load_free_shape(
    problem_at: Callable[[NDArray[np.float64]], Problem],
    scanned: NDArray[np.float64],
    options: SolverOptions,
    progress: Progress,
) -> Hanging:
    """Find X so that the body of shape X under gravity has the scanned shape x.

    Fixed point X ← X − (x(X) − x), after Sellier (2011), An iterative method for the inverse
    elasto-static problem, J. Fluids Struct. 27, 1461-1470.

    Args:
        problem_at: the problem with gravity and supports on a load-free shape (N, 3) mm.
        scanned: (N, 3) mm.

    Raises:
        SolverError: it does not settle; supports are too soft for the weight.
    """
    shape, best = scanned.copy(), np.inf
    for number in range(1, MAX_ROUNDS + 1):
        inner = part(progress, (number - 1) / MAX_ROUNDS, number / MAX_ROUNDS)
        problem = problem_at(shape)
        state = solve_steps(problem, options, inner, fractions=[1.0]).final
        off = shape + np.asarray(state.displacement)[: len(scanned)] * MM_PER_M - scanned
        residual = float(np.linalg.norm(off, axis=1).max())
        if residual <= TOLERANCE_MM:
            progress(1.0, "load-free shape found")
            return Hanging(problem, state, shape - scanned, residual, number)
        if residual > 2 * best:
            break
        best, shape = min(best, residual), shape - off
    raise SolverError(
        f"the load-free shape does not settle (still {best:.1f} mm off)",
        where="gravity",
        advice="Stiffen the supports: the organ hangs too far on them",
    )
