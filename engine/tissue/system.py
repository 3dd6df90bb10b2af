"""What Newton's method needs of a problem, whether it lives on the host or on a device."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from .problem import Problem

from .solution import State

NodalField = Any
"""(rows, 3) float64: numpy on the host, JAX on a device. Newton's method only adds, multiplies and sums."""


class Evaluation(NamedTuple):
    """At one displacement: forces (nodes, 3) N, strain energy J, the smallest det F and the mesh element it is in.

    `force_norm` is the root of the sum of squares of all element forces before they cancel.
    """

    internal: NodalField
    external: NodalField
    energy: float
    min_jacobian: float
    worst_element: int
    force_norm: float

    @property
    def residual(self) -> NodalField:
        """Internal minus external force [N]; at held nodes, the reaction."""
        return self.internal - self.external


class LinearOutcome(NamedTuple):
    """Of a linear solve: solution (nodes, 3) m, iterations, tolerance met, negative curvature met, residuals.

    `probed`: negative curvature would have been met wherever there is some.
    """

    solution: NodalField
    iterations: int
    converged: bool
    indefinite: bool = False
    residuals: tuple[float, ...] = ()
    probed: bool = False


class Tangent(Protocol):
    """The derivative of internal minus external force."""

    round_off: float
    """Residual [N] that round-off of F leaves: eps × ‖diagonal‖ × (largest displacement + node spacing)."""

    def product(self, direction: NodalField) -> NodalField:
        """K d [N], held components included."""
        ...

    def shifted(self, stiffness: float, inertia: float, mass: Any) -> Tangent:
        """stiffness K + inertia M, for a step in time; this tangent is spent."""
        ...

    def plus(self, share: float, other: Any) -> Tangent:
        """This tangent and a share of another of the same system."""
        ...

    def solve(self, rhs: NodalField, tolerance: float, probe: NodalField | None = None) -> LinearOutcome:
        """Solve K x = rhs for the free components to a relative residual; held ones are zero.

        With a `probe`, a pattern of all modes, it may look for negative curvature on the way.
        """
        ...


class System(Protocol):
    """A problem ready for Newton's method."""

    free: NodalField
    """1 where a component is free, 0 where it is prescribed."""
    points: Any
    """Reference positions (nodes, 3) m."""
    symmetric: bool
    """Whether the tangent is."""
    nodes: int
    """The first rows, which are displacements; those after them are pressures."""
    definite: bool
    """Whether a stable equilibrium is a minimum; with unknown pressures it is a saddle point."""

    @property
    def problem(self) -> Problem:
        """What is solved, with its history as it is now."""
        ...

    def use(self, problem: Problem) -> None:
        """Go on with another history (multipliers, slip) of the same problem."""
        ...

    def augment(self, displacement: NodalField, fraction: float) -> bool:
        """Move the multipliers of contacts on; False where all is as close as it was asked to be."""
        ...

    def advance(self, displacement: NodalField, fraction: float) -> None:
        """Move history on after a converged load step."""
        ...

    def bound(self, displacement: NodalField, fraction: float) -> Problem:
        """The problem of whose residual an equilibrium is a zero: pairs and history as they are there."""
        ...

    def stride(self, displacement: NodalField, step: NodalField) -> float:
        """The largest share, at most 1, of a step from a displacement in which no contact surface is passed unseen."""
        ...

    def zeros(self) -> NodalField:
        """No displacement."""
        ...

    def array(self, values: Any) -> NodalField:
        """A nodal field on this system's device."""
        ...

    def field_of(self, state: State) -> NodalField:
        """The unknowns of a state: displacements, and pressures in units of `row_scale`."""
        ...

    def state_of(self, fraction: float, field: NodalField) -> State:
        """The state of a field of unknowns."""
        ...

    def prescribed(self, fraction: float) -> NodalField:
        """Prescribed displacement [m], zero where free."""
        ...

    def evaluate(self, displacement: NodalField, fraction: float) -> Evaluation:
        """Forces, energy and smallest det F."""
        ...

    def linearize(self, displacement: NodalField, fraction: float, *, tissue_alone: bool = False) -> Tangent:
        """The tangent at a displacement, or what elements alone give of it."""
        ...


class Timer:
    """Seconds and counts spent by name."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.counts: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of a block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start
            self.counts[name] += 1
