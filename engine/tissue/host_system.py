"""The residual and its tangent on the host: compiled element kernels, an assembled matrix, host sparse kernels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..linear.held import Held, whole_of
from ..linear.host import HostLinearSolver
from ..linear.indefinite import IndefiniteSolver
from ..linear.saddle import SaddleSolver
from .assembly import Assembly
from .kernels import BlockKernel, TermKernel
from .mass import MassMatrix
from .moving import MovingForces, without_held
from .pattern import VectorScatter
from .problem import Problem
from .row_scale import row_scale
from .solution import State
from .system import Evaluation, LinearOutcome, Timer

THIN_UNKNOWNS = 150_000
"""Of shells, membranes and strands alone, whose factors stay thin while multigrid needs hundreds of iterations."""


def _method(problem: Problem) -> str:
    blocks = problem.model.blocks
    thin = all(block.element.dimension < 3 for block in blocks) and 3 * problem.model.nodes <= THIN_UNKNOWNS
    return "direct" if thin else "auto"


class HostSystem:
    """A problem ready for Newton's method on the CPU."""

    def __init__(self, problem: Problem, timer: Timer, *, method: str = "auto") -> None:
        self.problem, self.timer = problem.begun(), timer
        self.points = np.asarray(problem.model.row_points)
        count = len(self.points)
        self.spacing = float(np.ptp(self.points, axis=0).max()) / count ** (1 / 3)
        self.free = ~problem.held() * 1.0
        self.blocks = [BlockKernel(block, self.points) for block in problem.model.blocks]
        for block in self.blocks:
            block.prepare()
        self.terms = [TermKernel(term, self.points) for term in self.problem.fixed_terms()]
        self.live = [term for term in self.terms if not term.dead]
        self.term_forces = [VectorScatter(term.nodes, count) for term in self.terms]
        self.moving = MovingForces(self.problem.moving(), self.points, timer)
        self.symmetric = self.moving.symmetric and all(term.symmetric for term in self.live)
        self.row_scale = row_scale(problem.model)
        self.nodes = problem.model.nodes
        self.definite = self.nodes == count
        self.solver: HostLinearSolver | SaddleSolver = (
            HostLinearSolver(timer, symmetric=self.symmetric, method=_method(problem) if method == "auto" else method)
            if self.definite
            else SaddleSolver(timer, self.nodes, symmetric=self.symmetric)
        )
        self._dead: tuple[float, NDArray] | None = None
        self._pattern: Assembly | None = None

    def use(self, problem: Problem) -> None:
        """Go on with another history (multipliers, slip, materials) of the same problem."""
        if problem is self.problem:
            return
        for kernel, old, new in zip(self.blocks, self.problem.model.blocks, problem.model.blocks, strict=True):
            if new.material is not old.material:
                kernel.use(new.material)
        self.problem, self._dead = problem, None
        self.terms = [TermKernel(term, self.points) for term in problem.fixed_terms()]
        self.live = [term for term in self.terms if not term.dead]
        self.moving = MovingForces(problem.moving(), self.points, self.timer)
        if self._pattern is not None:
            self._pattern.terms = self.live

    def augment(self, displacement: NDArray, fraction: float) -> bool:
        """Move the multipliers of contacts on; False where all is as close as it was asked to be."""
        problem, moved = self.problem.augmented(displacement, fraction)
        self.use(problem)
        return moved

    def advance(self, displacement: NDArray, fraction: float) -> None:
        """Move slip history on after a converged load step."""
        if self.problem.contacts:
            self.use(self.problem.advanced(displacement, fraction))

    def bound(self, displacement: NDArray, fraction: float) -> Problem:
        """The problem of whose residual an equilibrium is a zero: pairs as they are there, history as it is now."""
        return self.problem.bound_at(displacement, fraction) if self.moving.terms else self.problem

    def stride(self, displacement: NDArray, step: NDArray) -> float:
        """The largest share of a step that passes no contact surface unseen."""
        return self.moving.stride(displacement, step) if self.moving.terms else 1.0

    def zeros(self) -> NDArray:
        """No displacement (nodes, 3) m."""
        return np.zeros_like(self.points)

    def array(self, values: object) -> NDArray:
        """A nodal field on this system's device."""
        return np.array(values, dtype=np.float64)

    def field_of(self, state: State) -> NDArray:
        """The unknowns of a state: displacements [m], and pressures over `row_scale` [m]."""
        return self.array(state.rows) / self.row_scale

    def state_of(self, fraction: float, field: NDArray) -> State:
        """The state of a field of unknowns."""
        return State.of_rows(fraction, field * self.row_scale, self.problem.model.nodes)

    def prescribed(self, fraction: float) -> NDArray:
        """Prescribed displacement (nodes, 3) m, zero where free."""
        values = np.zeros_like(self.points)
        for constraint in self.problem.constraints():
            moved = np.asarray(constraint.values(self.problem.model.points, fraction))
            for axis in np.flatnonzero(constraint.components):
                values[constraint.nodes, axis] = moved[:, axis]
        return values

    def external(self, displacement: NDArray, fraction: float) -> NDArray:
        """External forces (nodes, 3) N."""
        if self._dead is None or self._dead[0] != fraction:
            self._dead = (fraction, self._sum(displacement, fraction, dead=True))
        total = self._dead[1] + self._sum(displacement, fraction, dead=False)
        return total + self.moving.forces(displacement, fraction) if self.moving.terms else total

    def _sum(self, displacement: NDArray, fraction: float, *, dead: bool) -> NDArray:
        total = np.zeros_like(self.points)
        for term, scatter in zip(self.terms, self.term_forces, strict=True):
            if term.dead == dead:
                total += scatter(term.forces(displacement, fraction))
        return total

    def evaluate(self, displacement: NDArray, fraction: float) -> Evaluation:
        """Internal and external forces, energy and the smallest det F."""
        with self.timer.part("residual"):
            internal, energy, worst, square = np.zeros_like(self.points), 0.0, (np.inf, -1), 0.0
            unknowns = displacement * self.row_scale
            for block, source in zip(self.blocks, self.problem.model.blocks, strict=True):
                force, part, jacobian, more = block.evaluate(unknowns, fraction)
                internal += force
                energy, square = energy + part, square + more
                at = int(np.argmin(np.where(np.isnan(jacobian), -np.inf, jacobian)))
                worst = min(
                    worst, (float(np.nan_to_num(jacobian[at], nan=-np.inf)), int(np.asarray(source.source)[at]))
                )
            external = self.external(displacement, fraction)
        return Evaluation(internal * self.row_scale, external, energy, worst[0], worst[1], np.sqrt(square))

    def linearize(self, displacement: NDArray, fraction: float, *, tissue_alone: bool = False) -> HostTangent:
        """The assembled tangent, or what elements alone give of it."""
        with self.timer.part("assembly"):
            if self._pattern is None:
                self._pattern = Assembly(self.blocks, self.live, len(self.points))
            data = self._pattern.data(displacement * self.row_scale, fraction, tissue_alone=tissue_alone)
            if not self.definite:
                data *= self._pattern.pattern.pair_products(self.row_scale[:, 0])[:, None, None]
            matrix = self._pattern.pattern.matrix(data)
            noise = (
                np.finfo(float).eps
                * np.linalg.norm(data[self._pattern.pattern.diagonal])
                * (np.abs(displacement).max() + self.spacing)
            )
            extra = None if tissue_alone else self.moving.stiffness(displacement, fraction)
        return HostTangent(self, matrix, self._pattern, self.points + displacement, float(noise), extra)


