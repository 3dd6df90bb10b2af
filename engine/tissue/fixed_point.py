"""Sellier's fixed point for a load-free shape: X ← X − (x(X) − x), mixed after Anderson.

Every round is an equilibrium of the shape at hand, on the pattern and hierarchy of the round before and from its
displacement, no more exact than the shape deserves. How far rounds bring the shape is measured: where they bring too
little, Newton's method on X has its turn.

Sellier (2011), *J. Fluids Struct.* 27:1461; Anderson (1965), *J. ACM* 12:547.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from ...imaging.progress import Progress
from .anderson import Anderson
from .batch import system_after
from .carried import Placing, carried_to
from .history import Past
from .host_system import HostSystem
from .inverse_system import LoadFree
from .march import MAX_CUTBACKS, March
from .model import MM
from .problem import Problem
from .solution import ResultCode
from .static import load_fractions

MAX_ROUNDS = 25
DEPTH = 4
"""Earlier rounds that Anderson's mixing takes part of."""
SLOW = 0.7
"""Two rounds that leave more than this of the distance from the scan are too slow; well-behaved walls and organs leave
0.1 to 0.6, a beam that sags by half its length more than one."""
COARSE = 1e-2
EXACTNESS = 0.02
"""A round's ‖residual‖ / force scale: this share of how much of the first distance from the scan was left before it."""
MAX_ITERATIONS = 15
"""Newton iterations of a round that may be given up."""


class FixedPoint:
    """Rounds of one problem, given on the loaded shape.

    Args:
        load_steps: of the first round.
        tolerance: on ‖residual‖ / force scale of each round's equilibrium.
        place: how the problem is put on another shape.
        duration: seconds of each round's loading, which materials that remember answer to; None: as the problem says.
        patient: rounds that find no equilibrium go half the way and slow ones go on; else both end the search.
    """

    def __init__(
        self,
        problem: Problem,
        load_steps: int,
        tolerance: float,
        *,
        patient: bool,
        place: Placing = carried_to,
        duration: float | None = None,
    ) -> None:
        self.problem, self.tolerance, self.patient, self.place = problem, tolerance, patient, place
        self.scanned = np.asarray(problem.model.points)
        self.first, self.past = load_fractions(load_steps), Past(problem.model, duration)
        self.system: HostSystem | None = None
        self.march: March | None = None

    def search(self, accuracy: float, progress: Progress) -> LoadFree | None:
        """The shape whose equilibrium is within `accuracy` [m] of the scan; None where an impatient search ends.

        Raises:
            SolverError: a patient search found no equilibrium of the scanned shape, or does not settle.
        """
        shape, settled, mixing = self.scanned, None, Anderson(DEPTH)
        distances: list[float] = []
        for rounds in range(1, MAX_ROUNDS + 1):
            displacement = self._balance(shape, distances, _told(progress, rounds, distances))
            if displacement is None and not self.patient:
                return None
            if displacement is None:
                if settled is None:
                    _refuse("the scanned shape finds no balance under its load")
                shape, mixing = 0.5 * (settled + shape), Anderson(DEPTH)
                continue
            settled, miss = shape, shape + displacement - self.scanned
            distances.append(float(np.linalg.norm(miss, axis=1).max()))
            if distances[-1] <= accuracy:
                return self._found(shape, rounds)
            if not self.patient and _slow(distances):
                return None
            shape = mixing.next(shape, -miss)
        if not self.patient:
            return None
        _refuse(f"the load-free shape does not settle ({distances[-1] / MM:.3g} mm off after {MAX_ROUNDS} rounds)")

    def _balance(self, shape: NDArray, distances: list[float], progress: Progress) -> NDArray | None:
        """Displacement (nodes, 3) m of the equilibrium of one shape; None where there is none to be found."""
        start = None if self.march is None else self.march.states[-1]
        self.system = system_after(self.place(self.problem, shape), self.system)
        fractions, limit = (self.first, 2 * MAX_ITERATIONS) if start is None else ([1.0], MAX_ITERATIONS)
        share = EXACTNESS * distances[-1] / distances[0] if distances else COARSE
        march = March(self.system, fractions, min(max(share, self.tolerance), COARSE), limit, progress)
        march.past = self.past
        march.max_cutbacks = MAX_CUTBACKS if self.patient else 0
        result, _ = march.run(start)
        if result is not ResultCode.converged:
            return None
        self.march = march
        return np.asarray(march.states[-1].displacement)

    def _found(self, shape: NDArray, rounds: int) -> LoadFree:
        assert self.system is not None
        assert self.march is not None
        share = self.march.steps[-1].residuals[-1]
        return LoadFree(self.place(self.problem, shape), self.march.states[-1], share, rounds)


def _slow(distances: list[float]) -> bool:
    """Whether the second round lost ground, or the last two brought too little."""
    if len(distances) == 2:
        return distances[1] > distances[0]
    return len(distances) > 2 and distances[-1] > SLOW * distances[-3]


def _told(progress: Progress, rounds: int, distances: list[float]) -> Progress:
    """What the solve of one round tells: the round, and how far off the last one was."""
    off = f", {distances[-1] / MM:.3g} mm off" if distances else ""
    share = min(rounds / MAX_ROUNDS, 0.99)
    return lambda fraction, text: progress(share, f"load-free shape, round {rounds}{off}")


def _refuse(what: str) -> NoReturn:
    raise SolverError(
        what,
        where="unloaded_shape",
        advice="Stiffen the supports or the tissue, or check the load: it carries the body too far",
    )
