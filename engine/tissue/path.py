"""`Path`: equilibria along a load that may fall, as the arc-length method finds them."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import numpy as np
from numpy.typing import NDArray

from .solution import Ended, ResultCode, State, Statistics


class PathState(State):
    """Equilibrium at a point of a path.

    Attributes:
        load_fraction: factor of all loads and prescribed motions; may fall, and lie outside [0, 1].
        stability: "stable", "unstable" (the body would leave it at the least disturbance), or "not known".
    """

    stability: str = eqx.field(static=True, default="not known", kw_only=True)

    @property
    def stable(self) -> bool:
        """Whether it is known to be stable."""
        return self.stability == "stable"


@dataclass(frozen=True, eq=False)
class Path(Ended[PathState]):
    """Equilibria in the order in which they follow each other.

    Attributes:
        result: `converged` where `until` or `stop` ended the path, `steps_ran_out` where its steps did; otherwise how
            it broke off.
        states: points of the path, stable or not; the state of rest is not one.
        statistics: of every attempted step.
        where: load fraction and element that a failure concerns.
    """

    result: ResultCode
    states: tuple[PathState, ...]
    statistics: Statistics
    where: str = ""

    @property
    def load_fractions(self) -> NDArray[np.float64]:
        """Of the states."""
        return np.array([float(state.load_fraction) for state in self.states])

    @property
    def limit_points(self) -> list[int]:
        """Indices of states where the load has a maximum or minimum among its neighbours."""
        steps = np.diff(np.concatenate([[0.0], self.load_fractions]))
        return [int(k) for k in np.flatnonzero(steps[:-1] * steps[1:] < 0)]