@dataclass
class HostTangent:
    """An assembled tangent."""

    system: HostSystem
    matrix: sparse.bsr_matrix
    assembly: Assembly
    positions: NDArray
    round_off: float
    extra: sparse.bsr_matrix | None = None
    """What pairs that change add, on its own pattern."""
    _closed: Held | sparse.bsr_matrix | None = field(default=None, init=False)

    def product(self, direction: NDArray) -> NDArray:
        """K d (nodes, 3) N, held components included."""
        image = self.matrix @ direction.ravel()
        return (image if self.extra is None else image + self.extra @ direction.ravel()).reshape(-1, 3)

    def solve(self, rhs: NDArray, tolerance: float, probe: NDArray | None = None) -> LinearOutcome:
        """Solve for the free components; held ones are zero. A probe's modes are looked at for negative curvature."""
        free, solver = self.system.free, self.system.solver
        if isinstance(solver, SaddleSolver):
            found = solver.solve(self.held(), rhs, tolerance, free, self.positions)
        else:
            probe = None if probe is None else probe * free
            found = solver.solve(self.closed(), rhs, tolerance, free, self.positions, probe)
        return LinearOutcome(
            found.solution, found.iterations, found.converged, found.indefinite, found.residuals, found.probed
        )

    def held(self) -> sparse.bsr_matrix:
        """The matrix with unit rows and columns for held components."""
        with self.system.timer.part("assembly"):
            return whole_of(self.closed())

    def closed(self) -> Held | sparse.bsr_matrix:
        """The same for solvers that need not see all of it."""
        if self._closed is None:
            held = Held(self.matrix, self.assembly.rim(self.system.free))
            extra = self.extra
            self._closed = held if extra is None else held.whole + without_held(extra, self.system.free)
        return self._closed

    def indefinite_solver(self) -> IndefiniteSolver:
        """For a tangent beyond a limit point, where conjugate gradients stop."""
        cycle = getattr(self.system.solver, "cycle", None)
        return IndefiniteSolver(self.held(), cycle, symmetric=self.system.symmetric)

    def shifted(self, stiffness: float, inertia: float, mass: MassMatrix) -> HostTangent:
        """stiffness K + inertia M, in place of this one."""
        data, pattern = self.matrix.data, self.assembly.pattern
        data *= stiffness
        slots = self.assembly.mass_slots(mass)
        for axis in range(3):
            data[slots, axis, axis] += inertia * mass.values
        extra = None if self.extra is None else stiffness * self.extra
        return replace(self, matrix=pattern.matrix(data), round_off=stiffness * self.round_off, extra=extra)

    def plus(self, share: float, other: HostTangent) -> HostTangent:
        """This tangent and a share of another of the same problem."""
        extra = _sum(self.extra, None if other.extra is None else share * other.extra)
        data = self.matrix.data + share * other.matrix.data
        round_off = self.round_off + share * other.round_off
        return replace(self, matrix=self.assembly.pattern.matrix(data), round_off=round_off, extra=extra)


def _sum(first: sparse.bsr_matrix | None, second: sparse.bsr_matrix | None) -> sparse.bsr_matrix | None:
    if first is None or second is None:
        return first if second is None else second
    return sparse.bsr_matrix(first + second, blocksize=(3, 3))
