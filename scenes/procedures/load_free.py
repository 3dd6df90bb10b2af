"""The load-free shape of a body that the scan shows under load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...imaging.progress import Progress
from ..schema import SolverOptions
from .solving import MM_PER_M

if TYPE_CHECKING:
    from ...engine.tissue.problem import Problem
    from ...engine.tissue.solution import State

TOLERANCE_MM = 0.1
BALANCE = 1e-3
"""Forces left over, over the load, in the search: far below a micrometre; the solve that checks it is exact."""


@dataclass(frozen=True, eq=False)
class Hanging:
    """A load-free body and its equilibrium under the load it was scanned with.

    Attributes:
        problem: the load-free body, load and supports.
        state: its equilibrium.
        gap_mm: (N, 3) load-free shape minus scanned shape at the nodes of the mesh, mm.
        residual_mm: largest distance of the scanned shape from where a solve from the load-free shape ends, mm.
        rounds: iterations it took.
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

    def unloaded(self, problem: Problem) -> Problem:
        """Another problem of the scanned body, on the load-free shape."""
        from ...engine.tissue.unloaded import moved_to

        return moved_to(problem, self.problem.model.points)

    def text(self) -> str:
        """One line for a person."""
        return (
            "The scan shows the organ under gravity. A load-free shape was solved for: gravity and the supports bring "
            f"it back to the scanned shape within {self.residual_mm:.2f} mm. Displacements are counted from the scan."
        )


def load_free_shape(
    problem: Problem,
    options: SolverOptions,
    progress: Progress,
    *,
    cause: str = "gravity",
    tolerance_mm: float = TOLERANCE_MM,
) -> Hanging:
    """The shape that the load brings to the scanned one: `engine.tissue.unloaded`, checked by a solve from rest.

    Args:
        problem: load and supports on the scanned shape.
        cause: the load's name, for the error.
        tolerance_mm: largest distance of the loaded shape from the scanned one.

    Raises:
        SolverError: there is none to be found; supports or tissue are too soft for the load.
    """
    from ...engine.tissue.unloaded import unloaded_shape

    try:
        found = unloaded_shape(
            problem,
            tolerance=max(options.tolerance, BALANCE),
            accuracy=tolerance_mm / MM_PER_M,
            progress=progress,
        )
    except SolverError as error:
        where = f"{cause}, {error.where}" if error.where else cause
        raise SolverError(error.what, where=where, advice=error.advice) from error
    progress(1.0, "load-free shape found")
    gap = found.offset[: problem.model.mesh_nodes] * MM_PER_M
    return Hanging(found.problem, found.state, gap, found.miss * MM_PER_M, found.iterations)
