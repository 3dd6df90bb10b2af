"""`State`, `Solution` and the named results of a solve."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...imaging.errors import SolverError
from .materials import Material


class ResultCode(enum.Enum):
    """How a solve ended."""

    converged = "converged"
    newton_diverged = "Newton's method did not converge"
    inverted_element = "an element would turn inside out"
    linear_solver_stalled = "the linear solver stalled"
    unstable = "the balance found is unstable: the body buckles or its material loses stiffness"
    floating_body = "a part of the body is not held"
    contact_unresolved = "contact did not settle: points keep opening and closing, or stay too deep"
    passed_through = "bodies would pass through each other: one is deeper in the other than contact is felt"
    steps_ran_out = "the steps ran out before the end of the path"
    path_lost = "the path turns too sharply, or comes back on itself, however short the step"
    carried_away = "the load carries the body off by many times its size"
    blown_up = "the motion blows up"

    @property
    def advice(self) -> str:
        """What to try."""
        return _ADVICE[self]


_ADVICE = {
    ResultCode.converged: "",
    ResultCode.newton_diverged: "Use more load steps, or a smaller load, which may exceed what the body carries; "
    "check units (Pa, m, N), supports and the mesh quality",
    ResultCode.inverted_element: "Use more load steps, a smaller motion, or a finer and better shaped mesh where it is",
    ResultCode.linear_solver_stalled: "Check for slivers in the mesh, ν near 0.5 and stiffness ratios "
    "above 1e6; a small problem can be solved with linear_solver='direct'",
    ResultCode.unstable: "Use less load; a small sideways load (an imperfection) leads to the buckled shape",
    ResultCode.contact_unresolved: "Use more load steps or a finer mesh where it is; allow a larger penetration, give "
    "a smaller contact penalty or a wider onset, and see that no held node is pressed from both sides",
    ResultCode.passed_through: "Use more load steps, a finer mesh or a contact with refine= where it is, or a larger "
    "reach=; less load, which may exceed what the contact or a thin tool can carry",
    ResultCode.steps_ran_out: "Allow more steps or longer ones, or end the path with stop=",
    ResultCode.path_lost: "Use a smaller first step; where the path branches, a small sideways load leads to one of "
    "the branches",
    ResultCode.carried_away: "Check the units of loads and moduli (Pa, N, m/s²; 1 mmHg is 133.3 Pa)",
    ResultCode.blown_up: "Use a smaller step, or leave the step to the solver; a softer contact, spring or strand "
    "allows a larger one, and dynamic.solve damps what its steps do not resolve with GeneralizedAlpha(0.5)",
    ResultCode.floating_body: "Hold it: fix a node set, give it springs, or grasp it",
}


class State(eqx.Module):
    """The body at one load fraction.

    Attributes:
        load_fraction: 0 at rest, 1 at full load.
        displacement: m, LPS axes; rows as the first `Model.nodes` of `Model.points` (the nodes of the mesh first).
        pressure: Pa, unknowns of mixed elements; None where there are none.
        materials: of each block, with their history so far; empty where no material has one.
        contacts: of the problem, with their multipliers and slip so far; empty where there are none.
    """

    load_fraction: float
    displacement: Float[Array, "nodes 3"]
    pressure: Float[Array, " pressures"] | None = None
    materials: tuple[Material, ...] = eqx.field(default=(), kw_only=True)
    contacts: tuple[Any, ...] = eqx.field(default=(), kw_only=True)

    @property
    def rows(self) -> Float[Array, "rows 3"]:
        """The whole field of unknowns as the kernels take it: displacements, then (p, 0, 0) of each pressure."""
        if self.pressure is None:
            return jnp.asarray(self.displacement)
        unknown = jnp.asarray(self.pressure)[:, None] * jnp.asarray([1.0, 0.0, 0.0])
        return jnp.concatenate([jnp.asarray(self.displacement), unknown])

    @classmethod
    def of_rows(cls, load_fraction: float, rows: Any, nodes: int) -> State:
        """The state of a field of unknowns (rows, 3) whose first `nodes` rows are displacements."""
        rows = jnp.asarray(rows)
        return cls(load_fraction, rows[:nodes], rows[nodes:, 0] if len(rows) > nodes else None)


@dataclass(frozen=True)
class StepStatistics:
    """Of one attempted load step.

    Attributes:
        load_fraction: where it ended, or was meant to end.
        result: how it ended.
        newton_iterations: tangents built.
        linear_iterations: Krylov iterations in all.
        residuals: ‖residual‖ / force scale, before each iteration and at the end.
        line_search_steps: shortened trial steps.
        energy: strain energy [J].
        min_jacobian: smallest det F.
        linear_residuals: of each linear solve, ‖residual‖ / ‖right-hand side‖ by iteration (empty on a device).
    """

    load_fraction: float
    result: ResultCode
    newton_iterations: int = 0
    linear_iterations: int = 0
    residuals: tuple[float, ...] = ()
    line_search_steps: int = 0
    energy: float = 0.0
    min_jacobian: float = 1.0
    linear_residuals: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Statistics:
    """Of a whole solve; seconds by part: setup, residual, assembly, preconditioner, krylov, stability, total, compile.

    Attributes:
        steps: every attempt, failed ones too.
        cutbacks: load steps that were tried again with a smaller load.
        seconds: by part; `compile` is contained in the others, `stability` holds an assembly and a krylov part.
        unknowns: free displacement components.
        elements: number of elements.
        linear_solver: which one was used.
        preconditioners: how often it was built.
        levels: unknowns of each level of the multigrid hierarchy; empty where there is none.
        complexity: stored entries of all its levels over those of the finest.
        peak_memory_mib: largest memory this process has held so far; 0 where the system does not tell.
        tolerance: on ‖residual‖ / force scale.
        stability: of the last state: "stable", "unstable", or "not known" (an unsymmetric tangent, or an
            iteration that did not settle).
    """

    steps: tuple[StepStatistics, ...] = ()
    cutbacks: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    unknowns: int = 0
    elements: int = 0
    linear_solver: str = ""
    preconditioners: int = 0
    levels: tuple[int, ...] = ()
    complexity: float = 1.0
    peak_memory_mib: float = 0.0
    tolerance: float = 0.0
    stability: str = "not known"

    @property
    def newton_iterations(self) -> int:
        """Over all attempts."""
        return sum(step.newton_iterations for step in self.steps)

    @property
    def linear_iterations(self) -> int:
        """Over all attempts."""
        return sum(step.linear_iterations for step in self.steps)


Kept = TypeVar("Kept", bound=State)


class Ended(Generic[Kept]):
    """What every solve tells: how it ended, where a failure lies, and its states."""

    result: ResultCode
    states: tuple[Kept, ...]
    where: str

    @property
    def converged(self) -> bool:
        """Whether the end (full load, the last instant) was reached."""
        return self.result is ResultCode.converged

    def require_converged(self) -> Self:
        """This, if the end was reached.

        Raises:
            SolverError: it was not.
        """
        if not self.converged:
            raise SolverError(self.result.value, where=self.where, advice=self.result.advice)
        return self

    @property
    def final(self) -> Kept:
        """The last state.

        Raises:
            SolverError: the end was not reached.
        """
        return self.require_converged().states[-1]


@dataclass(frozen=True, eq=False)
class Solution(Ended[State]):
    """What a quasi-static solve gave.

    Attributes:
        result: how it ended; anything but `converged` means that the full load was not reached.
        states: converged states only, at the requested load fractions in order (the rest state is not one).
        statistics: iterations, residuals, times.
        where: which element or load fraction a failure concerns.
        problems: of each state, the problem of whose residual it is a zero: contacts with their pairs, multipliers and
            the slip history that its load step began with, materials with their history before it and its seconds. The
            problem that was solved, where nothing is remembered. A state alone carries what is remembered *after* its
            step, which `fields`, `forces` and `static.solve(resume=…)` take from it.
    """

    result: ResultCode
    states: tuple[State, ...]
    statistics: Statistics
    where: str = ""
    problems: tuple[Any, ...] = ()
