"""`Trajectory`: what a dynamic solve gave, with its energy account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from .motion import Motion
from .solution import Ended, ResultCode, Statistics
from .stable_step import MassScaling


@dataclass
class EnergyAccount:
    """Energies [J] and momenta at the start and after every step.

    Attributes:
        time: s.
        kinetic: ½ v · M v.
        strain: ∫ W dV.
        external: work done so far by loads, springs and beds, and by what moves prescribed nodes.
        damped: work so far against damping.
        momentum: (steps + 1, 3) kg m/s.
        angular_momentum: (steps + 1, 3) kg m²/s about the origin.
    """

    time: list[float] = field(default_factory=list)
    kinetic: list[float] = field(default_factory=list)
    strain: list[float] = field(default_factory=list)
    external: list[float] = field(default_factory=list)
    damped: list[float] = field(default_factory=list)
    momentum: list[np.ndarray] = field(default_factory=list)
    angular_momentum: list[np.ndarray] = field(default_factory=list)

    @property
    def total(self) -> Float[np.ndarray, " steps"]:
        """Kinetic and strain energy [J]."""
        return np.array(self.kinetic) + np.array(self.strain)

    @property
    def drift(self) -> Float[np.ndarray, " steps"]:
        """Energy that came from nowhere [J]: total − total at the start − external work + damped.

        Negative is what the integrator itself (and a viscous material) took; positive and growing warns of an unstable
        step.
        """
        total = self.total
        return total - total[:1] - np.array(self.external) + np.array(self.damped)

    @property
    def largest_drift(self) -> float:
        """Largest |drift| over the largest energy or work that went about; 0 where nothing moved."""
        scale = max(np.max(np.abs(self.total)), np.max(np.abs(self.external)))
        return float(np.max(np.abs(self.drift)) / scale) if scale > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Trajectory(Ended[Motion]):
    """A body in motion.

    Attributes:
        result: how it ended; anything but `converged` means that the end was not reached.
        states: motions kept, in order of time; the first is the start.
        energy: account of every step, kept or not.
        statistics: iterations, residuals, times; one entry of `steps` per attempted step.
        where: time, element and place that a failure concerns.
        problem: what was solved.
    """

    result: ResultCode
    states: tuple[Motion, ...]
    energy: EnergyAccount
    statistics: Statistics
    where: str = ""
    problem: Any = field(default=None, kw_only=True)

    @property
    def problems(self) -> tuple[Any, ...]:
        """Of each motion kept, the problem with the history that goes on from it."""
        from .history import remembered

        return tuple(remembered(self.problem, state) for state in self.states)

    @property
    def times(self) -> Float[np.ndarray, " states"]:
        """Of the states kept [s]."""
        return np.array([float(state.time) for state in self.states])


@dataclass(frozen=True, eq=False)
class ExplicitTrajectory(Trajectory):
    """A body in motion by central differences; `energy` has one entry per kept motion.

    Attributes:
        scaling: mass that was added.
        steps: how many were taken.
        shortest_step, longest_step: s.
    """

    scaling: MassScaling | None = None
    steps: int = 0
    shortest_step: float = 0.0
    longest_step: float = 0.0
